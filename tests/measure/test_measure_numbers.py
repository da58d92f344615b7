"""Errors and correlations of numbers equal scikit-learn's and scipy's; their intervals hold the truth."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from hone.core.errors import NotEnough
from hone.measure import NUMBER_METRICS, number_interval, number_score

THEIRS = {
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
    "pearson": lambda a, b: scipy.stats.pearsonr(a, b).statistic,
    "spearman": lambda a, b: scipy.stats.spearmanr(a, b).statistic,
}


def stars(rows, seed):
    """Grades from 1 to 5 and what a model says of them."""
    rng = np.random.default_rng(seed)
    truth = np.clip(np.round(rng.normal(3, 1, rows)), 1, 5)
    return truth, truth + rng.normal(0.2, 0.7, rows)


@pytest.mark.parametrize("name", NUMBER_METRICS)
def test_they_equal_the_libraries(name):
    truth, given = stars(60, 0)
    assert number_score(name, truth, given) == pytest.approx(THEIRS[name](truth, given), abs=1e-12)
    far, near = 1e6 + truth, 1e6 + given  # squares of large numbers would cancel
    assert number_score("pearson", far, near) == pytest.approx(THEIRS["pearson"](truth, given), abs=1e-6)


def test_numbers_that_are_all_alike_correlate_with_nothing():
    truth, given = stars(20, 1)
    for name in ("pearson", "spearman"):
        assert number_score(name, truth, np.full(20, truth.mean())) == 0.0 and number_score(name, np.ones(20), given) == 0.0
        assert number_interval(name, truth, np.ones(20), seed=0) is None
        assert number_interval(name, truth[:3], given[:3], seed=0) is None
    assert number_interval("rmse", truth, truth + 1, seed=0) is None, "all errors alike tell no spread"
    with pytest.raises(NotEnough):
        number_score("pearson", [1.0], [1.0])


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_perfect_correlation_has_an_interval_below_it(name):
    truth = np.arange(20.0)
    interval = number_interval(name, truth, 2 * truth + 1, seed=0)
    assert interval is not None and interval.low <= interval.mid == pytest.approx(1.0)


@pytest.mark.parametrize("name", NUMBER_METRICS)
@pytest.mark.parametrize("rows", [20, 100])
def test_intervals_hold_the_truth_about_as_often_as_they_say(name, rows):
    whole = number_score(name, *stars(500_000, 9))
    held = []
    for seed in range(150):
        interval = number_interval(name, *stars(rows, seed), draws=400, seed=seed)
        assert interval is not None
        held.append(interval.low <= whole <= interval.high)
    assert 0.88 <= np.mean(held) <= 1.0
