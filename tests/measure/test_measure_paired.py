"""Differences of two strategies on the same rows: antisymmetry, coverage, agreement with scipy."""

import numpy as np
import pytest
from scipy import stats

from hone.core.errors import NotEnough, Usage
from hone.measure import Interval, paired_accuracy_interval, paired_confusion_interval, paired_interval, score_labels
from hone.measure.paired import bca_interval
from hone.measure.resample import score_draws


def mirrored(interval):
    return Interval(low=-interval.high, mid=-interval.mid, high=-interval.low)


def scores(seed, rows=60):
    rng = np.random.default_rng(seed)
    first = rng.beta(2, 1, rows)
    return first, np.clip(first + rng.normal(0, 0.2, rows) - 0.05, 0, 1)


def answers(seed, rows=90, classes=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, size=rows)
    first = np.where(rng.random(rows) < 0.8, truth, rng.integers(0, classes, size=rows))
    second = np.where(rng.random(rows) < 0.7, first, rng.integers(0, classes, size=rows))
    return truth, first, second


def test_one_example_is_refused_rather_than_certain():
    with pytest.raises(NotEnough, match="at least 2"):
        paired_interval([1], [0], seed=0)
    with pytest.raises(NotEnough, match="at least 2"):
        paired_confusion_interval([1], [0], [1], classes=2, metric="macro_f1", seed=0)


@pytest.mark.parametrize("seed", range(8))
def test_swapping_the_strategies_mirrors_the_interval_exactly(seed):
    a, b = scores(seed)
    assert paired_interval(b, a, seed=1) == mirrored(paired_interval(a, b, seed=1))
    a_right, b_right = a > 0.5, b > 0.5
    assert paired_interval(b_right, a_right, seed=1) == mirrored(paired_interval(a_right, b_right, seed=1))
    truth, first, second = answers(seed)
    for metric in ("accuracy", "macro_f1", "weighted_f1"):
        forth = paired_confusion_interval(truth, first, second, classes=4, metric=metric, draws=300, seed=1)
        back = paired_confusion_interval(truth, second, first, classes=4, metric=metric, draws=300, seed=1)
        assert back == mirrored(forth)


def test_the_order_of_rows_changes_nothing():
    order = np.random.default_rng(0).permutation(60)
    a, b = scores(3)
    assert paired_interval(a[order], b[order], seed=1).low == paired_interval(a, b, seed=1).low
    order = np.random.default_rng(0).permutation(90)
    truth, first, second = answers(3)
    shuffled = paired_confusion_interval(truth[order], first[order], second[order], classes=4, metric="macro_f1", seed=1)
    assert shuffled == paired_confusion_interval(truth, first, second, classes=4, metric="macro_f1", seed=1)


def test_the_middle_is_the_observed_difference():
    a, b = scores(4)
    assert paired_interval(a, b, seed=0).mid == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    truth, first, second = answers(4)
    for metric in ("accuracy", "macro_f1", "weighted_recall"):
        expected = score_labels(truth, first, classes=4).metrics[metric] - score_labels(truth, second, classes=4).metrics[metric]
        interval = paired_confusion_interval(truth, first, second, classes=4, metric=metric, draws=200, seed=0)
        assert interval.mid == pytest.approx(expected, abs=1e-12)
        assert -1 <= interval.low <= interval.mid <= interval.high <= 1


