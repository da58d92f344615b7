"""From marked answers to metrics with intervals, and how fast a predictor answers."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hone.evaluate.records import ClassScore, Metric, Speed
from hone.measure import LabelMarks, Marks, quantile, score_labels
from hone.task import Example

if TYPE_CHECKING:
    from hone.strategy import Predictor

__all__ = ["measure_speed", "metrics_of", "per_class", "timing_seconds"]

SINGLE_ROWS = 30  # rows timed one by one; the p95 of 30 is near the second slowest
BATCH_ROWS = 128
FEW_ROWS = 3  # where each answer takes long, or costs money
ROUNDS = 3
ENOUGH = 1.0  # seconds after which rows one by one, and passes over many at once, are timed no more
_ALONE = 100 / SINGLE_ROWS  # rows read at once that take as long as one read alone (measured)


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


def measure_speed(
    predictor: "Predictor", examples: Sequence[Example], *, answered_seconds: float, is_costly: bool = False
) -> Speed:
    """Time a predictor on real rows: up to 30 one by one, and the fastest of up to three passes over many at once.

    Nothing that was computed before is reused, and the first answer, which warms up, is not counted. Either kind of timing ends after a
    second, once 3 rows and one pass are done: on a slow machine the noise of a second is small, and the time is missed elsewhere.

    Args:
        answered_seconds: what it took to answer all the examples at once, afresh: the first of the passes. Others are over up to 128.
        is_costly: each answer takes long or costs money: 3 rows are timed one by one, and no further pass.
    """
    with predictor.computed_afresh():
        predictor.answer(examples[:1])
        single: list[float] = []
        for example in examples[: FEW_ROWS if is_costly else SINGLE_ROWS]:
            if len(single) >= FEW_ROWS and sum(single) >= ENOUGH:
                break
            single.append(_seconds(predictor, [example]))
        many, passes = examples[:BATCH_ROWS], [answered_seconds]
        rates = [len(examples) / answered_seconds]
        while not is_costly and len(passes) < ROUNDS and sum(passes) < ENOUGH:
            passes.append(_seconds(predictor, many))
            rates.append(len(many) / passes[-1])
    return Speed(
        latency_ms_median=1000 * quantile(single, 0.5),
        latency_ms_p95=1000 * quantile(single, 0.95),
        rows_per_second=max(rates),
    )


def timing_seconds(rows: int, seconds_per_row: float) -> float:
    """What `measure_speed` is expected to take with so many examples, of which one among many takes so long."""
    alone = _ALONE * seconds_per_row
    single = min(SINGLE_ROWS * alone, max(FEW_ROWS * alone, ENOUGH))
    answered, once = rows * seconds_per_row, min(rows, BATCH_ROWS) * seconds_per_row
    further = min(ROUNDS - 1, math.ceil(max(0.0, ENOUGH - answered) / once)) if once else 0
    return single + further * once


def _seconds(predictor: "Predictor", examples: Sequence[Example]) -> float:
    started = time.perf_counter()
    predictor.answer(examples)
    return time.perf_counter() - started
