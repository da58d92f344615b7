"""Multiple choice, cell by cell: the choices as files write them, and which of them an answer means.

An answer names its choice by label, letter, number or text. Which of these a file uses is decided once, over a sample
(`choice_layout`), never row by row: a 2 may be the third choice, the second, or the text of the first.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from hone.task.cells import written_number
from hone.task.decode import TextFile
from hone.task.nested import nested, string, written
from hone.task.rejects import Unusable

__all__ = [
    "LETTERS",
    "NAMED_BY",
    "Choices",
    "NamedBy",
    "has_lettered_parts",
    "holds_choices",
    "is_blank",
    "place_of",
    "read_choice",
    "read_choices",
    "read_offered",
]

NamedBy = Literal["label", "text", "letter", "number from 0", "number from 1"]
"""How the answers of a source say which choice is right."""

NAMED_BY: tuple[NamedBy, ...] = ("label", "text", "letter", "number from 0", "number from 1")

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""How choices are called, in their order."""

_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_STEMS = ("stem", "question", "text")
_TEXTS = ("text", "content", "choice", "answer", "para")
_LABELS = ("label", "key", "id", "letter")


class Choices(NamedTuple):
    """The choices of one row; `labels` are what the file calls them, where it calls them anything."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] | None


def read_choice(
    cells: Sequence[object],
    *,
    columns: Sequence[str],
    target: str,
    among: Sequence[str],
    named_by: NamedBy,
    names: Sequence[str] | None,
    file: TextFile | None,
) -> tuple[str, tuple[str, ...], int]:
    """Question, choices and index of the right choice of one row.

    Args:
        cells: of the question's columns, the target, and the columns `among` which to choose, in this order; where there are
            no such columns, the choices stand inside the question. names: the names of class numbers, where declared.
    Raises:
        Unusable: one of the three is missing or cannot be read, or the answer is none of the choices.
    """
    width = len(columns)
    answer = cells[width]
    question, choices = read_offered([*cells[:width], *cells[width + 1 :]], columns=columns, among=among, file=file)
    if is_blank(answer):
        raise Unusable(target, "missing cell: the row has no value there")
    if names is not None and isinstance(answer, int) and 0 <= answer < len(names):
        answer = names[answer]
    place = place_of(answer, choices, named_by)
    if place is None:
        what = f"'{str(answer)[:40]}' is the {named_by} of none of the {len(choices.texts)} choices"
        raise Unusable(target, f"no such choice: {what}")
    return question, choices.texts, place


def read_offered(
    cells: Sequence[object], *, columns: Sequence[str], among: Sequence[str], file: TextFile | None
) -> tuple[str, Choices]:
    """Question and choices of one row, as `read_choice` has them, without what is right.

    Args:
        cells: of the question's columns, then of those `among` which to choose.
    Raises:
        Unusable: one of the two is missing or cannot be read.
    """
    width = len(columns)
    question = _question(cells[:width], columns, file)
    held = cells[width:] if among else [cell for cell in cells[:width] if holds_choices(cell)][:1]
    if not held:
        raise Unusable(columns[-1], "no choices: the cell holds a question alone")
    return question, read_choices(held, among or columns, file)


def _question(cells: Sequence[object], columns: Sequence[str], file: TextFile | None) -> str:
    """Several columns stand one after the other with a blank line between, empty ones left out."""
    objects = [nested(cell, column) if holds_choices(cell) else cell for cell, column in zip(cells, columns, strict=True)]
    stems = [_inside(cell, _STEMS) if isinstance(cell, dict) else cell for cell in objects]
    filled = [(stem, column) for stem, column in zip(stems, columns, strict=True) if not is_blank(stem)]
    if not filled:
        raise Unusable(", ".join(columns), "empty question")
    return "\n\n".join(written(stem, column, file) for stem, column in filled)


def read_choices(cells: Sequence[object], columns: Sequence[str], file: TextFile | None) -> Choices:
    """The choices of one row, without blanks around them and without the letters that stand before each.

    Args:
        cells: one that holds them all, as a list, an object, or "(A) one (B) two", or an object that is a question with its
            `choices` inside; or one cell for each choice, of which the last may be empty.
    Raises:
        Unusable: they cannot be told apart, one is empty, or there are fewer than two.
    """
    column = columns[0]
    pairs = _columns(cells, columns) if len(cells) > 1 else _inner(cells[0], column)
    texts = [string(text, column, file, what="choice").strip() for text, _ in pairs]
    if len(texts) < 2:
        raise Unusable(column, f"too few choices: there {'is 1' if texts else 'are 0'}, and a choice is between 2 or more")
    labels = tuple("" if is_blank(label) else _as_text(label) for _, label in pairs)
    are_names = all(labels) and len(set(labels)) == len(labels)
    return Choices(_without_letters(texts), labels if are_names else None)


def place_of(answer: object, choices: Choices, named_by: NamedBy) -> int | None:
    """Index of the choice that an answer means, from 0; None where it is none of them."""
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float)) or is_blank(answer):
        return None
    text = _as_text(answer)
    count = len(choices.texts)
    if named_by == "label":
        return _index(text, choices.labels or ())
    if named_by == "text":
        return _index(text, choices.texts)
    if named_by == "letter":
        found = _LETTER.fullmatch(text)
        place = ord(found[1].upper()) - ord("A") if found else -1
    else:
        # A spreadsheet writes 2 as 2.0 as soon as one cell of the column is empty.
        place = int(float(text)) - (named_by == "number from 1") if re.fullmatch(r"\d{1,4}(\.0*)?", text) else -1
    return place if 0 <= place < count else None


def holds_choices(cell: object) -> bool:
    """Whether a cell is an object, or a text that begins as one, with `choices` inside: a question with its choices."""
    return "choices" in cell if isinstance(cell, dict) else isinstance(cell, str) and cell.startswith("{") and "choices" in cell


def has_lettered_parts(cell: object) -> bool:
    """Whether a cell is one text such as '(A) one (B) two'."""
    return isinstance(cell, str) and len(_lettered_parts(cell)) > 1


def is_blank(cell: object) -> bool:
    """Whether there is nothing in a cell."""
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())


_Pairs = list[tuple[object, object]]
"""Text and label of each choice; a label may be None."""


def _columns(cells: Sequence[object], columns: Sequence[str]) -> _Pairs:
    filled = [not is_blank(cell) for cell in cells]
    count = max((place + 1 for place, there in enumerate(filled) if there), default=0)
    for there, column in zip(filled[:count], columns, strict=False):
        if not there:
            raise Unusable(column, "empty choice: a later one is filled")
    return [(cell, column) for cell, column in zip(cells[:count], columns, strict=False)]


def _inner(cell: object, column: str) -> _Pairs:
    """The choices inside one cell."""
    if isinstance(cell, str) and (parts := _lettered_parts(cell)):
        return list(parts)
    value = nested(cell, column)
    if isinstance(value, dict) and "choices" in value:  # a question with its choices
        value = nested(value["choices"], column)
    if isinstance(value, dict):
        texts = value.get("text")
        if isinstance(texts, (list, tuple)):
            labels = value.get("label")
            if isinstance(labels, (list, tuple)) and len(labels) == len(texts):
                return list(zip(texts, labels, strict=True))
            return [(text, None) for text in texts]
        return [(text, label) for label, text in value.items() if not is_blank(text)]
    return [(_inside(item, _TEXTS), _inside(item, _LABELS)) if isinstance(item, dict) else (item, None) for item in value]


def _lettered_parts(text: str) -> list[tuple[str, str]]:
    """'(A) one (B) two' as (one, A), (two, B); empty where it does not begin so. The letters count up without a gap."""
    rest = text.strip()
    parts: list[tuple[str, str]] = []
    for letter in map(chr, range(ord("A"), ord("Z") + 1)):
        before, mark, after = rest.partition(f"({letter})")
        if not mark or (not parts and before):
            break
        if parts:
            parts[-1] = (before.strip(), parts[-1][1])
        parts.append((after.strip(), letter))
        rest = after
    return parts


def _without_letters(texts: Sequence[str]) -> tuple[str, ...]:
    """'A) one', 'B) two' as 'one', 'two', if every choice begins with its own letter."""
    marks = [re.match(rf"\(?{chr(65 + place)}\s?[).:]\s*(?=\S)", text) for place, text in enumerate(texts) if place < 26]
    if len(marks) < len(texts) or not all(marks):
        return tuple(texts)
    return tuple(text[mark.end() :] if mark else text for text, mark in zip(texts, marks, strict=True))


def _inside(item: dict[object, object], keys: Sequence[str]) -> object:
    return next((item[key] for key in keys if key in item), None)


def _as_text(value: object) -> str:
    return written_number(value) if isinstance(value, (int, float)) else str(value).strip()


def _index(text: str, among: Sequence[str]) -> int | None:
    """Its place, written exactly so where there is one, else whatever the case of its letters."""
    if text in among:
        return among.index(text)
    folded = [one.casefold() for one in among]
    return folded.index(text.casefold()) if text.casefold() in folded else None
