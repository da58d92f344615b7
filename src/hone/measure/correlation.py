"""Do two scores order the same items alike? Spearman's rank correlation, and how it varies with the items.

Used for sentence vectors: cosines against people's scores of likeness.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hone.measure.resample import require_rows

__all__ = ["spearman", "spearman_draws"]

FloatArray = npt.NDArray[np.float64]


def _ranked(values: FloatArray) -> FloatArray:
    """Ranks along the last axis, the mean rank for ties, centred and of length 1; noughts where all are alike."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-1)
    centred = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9))


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Correlation of the ranks of two scores of the same items, in [-1, 1], with mean ranks for ties.

    Scores that are all alike order nothing, and correlate 0 with everything.

    Raises:
        NotEnough: n < 2.
    Source: Spearman 1904, https://doi.org/10.2307/1412159
    """
    one, other = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    assert one.shape == other.shape and one.ndim == 1, f"shapes differ: {one.shape} and {other.shape}"
    require_rows(one.size, "A rank correlation")
    return float(np.clip((_ranked(one) * _ranked(other)).sum(), -1, 1))


def spearman_draws(truth: npt.ArrayLike, others: Sequence[npt.ArrayLike], *, draws: int, seed: int) -> FloatArray:
    """The correlation of each of `others` with the truth in each resample of the items, [len(others), draws].

    All are resampled together, so their differences are paired.
    """
    right = np.asarray(truth, dtype=np.float64)
    require_rows(right.size, "A rank correlation")
    chosen = np.random.default_rng(seed).integers(right.size, size=(draws, right.size))
    ranks = _ranked(right[chosen])  # [draws, n]
    return np.stack([(ranks * _ranked(np.asarray(other, dtype=np.float64)[chosen])).sum(axis=1) for other in others])
