"""Intervals for one strategy: how far its number could move with another draw of test rows.

Accuracy gets Wilson's interval, means Student's t, F1 and calibration a bootstrap of the test rows. The one surprise:
the bootstraps are shifted so that they centre on the reported number, since resampling biases macro F1 and ECE.
"""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from hone.core.errors import NotEnough
from hone.core.record import Record
from hone.measure.calibration import equal_mass_error, expected_calibration_error, sort_by_confidence
from hone.measure.labels import check_metric
from hone.measure.resample import Imaginary, label_draws, label_values, require_rows

__all__ = [
    "Interval",
    "calibration_interval",
    "confusion_interval",
    "is_constant",
    "mean_interval",
    "normal_quantile",
    "shifted_interval",
    "student_half",
    "unseen_difference",
    "unseen_interval",
    "unseen_share",
    "wilson_interval",
]

FloatArray = npt.NDArray[np.float64]

# Agresti and Coull 1998 (https://doi.org/10.2307/2685469): two imaginary successes and two failures mend the coverage of
# small samples. On 400 simulated sets of 30 rows with accuracy 0.97, plain resampling covers 56%, this covers 95% or more.
_ONE_STRATEGY = (Imaginary(2, (True,)), Imaginary(2, (False,)))


class Interval(Record):
    """A number and the range that covers the sampling of test rows, in the number's own unit."""

    low: float
    mid: float
    high: float

    @property
    def width(self) -> float:
        """high - low."""
        return self.high - self.low

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference of 0 lies outside: the two strategies are told apart."""
        return self.low > 0 or self.high < 0


def normal_quantile(level: float) -> float:
    """The z for a two-sided interval: 1.96 for level 0.95."""
    assert 0 < level < 1, f"level is a coverage in (0, 1), got {level}"
    return NormalDist().inv_cdf((1 + level) / 2)


def unseen_share(rows: int, level: float) -> float:
    """The share of rows that may still be different when `rows` rows were all alike (two-sided Clopper-Pearson).

    About 3.7 / rows at 95%: what keeps an interval open where the data show no variation at all.
    """
    return float(1 - ((1 - level) / 2) ** (1 / rows))


def unseen_interval(value: float, rows: int, level: float) -> Interval:
    """Of a number in 0..1 that no row moves: the ends allow for the rows not seen."""
    share = unseen_share(rows, level)
    return Interval(low=value - share * value, mid=value, high=value + share * (1 - value))


def unseen_difference(value: float, rows: int, level: float) -> Interval:
    """As `unseen_interval`, of the difference of two such numbers."""
    share = unseen_share(rows, level)
    return Interval(low=max(-1.0, value - share), mid=value, high=min(1.0, value + share))


def is_constant(values: FloatArray) -> bool:
    """Whether all values are the same number, rounding aside: 0.3 - 0.2 and 0.2 - 0.1 are."""
    return bool(np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())))


def shifted_interval(draws: FloatArray, mid: float, *, level: float, bounds: tuple[float, float]) -> Interval:
    """Percentiles of the draws, moved so that their mean is `mid`, cut at what the metric can be at all.

    Args:
        draws: the statistic in each resample, shape [B]. bounds: lowest and highest possible value.
    """
    assert 0 < level < 1, f"level is a coverage in (0, 1), got {level}"
    tails = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    low, high = (tails - draws.mean() + mid).tolist()
    return Interval(low=max(bounds[0], min(low, mid)), mid=mid, high=min(bounds[1], max(high, mid)))


def wilson_interval(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval for a rate, such as accuracy.

    Returns:
        low, mid, high in 0..1; mid is successes / n and the interval is never of width 0.
    Raises:
        NotEnough: n < 2.
    Source: Wilson 1927; Brown, Cai, DasGupta 2001, https://doi.org/10.1214/ss/1009213286
    """
    require_rows(n, "An interval for a rate")
    assert 0 <= successes <= n, f"{successes} successes of {n}"
    z, rate = normal_quantile(level), successes / n
    centre = rate + z * z / (2 * n)
    half = z * float(np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)))
    shrink = 1 + z * z / n
    # The exact ends at 0 and n successes are 0 and 1; rounding would miss them by a hair.
    low = 0.0 if successes == 0 else (centre - half) / shrink
    high = 1.0 if successes == n else (centre + half) / shrink
    return Interval(low=low, mid=rate, high=high)


