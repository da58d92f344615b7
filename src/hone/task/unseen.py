"""Labels that rows to choose on or to measure on have and no training row: told once, and counted as wrong ever after."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hone.core.errors import BadData
from hone.task.kinds import MultiLabelled, Tagged
from hone.task.records import Example, Finding

__all__ = ["labels_of", "other_labels", "unseen_labels"]

_SHOWN = 8
_PLACES = 20
_COUNTED = {Example: "such rows", MultiLabelled: "such labels", Tagged: "such words"}


def labels_of(row: Any) -> tuple[str, ...]:
    """The label, labels or tags of a row, also of one that an example carries; none of other kinds."""
    row = _as_read(row)
    if isinstance(row, Example):
        return (row.label,)
    return row.labels if isinstance(row, MultiLabelled) else row.tags if isinstance(row, Tagged) else ()


def other_labels(rows: Sequence[Any], labels: Sequence[str]) -> tuple[str, ...]:
    """Labels of rows that are none of these, sorted."""
    return tuple(sorted({label for row in rows for label in labels_of(row)} - set(labels)))


def unseen_labels(rows: Sequence[Any], train: Sequence[Any], *, name: str) -> Finding | None:
    """Which labels these rows have and no training row has, and how many rows have one.

    Args:
        name: what the rows are called.
    Raises:
        BadData: they have no other labels at all.
    """
    known = {label for row in train for label in labels_of(row)}
    counts = Counter(label for row in rows for label in set(labels_of(row)))
    unseen = sorted((label for label in counts if label not in known), key=lambda label: (-counts[label], label))
    if not unseen:
        return None
    shown = ", ".join(f"'{label}' ({counts[label]})" for label in unseen[:_SHOWN])
    more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
    if len(unseen) == len(counts):
        raise BadData(
            f"{name}: no row has a label that the training rows have. Theirs: {', '.join(sorted(known)[:20])}; here: {shown}{more}. "
            "Write the labels of both alike, or give other rows."
        )
    hit = [row for row in rows if not known.issuperset(labels_of(row))]
    kind = type(_as_read(rows[0]))
    what = "tags" if kind is Tagged else "labels"
    return Finding(
        kind="unseen_label",
        severity="warning",
        message=f"{name}: {len(hit):,} of {len(rows):,} rows have {what} that no training row has: {shown}{more}. They cannot be learnt, and "
        f"{_COUNTED[kind]} always count as wrong.",
        count=len(hit),
        places=tuple(row.place for row in hit[:_PLACES]),
    )


def _as_read(row: Any) -> Any:
    """The row that an example was made of, where it carries one."""
    return row.row if isinstance(row, Example) and row.row is not None else row
