"""From marked answers to metrics with intervals, and how fast a predictor answers."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hone.evaluate.records import ClassScore, Metric, Speed
from hone.measure import LabelMarks, Marks, quantile, score_labels
from hone.task import Example

if TYPE_CHECKING:
    from hone.strategy import Predictor

__all__ = ["BATCH_ROWS", "ROUNDS", "measure_speed", "metrics_of", "per_class"]

SINGLE_ROWS = 30  # rows timed one by one; the p95 of 30 is near the second slowest
BATCH_ROWS = 128
FEW_ROWS = 3  # where each answer takes long, or costs money
ROUNDS = 3


def metrics_of(marks: Marks, *, seed: int) -> dict[str, Metric]:
    """Every metric of the kind of answers, each with its interval."""
    rows = len(marks.per_row)
    return {
        name: Metric(value=found.mid, low=found.low, high=found.high, n=rows) for name, found in marks.metrics(seed=seed).items()
    }


def per_class(marks: LabelMarks, labels: Sequence[str]) -> tuple[tuple[ClassScore, ...], tuple[tuple[int, ...], ...]]:
    """Scores of each class, and the confusion table [truth, predicted]."""
    scores = score_labels(marks.truth, marks.predicted, classes=len(labels))
    rows = zip(labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    return tuple(ClassScore(label=a, precision=b, recall=c, f1=d, support=e) for a, b, c, d, e in rows), scores.confusion


def measure_speed(predictor: "Predictor", examples: Sequence[Example], *, answered_seconds: float | None = None) -> Speed:
    """Time a predictor on real rows: up to 30 one by one, and the fastest of three passes over up to 128 at once.

    Nothing that was computed before is reused, and the first answer, which warms up, is not counted.

    Args:
        answered_seconds: what it took to answer all the examples at once, afresh; no pass is then made again, and only 3 rows are
            timed one by one.
    """
    with predictor.computed_afresh():
        predictor.answer(examples[:1])
        single = [_seconds(predictor, [example]) for example in examples[: SINGLE_ROWS if answered_seconds is None else FEW_ROWS]]
        if answered_seconds is None:
            examples = examples[:BATCH_ROWS]
            answered_seconds = min(_seconds(predictor, examples) for _ in range(ROUNDS))
    return Speed(
        latency_ms_median=1000 * quantile(single, 0.5),
        latency_ms_p95=1000 * quantile(single, 0.95),
        rows_per_second=len(examples) / answered_seconds,
    )


def _seconds(predictor: "Predictor", examples: Sequence[Example]) -> float:
    started = time.perf_counter()
    predictor.answer(examples)
    return time.perf_counter() - started
