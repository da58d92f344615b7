"""The learning curve: known parameters are found, and forecasts that cannot be known are refused."""

import numpy as np
import pytest

from hone.core.errors import NotEnough
from hone.measure import CurveFit, fit_learning_curve, forecast

SIZES = [50, 100, 200, 400, 800]


@pytest.mark.parametrize("known", [(0.95, 2.0, 0.5), (0.8, 0.9, 0.3), (0.99, 20.0, 1.2), (1.0, 1.5, 0.25)])
def test_known_parameters_are_found_again(known):
    a, b, c = known
    fit = fit_learning_curve(SIZES, [a - b * n**-c for n in SIZES])
    assert (fit.a, fit.b, fit.c) == pytest.approx(known, rel=1e-3)
    assert fit.predict(1600) == pytest.approx(a - b * 1600**-c, abs=1e-5)


def test_noise_moves_the_forecast_little():
    rng = np.random.default_rng(0)
    sizes = np.repeat(SIZES, 3)
    scores = 0.93 - 1.5 * sizes**-0.5 + rng.normal(0, 0.01, sizes.size)
    assert forecast(sizes.tolist(), scores.tolist(), at=1600) == pytest.approx(0.93 - 1.5 * 1600**-0.5, abs=0.02)


@pytest.mark.parametrize("scores", [[0.9] * 5, [0.9, 0.85, 0.8, 0.75, 0.7]])
def test_a_curve_that_does_not_rise_is_forecast_at_its_mean(scores):
    fit = fit_learning_curve(SIZES, scores)
    assert fit.b >= 0 and 0 < fit.c <= 2
    assert fit.predict(1600) == pytest.approx(np.mean(scores), abs=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_the_bounds_hold_and_the_curve_never_falls(seed):
    rng = np.random.default_rng(seed)
    fit = fit_learning_curve(SIZES, rng.random(5).tolist())
    assert fit.a <= 1 and fit.b >= 0 and 0 < fit.c <= 2
    assert (np.diff([fit.predict(n) for n in range(50, 1600, 50)]) >= -1e-12).all()


def test_the_fit_does_not_depend_on_the_order_of_sizes():
    scores = [0.6, 0.7, 0.78, 0.83, 0.86]
    forward, backward = forecast(SIZES, scores, at=1200), forecast(SIZES[::-1], scores[::-1], at=1200)
    assert forward == pytest.approx(backward, abs=1e-6)


def test_two_sizes_are_refused():
    with pytest.raises(NotEnough, match="at least 3 different sizes, 2 given"):
        forecast([100, 200, 200], [0.7, 0.8, 0.81], at=300)
    with pytest.raises(NotEnough, match="at least 3"):
        fit_learning_curve([100, 200], [0.7, 0.8])


def test_a_forecast_beyond_twice_the_largest_size_is_refused():
    scores = [0.6, 0.7, 0.78, 0.83, 0.86]
    assert 0.86 < forecast(SIZES, scores, at=1600) < 1
    with pytest.raises(NotEnough, match="reaches to 1600"):
        forecast(SIZES, scores, at=1601)


def test_the_record_survives_json():
    fit = CurveFit(a=0.9, b=1.25, c=0.5)
    assert CurveFit.model_validate_json(fit.to_json()) == fit
    assert fit.predict(100) == pytest.approx(0.9 - 0.125)
