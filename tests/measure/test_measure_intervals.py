"""Intervals of one strategy: golden against scipy, coverage by simulation, and no width of zero."""

import numpy as np
import pytest
from scipy import stats

from hone.core.errors import NotEnough, Usage
from hone.measure import Interval, confusion_interval, mean_interval, score_labels, wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (3, 7), (50, 50), (812, 1000), (1, 2)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_equals_scipy(successes, n, level):
    reference = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    ours = wilson_interval(successes, n, level=level)
    assert (ours.low, ours.high) == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert ours.mid == successes / n


def test_wilson_covers_its_level_over_all_outcomes():
    n = 60
    covered = []
    for rate in (0.5, 0.7, 0.8, 0.9, 0.95):
        chance = stats.binom.pmf(np.arange(n + 1), n, rate)
        holds = [wilson_interval(k, n).low <= rate <= wilson_interval(k, n).high for k in range(n + 1)]
        covered.append(chance[holds].sum())
    assert 0.94 < np.mean(covered) < 0.97
    assert min(covered) > 0.91


def test_the_mean_interval_is_students():
    scores = np.random.default_rng(0).normal(3, 2, size=17)
    reference = stats.ttest_1samp(scores, 0).confidence_interval(0.9)
    ours = mean_interval(scores, level=0.9)
    assert (ours.low, ours.high) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_equal_scores_are_not_certainty():
    right = mean_interval([1.0] * 20)
    assert (right.low, right.mid, right.high) == (pytest.approx(0.025 ** (1 / 20)), 1.0, 1.0)
    assert mean_interval([0.5] * 20).width > 0.1
    with pytest.raises(NotEnough, match="spread"):
        mean_interval([7.0] * 20)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1", "macro_precision"])
def test_a_perfect_score_on_thirty_rows_is_not_certainty(metric):
    truth = np.arange(30) % 3
    interval = confusion_interval(truth, truth, classes=3, metric=metric, seed=0)
    assert interval.mid == interval.high == 1.0
    assert 0.8 < interval.low < 0.97


def test_a_missing_class_does_not_push_the_interval_off_the_score():
    truth = np.arange(20)  # one row for each of twenty classes: half of them are missing from a resample
    interval = confusion_interval(truth, truth, classes=20, metric="macro_f1", seed=0)
    assert interval.mid == interval.high == 1.0
    assert interval.low > 0.7


def test_accuracy_gets_wilson():
    truth, predicted = [0, 1, 1, 0, 1], [0, 1, 0, 0, 1]
    assert confusion_interval(truth, predicted, classes=2, metric="accuracy", seed=0) == wilson_interval(4, 5)


def test_the_middle_is_the_score_and_row_order_changes_nothing():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 4, size=80)
    predicted = np.where(rng.random(80) < 0.7, truth, rng.integers(0, 4, size=80))
    order = rng.permutation(80)
    first = confusion_interval(truth, predicted, classes=4, metric="macro_f1", seed=5)
    assert first.mid == pytest.approx(score_labels(truth, predicted, classes=4).metrics["macro_f1"], abs=1e-12)
    assert first.low < first.mid < first.high
    assert first == confusion_interval(truth[order], predicted[order], classes=4, metric="macro_f1", seed=5)
    wider = confusion_interval(truth, predicted, classes=4, metric="macro_f1", level=0.99, seed=5)
    assert wider.low < first.low and first.high < wider.high


def test_the_macro_f1_interval_covers_the_true_macro_f1():
    accuracy, classes, rows = np.array([0.9, 0.8, 0.6]), 3, 120
    share = np.array([0.5, 0.3, 0.2])
    joint = share[:, None] * (np.diag(accuracy) + (1 - np.eye(3)) * (1 - accuracy[:, None]) / 2)
    true = np.mean(2 * np.diag(joint) / (joint.sum(axis=0) + joint.sum(axis=1)))
    covered = 0
    for seed in range(400):
        cell = np.random.default_rng(seed).choice(9, size=rows, p=joint.ravel())
        interval = confusion_interval(cell // 3, cell % 3, classes=classes, metric="macro_f1", draws=300, seed=seed)
        covered += interval.low <= true <= interval.high
    assert 0.92 <= covered / 400 <= 0.98


def test_a_resample_of_the_table_has_the_spread_of_a_resample_of_rows():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, size=300)
    predicted = np.where(rng.random(300) < 0.75, truth, rng.integers(0, 3, size=300))
    slow = []
    for _ in range(400):
        chosen = rng.integers(0, 300, size=300)
        slow.append(score_labels(truth[chosen], predicted[chosen], classes=3).metrics["macro_f1"])
    interval = confusion_interval(truth, predicted, classes=3, metric="macro_f1", seed=0)
    assert interval.width == pytest.approx(2 * 1.96 * np.std(slow), rel=0.15)


def test_one_row_is_refused_rather_than_certain():
    for refused in (
        lambda: wilson_interval(1, 1),
        lambda: mean_interval([0.3]),
        lambda: confusion_interval([0], [0], classes=2, metric="macro_f1", seed=0),
        lambda: confusion_interval([0], [0], classes=2, metric="accuracy", seed=0),
    ):
        with pytest.raises(NotEnough, match="at least 2"):
            refused()


def test_an_unknown_metric_is_refused():
    with pytest.raises(Usage, match="Known: accuracy"):
        confusion_interval([0, 1], [0, 1], classes=2, metric="f1", seed=0)


def test_the_record_survives_json():
    interval = wilson_interval(3, 7)
    assert Interval.model_validate_json(interval.to_json()) == interval
    assert interval.excludes_zero
