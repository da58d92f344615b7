"""Which columns hold a question, its choices and the right answer, and how the answers name their choice.

Asked by `recognise` before `answers` and `completion`: the columns of multiple choice would fit those too, and train a
question whose choices nobody shows. So rows that look like multiple choice and cannot be read as such are refused here.
"""

import itertools
from collections.abc import Iterator, Sequence
from string import ascii_lowercase, ascii_uppercase

from hone.core.errors import BadData
from hone.task.choices import NAMED_BY, Choices, NamedBy, has_lettered_parts, holds_choices, is_blank, place_of, read_choices
from hone.task.layout import Layout, Sheet, Wish
from hone.task.nested import holds_list
from hone.task.passages import PASSAGE_NAMES
from hone.task.reader import Reader
from hone.task.rejects import Unusable
from hone.task.sample import first_rows, sample_rows

__all__ = ["find_choice", "offered_columns"]

_LISTS = ("choices", "options", "candidates", "endings", "answer_choices", "alternatives", "possible_answers")
_BEFORE = "context_options"
_FAMILIES = ("option", "choice", "ending", "candidate", "sol", "op", "answer")
_QUESTIONS = (
    "question",
    "query",
    "question_stem",
    "stem",
    "ctx",
    "goal",
    "prompt",
    "sentence",
    "problem",
    "startphrase",
    "sent1",
)
_QUESTIONS_IF_NAMED = ("input", "text")
_ANSWERS = (
    "answer_key", "answer_index", "answer_idx", "answer_id", "answer", "label", "gold", "correct", "correct_answer", "correct_option",
    "correct_choice", "correct_answer_id", "answer_letter", "right_answer", "cop", "solution", "target", "key",
)  # fmt: skip
_SURE = 0.9
_CURE = (
    "Give each row its choices as a list, or in columns A, B, C, ..., and the right one in `answer`, as letter, number or text; "
    "or name columns with --prompt and --completion, or --text and --label."
)


def find_choice(sheet: Sheet, wish: Wish) -> Layout | None:
    """The columns of multiple choice; None where there are no choices, or no question to them.

    Raises:
        BadData: there are, but no list can be read in them, or no column says which is right.
    """
    if (before := sheet.find((_BEFORE,))) and not wish.text:
        raise BadData(
            f"The rows look like multiple choice, with the choices in '{before}' before a text that is the same for all. hone reads "
            f"choices that follow a question. {_CURE}"
        )
    question = wish.text or _question(sheet, wish)
    columns = _choice_columns(sheet, question)
    if not question or not columns:
        if (endings := sheet.find(("endings",))) and sheet.cells(endings):
            raise BadData(
                f"The rows look like multiple choice, with the choices in '{endings}', but no column is called a question. {_CURE}"
            )
        return None
    is_nested = columns[0] in question
    answers = (wish.label,) if wish.label else _answer_columns(sheet, {*question, *columns})
    # Columns answer1, answer2 may as well be several right answers.
    is_sure = bool(wish.kind) or len(columns) == 1 or not columns[0].lower().startswith("answer")
    shown = ", ".join(f"'{column}'" for column in columns)
    if not answers:
        if not is_sure:
            return None
        raise BadData(
            f"The rows look like multiple choice, with the choices in {shown}, but no column says which is right (known: "
            f"{', '.join(_ANSWERS[:8])}). {_CURE}"
        )
    found = [(answer, *_named_by(sheet, columns, answer)) for answer in answers]
    answer, named_by, share, why = next((one for one in found if one[2] >= _SURE), max(found, key=lambda one: one[2]))
    if share == 0:
        if not is_sure:
            return None
        raise BadData(
            f"The rows look like multiple choice, with the choices in {shown}, but no row can be read so: {_first_fault(sheet, columns, answer)}. "
            f"{_CURE}"
        )
    return Layout("choice", question, answer, why=why, choices=() if is_nested else columns, named_by=named_by)


def offered_columns(reader: Reader, question: Sequence[str], *, trained: Sequence[str] = ()) -> tuple[str, ...]:
    """Where rows that are to be answered hold their choices; none where these stand inside the question's own column.

    Args:
        question: its columns. trained: those of the choices in training; they count where all are there, with what counts on from them.
    Raises:
        BadData: no column holds choices.
    """
    sheet = Sheet(reader.headers, sample_rows(reader), first_rows(reader))
    found = _choice_columns(sheet, question)
    if trained and set(trained) <= set(reader.headers) and found[: len(trained)] != tuple(trained):
        return tuple(trained)
    if not found:
        known = f" Training read them from {', '.join(trained)}." if trained else ""
        raise BadData(
            f"No column holds the choices of each question.{known} The columns are: {', '.join(filter(None, reader.headers))}. Give each row "
            "its choices as a list in `choices`, or in columns A, B, C, ..., or name their columns: --choice COLUMN, once for each."
        )
    return () if found[0] in question else found


