"""What stage 4 hands on: metrics with intervals, scores per class, speed."""

from hone.core.record import Record

__all__ = ["ClassScore", "Metric", "Speed"]


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
