"""Rows with their answers as they are written: lines of a CSV, or JSON lines."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from io import StringIO

__all__ = ["Write", "csv_writer", "json_lines"]

Write = Callable[[Sequence[dict[str, object]]], str]
"""From rows by column to their lines."""


def csv_writer(columns: Sequence[str], delimiter: str) -> Write:
    """Of a table with these columns; several labels, lists and objects stand in a cell as JSON."""

    def write(rows: Sequence[dict[str, object]]) -> str:
        buffer = StringIO()
        writer = csv.DictWriter(buffer, columns, delimiter=delimiter, lineterminator="\n")
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        return buffer.getvalue()

    return write


def _cell(value: object) -> object:
    is_json = isinstance(value, bool | dict | list | tuple)
    return json.dumps(value, ensure_ascii=False, default=str) if is_json else value


def json_lines(rows: Sequence[dict[str, object]]) -> str:
    """An object per line. What is no number (NaN) stands there as null, for JSON knows no other word for it."""
    plain = ({name: None if _is_nan(value) else value for name, value in row.items()} for row in rows)
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in plain)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
