"""How the score grows with labelled rows: score(n) = a - b * n^-c, fitted by bounded least squares.

The one surprise: a forecast beyond twice the largest size is refused, since several curves fit the same points there.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hone.core.errors import NotEnough
from hone.core.record import Record

__all__ = ["CurveFit", "fit_learning_curve", "forecast"]

FloatArray = npt.NDArray[np.float64]

LARGEST_STEP = 2.0
"""How far beyond the largest size a forecast may reach, as a multiple of it."""

_SLOWEST, _FASTEST = 1e-3, 2.0  # bounds of c; 0 itself would make a and b the same parameter
_STARTS = (0.05, 0.2, 0.5, 1.0, 1.9)  # the loss has several valleys in c


class CurveFit(Record):
    """score(n) = a - b * n^-c, with a <= 1 the score of endless rows, b >= 0 and 0 < c <= 2."""

    a: float
    b: float
    c: float

    def predict(self, n: float) -> float:
        """The fitted score for n training rows, n > 0."""
        assert n > 0, f"a number of rows is positive, got {n}"
        return float(self.a - self.b * n**-self.c)


def _checked(sizes: Sequence[float], scores: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    rows, values = np.asarray(sizes, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    assert rows.shape == values.shape and rows.ndim == 1, f"shapes differ: {rows.shape} and {values.shape}"
    distinct = len(np.unique(rows))
    if distinct < 3:
        raise NotEnough(f"A learning curve needs at least 3 different sizes, {distinct} given. Train on more sizes.")
    assert bool((rows > 0).all()), "a number of rows is positive"
    assert bool((values <= 1).all()), "scores lie at or below 1"
    return rows, values


def fit_learning_curve(sizes: Sequence[float], scores: Sequence[float]) -> CurveFit:
    """Fit a - b * n^-c to scores measured at several numbers of training rows.

    Args:
        sizes: training rows, at least 3 different ones; repeats (several draws) are welcome. scores: at most 1, higher is better.
    Returns:
        The fit with the least squares. A curve that does not rise gets b = 0.
    Raises:
        NotEnough: fewer than 3 different sizes for 3 parameters.
    Source: inverse power law, Viering and Loog 2021, https://arxiv.org/abs/2103.10948
    """
    from scipy.optimize import least_squares

    rows, values = _checked(sizes, scores)
    largest = float(rows.max())
    share = rows / largest  # in (0, 1], which keeps the problem well scaled for any number of rows

    def residuals(parameters: FloatArray) -> FloatArray:
        top, drop, power = parameters
        return np.asarray(top - drop * share**-power - values, dtype=np.float64)

    fits = []
    for power in _STARTS:
        design = np.stack([np.ones_like(share), -(share**-power)], axis=1)
        top, drop = np.linalg.lstsq(design, values, rcond=None)[0].tolist()
        start = [min(top, 1.0), max(drop, 0.0), power]
        bounds = ([-np.inf, 0.0, _SLOWEST], [1.0, np.inf, _FASTEST])
        fits.append(least_squares(residuals, start, bounds=bounds, xtol=1e-12, ftol=1e-12, gtol=1e-12))
    best = min(fits, key=lambda fit: float(fit.cost))
    top, drop, power = (float(value) for value in best.x)
    return CurveFit(a=top, b=drop * largest**power, c=power)


def forecast(sizes: Sequence[float], scores: Sequence[float], *, at: float) -> float:
    """The score to expect when trained on `at` rows, from the fitted curve.

    Raises:
        NotEnough: fewer than 3 different sizes, or `at` is beyond twice the largest size, where the curve says little.
    """
    rows, _ = _checked(sizes, scores)
    largest = float(rows.max())
    if at > LARGEST_STEP * largest:
        raise NotEnough(
            f"A forecast at {at:g} rows is too far: the largest size measured is {largest:g}, and a forecast reaches "
            f"to {LARGEST_STEP * largest:g}. Measure a larger size first."
        )
    return fit_learning_curve(sizes, scores).predict(at)
