"""Numbers with a decimal comma, as spreadsheets of most European languages write them between semicolons."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hone.task.reader import Broken, Reader, Row

__all__ = ["with_decimal_points"]

_LOOKED_AT = 200
_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_WHOLE = re.compile(r"\s*([+-]?\d+\s*)?")


def with_decimal_points(reader: Reader) -> Reader:
    """The reader of a table between semicolons, with points for commas in columns that hold nothing but numbers; any other as it is."""
    if reader.delimiter != ";":
        return reader
    first = [row[1] for row in itertools.islice(reader.rows(reader.headers), _LOOKED_AT) if not isinstance(row, Broken)]
    found = {name for at, name in enumerate(reader.headers) if _has_commas([str(cells[at]) for cells in first])}
    if not found:
        return reader

    def rows(columns: Sequence[str]) -> Iterator[Row | Broken]:
        for row in reader.rows(columns):
            yield row if isinstance(row, Broken) else (row[0], [*map(_pointed, row[1], (name in found for name in columns))])

    return replace(reader, rows=rows)


def _has_commas(cells: Sequence[str]) -> bool:
    return any(map(_COMMA.fullmatch, cells)) and all(_COMMA.fullmatch(cell) or _WHOLE.fullmatch(cell) for cell in cells)


def _pointed(cell: object, is_number: bool) -> object:
    return cell.replace(",", ".") if is_number and isinstance(cell, str) and _COMMA.fullmatch(cell) else cell
