"""Answers held against what is right. All kinds are marked alike, so that one race, one test and one verdict serve classes, texts and others.

An `AnswerKey` knows what is right for some rows and marks the answers of a strategy; two sets of marks for the same rows are compared in
pairs. Accuracy and exact match are tested by McNemar, all else by permutation. Where rows belong together (`groups`), intervals are
widened, and tests and the probability of being best resample the groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from hone.measure.calibration import calibration_errors
from hone.measure.groups import Groups
from hone.measure.intervals import Interval, calibration_interval, confusion_interval
from hone.measure.labels import LABEL_METRICS, confusion_table, metric_from_confusion
from hone.measure.paired import paired_confusion_interval
from hone.measure.resample import row_metrics
from hone.measure.significance import (
    label_permutation_p,
    mcnemar_exact,
    permutation_p,
    probability_best,
    probability_best_label,
    share_of_wins,
)

__all__ = ["AnswerKey", "Answers", "LabelKey", "LabelMarks", "Marks", "PairedTest", "with_unanswered"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Answers = npt.NDArray[np.float64] | tuple[str, ...]
"""Of a strategy to n rows: class probabilities or whether each label is there [n, C], numbers [n], or n texts."""

PairedTest = Literal["mcnemar_exact", "paired_permutation", "paired_bootstrap"]
"""The last is in records of earlier versions alone."""


def with_unanswered(answers: FloatArray, classes: int) -> FloatArray:
    """Shares [n, C] with columns of 0 behind them for classes that no strategy answers, [n, classes]."""
    return np.pad(answers, ((0, 0), (0, max(0, classes - answers.shape[1]))))


class Marks(Protocol):
    """The answers of one strategy, marked."""

    @property
    def value(self) -> float:
        """The metric by which strategies are ranked."""
        ...

    @property
    def per_row(self) -> FloatArray:
        """How right each row is, at most 1, [n]; not every metric is the mean of these."""
        ...

    @property
    def test(self) -> PairedTest:
        """By which `p_value` is computed."""
        ...

    def metrics(self, *, seed: int) -> dict[str, Interval]:
        """Every metric of the kind with its 95% interval."""
        ...

    def minus(self, other: "Marks", *, level: float = 0.95, seed: int) -> Interval:
        """Interval of the difference in the metric, on the same rows."""
        ...

    def p_value(self, other: "Marks", *, seed: int) -> float:
        """Two-sided, paired."""
        ...


class AnswerKey(Protocol):
    """What is right for some rows."""

    @property
    def metric(self) -> str:
        """The one by which strategies are ranked."""
        ...

    def mark(self, answers: Answers) -> Marks:
        """Hold answers against what is right."""
        ...

    def probability_best(self, marks: Sequence[Marks], *, seed: int) -> list[float]:
        """For each of several strategies, the probability that it has the highest metric."""
        ...


@dataclass(frozen=True)
class LabelMarks:
    """Class probabilities held against true classes."""

    truth: IntArray
    """Class index, [n]."""
    probabilities: FloatArray
    """[n, C]."""
    metric: str
    groups: Groups | None = None

    @cached_property
    def is_open(self) -> npt.NDArray[np.bool_]:
        """Whether several classes are as likely, so that none was answered, [n]."""
        return np.asarray(self._is_likeliest.sum(axis=1) > 1)

    @property
    def _is_likeliest(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.probabilities >= self.probabilities.max(axis=1, keepdims=True))

    @cached_property
    def predicted(self) -> IntArray:
        """Index of the likeliest class, [n]; of several that are as likely one that is not the true one: no answer is never right."""
        wrong = self._is_likeliest & (np.arange(self.classes) != self.truth[:, None])
        return np.asarray(np.where(self.is_open, wrong.argmax(axis=1), self.probabilities.argmax(axis=1)), dtype=np.int64)

    @cached_property
    def confidence(self) -> FloatArray:
        """Probability of the likeliest class, [n]."""
        return np.asarray(self.probabilities.max(axis=1), dtype=np.float64)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether the likeliest class is the true one, [n]."""
        return np.asarray(self.predicted == self.truth)

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.probabilities.shape[1])

    @property
    def per_row(self) -> FloatArray:
        """1 where right."""
        return self.correct.astype(np.float64)

    @cached_property
    def value(self) -> float:
        """The metric of these rows."""
        return self.value_of(self.metric)

    @property
    def test(self) -> PairedTest:
        """McNemar's for accuracy, else permutation."""
        return "mcnemar_exact" if self.metric == "accuracy" and self.groups is None else "paired_permutation"

    def metrics(self, *, seed: int) -> dict[str, Interval]:
        """Every label metric, and the expected calibration error."""
        return {name: self.interval(name, seed=seed) for name in (*LABEL_METRICS, "ece")}

    def interval(self, name: str, *, seed: int) -> Interval:
        """One of them with its 95% interval."""
        right = self.per_row
        if name == "ece":
            found = calibration_interval(self.confidence, self.correct, seed=seed)
        else:
            found = confusion_interval(self.truth, self.predicted, classes=self.classes, metric=name, seed=seed)
        if self.groups is None:
            return found

        def computed(counts: FloatArray) -> FloatArray:
            return calibration_errors(self.confidence, right, counts) if name == "ece" else self._resampled(counts, name)[0]

        return self.groups.widened(found, computed, bounds=(0.0, 1.0), seed=seed)

    def value_of(self, name: str) -> float:
        """A label metric of these rows."""
        return float(metric_from_confusion(confusion_table(self.truth, self.predicted, classes=self.classes), name))

    def _resampled(self, counts: FloatArray, metric: str, *others: "LabelMarks") -> FloatArray:
        """The metric of these answers and of others when row i stands there counts[b, i] times, [1 + others, B]."""
        predictions = [self.predicted, *(other.predicted for other in others)]
        return row_metrics(self.truth, predictions, counts, classes=self.classes, metric=metric)

    def minus(self, other: Marks, *, level: float = 0.95, seed: int) -> Interval:
        """Interval of the difference in the metric, on the same rows."""
        assert isinstance(other, LabelMarks)
        found = paired_confusion_interval(
            self.truth, self.predicted, other.predicted, classes=self.classes, metric=self.metric, level=level, seed=seed
        )
        if self.groups is None:
            return found

        def difference(counts: FloatArray) -> FloatArray:
            mine, theirs = self._resampled(counts, self.metric, other)
            return np.asarray(mine - theirs)

        return self.groups.widened(found, difference, bounds=(-1.0, 1.0), level=level, seed=seed)

    def p_value(self, other: Marks, *, seed: int) -> float:
        """Two-sided, paired."""
        assert isinstance(other, LabelMarks)
        if self.groups is not None:
            return self._grouped_p(other, self.groups, seed=seed)
        if self.metric == "accuracy":
            return mcnemar_exact(self.correct, other.correct)
        return label_permutation_p(
            self.truth, self.predicted, other.predicted, classes=self.classes, metric=self.metric, seed=seed
        )

    def _grouped_p(self, other: "LabelMarks", groups: Groups, *, seed: int) -> float:
        if self.metric == "accuracy":
            return permutation_p(groups.sums(self.per_row), groups.sums(other.per_row), seed=seed)
        truth, both = np.tile(self.truth, 2), np.concatenate([self.predicted, other.predicted])

        def difference(patterns: npt.NDArray[np.int8]) -> FloatArray:
            kept, gone = (1.0 - patterns, patterns.astype(np.float64))
            mine, theirs = (
                row_metrics(truth, [both], np.concatenate(parts, axis=1), classes=self.classes, metric=self.metric)[0]
                for parts in ((kept, gone), (gone, kept))
            )
            return np.asarray(mine - theirs)

        return groups.exchange_p(difference, self.predicted != other.predicted, seed=seed)


