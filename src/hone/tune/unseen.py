"""Labels that rows to choose on or to measure on have and no training row: told once, and counted as wrong ever after."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hone.core.console import warn
from hone.core.errors import BadData
from hone.task import Example, MultiLabelled, Tagged

__all__ = ["labels_of", "other_labels", "warn_of_unseen"]

_SHOWN = 8
_COUNTED = {Example: "such rows", MultiLabelled: "such labels", Tagged: "such words"}


def labels_of(row: Any) -> tuple[str, ...]:
    """The label, labels or tags of a row; none of other kinds."""
    if isinstance(row, Example):
        return (row.label,)
    return row.labels if isinstance(row, MultiLabelled) else row.tags if isinstance(row, Tagged) else ()


def other_labels(rows: Sequence[Any], labels: Sequence[str]) -> tuple[str, ...]:
    """Labels of rows that are none of these, sorted."""
    return tuple(sorted({label for row in rows for label in labels_of(row)} - set(labels)))


def warn_of_unseen(rows: Sequence[Any], train: Sequence[Any], *, name: str) -> int:
    """Say which labels these rows have and no training row has; the number of rows with one.

    Args:
        name: what the rows are called.
    Raises:
        BadData: they have no other labels at all.
    """
    known = {label for row in train for label in labels_of(row)}
    counts = Counter(label for row in rows for label in set(labels_of(row)))
    unseen = sorted((label for label in counts if label not in known), key=lambda label: (-counts[label], label))
    if not unseen:
        return 0
    shown = ", ".join(f"'{label}' ({counts[label]})" for label in unseen[:_SHOWN])
    more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
    if len(unseen) == len(counts):
        raise BadData(
            f"{name}: no row has a label that the training rows have. Theirs: {', '.join(sorted(known)[:20])}; here: {shown}{more}. "
            "Write the labels of both alike, or give other rows."
        )
    hit = sum(not known.issuperset(labels_of(row)) for row in rows)
    what = "tags" if isinstance(rows[0], Tagged) else "labels"
    warn(
        f"{name}: {hit:,} of {len(rows):,} rows have {what} that no training row has: {shown}{more}. They cannot be learnt, and "
        f"{_COUNTED[type(rows[0])]} always count as wrong."
    )
    return hit
