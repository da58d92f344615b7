"""From a predictor and examples to answers, metrics with intervals, and speed. The test rows pass through here once."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hone.evaluate.records import Answers, ClassScore, Metric, Speed
from hone.measure import (
    LABEL_METRICS,
    calibration_interval,
    confusion_interval,
    quantile,
    score_labels,
)
from hone.task import Example

if TYPE_CHECKING:
    from hone.strategy import Predictor

__all__ = ["ask", "measure_speed", "metrics_of", "per_class"]

SINGLE_ROWS = 30  # rows timed one by one; the p95 of 30 is near the second slowest
BATCH_ROWS = 256
ROUNDS = 3


def ask(predictor: "Predictor", examples: Sequence[Example]) -> Answers:
    """The predictor's answers to the examples."""
    index = {label: position for position, label in enumerate(predictor.labels)}
    truth = np.array([index[example.label] for example in examples], dtype=np.int64)
    return Answers(truth, predictor.probabilities([example.text for example in examples]))


def metrics_of(answers: Answers, *, seed: int) -> dict[str, Metric]:
    """Every label metric and the expected calibration error, each with its interval."""
    classes = answers.probabilities.shape[1]
    values = {}
    for name in LABEL_METRICS:
        found = confusion_interval(answers.truth, answers.predicted, classes=classes, metric=name, seed=seed)
        values[name] = Metric(value=found.mid, low=found.low, high=found.high, n=len(answers.truth))
    error = calibration_interval(answers.confidence, answers.correct, seed=seed)
    values["ece"] = Metric(value=error.mid, low=error.low, high=error.high, n=len(answers.truth))
    return values


def per_class(answers: Answers, labels: Sequence[str]) -> tuple[tuple[ClassScore, ...], tuple[tuple[int, ...], ...]]:
    """Scores of each class, and the confusion table [truth, predicted]."""
    scores = score_labels(answers.truth, answers.predicted, classes=len(labels))
    rows = zip(labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    return tuple(ClassScore(label=a, precision=b, recall=c, f1=d, support=e) for a, b, c, d, e in rows), scores.confusion


def measure_speed(predictor: "Predictor", texts: Sequence[str]) -> Speed:
    """Time a predictor on real texts: up to 30 one by one, and the fastest of three passes over up to 256 at once.

    Nothing that was computed before is reused, and the first answer, which warms up, is not counted.
    """
    texts = list(texts)
    batch = texts[:BATCH_ROWS]
    with predictor.computed_afresh():
        predictor.probabilities(texts[:1])
        single = [_seconds(predictor, [text]) for text in texts[:SINGLE_ROWS]]
        fastest = min(_seconds(predictor, batch) for _ in range(ROUNDS))
    return Speed(
        latency_ms_median=1000 * quantile(single, 0.5),
        latency_ms_p95=1000 * quantile(single, 0.95),
        rows_per_second=len(batch) / fastest,
    )


def _seconds(predictor: "Predictor", texts: list[str]) -> float:
    started = time.perf_counter()
    predictor.probabilities(texts)
    return time.perf_counter() - started
