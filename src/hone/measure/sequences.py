"""Several tasks learnt one after the other: what is kept, what is lost, and what helps ahead.

The table has a row for the base and one after each task learnt, and a column per task. A cell that was not measured is NaN; it
is left out and counted as missing, never read as 0.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hone.core.errors import BadData
from hone.core.record import Record

__all__ = ["SequenceMean", "SequenceScores", "score_sequence"]

FloatArray = npt.NDArray[np.float64]


class SequenceMean(Record):
    """A mean over tasks, of those that could be computed."""

    value: float | None
    """None where no term could be computed: not measured, which is not 0."""
    terms: tuple[float | None, ...]
    """Per task in the definition, in the order learnt; None where a cell that it needs was not measured."""
    not_measured: str | None
    """Which terms are missing, and why."""

    @property
    def measured(self) -> int:
        """How many terms the mean is over."""
        return sum(term is not None for term in self.terms)


class SequenceScores(Record):
    """The four numbers of a sequence, in the unit of the scores."""

    tasks: tuple[str, ...]
    average_accuracy: SequenceMean
    """Of all tasks after the last: mean of R[T, j]."""
    backward_transfer: SequenceMean
    """What learning later tasks did to earlier ones: mean of R[T, j] - R[j, j] over j < T. Negative is forgotten."""
    forward_transfer: SequenceMean
    """What earlier tasks did for a task not yet learnt: mean of R[j - 1, j] - R[0, j] over j > 1."""
    average_forgetting: SequenceMean
    """Fall from the best score ever had: mean of max(R[t, j], 1 <= t < T) - R[T, j] over j < T. Positive is forgotten."""


def _mean(terms: FloatArray, tasks: Sequence[str], why: str) -> SequenceMean:
    """`why`: what a missing term lacks."""
    is_known = np.isfinite(terms)
    missing = [task for task, known in zip(tasks, is_known.tolist(), strict=True) if not known]
    if not len(tasks):
        reason: str | None = "It compares tasks learnt at different times: at least 2 tasks are needed."
    else:
        reason = f"{', '.join(missing)}: {why}" if missing else None
    return SequenceMean(
        value=float(terms[is_known].mean()) if bool(is_known.any()) else None,
        terms=tuple(float(term) if known else None for term, known in zip(terms, is_known, strict=True)),
        not_measured=reason,
    )


def _table(scores: npt.ArrayLike, tasks: Sequence[str]) -> FloatArray:
    table = np.asarray(scores, dtype=np.float64)
    if table.shape != (len(tasks) + 1, len(tasks)) or not len(tasks):
        raise BadData(
            f"The table of a sequence has shape {table.shape}, but {len(tasks)} tasks need {len(tasks) + 1} rows (the base, then after "
            f"each task learnt) and {len(tasks)} columns. Put NaN where nothing was measured."
        )
    if bool(np.isinf(table).any()):
        row, column = np.argwhere(np.isinf(table))[0].tolist()
        raise BadData(f"The score on task {tasks[column]} in row {row} is infinite. Put NaN where nothing was measured.")
    return table


def score_sequence(scores: npt.ArrayLike, tasks: Sequence[str]) -> SequenceScores:
    """Average accuracy, backward and forward transfer, and average forgetting of tasks learnt in order.

    Where some scores on the way were not measured, the best score is the best of those that were, its own step among them: the
    forgetting may then be larger than said, never smaller.

    Args:
        scores: R, shape [1 + T, T], higher is better: R[0, j] is the base on task j, R[i, j] task j after learning task i
            (from 1); NaN where not measured. tasks: T names in the order learnt.
    Raises:
        BadData: another shape, or a cell that is infinite.
    Source: Lopez-Paz and Ranzato 2017, https://arxiv.org/abs/1706.08840 (forward transfer there against an untrained model, here
        against the base); Chaudhry et al. 2018, https://arxiv.org/abs/1801.10112
    """
    table = _table(scores, tasks)
    last, own, base = table[-1], np.diagonal(table[1:]), table[0]
    ahead = np.diagonal(table[1:-1], offset=1)  # R[j - 1, j] for j > 1, [T - 1]
    way = table[1:-1, :-1]  # tasks before the last, steps before the last: [T - 1, T - 1]
    known = np.where(np.isnan(way), -np.inf, way)
    best = known.max(axis=0, initial=-np.inf)
    fell = np.where(np.isnan(own[:-1]), np.nan, best - last[:-1])
    return SequenceScores(
        tasks=tuple(tasks),
        average_accuracy=_mean(last, tasks, "not measured after the last task."),
        backward_transfer=_mean(last[:-1] - own[:-1], tasks[:-1], "not measured when it was learnt, or not after the last task."),
        forward_transfer=_mean(ahead - base[1:], tasks[1:], "not measured on the base, or not just before it was learnt."),
        average_forgetting=_mean(fell, tasks[:-1], "not measured when it was learnt, or not after the last task."),
    )
