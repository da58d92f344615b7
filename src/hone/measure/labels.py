"""Scores of predicted labels, all from one table of counts.

Index arrays go in; the confusion table, or only its diagonal and margins, gives every score.
The one surprise: a class that never occurs in the truth still counts, with 0, in the macro averages,
as in scikit-learn with `labels=all classes, zero_division=0`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hone.core.errors import NotEnough, Usage, did_you_mean
from hone.core.record import Record

__all__ = [
    "LABEL_METRICS",
    "METRIC_VERSIONS",
    "LabelMargins",
    "LabelScores",
    "as_indices",
    "check_metric",
    "confusion_table",
    "metric_from_confusion",
    "metric_from_margins",
    "ratio",
    "score_labels",
]

LABEL_METRICS = (
    "accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "weighted_precision",
    "weighted_recall",
    "weighted_f1",
)
METRIC_VERSIONS = {name: f"{name}.v1" for name in (*LABEL_METRICS, "ece", "brier", "negative_log_likelihood")}
"""The name under which a number is stored: the version rises when the definition, and so the number, changes."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class LabelScores(Record):
    """Every label score of one strategy on one set of rows. Tuples are in the order of the class indices."""

    confusion: tuple[tuple[int, ...], ...]
    """Counts, [truth, predicted]."""
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    support: tuple[int, ...]
    """Rows that truly belong to the class."""
    metrics: dict[str, float]
    """One value for each name in LABEL_METRICS."""

    @property
    def rows(self) -> int:
        """How many rows were scored."""
        return sum(self.support)


@dataclass(frozen=True, slots=True)
class LabelMargins:
    """What a label metric needs of a confusion table, shape [..., C] each: its diagonal, row sums and column sums."""

    correct: FloatArray
    truth: FloatArray
    predicted: FloatArray


def check_metric(name: str) -> None:
    """Stop at a name that is not a label metric.

    Raises:
        Usage: the name is unknown; the message gives the nearest.
    """
    if name not in LABEL_METRICS:
        raise Usage(f"Metric '{name}' is not a score of labels. {did_you_mean(name, LABEL_METRICS)}")


def as_indices(values: npt.ArrayLike, classes: int) -> IntArray:
    """Class indices as an integer array; that they lie in 0..classes-1 is the caller's promise."""
    array = np.asarray(values)
    assert array.size == 0 or np.issubdtype(array.dtype, np.integer), f"class indices are integers, got {array.dtype}"
    assert array.size == 0 or (array.min() >= 0 and array.max() < classes), f"class indices must lie in 0..{classes - 1}"
    return array.astype(np.int64)


def confusion_table(truth: npt.ArrayLike, predicted: npt.ArrayLike, *, classes: int) -> IntArray:
    """Counts, shape [C, C]: row = truth, column = predicted."""
    right, given = as_indices(truth, classes), as_indices(predicted, classes)
    assert right.shape == given.shape and right.ndim == 1, f"shapes differ: {right.shape} and {given.shape}"
    return np.bincount(right * classes + given, minlength=classes * classes).reshape(classes, classes)


def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """top / bottom, and 0 where nothing was counted (scikit-learn's zero_division=0)."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom > 0)


def _per_class(margins: LabelMargins, kind: str) -> FloatArray:
    if kind == "precision":
        return ratio(margins.correct, margins.predicted)
    if kind == "recall":
        return ratio(margins.correct, margins.truth)
    return ratio(2 * margins.correct, margins.truth + margins.predicted)


def metric_from_margins(margins: LabelMargins, name: str) -> FloatArray:
    """One label metric for many tables at once.

    Args:
        margins: counts, shape [..., C]. name: one of LABEL_METRICS.
    Returns:
        Shape [...], each in 0..1; 0 for a table without rows.
    Raises:
        Usage: the name is unknown.
    """
    check_metric(name)
    rows = margins.truth.sum(axis=-1)  # [...]
    if name == "accuracy":
        return ratio(margins.correct.sum(axis=-1), rows)
    average, kind = name.split("_")
    scores = _per_class(margins, kind)  # [..., C]
    if average == "macro":
        return np.asarray(scores.mean(axis=-1), dtype=np.float64)
    return ratio((scores * margins.truth).sum(axis=-1), rows)


def _margins(tables: npt.ArrayLike) -> LabelMargins:
    counts = np.asarray(tables, dtype=np.float64)  # [..., C, C]
    assert counts.ndim >= 2 and counts.shape[-1] == counts.shape[-2], f"a confusion table is square, got {counts.shape}"
    return LabelMargins(
        correct=np.diagonal(counts, axis1=-2, axis2=-1),
        truth=counts.sum(axis=-1),
        predicted=counts.sum(axis=-2),
    )


def metric_from_confusion(tables: npt.ArrayLike, name: str) -> FloatArray:
    """One label metric of each confusion table, shape [..., C, C] -> [...]; row = truth.

    Raises:
        Usage: the name is unknown.
    """
    return metric_from_margins(_margins(tables), name)


def score_labels(truth: npt.ArrayLike, predicted: npt.ArrayLike, *, classes: int) -> LabelScores:
    """Every label score of one set of predictions.

    Args:
        truth, predicted: class indices, shape [n], same order. classes: how many classes the task has.
    Raises:
        NotEnough: no rows. An accuracy of 0 would read as a measurement.
    Source: equals sklearn.metrics.precision_recall_fscore_support(labels=range(classes), zero_division=0)
        https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_recall_fscore_support.html
    """
    table = confusion_table(truth, predicted, classes=classes)
    if table.sum() == 0:
        raise NotEnough("There are no rows to score: 0 were given, at least 1 is needed. Put more rows into the test set.")
    margins = _margins(table)
    return LabelScores(
        confusion=tuple(tuple(row) for row in table.tolist()),
        precision=tuple(_per_class(margins, "precision").tolist()),
        recall=tuple(_per_class(margins, "recall").tolist()),
        f1=tuple(_per_class(margins, "f1").tolist()),
        support=tuple(table.sum(axis=1).tolist()),
        metrics={name: float(metric_from_margins(margins, name)) for name in LABEL_METRICS},
    )
