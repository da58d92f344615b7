"""Parts of a text: tags per token, answers that stand in a context, and the several labels of one text."""

import re
from collections.abc import Sequence
from itertools import zip_longest

from hone.task.decode import TextFile
from hone.task.labels import composed
from hone.task.nested import nested, string
from hone.task.rejects import Unusable

__all__ = ["read_answers", "read_labels", "read_tags", "read_tokens"]

_SEPARATORS = re.compile(r"[;|]")


def read_tokens(cell: object, column: str, file: TextFile | None) -> tuple[str, ...]:
    """The tokens of one row: a list, or words separated by blanks.

    Raises:
        Unusable: the cell is missing, empty or no list, or a token is empty.
    """
    words = _list_or_words(cell, column)
    if not words:
        raise Unusable(column, "no tokens: the list is empty")
    return tuple(string(word, column, file, what=f"token at place {place}") for place, word in enumerate(words, 1))


def read_tags(
    cells: Sequence[object],
    columns: Sequence[str],
    file: TextFile | None,
    *,
    names: Sequence[str] | None,
    known: dict[str, str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tokens and tags of one row: lists, or words separated by blanks where a cell is no list.

    Args:
        names: the names of tag numbers, where the source declares them; `LABEL_3` otherwise. known: shared by all rows,
            so that a million tags are a few strings.
    Raises:
        Unusable: a cell is missing, empty or no list, a token is empty, or there are not as many tags as tokens.
    """
    tokens, marks = read_tokens(cells[0], columns[0], file), _list_or_words(cells[1], columns[1])
    if len(tokens) != len(marks):
        raise Unusable(columns[1], f"lengths differ: {len(tokens)} tokens, {len(marks)} tags")
    tags = (_class_name(mark, columns[1], names, file) for mark in marks)
    return tokens, tuple(known.setdefault(tag, tag) for tag in tags)


def read_labels(cell: object, column: str, file: TextFile | None, *, names: Sequence[str] | None) -> tuple[str, ...]:
    """The labels of one row: a list, where an empty one means none, or a text separated by ; or |.

    Raises:
        Unusable: the cell is missing or empty, or a label in it is.
    """
    if isinstance(cell, str) and cell.strip() and not cell.lstrip().startswith("["):
        parts: list[object] = [part.strip() for part in _SEPARATORS.split(cell) if part.strip()]
        if not parts:
            raise Unusable(column, "empty label")
    else:
        value = [cell] if isinstance(cell, int) else nested(cell, column)
        if isinstance(value, dict):
            raise Unusable(column, "no list: the cell holds an object")
        parts = list(value)
    return tuple(dict.fromkeys(_class_name(part, column, names, file) for part in parts))


def _class_name(value: object, column: str, names: Sequence[str] | None, file: TextFile | None) -> str:
    """The name of a class given as text or as a number.

    Raises:
        Unusable: the number has no name, or the text is empty.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0 or (names is not None and value >= len(names)):
            raise Unusable(column, f"no class: {value} is not among the class numbers")
        return composed(names[value]) if names is not None else f"LABEL_{value}"
    return composed(string(value, column, file, what="label").strip())


def read_answers(cell: object, column: str, context: str, file: TextFile | None) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """The answers of one row, where each begins, and how many did not stand where the file says.

    Accepts SQuAD's {"text": [...], "answer_start": [...]}, a list of {"text", "answer_start"}, a list of texts, or one
    text. An answer that is not at its start is looked for in the context: the nearest place is taken, the first where
    the file gives none.
    Raises:
        Unusable: the cell is missing or malformed, or an answer does not stand in the context.
    """
    pairs = _answers(cell, column)
    answers: list[str] = []
    starts: list[int] = []
    moved = 0
    for text, given in pairs:
        answer = string(text, column, file, what="answer")
        start = _found(context, answer, given if isinstance(given, int) else None)
        if start is None:
            raise Unusable(column, f"answer not in the context: '{answer[:60]}'")
        moved += isinstance(given, int) and given != start
        answers.append(answer)
        starts.append(start)
    return tuple(answers), tuple(starts), moved


def _answers(cell: object, column: str) -> list[tuple[object, object]]:
    """Pairs of text and start; the start is None where there is none."""
    if isinstance(cell, str) and cell.strip() and not cell.lstrip().startswith(("[", "{")):
        return [(cell.strip(), None)]
    value = nested(cell, column)
    if isinstance(value, list):
        return [(item.get("text"), item.get("answer_start")) if isinstance(item, dict) else (item, None) for item in value]
    texts, starts = value.get("text"), value.get("answer_start", [])
    if isinstance(texts, str):
        texts, starts = [texts], [starts] if isinstance(starts, int) else starts
    if not isinstance(texts, (list, tuple)) or not isinstance(starts, (list, tuple)):
        raise Unusable(column, "no answers: the object has no lists 'text' and 'answer_start'")
    if starts and len(texts) != len(starts):
        raise Unusable(column, f"lengths differ: {len(texts)} answers, {len(starts)} starts")
    return list(zip_longest(texts, starts))


def _found(context: str, answer: str, given: int | None) -> int | None:
    if given is None:
        given = 0
    if given >= 0 and context.startswith(answer, given):
        return given
    before = context.rfind(answer, 0, max(given, 0) + len(answer))
    after = context.find(answer, max(given, 0))
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: abs(place - given)) if places else None


def _list_or_words(cell: object, column: str) -> list[object]:
    words: list[object] = list(cell.split()) if isinstance(cell, str) else []
    if words and not str(words[0]).startswith("["):
        return words
    try:
        value = nested(cell, column)
    except Unusable:
        if words and words[0] == "[":  # a bracket among words, and no list
            return words
        raise
    if isinstance(value, dict):
        raise Unusable(column, "no list: the cell holds an object")
    return value
