"""Rows that cannot be used: the exception that says so of one cell, and the refusal when they are too many.

Every way of reading rows ends here, so that a table of classes and a table of dialogues are refused in the same words.
"""

from collections import Counter
from collections.abc import Sequence

from hone.core.errors import BadData
from hone.task.reader import Broken, Reader
from hone.task.records import Rejected

__all__ = ["Unusable", "check_any_row", "check_enough_kept"]


class Unusable(Exception):
    """A cell that its row cannot do without."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def check_enough_kept(name: str, *, kept: int, rejected: Sequence[Rejected], options: str) -> None:
    """Refuse a source without rows, or with more rows set aside than kept.

    Args:
        options: how to name other columns, such as '--text and --label'.
    Raises:
        BadData: every kind of reason with its count, and the first ten places.
    """
    if not kept and not rejected:
        raise BadData(
            f"{name} has column names but no rows. A data file needs a row per example. Check how the file was written."
        )
    if len(rejected) <= kept:
        return
    counts = Counter((row.reason.split(":")[0], row.column) for row in rejected)
    kinds = ", ".join(f"{count} {reason}{f' in {column}' if column else ''}" for (reason, column), count in counts.most_common())
    places = "\n".join(
        f"  line {row.line}{f', column {row.column}' if row.column else ''}: {row.reason}" for row in rejected[:10]
    )
    raise BadData(
        f"{name}: {len(rejected)} of {kept + len(rejected)} rows cannot be used: {kinds}.\n{places}\n"
        f"hone stops when over half of the rows are unusable. Correct the file, or name other columns with {options}."
    )


def check_any_row(reader: Reader, *, name: str, options: str) -> None:
    """Refuse a source whose sample is empty: there are no rows, or their cells cannot be told apart.

    Raises:
        BadData: see `check_enough_kept`.
    """
    kept = 0
    rejected: list[Rejected] = []
    for row in reader.rows(reader.headers):
        if isinstance(row, Broken):
            rejected.append(Rejected(name, row.line, "", row.reason))
        else:
            kept += 1
    check_enough_kept(name, kept=kept, rejected=rejected, options=options)
