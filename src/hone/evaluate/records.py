"""What stage 4 hands on: answers per example, metrics with intervals, speed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hone.core.record import Record

__all__ = ["Answers", "ClassScore", "Metric", "Speed"]


@dataclass(frozen=True)
class Answers:
    """A predictor's answers to a list of examples, in their order."""

    truth: NDArray[np.int64]
    """Class index, [n]."""
    probabilities: NDArray[np.float64]
    """[n, C]."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index of the likeliest class, [n]."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probability of the likeliest class, [n]."""
        return np.asarray(self.probabilities.max(axis=1), dtype=np.float64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the likeliest class is the true one, [n]."""
        return np.asarray(self.predicted == self.truth)


class Metric(Record):
    """A value with its 95% interval over the test rows."""

    value: float
    low: float
    high: float
    n: int


class ClassScore(Record):
    """Precision, recall and F1 of one class on the test rows; `support` rows truly belong to it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class Speed(Record):
    """How fast a predictor answers: one row at a time, in milliseconds, and many rows at once."""

    latency_ms_median: float
    latency_ms_p95: float
    rows_per_second: float
