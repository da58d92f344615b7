"""What every format looks like once it is open: named columns, and rows that can be walked again and again.

One file per format makes a `Reader`: `delimited` (CSV, TSV), `json_rows` (JSON, JSON lines), `parquet`, `hub`.
The one surprise: `rows` starts over at each call, so that a sample can be read first and only the
columns that were chosen are read afterwards.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hone.task.decode import TextFile

__all__ = ["Broken", "Reader", "Row"]

Row = tuple[int, Sequence[object]]
"""The line where the row starts, and its cells in the order asked for; None is a cell that is not there."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A row whose cells cannot be told apart. The part of `reason` before the first colon is its kind."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reader:
    """An open source. `class_names` maps a column of class numbers to the names that its file declares.

    `file` is the text file under it where there is one and it is known: for what to do about bad bytes. `delimiter` stands
    between the cells of a table that is text.
    """

    headers: tuple[str, ...]
    rows: Callable[[Sequence[str]], Iterator[Row | Broken]]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    file: TextFile | None = None
    delimiter: str = ","