def test_bca_agrees_with_scipy():
    a, b = scores(5, rows=40)
    differences = (a - b) ** 3  # skewed, so that bias and acceleration matter
    reference = stats.bootstrap(
        (differences,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(0)
    ).confidence_interval
    ours = bca_interval(differences, score_draws(differences[None, :], draws=20_000, seed=0)[0], 0.95)
    assert (ours.low, ours.high) == pytest.approx((reference.low, reference.high), abs=0.06 * (reference.high - reference.low))
    half = stats.t.ppf(0.975, 39) * differences.std(ddof=1) / np.sqrt(40)
    wider = paired_interval(differences, np.zeros(40), draws=20_000, seed=0)
    assert wider.low == pytest.approx(min(ours.low, differences.mean() - half), abs=0.06 * half)
    assert wider.high == pytest.approx(max(ours.high, differences.mean() + half), abs=0.06 * half)


@pytest.mark.parametrize(("rows", "share"), [(20, 0.3), (50, 0.1), (200, 0.05)])
def test_written_answers_of_which_few_differ_are_not_told_apart_by_chance(rows, share):
    """BCa's interval alone left out the true difference, 0, in 16 to 19 of 100 such sets, where 5 are said."""
    held = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        one = rng.beta(1, 3, rows)
        other = np.where(rng.random(rows) < share, rng.beta(1, 3, rows), one)
        interval = paired_interval(one, other, draws=400, seed=seed)
        held += interval.low <= 0 <= interval.high
    assert held / 150 > 0.94


def test_right_and_wrong_get_the_closed_form_of_agresti_and_min():
    # 9 rows only a, 2 only b, of 40; half a row in each cell: (9.5 - 2.5) / 42 -+ 1.96 sqrt(12 - 49 / 42) / 42
    a = [1] * 9 + [0] * 2 + [1] * 29
    b = [0] * 9 + [1] * 2 + [1] * 29
    ours = paired_interval(a, b, seed=0)
    assert ours.mid == pytest.approx(7 / 40)
    assert (ours.low, ours.high) == pytest.approx(
        (7 / 42 - 1.959964 * 10.8333**0.5 / 42, 7 / 42 + 1.959964 * 10.8333**0.5 / 42), abs=1e-5
    )
    assert ours == paired_accuracy_interval(a, b)


def test_four_rows_against_none_do_not_decide():
    """McNemar gives p = 0.125 here, while a plain percentile bootstrap would exclude 0."""
    assert not paired_interval([0] * 4 + [1] * 46, [1] * 50, seed=0).excludes_zero


def test_equal_answers_are_not_certainty():
    truth, first, _ = answers(0)
    same = paired_confusion_interval(truth, first, first, classes=4, metric="macro_f1", seed=0)
    assert same.mid == 0 and same.low < 0 < same.high and same.width < 0.15
    assert paired_interval([1, 0, 1, 1], [1, 0, 1, 1], seed=0).width > 0.5
    assert paired_interval([0.5] * 30, [0.25] * 30, seed=0).width > 0.1
    assert paired_interval([0.3, 0.2, 0.9] * 9, [0.2, 0.1, 0.8] * 9, seed=0).width > 0.1  # equal but for rounding
    with pytest.raises(NotEnough, match="spread"):
        paired_interval([5.0, 6.0], [3.0, 4.0], seed=0)


def test_a_clear_difference_is_told_apart():
    truth = np.arange(200) % 4
    worse = np.where(np.arange(200) % 5 == 0, (truth + 1) % 4, truth)
    interval = paired_confusion_interval(truth, truth, worse, classes=4, metric="macro_f1", seed=0)
    assert interval.excludes_zero and interval.low > 0.1


def test_an_unknown_metric_is_refused():
    with pytest.raises(Usage, match="macro_f1"):
        paired_confusion_interval([0, 1], [0, 1], [1, 1], classes=2, metric="macro_f", seed=0)


def test_the_paired_interval_covers_the_true_difference():
    true, covered = 0.06, {"scores": 0, "right or wrong": 0}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        shared = rng.gamma(2, 0.1, size=100)
        a, b = shared + true + rng.exponential(0.2, 100), shared + rng.exponential(0.2, 100)
        interval = paired_interval(a, b, draws=500, seed=seed)
        covered["scores"] += interval.low <= true <= interval.high
        place = rng.random(100)
        interval = paired_interval(place < 0.85, (place > 0.07) & (place < 0.86), seed=seed)
        covered["right or wrong"] += interval.low <= true <= interval.high
    assert 0.92 <= covered["scores"] / 400 <= 0.98
    assert 0.92 <= covered["right or wrong"] / 400 <= 0.98


def test_the_paired_macro_f1_interval_covers_no_difference():
    covered = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        truth = rng.choice(3, size=100, p=[0.5, 0.3, 0.2])
        first, second = (np.where(rng.random(100) < 0.8, truth, (truth + rng.integers(1, 3, 100)) % 3) for _ in range(2))
        interval = paired_confusion_interval(truth, first, second, classes=3, metric="macro_f1", draws=300, seed=seed)
        covered += interval.low <= 0 <= interval.high
    assert 0.92 <= covered / 400 <= 0.98
