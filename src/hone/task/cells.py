"""Cells to examples: what makes a row usable, and the reason when it is not.

The loop here runs once per row of the file, a million times if need be: it keeps one example and nothing else.
"""

from collections.abc import Callable, Sequence

from hone.core.errors import BadData
from hone.task.decode import TextFile, bad_character
from hone.task.labels import composed
from hone.task.passages import as_passage, passage_column
from hone.task.reader import Broken, Reader
from hone.task.records import Columns, Example, Rejected
from hone.task.rejects import Unusable

__all__ = ["joined_text", "keep_rows", "name_group", "read_row", "written_number"]


def keep_rows(reader: Reader, columns: Columns, *, name: str, file: TextFile | None) -> tuple[list[Example], list[Rejected]]:
    """Read all rows in the chosen columns: the usable ones as examples, the others with line, column and reason.

    Where no group was chosen, a passage beside which something is asked is the row's group.

    Args:
        name: the file's name in places and messages. file: the text under the reader, for what to do about bad bytes.
    """
    width = len(columns.text)
    wanted = (*columns.text, columns.label, *((columns.group,) if columns.group is not None else ()))
    label_of = _label_reader(columns.label, reader.class_names.get(columns.label), file)
    passage = passage_column(columns.text) if columns.group is None else None
    groups: dict[object, str] = {}
    examples: list[Example] = []
    rejected: list[Rejected] = []
    for row in reader.rows(wanted):
        if isinstance(row, Broken):
            rejected.append(Rejected(name, row.line, "", row.reason))
            continue
        line, cells = row
        try:
            text = joined_text(cells, columns.text, file) if width > 1 else _one_text(cells[0], columns.text[0], file)
            label = label_of(cells[width])
            group = name_group(cells[-1], groups) if columns.group is not None else None
            if passage is not None:
                group = name_group(as_passage(cells[passage]), groups)
        except Unusable as unusable:
            rejected.append(Rejected(name, line, unusable.column, unusable.reason))
            continue
        examples.append(Example(text, label, name, line, group))
    return examples, rejected


def read_row(
    reader: Reader, cells: Sequence[object], text: Sequence[str], *, between: str = "\n"
) -> tuple[dict[str, object], str]:
    """One row for prediction: its cells by column, and its text exactly as training reads it, empty where there is none.

    Args:
        cells: in the order of `reader.headers`. text: the columns that hold the text. between: what stands between them.
    Raises:
        BadData: a cell whose characters cannot be used, or a text cell that is no single value; names the column.
    """
    row = dict(zip(reader.headers, cells, strict=True))
    for name, cell in row.items():
        if isinstance(cell, str) and (problem := bad_character(cell, reader.file)):
            raise BadData(f"column '{name}': {problem}")
    try:
        return row, _joined([row[name] for name in text], text, reader.file, between=between)
    except Unusable as unusable:
        raise BadData(f"column '{unusable.column}': {unusable.reason}") from None


def _one_text(cell: object, column: str, file: TextFile | None) -> str:
    text = _plain(cell, column, file)
    if text is None:
        raise Unusable(column, "missing cell: the row has no value there")
    if not text:
        raise Unusable(column, "empty text")
    return text


def joined_text(cells: Sequence[object], names: Sequence[str], file: TextFile | None) -> str:
    """Several columns joined by a line break; an empty or missing one is left out, all of them empty is no text."""
    if not (text := _joined(cells, names, file)):
        raise Unusable(", ".join(names), "empty text")
    return text


def _joined(cells: Sequence[object], names: Sequence[str], file: TextFile | None, *, between: str = "\n") -> str:
    parts = [_plain(cell, name, file) for cell, name in zip(cells, names, strict=False)]
    return between.join(part for part in parts if part)


def _plain(cell: object, column: str, file: TextFile | None) -> str | None:
    """A cell's text without blanks around it; None where there is no cell."""
    if isinstance(cell, str):
        text = cell.strip()
        if (not text.isascii() or "\0" in text) and (problem := bad_character(text, file)):
            raise Unusable(column, problem)
        return text
    if cell is None or cell != cell:
        return None
    if isinstance(cell, (bool, int, float)):
        return written_number(cell)
    raise Unusable(column, f"not a single value: the cell holds {_kind(cell)}")


def written_number(value: float) -> str:
    """A number as a label or text: 1 and 1.0 are '1', true is 'true' as JSON writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


def _label_reader(column: str, names: tuple[str, ...] | None, file: TextFile | None) -> Callable[[object], str]:
    """A function from a label cell to the label; it remembers, so that a million rows share a few strings."""
    known: dict[object, str] = {}

    def read(cell: object) -> str:
        if type(cell) is str and (label := known.get(cell)) is not None:
            return label
        value = cell
        if names is not None and isinstance(cell, int) and not isinstance(cell, bool):
            if not 0 <= cell < len(names):
                raise Unusable(
                    column, f"no class: {cell} is not among the {len(names)} class numbers (-1 marks rows without a label)"
                )
            value = names[cell]
        text = _plain(value, column, file)
        if text is None:
            raise Unusable(column, "missing cell: the row has no value there")
        if not text:
            raise Unusable(column, "empty label")
        text = composed(text)
        text = known.setdefault(text, text)
        if type(cell) is str:
            known[cell] = text
        return text

    return read


def name_group(cell: object, known: dict[object, str]) -> str | None:
    """A group's name, one string for all of its rows; None for a row without one, which stands alone."""
    if cell is None or cell != cell or not (text := str(cell).strip()):
        return None
    return known.setdefault(text, text)


def _kind(cell: object) -> str:
    if isinstance(cell, (list, tuple)):
        return f"a list of {len(cell)}"
    return "an object" if isinstance(cell, dict) else f"a {type(cell).__name__}"
