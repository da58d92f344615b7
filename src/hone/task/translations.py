"""Two columns that are a text and its translation: called by languages, or in two languages by their texts.

Asked by `recognise` behind the pairs that it knows by name. The one surprise: the first column of the file is taken for the source.
"""

from hone.task.languages import are_language_names, are_two_languages, names_language
from hone.task.layout import Layout, Sheet, Wish
from hone.task.profile import Profile, name_words, profile_column
from hone.task.refuse import Refused
from hone.task.sample import is_cut

__all__ = ["find_translation"]

_JUDGED = (
    "label", "labels", "class", "class_name", "category", "intent", "sentiment", "emotion", "score", "similarity", "rating", "quality",
)  # fmt: skip
_WORDS = 5  # from so many on a column's name is a sentence: the first line of a file without column names


def find_translation(sheet: Sheet, wish: Wish) -> Layout | None:
    """A text and its translation; None where a column beside them judges the two, or none is told.

    Raises:
        Refused: more than two columns are called by languages, or the first line is an example.
    """
    if wish.prompt or wish.completion or (sheet.find(_JUDGED) and not wish.kind):
        return None
    texts = [profile for header in sheet.headers if header and _is_text(profile := profile_column(header, sheet.cells(header)))]
    named = [profile.name for profile in texts if names_language(profile.name)]
    if are_language_names(named):
        if len(named) > 2:
            raise Refused(
                f"The columns {', '.join(named)} are called by languages, and a translation is from one into another. Name two: "
                f"--prompt {named[0]} --completion {named[1]}."
            )
        return _from_to(named[0], named[1], "since both are called by languages")
    if len(texts) != 2 or any(2 * profile.distinct < profile.filled for profile in texts):
        return None
    one, other = (profile.name for profile in texts)
    found = are_two_languages(
        [(str(a), str(b)) for a, b in sheet.rows((one, other)) if a and b and not is_cut(a) and not is_cut(b)]
    )
    if found is None:
        return None
    if all(len(name_words(name)) >= _WORDS for name in (one, other)):
        raise Refused(
            f"The rows look like translations ({found[0]}, {found[1]}), and the first line like one of them and not like column names: "
            f"'{one[:40]}'. Add a line with column names, such as source and target."
        )
    return _from_to(one, other, f"since their texts are in two languages ({found[0]}, {found[1]})")


def _from_to(source: str, target: str, why: str) -> Layout:
    return Layout("completion", (source,), target, why=f"{why} (the other way: --prompt {target} --completion {source})")


def _is_text(profile: Profile) -> bool:
    """Whether a column holds texts: no numbers, dates, addresses or identifiers, and no lists."""
    return not profile.is_ignored and not profile.holds_several and profile.number_share < 0.5
