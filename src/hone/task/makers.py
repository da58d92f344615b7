"""Cells to training rows, one function per kind: what makes a row usable, and the reason when it is not."""

import math
from collections.abc import Callable, Sequence

from hone.task.cells import joined_text
from hone.task.choices import is_blank, read_choice
from hone.task.dialogues import read_messages
from hone.task.kinds import Choice, Completion, Dialogue, Kind, MaterialRow, MultiLabelled, Passage, Plain, Scored, Tagged
from hone.task.layout import Layout
from hone.task.nested import nested, written
from hone.task.passages import as_passage, passage_column
from hone.task.profile import is_number, name_words
from hone.task.reader import Reader
from hone.task.rejects import Unusable
from hone.task.spans import read_answers, read_labels, read_tags

__all__ = ["Make", "row_maker"]

Make = Callable[[Sequence[object], str, int], MaterialRow]
"""From the cells of a row, the name of the file and the line to the row; raises `Unusable`."""


def row_maker(reader: Reader, layout: Layout, moved: list[int]) -> Make:
    """A function from the cells of one row, in the order of `layout.columns`, to the row; `moved` gets the lines where an
    answer did not stand at its start."""
    inputs, file, width = layout.inputs, reader.file, len(layout.inputs)
    target = layout.target or ""
    names = reader.class_names.get(target)
    known: dict[str, str] = {}
    passage = passage_column(inputs)

    def group(cells: Sequence[object]) -> str | None:
        found = as_passage(cells[passage]) if passage is not None else None
        return None if found is None else known.setdefault(found, found)

    def plain(cells: Sequence[object], name: str, line: int) -> MaterialRow:
        parts = [written(cell, column, file) for cell, column in zip(cells, inputs, strict=True)]
        return Plain("\n".join(parts), name, line)

    def completion(cells: Sequence[object], name: str, line: int) -> MaterialRow:
        parts = [written(cells[0], inputs[0], file)]
        parts += [written(cell, inputs[1], file) for cell in cells[1:width] if not is_blank(cell)]
        several = _several(cells[width], target)
        if not several:
            raise Unusable(target, "no answer: the cell is an empty list")
        first, *more = (written(answer, target, file) for answer in several)
        return Completion("\n\n".join(parts), first, name, line, tuple(more), group(cells))

    def chat(cells: Sequence[object], name: str, line: int) -> MaterialRow:
        system = cells[width] if layout.system is not None else None
        return Dialogue(read_messages(cells[:width], inputs, file, system=system), name, line)

    def tag(cells: Sequence[object], name: str, line: int) -> MaterialRow:
        return Tagged(*read_tags(cells, layout.columns, file, names=names, known=known), name, line)

    def answers(cells: Sequence[object], name: str, line: int) -> MaterialRow:
        question, context = (written(cell, column, file) for cell, column in zip(cells[:2], inputs, strict=True))
        found, starts, elsewhere = read_answers(cells[2], target, context, file)
        if elsewhere:
            moved.append(line)
        return Passage(question, context, found, starts, name, line, context)

    def score(cells: Sequence[object], name: str, line: int) -> MaterialRow:
        return Scored(joined_text(cells[:width], inputs, file), _number(cells[width], target), name, line)

    def multi_label(cells: Sequence[object], name: str, line: int) -> MaterialRow:
        labels = read_labels(cells[width], target, file, names=names)
        labels = tuple(known.setdefault(one, one) for one in labels)
        return MultiLabelled(joined_text(cells[:width], inputs, file), labels, name, line)

    def choice(cells: Sequence[object], name: str, line: int) -> MaterialRow:
        found = read_choice(
            cells, columns=inputs, target=target, among=layout.choices, named_by=layout.named_by, names=names, file=file
        )
        return Choice(*found, name, line, group(cells))

    makers: dict[Kind, Make] = {
        "plain": plain, "completion": completion, "chat": chat, "tag": tag, "answers": answers, "score": score,
        "multi_label": multi_label, "choice": choice,
    }  # fmt: skip
    return makers[layout.kind]


def _several(cell: object, column: str) -> list[object]:
    """The answers of a cell: a list, in a column of answers also one that is written as text; else the cell itself."""
    if isinstance(cell, str) and cell.lstrip().startswith("[") and name_words(column) == ["answers"]:
        cell = nested(cell, column)
    return list(cell) if isinstance(cell, (list, tuple)) else [cell]


def _number(cell: object, column: str) -> float:
    if cell is None or cell == "" or cell != cell:
        raise Unusable(column, "missing cell: the row has no value there")
    text = str(cell).strip()
    if isinstance(cell, bool) or not is_number(text) or not math.isfinite(float(text)):
        raise Unusable(column, f"no number: '{text[:40]}'")
    return float(text)
