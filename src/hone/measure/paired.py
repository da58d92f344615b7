"""Intervals for the difference of two strategies that answered the same rows.

Right/wrong scores get a closed form, other scores the wider of a BCa bootstrap and Student's t, F1 a bootstrap of the joint table. All are exactly
antisymmetric (swap the strategies: ends swap and change sign) and do not depend on the order of the rows.
"""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from hone.core.errors import NotEnough
from hone.measure.intervals import Interval, is_constant, normal_quantile, shifted_interval, student_half, unseen_difference
from hone.measure.labels import check_metric
from hone.measure.resample import Imaginary, label_draws, label_values, require_rows, score_draws

__all__ = [
    "bca_interval",
    "is_swapped",
    "paired_accuracy_interval",
    "paired_confusion_draws",
    "paired_confusion_interval",
    "paired_interval",
    "wider_interval",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Agresti and Min 2005 (https://doi.org/10.1002/sim.1781): half a row in each cell of the paired table mends small samples.
_TWO_STRATEGIES = tuple(Imaginary(0.5, (a, b)) for a in (True, False) for b in (True, False))


def _mirrored(interval: Interval) -> Interval:
    return Interval(low=-interval.high, mid=-interval.mid, high=-interval.low)


def paired_accuracy_interval(a_correct: npt.ArrayLike, b_correct: npt.ArrayLike, *, level: float = 0.95) -> Interval:
    """Interval for accuracy(a) - accuracy(b), from the rows on which exactly one of them is right.

    Args:
        a_correct, b_correct: whether each row is right, shape [n], same order.
    Returns:
        low, mid, high in -1..1; mid is the difference as observed; never of width 0.
    Raises:
        NotEnough: n < 2.
    Source: Agresti and Min 2005, https://doi.org/10.1002/sim.1781
    """
    a, b = np.asarray(a_correct, dtype=bool), np.asarray(b_correct, dtype=bool)
    assert a.shape == b.shape and a.ndim == 1, f"shapes differ: {a.shape} and {b.shape}"
    require_rows(a.size, "A paired interval")
    only_a, only_b, rows = int((a & ~b).sum()) + 0.5, int((b & ~a).sum()) + 0.5, a.size + 2
    centre = (only_a - only_b) / rows
    half = normal_quantile(level) * float(np.sqrt(only_a + only_b - (only_a - only_b) ** 2 / rows)) / rows
    mid = (only_a - only_b) / a.size
    return Interval(low=max(-1.0, centre - half), mid=mid, high=min(1.0, centre + half))


def bca_interval(values: FloatArray, drawn: FloatArray, level: float) -> Interval:
    """Bias-corrected and accelerated percentiles (Efron 1987) for a mean, whose acceleration has a closed form.

    Args:
        values: [n], not all equal; for a ratio of means, its value plus the influence of each row. drawn: resampled means, [B].
    """
    normal = NormalDist()
    mid = float(values.mean())
    deviation = values - mid
    near = np.isclose(drawn, mid, rtol=0, atol=1e-12 * max(1.0, float(np.abs(values).max())))
    below = float(((drawn < mid) & ~near).sum() + near.sum() / 2)
    bias = normal.inv_cdf((below + 0.5) / (len(drawn) + 1))
    acceleration = float((deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5))
    tails = []
    for z in (-normal_quantile(level), normal_quantile(level)):
        moved = bias + z
        tails.append(normal.cdf(bias + moved / (1 - acceleration * moved)))
    low, high = np.quantile(drawn, tails).tolist()
    return Interval(low=min(low, mid), mid=mid, high=max(high, mid))


def wider_interval(values: FloatArray, drawn: FloatArray, level: float) -> Interval:
    """For a mean, at each end the wider of BCa's interval and Student's t.

    On up to 600 simulated sets each of 20, 50 and 200 rows of which few differ, as often by either sign, BCa alone covers 79 to 95%, this 95 to
    100%; where few differ by unlike amounts, all by one sign, t alone covers 81 to 94%, this 89 to 97%.

    Args:
        values, drawn: as `bca_interval` has them.
    """
    found, half = bca_interval(values, drawn, level), student_half(values, level)
    return Interval(low=min(found.low, found.mid - half), mid=found.mid, high=max(found.high, found.mid + half))


def _is_negative(differences: FloatArray) -> bool:
    """Which of the two orders (a, b) or (b, a) is computed, so that swapping them mirrors the answer exactly."""
    ascending, mirrored = np.sort(differences), np.sort(-differences)
    unlike = np.flatnonzero(ascending != mirrored)
    return bool(unlike.size) and bool(mirrored[unlike[0]] < ascending[unlike[0]])


def paired_interval(a: npt.ArrayLike, b: npt.ArrayLike, *, level: float = 0.95, draws: int = 2000, seed: int) -> Interval:
    """Interval for mean(a) - mean(b) when both strategies answered the same examples.

    When every score is 0 or 1 this is `paired_accuracy_interval`, else `wider_interval`: a BCa bootstrap of the rows, or Student's t.

    Args:
        a, b: scores per example, shape [n], same order; in the metric's own unit.
        level: coverage, in (0, 1). draws: resamples. seed: required; nothing is global.
    Returns:
        low, mid, high in the unit of `a`. Covers the sampling of test examples only, not training seeds.
    Raises:
        NotEnough: n < 2, or all differences are equal and the scores are not in 0..1. A width of 0 would read as certainty.
    Source: Koehn 2004, https://aclanthology.org/W04-3250; Efron 1987, https://doi.org/10.1080/01621459.1987.10478410
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    assert first.shape == second.shape and first.ndim == 1, f"shapes differ: {first.shape} and {second.shape}"
    require_rows(first.size, "A paired interval")
    both = np.concatenate([first, second])
    if bool(((both == 0) | (both == 1)).all()):
        return paired_accuracy_interval(first, second, level=level)
    differences = first - second
    if is_constant(differences):
        if both.min() < 0 or both.max() > 1:
            raise NotEnough(f"All {first.size} differences are {differences[0]:g}: their spread cannot be told. Add rows.")
        return unseen_difference(float(differences[0]), first.size, level)
    if _is_negative(differences):
        return _mirrored(paired_interval(second, first, level=level, draws=draws, seed=seed))
    differences = np.sort(differences)
    return wider_interval(differences, score_draws(differences[None, :], draws=draws, seed=seed)[0], level)


def is_swapped(truth: IntArray, a: IntArray, b: IntArray) -> bool:
    """Which of two orders of answers is computed, so that the other gives the same.

    Compares the sorted rows (truth, a, b) with the sorted rows (truth, b, a).
    """
    as_given = np.stack([truth, a, b])[:, np.lexsort((b, a, truth))].ravel()
    swapped = np.stack([truth, b, a])[:, np.lexsort((a, b, truth))].ravel()
    unlike = np.flatnonzero(as_given != swapped)
    return bool(unlike.size) and bool(swapped[unlike[0]] < as_given[unlike[0]])


def paired_confusion_draws(
    truth: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, *, classes: int, metric: str, draws: int, seed: int
) -> tuple[bool, float, FloatArray]:
    """The difference of a label metric, as observed and in each resample of the rows.

    Both strategies see the same resampled rows; half an imaginary row for each of both right, only a, only b, none.

    Returns:
        Whether the difference is b minus a (the order is chosen so that swapping a and b changes only this flag),
        the observed difference, and the resampled ones, shape [draws].
    Raises:
        NotEnough: n < 2. Usage: the metric is unknown.
    """
    check_metric(metric)
    right, first, second = (np.asarray(values) for values in (truth, a, b))
    require_rows(right.size, "A paired interval")
    swaps = is_swapped(right, first, second)
    answers = [second, first] if swaps else [first, second]
    observed = label_values(right, answers, classes=classes, metric=metric)
    drawn = label_draws(right, answers, classes=classes, metric=metric, draws=draws, seed=seed, imaginary=_TWO_STRATEGIES)
    return swaps, float(observed[0] - observed[1]), drawn[0] - drawn[1]


def paired_confusion_interval(
    truth: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    classes: int,
    metric: str,
    level: float = 0.95,
    draws: int = 2000,
    seed: int,
) -> Interval:
    """Interval for metric(a) - metric(b), for a label metric such as macro F1, on the same rows.

    Accuracy gets the closed form of `paired_accuracy_interval`, else percentiles of a paired bootstrap.

    Args:
        truth, a, b: class indices, shape [n], same order. metric: one of LABEL_METRICS.
        level: coverage, in (0, 1). draws: resamples. seed: required; nothing is global.
    Returns:
        low, mid, high in -1..1; never of width 0. Covers the sampling of test rows only, not training seeds.
    Raises:
        NotEnough: n < 2. Usage: the metric is unknown.
    """
    if metric == "accuracy":
        right = np.asarray(truth)
        return paired_accuracy_interval(np.asarray(a) == right, np.asarray(b) == right, level=level)
    swaps, mid, drawn = paired_confusion_draws(truth, a, b, classes=classes, metric=metric, draws=draws, seed=seed)
    interval = shifted_interval(drawn, mid, level=level, bounds=(-1.0, 1.0))
    return _mirrored(interval) if swaps else interval