def student_half(values: FloatArray, level: float) -> float:
    """How far Student's t interval for the mean of values [n] reaches to either side."""
    from scipy.stats import t as student

    return float(student.ppf((1 + level) / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size))


def mean_interval(scores: npt.ArrayLike, *, level: float = 0.95) -> Interval:
    """Student's t interval for the mean of scores per row.

    Args:
        scores: shape [n], in the metric's own unit.
    Returns:
        low, mid, high in that unit. When all scores are the same number in 0..1, the ends allow for the rows not seen.
    Raises:
        NotEnough: n < 2, or all scores are the same number outside 0..1, which leaves no way to tell their spread.
    """
    values = np.asarray(scores, dtype=np.float64)
    require_rows(values.size, "An interval for a mean")
    assert 0 < level < 1, f"level is a coverage in (0, 1), got {level}"
    mid, rows = float(values.mean()), values.size
    if is_constant(values):
        value = float(values[0])
        if not 0 <= value <= 1:
            raise NotEnough(f"All {rows} scores are {value:g}: their spread cannot be told. Add rows that differ.")
        return unseen_interval(value, rows, level)
    half = student_half(values, level)
    return Interval(low=mid - half, mid=mid, high=mid + half)


def confusion_interval(
    truth: npt.ArrayLike,
    predicted: npt.ArrayLike,
    *,
    classes: int,
    metric: str,
    level: float = 0.95,
    draws: int = 2000,
    seed: int,
) -> Interval:
    """Interval for one label metric of one strategy: Wilson for accuracy, else a bootstrap of the confusion table.

    Two right and two wrong imaginary rows join the resampled ones, so that a perfect score on 30 rows is not read as
    certainty; a class that a resample misses is left out of that resample's macro average.

    Args:
        truth, predicted: class indices, shape [n]. metric: one of LABEL_METRICS.
        level: coverage, in (0, 1). draws: resamples. seed: required; nothing is global.
    Returns:
        low, mid, high in 0..1. Covers the sampling of test rows only, not training seeds; and says nothing of classes
        without any test row.
    Raises:
        NotEnough: n < 2. Usage: the metric is unknown.
    """
    check_metric(metric)
    right, given = np.asarray(truth), np.asarray(predicted)
    require_rows(right.size, f"An interval for {metric}")
    if metric == "accuracy":
        return wilson_interval(int((right == given).sum()), right.size, level=level)
    mid = float(label_values(right, [given], classes=classes, metric=metric)[0])
    values = label_draws(right, [given], classes=classes, metric=metric, draws=draws, seed=seed, imaginary=_ONE_STRATEGY)
    return shifted_interval(values[0], mid, level=level, bounds=(0.0, 1.0))


def calibration_interval(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 10, level: float = 0.95, draws: int = 1000, seed: int
) -> Interval:
    """Interval for the expected calibration error, by resampling rows.

    Resampling adds noise that the ECE counts as error, so the draws are shifted to centre on the reported number. The
    interval is for the ECE of test sets of this size, not for the error that infinitely many rows would show.

    Args:
        confidence: probability of the predicted class, shape [n]. correct: whether it is right, shape [n].
        bins, level, draws: as above. seed: required; nothing is global.
    Raises:
        NotEnough: n < 2.
    """
    stated, right = sort_by_confidence(confidence, correct)
    require_rows(stated.size, "An interval for the calibration error")
    mid = expected_calibration_error(stated, right, bins=bins)
    rng, rows = np.random.default_rng(seed), stated.size
    block = max(1, 1_000_000 // rows)
    values = []
    for start in range(0, draws, block):
        # Sorted positions keep each resample sorted by confidence.
        chosen = np.sort(rng.integers(0, rows, size=(min(block, draws - start), rows)), axis=1)
        values.append(equal_mass_error(stated[chosen], right[chosen], bins=bins))
    drawn = np.concatenate(values)
    if is_constant(drawn):
        share = unseen_share(rows, level)
        return Interval(low=max(0.0, mid - share), mid=mid, high=min(1.0, mid + share))
    return shifted_interval(drawn, mid, level=level, bounds=(0.0, 1.0))
