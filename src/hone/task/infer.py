"""Which column is the text and which the label, when the user did not say: by name first, then by content.

Stands between reading and keeping: it sees a sample of rows. The one surprise: of two columns that say the same
(AG News has `class` 1 to 4 and `class_name`) the one in words is taken, since prompts and tables show the label;
but only where it is filled in every row that has the number.
"""

import shlex
from collections.abc import Iterable, Sequence

from hone.core.errors import BadData, did_you_mean
from hone.task.passages import PASSAGE_NAMES
from hone.task.profile import Profile, is_number, name_words, profile_column
from hone.task.records import Columns
from hone.task.refuse import Refused
from hone.task.wording import counted

__all__ = ["JUDGED", "infer_columns", "is_verdict"]

# In order of preference: the first that fits wins.
_LABEL_NAMES = (
    "label", "labels", "label_text", "label_name", "class_name", "category", "class", "topic", "intent", "sentiment", "emotion",
    "target", "tag", "queue", "department", "polarity", "stance", "verdict", "rating", "stars", "gold", "output", "type", "y",
    "kategorie", "klasse", "etikett", "thema", "absicht", "stimmung", "abteilung", "bewertung",
    "catégorie", "classe", "étiquette", "thème", "intention", "émotion",
    "categoría", "clase", "etiqueta", "tema", "intención", "sentimiento", "emoción",
    "categoria", "etichetta", "argomento", "sentimento", "categorie", "onderwerp", "kategoria", "kategori",
    "категория", "метка", "класс", "тема", "ラベル", "カテゴリ", "カテゴリー", "分類", "标签", "类别", "分类", "التصنيف", "الفئة",
)  # fmt: skip
_TEXT_NAMES = (
    "text", "message", "body", "content", "sentence", "review", "question", "description", "utterance", "query", "comment",
    "tweet", "post", "document", "article", "email", "ticket", "input", "prompt", "summary", "subject", "title", "headline", "x",
)  # fmt: skip
# Two texts that say something only together.
_TEXT_PAIRS = (
    ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("sentence_a", "sentence_b"), ("text1", "text2"),
    ("text_a", "text_b"), ("premise", "hypothesis"), ("question1", "question2"), ("question", "sentence"), ("question", "passage"),
    ("1_string", "2_string"),  # MRPC: "#1 String"
)  # fmt: skip
JUDGED = (("question", "query"), ("answer", "response", "candidate"), PASSAGE_NAMES)
"""Columns of a question, an answer to it, and what both are about."""
_VERDICTS = ({"0", "1"}, {"true", "false"}, {"yes", "no"}, {"correct", "incorrect"})
_LONGEST_LABEL = 60
_MOST_CLASSES = 200
_LONG_TEXT = 20
_LONG_NAME = 4


def infer_columns(
    headers: Sequence[str], sample_rows: Sequence[Sequence[object]], *, text: Sequence[str], label: str | None, group: str | None
) -> Columns:
    """Choose the text and label columns that the user left open.

    Args:
        headers: the column names, in file order. sample_rows: cells in that order; as many rows as are cheap to read.
        text, label, group: the user's own choice; empty or None where hone is to choose.
    Returns:
        The columns, with one sentence on why in `because`; it is empty when the user named both.
    Raises:
        BadData: a named column is not there, text and label are the same, or no column fits. Refused: there are no column names.
    """
    for name in (*text, *([label] if label is not None else []), *([group] if group is not None else [])):
        if name not in headers:
            raise BadData(
                f"There is no column '{name}'. {did_you_mean(name, [header for header in headers if header])} Name one of these."
            )
    if label is not None and label in text:
        raise BadData(f"Column '{label}' is named as text and as label. The label is predicted from the text. Name two columns.")
    if text and label is not None:
        return Columns(text=tuple(text), label=label, group=group)
    names = dict.fromkeys(header for header in headers if header)
    profiles = [
        profile_column(name, [row[headers.index(name)] for row in sample_rows])
        for name in names
        if name != group or "_".join(name_words(name)) in PASSAGE_NAMES
    ]
    reasons = []
    if label is None:
        chosen, why = _choose_label([profile for profile in profiles if profile.name not in text], profiles)
        label = chosen.name
        reasons.append(why)
    if not text:
        candidates = [profile for profile in profiles if profile.name != label]
        verdict = next(profile for profile in profiles if profile.name == label)
        text, why = _judged(candidates, verdict) or _choose_text(candidates, profiles)
        reasons += [why, _more_text(text, candidates)]
    _check_header(names, next(profile for profile in profiles if profile.name == label), text)
    because = "; ".join(reason for reason in reasons if reason)
    return Columns(text=tuple(text), label=label, group=group, because=f"{because[0].upper()}{because[1:]}.")


