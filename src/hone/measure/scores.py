"""A metric with what is needed to resample the rows that it is of: a mean of what each row scores, or a number made of sums over rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from hone.measure.intervals import Interval, is_constant, shifted_interval, unseen_difference, unseen_interval, wilson_interval
from hone.measure.paired import paired_interval, wider_interval
from hone.measure.resample import exchange_p, require_rows, resampled_counts

__all__ = [
    "MeanScore",
    "ResampledScore",
    "SumScore",
    "metric_draws",
    "paired_score_interval",
    "score_interval",
    "score_permutation_p",
]

FloatArray = npt.NDArray[np.float64]


class ResampledScore(Protocol):
    """A metric of some rows, the higher the better."""

    @property
    def name(self) -> str:
        """Of the metric."""
        ...

    @property
    def signature(self) -> str:
        """Package, version and settings, so that the number can be had again."""
        ...

    @property
    def per_row(self) -> FloatArray:
        """The metric of each row alone, [n]; not every metric is the mean of these."""
        ...

    def values(self, counts: FloatArray) -> FloatArray:
        """The metric when row i stands there counts[b, i] times, [B] from [B, n]."""
        ...

    @property
    def value(self) -> float:
        """The metric of the rows as they are."""
        ...

    @property
    def is_mean(self) -> bool:
        """Whether the metric is the mean of `per_row`."""
        ...

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest that it can be."""
        ...

    def exchanged(self, other: Self, patterns: npt.NDArray[np.int8]) -> FloatArray:
        """The metric with the other's answer to row i where patterns[b, i] is 1, [B] from [B, n]."""
        ...


@dataclass(frozen=True)
class MeanScore:
    """The mean of what each row scores, in 0 to 1."""

    name: str
    signature: str
    per_row: FloatArray
    """[n]."""
    is_mean: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)

    def values(self, counts: FloatArray) -> FloatArray:
        """When row i stands there counts[b, i] times, [B] from [B, n]."""
        return np.asarray(counts @ self.per_row / counts.sum(axis=1))

    def exchanged(self, other: Self, patterns: npt.NDArray[np.int8]) -> FloatArray:
        """With the other's answer to row i where patterns[b, i] is 1, [B] from [B, n]."""
        return np.asarray((self.per_row.sum() + patterns @ (other.per_row - self.per_row)) / len(self.per_row))

    @property
    def value(self) -> float:
        """Of the rows as they are."""
        return float(self.per_row.mean())


@dataclass(frozen=True)
class SumScore:
    """A number made of sums over rows: BLEU, chrF, F1."""

    name: str
    signature: str
    statistics: FloatArray
    """What is summed, [n, S]."""
    combined: Callable[[FloatArray], FloatArray]
    """From sums [B, S] to the metric [B]."""
    is_mean: bool = False
    bounds: tuple[float, float] = (0.0, 1.0)
    alone: FloatArray | None = None
    """How right each row is by itself, [n], where the metric of a single row does not say."""

    @cached_property
    def per_row(self) -> FloatArray:
        """Of each row alone, [n]."""
        return self.combined(self.statistics) if self.alone is None else self.alone

    def values(self, counts: FloatArray) -> FloatArray:
        """When row i stands there counts[b, i] times, [B] from [B, n]."""
        return self.combined(counts @ self.statistics)

    def exchanged(self, other: Self, patterns: npt.NDArray[np.int8]) -> FloatArray:
        """With the other's answer to row i where patterns[b, i] is 1, [B] from [B, n]."""
        return self.combined(self.statistics.sum(axis=0) + patterns @ (other.statistics - self.statistics))

    @property
    def value(self) -> float:
        """Of the rows as they are."""
        return float(self.combined(self.statistics.sum(axis=0)[None])[0])


def score_interval(score: ResampledScore, *, level: float = 0.95, draws: int = 1000, seed: int) -> Interval:
    """How far the metric could move with other rows.

    Wilson's where rows are right or wrong, for other means the wider of a BCa bootstrap and Student's t, for numbers made of sums a
    bootstrap centred on the metric. Where no resample moves it, the ends allow for the rows not seen.

    Raises:
        NotEnough: fewer than 2 rows.
    """
    rows = len(score.per_row)
    require_rows(rows, "An interval")
    is_marked = score.is_mean and bool(((score.per_row == 0) | (score.per_row == 1)).all())
    if is_marked and not is_constant(score.per_row):
        return wilson_interval(int(score.per_row.sum()), rows, level=level)
    found, value = metric_draws([score], draws=draws, seed=seed)[0], score.value
    if is_constant(found):
        return unseen_interval(value, rows, level)
    if score.is_mean:
        wide = wider_interval(score.per_row, found, level)
        return Interval(low=max(0.0, wide.low), mid=value, high=min(1.0, wide.high))
    return shifted_interval(found, value, level=level, bounds=score.bounds)


def paired_score_interval(a: ResampledScore, b: ResampledScore, *, level: float = 0.95, draws: int = 1000, seed: int) -> Interval:
    """Of a - b on the same rows: `paired_interval` for means, else a bootstrap of both together.

    Where no resample moves it, the ends allow for the rows not seen.

    Raises:
        NotEnough: fewer than 2 rows.
    """
    assert len(a.per_row) == len(b.per_row), "pairs need the same rows"
    require_rows(len(a.per_row), "A paired interval")
    if a.is_mean and b.is_mean:
        return paired_interval(a.per_row, b.per_row, level=level, draws=draws, seed=seed)
    first, second = metric_draws([a, b], draws=draws, seed=seed)
    found, mid = first - second, a.value - b.value
    if is_constant(found):
        return unseen_difference(mid, len(a.per_row), level)
    bounds = (a.bounds[0] - b.bounds[1], a.bounds[1] - b.bounds[0])
    return shifted_interval(found, mid, level=level, bounds=bounds)


def score_permutation_p(a: ResampledScore, b: ResampledScore, *, draws: int = 10_000, seed: int) -> float:
    """Permutation test for a = b on the same rows: under it, either answer could have been either strategy's.

    Returns:
        Two-sided p value, exact for at most 12 rows, else (1 + as extreme) / (1 + draws).
    Raises:
        NotEnough: fewer than 2 rows.
    """
    require_rows(len(a.per_row), "A paired test")

    def difference(patterns: npt.NDArray[np.int8]) -> FloatArray:
        return a.exchanged(b, patterns) - b.exchanged(a, patterns)

    return exchange_p(difference, len(a.per_row), observed=a.value - b.value, draws=draws, seed=seed)


def metric_draws(scores: Sequence[ResampledScore], *, draws: int, seed: int) -> list[FloatArray]:
    """Each metric in each resample of the rows, [draws] each; all see the same rows."""
    rows = len(scores[0].per_row)
    rng = np.random.default_rng(seed)
    found: list[list[FloatArray]] = [[] for _ in scores]
    for counts in resampled_counts(np.ones(rows), size=rows, draws=draws, rng=rng):
        for kept, score in zip(found, scores, strict=True):
            kept.append(score.values(counts))
    return [np.concatenate(kept) for kept in found]