@dataclass(frozen=True)
class LabelKey:
    """True classes."""

    truth: IntArray
    """Class index, [n]."""
    metric: str
    groups: Groups | None = None
    """Which rows belong together."""
    classes: int = 0
    """How many there are, where the last may be such as no strategy answers."""

    def mark(self, answers: Answers) -> LabelMarks:
        """`answers`: class probabilities, [n, C]; columns of the last classes may be missing."""
        assert isinstance(answers, np.ndarray) and len(answers) == len(self.truth)
        return LabelMarks(self.truth, with_unanswered(answers, self.classes), self.metric, self.groups)

    def probability_best(self, marks: Sequence[Marks], *, seed: int) -> list[float]:
        """Resamples the rows for all strategies at once."""
        mine = [one for one in marks if isinstance(one, LabelMarks)]
        assert len(mine) == len(marks)
        if self.groups is not None:
            first, *others = mine
            drawn = self.groups.draws(lambda counts: first._resampled(counts, self.metric, *others), seed=seed)
            return [float(value) for value in share_of_wins(drawn)]
        if self.metric == "accuracy":
            return [float(value) for value in probability_best(np.stack([one.per_row for one in mine]), seed=seed)]
        predictions = np.stack([one.predicted for one in mine])
        found = probability_best_label(self.truth, predictions, classes=mine[0].classes, metric=self.metric, seed=seed)
        return [float(value) for value in found]
