"""ECE against a slow restatement of HELM's and against fixed values of the reference; Brier, NLL, temperature."""

import bisect
import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from hone.core.errors import NotEnough
from hone.measure import brier, calibration_interval, expected_calibration_error, fit_temperature, negative_log_likelihood

CONFIDENCE = [0.55, 0.61, 0.61, 0.7, 0.72, 0.8, 0.83, 0.9, 0.9, 0.9, 0.91, 0.95, 0.97, 0.99, 1.0]
CORRECT = [0, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1]


def slow_ece(confidence, correct, bins):
    """The definition, row by row: cut the sorted rows into parts, put edges midway, then bin every row by value."""
    ordered = sorted(confidence)
    bins = min(bins, len(ordered))
    parts, start = [], 0
    for index in range(bins):
        stop = start + len(ordered) // bins + (1 if index < len(ordered) % bins else 0)
        parts.append(ordered[start:stop])
        start = stop
    edges = sorted({(left[-1] + right[0]) / 2 for left, right in itertools.pairwise(parts)} | {1.0})
    groups = {}
    for stated, right in zip(confidence, correct, strict=True):
        groups.setdefault(bisect.bisect_left(edges, stated), []).append((stated, right))
    error = 0.0
    for rows in groups.values():
        gap = math.fsum(stated for stated, _ in rows) / len(rows) - sum(right for _, right in rows) / len(rows)
        error += abs(gap) * len(rows) / len(confidence)
    return error


@pytest.mark.parametrize("seed", range(120))
def test_ece_equals_the_slow_definition_with_and_without_ties(seed):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 90))
    confidence = rng.random(rows) if seed % 3 else np.round(rng.random(rows), int(rng.integers(0, 3)))
    correct = (rng.random(rows) < confidence).astype(int)
    bins = int(rng.integers(1, 16))
    ours = expected_calibration_error(confidence, correct, bins=bins)
    assert ours == pytest.approx(slow_ece(confidence.tolist(), correct.tolist(), bins), abs=1e-12)


@pytest.mark.parametrize(("bins", "reference"), [(1, 0.0893333333), (3, 0.1133333333), (5, 0.1133333333), (10, 0.1533333333)])
def test_ece_equals_uncertainty_calibration_0_1_4(bins, reference):
    """`get_ece_em(CONFIDENCE, CORRECT, num_bins=bins)` as that package answered."""
    assert expected_calibration_error(CONFIDENCE, CORRECT, bins=bins) == pytest.approx(reference, abs=1e-9)


def test_ece_by_hand():
    # Two bins, edge (0.6 + 0.9) / 2: |0.55 - 0.5| * 1/2 + |0.95 - 1| * 1/2
    assert expected_calibration_error([0.5, 0.6, 0.9, 1.0], [0, 1, 1, 1], bins=2) == pytest.approx(0.05)
    assert expected_calibration_error([1.0] * 20, [1] * 20) == 0.0
    assert expected_calibration_error([1.0] * 20, [0] * 20) == 1.0
    assert expected_calibration_error([0.7], [1]) == pytest.approx(0.3)


def test_ece_does_not_depend_on_the_order_of_rows():
    order = np.random.default_rng(1).permutation(len(CORRECT))
    shuffled = expected_calibration_error(np.asarray(CONFIDENCE)[order], np.asarray(CORRECT)[order])
    assert shuffled == expected_calibration_error(CONFIDENCE, CORRECT)


def test_ece_of_no_rows_is_refused():
    with pytest.raises(NotEnough, match="at least 1 row"):
        expected_calibration_error([], [])


def test_a_percentage_is_not_taken_for_a_probability():
    with pytest.raises(AssertionError, match="probability"):
        expected_calibration_error([93.0, 80.0], [1, 0])


def test_the_ece_interval_holds_the_ece_and_repeats_with_its_seed():
    interval = calibration_interval(CONFIDENCE, CORRECT, seed=3)
    assert interval.mid == expected_calibration_error(CONFIDENCE, CORRECT)
    assert 0 <= interval.low <= interval.mid <= interval.high <= 1
    assert interval == calibration_interval(CONFIDENCE[::-1], CORRECT[::-1], seed=3)
    assert interval != calibration_interval(CONFIDENCE, CORRECT, seed=4)


def test_perfect_confidence_on_few_rows_is_not_certainty():
    interval = calibration_interval([1.0] * 20, [1] * 20, seed=0)
    assert (interval.low, interval.mid) == (0.0, 0.0)
    assert 0.1 < interval.high < 0.25
    assert calibration_interval([0.7] * 20, [1] * 20, seed=0).width > 0.1


def test_one_row_gets_no_ece_interval():
    with pytest.raises(NotEnough, match="at least 2"):
        calibration_interval([0.8], [1], seed=0)


def test_the_ece_interval_covers_the_ece_of_other_test_sets():
    def draw(seed):
        rng = np.random.default_rng(seed)
        confidence = 0.5 + 0.5 * rng.beta(2, 1, 200)
        return confidence, (rng.random(200) < confidence**1.5).astype(int)

    expected = np.mean([expected_calibration_error(*draw(10_000 + seed)) for seed in range(400)])
    intervals = [calibration_interval(*draw(seed), draws=200, seed=seed) for seed in range(100)]
    assert np.mean([interval.low <= expected <= interval.high for interval in intervals]) > 0.88


def probabilities(seed, rows=40, classes=4):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), size=rows), rng.integers(0, classes, size=rows)


@pytest.mark.parametrize("seed", range(5))
def test_brier_and_likelihood_equal_scikit_learn(seed):
    table, truth = probabilities(seed)
    labels = list(range(4))
    assert brier(table, truth) == pytest.approx(brier_score_loss(truth, table, labels=labels, scale_by_half=False), abs=1e-12)
    assert negative_log_likelihood(np.log(table), truth) == pytest.approx(log_loss(truth, table, labels=labels), abs=1e-9)


def test_brier_runs_from_zero_to_two():
    assert brier([[1.0, 0.0]], [0]) == 0.0
    assert brier([[1.0, 0.0]], [1]) == 2.0


def test_a_known_temperature_is_found():
    rng = np.random.default_rng(0)
    honest = np.log(rng.dirichlet(np.ones(3), size=20_000))
    truth = (rng.random(20_000)[:, None] > np.exp(honest).cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(honest * 2.5, truth) == pytest.approx(2.5, rel=0.03)
    assert fit_temperature(honest, truth) == pytest.approx(1.0, rel=0.03)


def test_the_temperature_is_where_the_likelihood_is_flat():
    table, truth = probabilities(7, rows=200)
    table[np.arange(200), truth] += 0.5  # right often enough that the best temperature is not at an end
    logs = np.log(table / table.sum(axis=1, keepdims=True))

    def loss(temperature):
        scaled = logs / temperature
        return negative_log_likelihood(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)), truth)

    best = fit_temperature(logs, truth)
    assert loss(best) <= min(loss(best * 1.01), loss(best / 1.01), loss(1.0))


def test_rows_that_are_all_right_ask_for_the_sharpest_temperature():
    assert fit_temperature(np.log([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]), [0, 1, 0]) == pytest.approx(0.05)


def test_one_row_gets_no_temperature():
    with pytest.raises(NotEnough, match="at least 2"):
        fit_temperature([[0.0, -1.0]], [0])
