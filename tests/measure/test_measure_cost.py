"""Costs as text and as numbers, and the Pareto set."""

import numpy as np
import pytest

from hone.core.errors import NotEnough
from hone.measure import cost_seconds, human_bytes, human_count, human_seconds, pareto_front, quantile


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0004, "0.40 ms"),
        (0.42, "420 ms"),
        (0.9999, "1.0 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (86399, "1 d 00 h"),
        (277200, "3 d 05 h"),
    ],
)
def test_a_duration_reads_as_a_person_says_it(seconds, text):
    assert human_seconds(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (459276288, "438 MB"), (2**30 - 1, "1.0 GB"), (5 * 2**50, "5,120 TB")],
)
def test_bytes_read_as_a_person_says_them(size, text):
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (1234, "1,234"), (124_700, "125 k"), (22_713_216, "22.7 M"), (999_999, "1.0 M"), (1.2e9, "1.2 B")],
)
def test_a_count_reads_as_a_person_says_it(number, text):
    assert human_count(int(number)) == text


def test_the_cost_is_training_plus_answering():
    assert cost_seconds(30.0, 50.0, rows=1000) == 50.0


def test_quantiles_are_numpys():
    values = [3.0, 1.0, 2.0, 10.0]
    assert quantile(values, 0.5) == 2.5
    assert quantile(values, 0.95) == pytest.approx(np.quantile(values, 0.95))
    with pytest.raises(NotEnough, match="at least 1"):
        quantile([], 0.5)


def test_the_pareto_set_by_hand():
    assert pareto_front([0.9, 0.8, 0.85, 0.7], [10, 1, 12, 5]) == [True, True, False, False]
    assert pareto_front([0.9, 0.9], [5, 4]) == [False, True]
    assert pareto_front([], []) == []


def test_equal_points_stay_or_go_together():
    assert pareto_front([0.9, 0.9, 0.5], [5, 5, 6]) == [True, True, False]
    assert pareto_front([0.5, 0.5, 0.9], [6, 6, 5]) == [False, False, True]


@pytest.mark.parametrize("seed", range(10))
def test_every_point_off_the_front_is_beaten_by_one_on_it(seed):
    rng = np.random.default_rng(seed)
    quality, cost = rng.integers(0, 6, 12), rng.integers(0, 6, 12)
    front = pareto_front(quality.tolist(), cost.tolist())
    assert any(front)
    for point in np.flatnonzero(~np.asarray(front)):
        beats = (quality >= quality[point]) & (cost <= cost[point]) & ((quality > quality[point]) | (cost < cost[point]))
        assert (beats & np.asarray(front)).any()


def test_nan_has_no_place_on_the_front():
    with pytest.raises(AssertionError, match="NaN"):
        pareto_front([float("nan")], [1.0])