def _choose_label(candidates: list[Profile], profiles: list[Profile]) -> tuple[Profile, str]:
    usable = [profile for profile in candidates if _can_be_label(profile)]
    named = sorted(
        (profile for profile in usable if _rank(profile.name, _LABEL_NAMES)), key=lambda p: _rank(p.name, _LABEL_NAMES) or (9, 9)
    )
    common = _mostly_filled([profile for profile in usable if profile.distinct >= 2 and profile.repeats >= 3])
    repeating = [profile for profile in common if profile.number_share < 1]
    numeric = [profile for profile in common if profile.number_share == 1]
    if named:
        chosen, why = named[0], "by its name"
        others = [profile for profile in named[1:] if not _is_copy(profile, chosen)]
    elif repeating or numeric:
        pool = sorted(repeating or numeric, key=lambda profile: (profile.mean_length > _LONG_TEXT, profile.distinct))
        chosen, why = pool[0], "because few short values repeat"
        others = pool[1:]
    else:
        # A column that is called label is taken even when it looks wrong: the error then names what it holds.
        wrong = [
            profile for profile in candidates if profile.filled and _rank(profile.name, _LABEL_NAMES) and len(candidates) > 1
        ]
        if not wrong:
            raise _nothing_fits("label", "holds few short values that repeat", profiles)
        return wrong[0], f"label '{wrong[0].name}' by its name"
    worded = [
        profile
        for profile in usable
        if profile.number_share == 0 and chosen.number_share == 1 and _is_copy(profile, chosen) and _covers(profile, chosen)
    ]
    if worded:
        return worded[0], f"label '{worded[0].name}', the names of '{chosen.name}' in words ({worded[0].distinct} values)"
    also = f", not '{others[0].name}' (--label {others[0].name})" if others else ""
    return chosen, f"label '{chosen.name}' {why}{also}"


def _can_be_label(profile: Profile) -> bool:
    if profile.is_ignored or profile.mean_length > _LONGEST_LABEL or profile.distinct > max(_MOST_CLASSES, profile.filled * 0.2):
        return False
    return profile.filled < 20 or profile.distinct <= 0.5 * profile.filled


def _judged(candidates: list[Profile], verdict: Profile) -> tuple[tuple[str, ...], str] | None:
    """Question and answer, behind the passage that they are about, where the label says whether the answer is right."""
    if not is_verdict([value for value in verdict.values if value]):
        return None
    known = {"_".join(name_words(profile.name)): profile.name for profile in candidates if profile.filled}
    question, answer, passage = (next((known[name] for name in names if name in known), None) for names in JUDGED)
    if question is None or answer is None:
        return None
    texts = (*([passage] if passage else []), question, answer)
    return texts, f"texts {', '.join(map(repr, texts))}, since the label says whether the answer is right"


def is_verdict(cells: Iterable[object]) -> bool:
    """Whether cells say yes or no: both, and nothing else."""
    said = {str(cell).strip().lower() for cell in cells}
    return said in _VERDICTS