def _question(sheet: Sheet, wish: Wish) -> tuple[str, ...]:
    """The columns of the question: what it is about first."""
    question = sheet.find((*_QUESTIONS, *(_QUESTIONS_IF_NAMED if wish.kind else ())))
    context = sheet.find(PASSAGE_NAMES)
    return tuple(column for column in (context, question) if column)


def _choice_columns(sheet: Sheet, question: Sequence[str]) -> tuple[str, ...]:
    """The column of the choices, the question's own where they stand inside, or one column for each."""
    inside = [column for column in question if any(map(holds_choices, sheet.cells(column)))]
    if inside:
        return (inside[0],)
    if (column := sheet.find(_LISTS)) and sheet.cells(column):
        return (column,)
    return next((columns for columns in _families(sheet) if len(columns) > 1), ())


def _families(sheet: Sheet) -> Iterator[tuple[str, ...]]:
    """Columns that count up: A, B, C; option_a, option_b; choice1, choice2; ending0, ending1."""
    yield _counted_up(sheet, "", ascii_lowercase)
    for name, link in itertools.product(_FAMILIES, ("", "_")):
        for marks in (ascii_lowercase, [str(number) for number in range(100)], [str(number) for number in range(1, 100)]):
            yield _counted_up(sheet, f"{name}{link}", marks)


def _counted_up(sheet: Sheet, start: str, marks: Sequence[str]) -> tuple[str, ...]:
    found = itertools.takewhile(lambda column: column is not None, (sheet.find((start + mark,)) for mark in marks))
    return tuple(column for column in found if column is not None)


def _answer_columns(sheet: Sheet, taken: set[str]) -> tuple[str, ...]:
    found = (sheet.find((name,)) for name in _ANSWERS)
    return tuple(column for column in found if column is not None and column not in taken)


def _rows(sheet: Sheet, columns: Sequence[str], answer: str) -> Iterator[tuple[Choices, object]]:
    """Choices and answer of the sampled rows in which there are both and can be read."""
    for given, *cells in sheet.rows((answer, *columns)):
        if not is_blank(given):
            try:
                yield read_choices(cells, columns, None), given
            except Unusable:
                continue


def _named_by(sheet: Sheet, columns: Sequence[str], answer: str) -> tuple[NamedBy, float, str]:
    """How the answers of a column name their choice, the share of the sampled rows where they do, and that in words.

    The way that fits most rows is taken. Of ways that fit as many: the label, then the text, then letters and numbers; where
    the answers are no texts but numbers, the number before the text.
    """
    rows = list(_rows(sheet, columns, answer))
    are_numbers = bool(rows) and all(isinstance(given, (int, float)) for _, given in rows)
    order: list[NamedBy] = (
        sorted(NAMED_BY, key=lambda way: (way != "label", not way.startswith("number"))) if are_numbers else [*NAMED_BY]
    )
    fits = {way: sum(place_of(given, choices, way) is not None for choices, given in rows) for way in order}
    best = max(order, key=lambda way: fits[way])
    called = "letter" if best == "label" and all(map(_has_letters, (choices for choices, _ in rows))) else best
    why = f"which names the right one by its {called}"
    if best == "number from 0" and fits["number from 1"] == fits[best]:
        why += " (no answer shows whether the first is 0 or 1)"
    return best, fits[best] / max(len(rows), 1), why


def _has_letters(choices: Choices) -> bool:
    """Whether the labels of the choices are A, B, C and so on."""
    return "".join(choices.labels or "-").upper() == ascii_uppercase[: len(choices.texts)]


def _first_fault(sheet: Sheet, columns: Sequence[str], answer: str) -> str:
    """What is wrong with the first row that has choices."""
    given = next((given for _, given in _rows(sheet, columns, answer)), None)
    if given is not None:
        return f"'{str(given)[:40]}' in '{answer}' is neither label, letter, number nor text of a choice"
    cells = sheet.cells(columns[0])
    if cells and isinstance(cells[0], str) and not holds_list(cells) and not has_lettered_parts(cells[0]):
        return f"'{cells[0][:40]}' in '{columns[0]}' is no list of choices"
    for row in sheet.rows(columns):
        try:
            read_choices(row, columns, None)
        except Unusable as unusable:
            return f"{unusable.reason}, in '{unusable.column}'"
    return f"'{answer}' is empty"
