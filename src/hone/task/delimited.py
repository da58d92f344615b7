"""CSV and TSV: cells between delimiters, with quoted line breaks, and the line where each row starts.

Parsing is Python's csv module in strict mode. The one surprise: when a quotation mark is never closed, csv
would swallow the rest of the file into one cell; here that row is set aside and reading goes on with its second line.
So it is where, in a TSV, a quoted cell swallows whole rows on its way to a later mark.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from hone.core.errors import BadData
from hone.task.decode import TextFile, bad_character
from hone.task.reader import Broken, Reader, Row

__all__ = ["read_delimited"]

_DELIMITERS = (",", ";", "\t", "|")
_CELL_CHARACTERS = 16 * 2**20
_RECOVERIES = 100
_SWALLOWED = "rows in a cell"


@dataclass(frozen=True, slots=True)
class _Dialect:
    delimiter: str
    has_quotes: bool


def read_delimited(file: TextFile, *, delimiter: str | None = None) -> Reader:
    """Open a CSV or TSV; without `delimiter` the best of comma, semicolon, tab and bar is taken.

    Raises:
        BadData: there is no header, or a header that is not UTF-8.
    """
    csv.field_size_limit(_CELL_CHARACTERS)
    dialect = _guess_dialect(file, delimiter)
    first = next(_records(file, dialect), None)
    if first is None or isinstance(first, Broken):
        reason = first.reason if first else "there is no line with text"
        raise BadData(f"{file.name}: no header can be read. {reason}. Put the column names on the first line.")
    if problem := bad_character("".join(first[1]), file):
        raise BadData(f"{file.name} line {first[0]}: the header cannot be read. {problem}.")
    headers = tuple(name.strip() for name in first[1])

    def rows(columns: Sequence[str]) -> Iterator[Row | Broken]:
        return _pick(file, dialect, headers, columns)

    return Reader(headers, rows, delimiter=dialect.delimiter)


def _pick(file: TextFile, dialect: _Dialect, headers: tuple[str, ...], columns: Sequence[str]) -> Iterator[Row | Broken]:
    width = len(headers)
    indexes = [headers.index(name) for name in columns]
    pick: Callable[[list[str]], Sequence[object]] = (
        itemgetter(*indexes) if len(indexes) > 1 else lambda cells: [cells[i] for i in indexes]
    )
    records = _records(file, dialect)
    next(records, None)
    for record in records:
        if isinstance(record, Broken):
            yield record
            continue
        line, cells = record
        if len(cells) == width:
            yield line, pick(cells)
        elif len(cells) < width:
            yield Broken(line, f"too few cells: {len(cells)} where the header has {width}")
        elif any(cells[width:]):
            yield Broken(
                line, f"too many cells: {len(cells)} where the header has {width}. Quote cells that hold a '{dialect.delimiter}'"
            )
        else:
            # Surplus cells that are all empty come from spreadsheets and hide nothing.
            yield line, pick(cells)


def _records(file: TextFile, dialect: _Dialect) -> Iterator[tuple[int, list[str]] | Broken]:
    """All rows with the line where they start, blank lines left out; a damaged row costs its first line only."""
    lines = file.lines()
    waiting: deque[str] = deque()
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while waiting:
            taken.append(waiting.popleft())
            yield taken[-1]
        for line in lines:
            taken.append(line)
            yield line

    start, recoveries = 1, 0
    torn = _Torn()
    while True:
        rows = _parser(feed(), dialect)
        try:
            for cells in rows:
                if dialect.delimiter == "\t" and torn.swallows(taken, cells):
                    raise csv.Error(_SWALLOWED)
                if cells:
                    yield start, cells
                start += len(taken)
                taken.clear()
            return
        except csv.Error as error:
            recoveries += len(taken) > 1
            if recoveries > _RECOVERIES:
                raise BadData(
                    f"{file.name} line {start}: more than {_RECOVERIES} quotation marks are opened and never closed. "
                    "Double every quotation mark inside a quoted cell, or write the file as JSON lines."
                ) from None
            yield Broken(start, _explain(error, start, len(taken)))
            waiting.extendleft(reversed(taken[1:]))
            start += 1
            taken.clear()


def _parser(lines: Iterator[str], dialect: _Dialect) -> Iterator[list[str]]:
    if dialect.has_quotes:
        return csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    return csv.reader(lines, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)


def _explain(error: csv.Error, start: int, count: int) -> str:
    if "expected after" in str(error):
        reach = f" up to line {start + count - 1}" if count > 1 else ""
        return (
            f"stray quotation mark: a quoted cell goes on{reach} after its closing mark. Double the quotation marks inside a cell"
        )
    if str(error) == _SWALLOWED:
        return (
            f"stray quotation mark: the cell would take in all rows up to line {start + count - 1}. "
            "Remove the mark, or put the cell in quotes and double the quotation marks inside"
        )
    if "unexpected end" in str(error):
        return "quotation mark never closed: the cell runs to the end of the file. Close it, or double it"
    return f"cell too long or unreadable: {error}"


class _Torn:
    """Tells quoted cells with line breaks from rows that literal quotation marks tie together, in a TSV."""

    def __init__(self) -> None:
        self._width = 0
        self._has_breaks = False

    def swallows(self, lines: list[str], cells: list[str]) -> bool:
        """Whether a row of several lines is several rows; never in a file where a cell with line breaks has been seen."""
        self._width = self._width or len(cells)
        if len(lines) < 2 or self._has_breaks:
            return False
        if self.are_rows(lines):
            return True
        self._has_breaks = len(cells) == self._width
        return False

    def are_rows(self, lines: list[str]) -> bool:
        """Whether most lines, the first and the last among them, have the cells of a row each."""
        fitting = [line[0] != "\t" and line.count("\t") == self._width - 1 for line in lines if line.strip()]
        is_long = len(fitting) > 1 and self._width > 1
        return is_long and fitting[0] and fitting[-1] and sum(fitting) > 0.5 * len(fitting)


def _guess_dialect(file: TextFile, delimiter: str | None) -> _Dialect:
    """The delimiter that cuts most rows into as many cells as the header; quotes are literal in a TSV that breaks with them."""
    head = file.head()
    lines = head.splitlines(keepends=True)
    is_cut = len(head) >= 65_536
    if is_cut and len(lines) > 1:
        lines.pop()
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=lambda candidate: _fit(lines, candidate))
    return _Dialect(delimiter, delimiter != "\t" or _has_sound_quotes(lines, is_cut=is_cut))


def _fit(lines: list[str], delimiter: str) -> tuple[bool, float, int]:
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    if not rows or len(rows[0]) < 2:
        return False, 0.0, 0
    same = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
    return True, round(same, 2), len(rows[0])


def _has_sound_quotes(lines: list[str], *, is_cut: bool) -> bool:
    """Whether the first lines of a TSV keep the rules of quoting; a cell that runs into the cut is no breach by itself."""
    rows = csv.reader(lines, delimiter="\t", strict=True)
    torn, start = _Torn(), 0
    try:
        for cells in rows:
            if torn.swallows(lines[start : rows.line_num], cells):
                return False
            start = rows.line_num
    except csv.Error as error:
        return is_cut and "unexpected end" in str(error) and not torn.are_rows(lines[start:])
    return True