def _choose_text(candidates: list[Profile], profiles: list[Profile]) -> tuple[tuple[str, ...], str]:
    usable = [profile for profile in candidates if not profile.is_ignored and profile.number_share < 0.5]
    known = {"_".join(name_words(profile.name)): profile.name for profile in usable}
    for one, other in _TEXT_PAIRS:
        if one in known and other in known:
            return (known[one], known[other]), f"texts '{known[one]}' and '{known[other]}', a pair by their names"
    usable = _mostly_filled(usable)
    named = [
        profile for profile in usable if _rank(profile.name, _TEXT_NAMES) and (profile.mean_length >= 10 or profile.repeats < 2)
    ]
    if named:
        # Of review_title and review_html the longer is the review.
        best = min(named, key=lambda profile: (_rank(profile.name, _TEXT_NAMES) or (9, 9), -profile.mean_length))
        return (best.name,), f"text '{best.name}' by its name"
    if not usable:
        raise _nothing_fits("text", "holds text", profiles)
    best = max(usable, key=lambda profile: profile.mean_length)
    least = "at least " if best.is_cut else ""
    return (
        best.name,
    ), f"text '{best.name}' because its cells are the longest ({least}{best.mean_length:.0f} characters on average)"


def _more_text(chosen: tuple[str, ...], candidates: list[Profile]) -> str:
    """Other columns of long text that the user may want to add, in file order."""
    names = [
        profile.name
        for profile in candidates
        if profile.name in chosen
        or (not profile.is_ignored and profile.number_share < 0.5 and profile.repeats < 3 and profile.mean_length >= _LONG_TEXT)
    ]
    others = [name for name in names if name not in chosen]
    if not others:
        return ""
    shown = ", ".join(f"'{name}'" for name in others[:3])
    return f"{shown} {'is' if len(others) == 1 else 'are'} text too (to add: --text {shlex.quote(','.join(names[:4]))})"


def _rank(name: str, known: tuple[str, ...]) -> tuple[int, int] | None:
    """How well a name fits the list: the whole name before one of its words, then the list's order; None for no fit."""
    words = name_words(name)
    whole = "_".join(words)
    if whole in known:
        return 0, known.index(whole)
    hits = [known.index(word) for word in words if word in known and len(word) > 1]
    return (1, min(hits)) if hits else None


def _is_copy(one: Profile, other: Profile) -> bool:
    """Whether two columns are one to one, as a class number and its name are."""
    pairs = set(zip(one.values, other.values, strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def _mostly_filled(profiles: list[Profile]) -> list[Profile]:
    """The columns that are filled in half of the rows or more, where there are any: with another, most rows could not be used."""
    return [profile for profile in profiles if 2 * profile.filled >= len(profile.values)] or profiles


def _covers(one: Profile, other: Profile) -> bool:
    """Whether a column is filled wherever another is: a flag that is 'yes' or empty names no classes."""
    return all(mine is not None or theirs is None for mine, theirs in zip(one.values, other.values, strict=True))


def _check_header(names: Iterable[str], label: Profile, text: Sequence[str]) -> None:
    """Refuse a first line that is an example itself: its label stands in other rows too, beside a text of some length."""
    if label.name in label.values and any(name_words(name)[_LONG_NAME:] for name in text):
        raise Refused(
            f"The first line looks like an example and not like column names: '{label.name}' in it stands in "
            f"{counted(label.values.count(label.name), 'other row')} too. Add a line with column names, such as "
            f"{', '.join('label' if name == label.name else 'text' if name in text else 'column' for name in names)}."
        )


def _nothing_fits(what: str, meaning: str, profiles: list[Profile]) -> BadData:
    seen = "; ".join(f"{profile.name} ({_look(profile)})" for profile in profiles[:8])
    written = " Where answers are texts, name the columns with --prompt and --completion." if what == "label" else ""
    return BadData(
        f"No column looks like the {what}: none {meaning}. The columns are: {seen or 'none with a name'}. "
        f"Name it with --{what}.{written} If the first line is already an example, add a line with column names."
    )


def _look(profile: Profile) -> str:
    example = next((value for value in profile.values if value), None)
    if example is None:
        return "lists or objects" if profile.holds_several else "empty"
    shown = "numbers" if is_number(example) and profile.number_share > 0.9 else f"such as '{example[:30]}'"
    return f"{counted(profile.distinct, 'different value')}, {shown}"
