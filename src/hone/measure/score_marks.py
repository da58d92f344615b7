"""Answers whose metrics are made of what each row adds, marked: written texts, numbers, sets of labels, tags.

A `ScoreKey` knows what is right, in what words an answer is told, and which metrics there are; all else is common to the kinds.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hone.measure.groups import Groups
from hone.measure.intervals import Interval
from hone.measure.marks import Answers, Marks, PairedTest
from hone.measure.resample import require_rows
from hone.measure.scores import ResampledScore, metric_draws, paired_score_interval, score_interval, score_permutation_p
from hone.measure.significance import mcnemar_exact, permutation_p, share_of_wins
from hone.measure.texts import score_texts

__all__ = ["ScoreKey", "ScoreMarks", "TextKey"]

FloatArray = npt.NDArray[np.float64]

_RIGHT_OR_WRONG = ("exact_match", "subset_accuracy")


class ScoreKey(ABC):
    """What is right for some rows."""

    metric: str
    """The one by which strategies are ranked."""
    groups: Groups | None
    """Which rows belong together."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Metrics that are reported, the one that ranks first."""

    @abstractmethod
    def fits(self, answers: Answers) -> bool:
        """Whether these are answers of this kind, one for each row."""

    @abstractmethod
    def score(self, answers: Answers, names: Sequence[str]) -> Mapping[str, ResampledScore]:
        """Metrics of answers to all rows."""

    @abstractmethod
    def words(self, answers: Answers) -> tuple[str, ...]:
        """Each answer as people read it, [n]."""

    def mark(self, answers: Answers) -> "ScoreMarks":
        """Hold answers against what is right."""
        assert self.fits(answers), "answers of another kind, or to other rows"
        return ScoreMarks(self, answers)

    def intervals(self, scores: Mapping[str, ResampledScore], answers: Answers, *, seed: int) -> dict[str, Interval]:
        """Everything that is reported of answers, with 95% intervals. `scores`: of the answers, by name."""
        found = {name: score_interval(score, seed=seed) for name, score in scores.items()}
        if self.groups is None:
            return found
        return {
            name: self.groups.widened(interval, scores[name].values, bounds=scores[name].bounds, seed=seed)
            for name, interval in found.items()
        }

    def probability_best(self, marks: Sequence[Marks], *, seed: int) -> list[float]:
        """For each of several strategies, the probability that it has the highest metric; resamples the rows for all at once."""
        mine = [one.score for one in marks if isinstance(one, ScoreMarks)]
        assert len(mine) == len(marks)
        require_rows(len(mine[0].per_row), "The probability of being best")
        if self.groups is not None:
            drawn = self.groups.draws(lambda counts: np.stack([score.values(counts) for score in mine]), seed=seed)
            return [float(value) for value in share_of_wins(drawn)]
        return [float(value) for value in share_of_wins(np.stack(metric_draws(mine, draws=1000, seed=seed)))]


@dataclass(frozen=True)
class ScoreMarks:
    """Answers held against right ones."""

    key: ScoreKey
    answers: Answers

    @cached_property
    def score(self) -> ResampledScore:
        """The metric that ranks, with what is needed to resample it."""
        return self.key.score(self.answers, [self.key.metric])[self.key.metric]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Each answer as people read it, [n]."""
        return self.key.words(self.answers)

    @property
    def metric(self) -> str:
        """The one that ranks."""
        return self.key.metric

    @property
    def per_row(self) -> FloatArray:
        """How right each answer alone is, [n]."""
        return self.score.per_row

    @property
    def value(self) -> float:
        """The metric of all answers."""
        return self.score.value

    @property
    def test(self) -> PairedTest:
        """McNemar's where answers are right or wrong, else permutation."""
        return "mcnemar_exact" if self.metric in _RIGHT_OR_WRONG and self.key.groups is None else "paired_permutation"

    @cached_property
    def _scores(self) -> Mapping[str, ResampledScore]:
        return self.key.score(self.answers, self.key.names)

    def metrics(self, *, seed: int) -> dict[str, Interval]:
        """All that are reported."""
        return self.key.intervals(self._scores, self.answers, seed=seed)

    @property
    def signatures(self) -> dict[str, str]:
        """How each metric is computed, so that its number can be had again."""
        return {name: score.signature for name, score in self._scores.items()}

    def minus(self, other: Marks, *, level: float = 0.95, seed: int) -> Interval:
        """Interval of the difference in the metric, on the same rows."""
        assert isinstance(other, ScoreMarks)
        mine, theirs, groups = self.score, other.score, self.key.groups
        draws = 2000 if mine.is_mean else 1000  # the ends of BCa's interval, which means have, take more
        found = paired_score_interval(mine, theirs, level=level, draws=draws, seed=seed)
        if groups is None:
            return found
        bounds = (mine.bounds[0] - theirs.bounds[1], mine.bounds[1] - theirs.bounds[0])
        return groups.widened(
            found, lambda counts: mine.values(counts) - theirs.values(counts), bounds=bounds, level=level, seed=seed
        )

    def p_value(self, other: Marks, *, seed: int) -> float:
        """Two-sided, paired."""
        assert isinstance(other, ScoreMarks)
        mine, theirs, groups = self.score, other.score, self.key.groups
        if groups is not None and mine.is_mean:
            return permutation_p(groups.sums(self.per_row), groups.sums(other.per_row), seed=seed)
        if groups is not None:
            unlike = np.array([a != b for a, b in zip(self.words, other.words, strict=True)])
            return groups.exchange_p(
                lambda patterns: mine.exchanged(theirs, patterns) - theirs.exchanged(mine, patterns), unlike, seed=seed
            )
        if self.test == "mcnemar_exact":
            return mcnemar_exact(self.per_row, other.per_row)
        if mine.is_mean:
            return permutation_p(self.per_row, other.per_row, seed=seed)
        return score_permutation_p(mine, theirs, seed=seed)


@dataclass(frozen=True)
class TextKey(ScoreKey):
    """Right texts, of which each row has at least one."""

    references: tuple[tuple[str, ...], ...]
    metric: str
    others: tuple[str, ...] = ()
    """Metrics reported beside it."""
    groups: Groups | None = None

    @property
    def names(self) -> Sequence[str]:
        """The metric and the others."""
        return [self.metric, *(name for name in self.others if name != self.metric)]

    def fits(self, answers: Answers) -> bool:
        """One text per row."""
        return isinstance(answers, tuple) and len(answers) == len(self.references)

    def score(self, answers: Answers, names: Sequence[str]) -> Mapping[str, ResampledScore]:
        """Of texts."""
        return score_texts(self.words(answers), self.references, names)

    def words(self, answers: Answers) -> tuple[str, ...]:
        """As they are."""
        assert isinstance(answers, tuple)
        return answers
