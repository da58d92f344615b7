"""Layouts that are recognised in order to be refused: each has columns that would fit another kind and train the wrong thing."""

from string import ascii_lowercase

from hone.core.errors import BadData
from hone.task.layout import Sheet
from hone.task.nested import holds_objects
from hone.task.profile import name_words

__all__ = ["Refused", "refuse_lettered", "refuse_minimal_pairs", "refuse_nested", "refuse_preferences"]

_FEWEST_CHOICES = 3
_EXAMPLES_INSIDE = ("instances", "paragraphs", "qas")


class Refused(BadData):
    """Rows that are known for what they are, and that no other reading would do justice to."""


def refuse_preferences(sheet: Sheet) -> None:
    """Preferences: pairs of a better and a worse answer, or answers with a verdict."""
    if (chosen := sheet.find(("chosen",))) and sheet.find(("rejected",)):
        prompt = sheet.find(("prompt", "question", "instruction"))
        cure = (
            f"To train on the chosen answers alone, name the columns: --prompt {prompt} --completion {chosen}."
            if prompt
            else "Write the chosen answers as rows of prompt and completion, or of messages."
        )
        raise Refused(
            f"The rows hold a chosen and a rejected answer: preferences. Training on preferences is not there yet. {cure}"
        )
    label = sheet.find(("label",))
    if label and (sheet.find(("messages", "conversations")) or (sheet.find(("prompt",)) and sheet.find(("completion",)))):
        cells = sheet.cells(label)
        if cells and all(str(cell).strip().lower() in ("true", "false") for cell in cells):
            raise Refused(
                f"The column '{label}' says of each answer whether it was wanted: preferences. Training on preferences is not there "
                "yet. Keep the rows that are true; or name the kind (--kind completion or chat), and every answer is learnt."
            )


def refuse_minimal_pairs(sheet: Sheet) -> None:
    """A good and a bad form of one sentence, as in BLiMP: a probe of what a model holds likelier, and no class however they are filed."""
    good, bad = (
        sheet.find(("sentence_good", "good_sentence", "grammatical")),
        sheet.find(("sentence_bad", "bad_sentence", "ungrammatical")),
    )
    if good and bad:
        raise Refused(
            f"The rows hold a good and a bad sentence each, in '{good}' and '{bad}': minimal pairs, which measure a language model and train "
            "none. hone eval --tasks blimp asks BLiMP's. To continue the good ones as texts, name them with --text and --kind plain; to "
            "tell classes apart, name --text and --label."
        )


def refuse_nested(sheet: Sheet) -> None:
    """Rows that hold several examples each, as SQuAD's own files and Natural Instructions do."""
    column = sheet.find(_EXAMPLES_INSIDE)
    if column and holds_objects(sheet.cells(column)):
        raise Refused(
            f"Each row holds several examples, as a list of objects in '{column}'. hone reads one example from each row. "
            "Write a row for every example, with the other columns repeated."
        )


def refuse_lettered(sheet: Sheet) -> None:
    """Choices under names in any language that end in A, B, C, with a column of such letters: no class, but which choice is right."""
    families: dict[tuple[str, ...], dict[str, str]] = {}
    for header in sheet.headers:
        *stem, last = name_words(header) or [""]
        families.setdefault(tuple(stem), {})[last] = header
    for family in families.values():
        letters = ascii_lowercase[: next(place for place, letter in enumerate(f"{ascii_lowercase}-") if letter not in family)]
        if len(letters) < _FEWEST_CHOICES:
            continue
        choices = [family[letter] for letter in letters]
        for header in sheet.headers:
            cells = [str(cell).strip().lower() for cell in sheet.cells(header)]
            if header not in choices and cells and all(cell in [*letters] for cell in cells):
                raise Refused(
                    f"The rows look like multiple choice, with the choices in {', '.join(map(repr, choices))} and the right one in '{header}', "
                    "but the columns are not called so. Rename them to question, A, B, C, ... and answer; or name the label column "
                    "with --label to tell classes apart."
                )
