"""Rows that belong together, such as questions on one text or messages of one customer: they say less than as many rows on their own.

What is drawn again, and what changes hands in a test, is then the group and not the row. Intervals keep the form that they have for rows
on their own and are widened by as much as groups scatter more (the design effect, Kish 1965), with Student's t for few groups.
Source: Miller 2024, https://arxiv.org/abs/2411.00640
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from hone.measure.intervals import Interval, is_constant, normal_quantile
from hone.measure.resample import exchange_p, resampled_counts

__all__ = ["Groups"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PatternArray = npt.NDArray[np.int8]
Statistic = Callable[[FloatArray], FloatArray]
"""From how often each row stands there, [B, n], to a number for each of the B, [..., B]."""

_CELLS_AT_ONCE = 1_000_000
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Groups:
    """The group of each row."""

    of_row: IntArray
    """From 0, [n]."""

    @classmethod
    def named(cls, names: Sequence[str | None]) -> Self | None:
        """From names, a row without one being a group of its own; None where all rows are on their own, or all in one group."""
        keys = [("row", str(at)) if name is None else ("group", name) for at, name in enumerate(names)]
        place = {key: at for at, key in enumerate(dict.fromkeys(keys))}
        if not 2 <= len(place) < len(keys):
            return None
        return cls(np.array([place[key] for key in keys], dtype=np.int64))

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.of_row.max()) + 1

    def draws(self, statistic: Statistic, *, draws: int = _DRAWS, seed: int) -> FloatArray:
        """A statistic in each resample of the groups, [..., draws]."""
        rng = np.random.default_rng(seed)
        blocks = resampled_counts(np.ones(self.count), size=self.count, draws=draws, rng=rng)
        return np.concatenate([statistic(block[at][:, self.of_row]) for block in blocks for at in self._parts(block)], axis=-1)

    def widened(
        self, interval: Interval, statistic: Statistic, *, bounds: tuple[float, float], level: float = 0.95, seed: int
    ) -> Interval:
        """The interval of a statistic of rows on their own, widened by as much as groups scatter more."""
        from scipy.stats import t as student

        rows = len(self.of_row)
        blocks = resampled_counts(np.ones(rows), size=rows, draws=_DRAWS, rng=np.random.default_rng(seed))
        alone = np.concatenate([statistic(block[at]) for block in blocks for at in self._parts(block)], axis=-1)
        together = self.draws(statistic, seed=seed)
        few = float(student.ppf((1 + level) / 2, self.count - 1)) / normal_quantile(level)
        # Where nothing was seen to scatter, at most as much is known as if each group were a row.
        factor = rows / self.count if is_constant(alone) else few * max(1.0, float(together.std() / alone.std()))
        low, high = (interval.mid + factor * (end - interval.mid) for end in (interval.low, interval.high))
        return Interval(low=max(bounds[0], low), mid=interval.mid, high=min(bounds[1], high))

    def sums(self, values: FloatArray) -> FloatArray:
        """Of a value per row, the sum over each group, [count]."""
        return np.bincount(self.of_row, weights=values, minlength=self.count).astype(np.float64)

    def exchange_p(
        self, difference: Callable[[PatternArray], FloatArray], unlike: npt.NDArray[np.bool_], *, draws: int = 10_000, seed: int
    ) -> float:
        """`exchange_p` with all answers of a group changing hands at once.

        Args:
            difference: of patterns [B, n], where answers change hands at 1, the differences [B]. unlike: rows on which answers differ, [n].
        """
        active = np.unique(self.of_row[unlike])
        place = np.full(self.count, len(active))
        place[active] = np.arange(len(active))
        column = place[self.of_row]  # the last one, which is added below, never changes hands

        def spread(patterns: PatternArray) -> FloatArray:
            wide = np.concatenate([patterns, np.zeros((len(patterns), 1), dtype=np.int8)], axis=1)
            return np.concatenate([difference(wide[at][:, column]) for at in self._parts(wide)])

        observed = float(difference(np.zeros((1, len(self.of_row)), dtype=np.int8))[0])
        return exchange_p(spread, len(active), observed=observed, draws=draws, seed=seed)

    def _parts(self, block: npt.NDArray[np.generic]) -> list[slice]:
        """So few of the block at once that as many numbers per row of data fit into memory."""
        step = max(1, _CELLS_AT_ONCE // len(self.of_row))
        return [slice(start, start + step) for start in range(0, len(block), step)]
