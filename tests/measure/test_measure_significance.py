"""Tests, power and the probability of being best: hand cases, scipy, and simulation."""

import numpy as np
import pytest
from scipy import stats

from hone.core.errors import NotEnough
from hone.measure import (
    holm,
    label_permutation_p,
    mcnemar_exact,
    minimal_detectable_difference,
    minimal_detectable_mean,
    permutation_p,
    probability_best,
    probability_best_label,
    worse_than_best,
)


def discordant(only_a, only_b, both=20):
    return [1] * only_a + [0] * only_b + [1] * both, [0] * only_a + [1] * only_b + [1] * both


def test_mcnemar_by_hand():
    assert mcnemar_exact(*discordant(4, 0)) == pytest.approx(2 / 2**4)
    assert mcnemar_exact(*discordant(9, 2)) == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    assert mcnemar_exact(*discordant(3, 3)) == 1.0
    assert mcnemar_exact(*discordant(0, 0)) == 1.0
    a, b = discordant(9, 2)
    assert mcnemar_exact(a, b) == mcnemar_exact(b, a)


def test_the_permutation_test_of_right_and_wrong_is_mcnemars():
    for only_a, only_b in [(4, 0), (7, 2), (5, 5)]:
        a, b = discordant(only_a, only_b)
        assert permutation_p(a, b, seed=0) == pytest.approx(mcnemar_exact(a, b), abs=1e-12)


def test_the_permutation_test_equals_scipy():
    rng = np.random.default_rng(0)
    a = rng.random(10)
    b = a + rng.normal(0.1, 0.2, 10)
    reference = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert permutation_p(a, b, seed=0) == pytest.approx(reference.pvalue, abs=1e-12)
    a, b = rng.random(60), rng.random(60) + 0.1
    reference = stats.ttest_rel(a, b)
    assert permutation_p(a, b, seed=0) == pytest.approx(reference.pvalue, abs=0.02)
    assert permutation_p(a, a, seed=0) == 1.0
    order = rng.permutation(60)
    assert permutation_p(b[order], a[order], seed=3) == permutation_p(a, b, seed=3)


def test_the_test_of_labels_is_symmetric_and_finds_a_clear_difference():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 150)
    good, bad = (np.where(rng.random(150) < rate, truth, (truth + 1) % 3) for rate in (0.95, 0.7))
    settings = {"classes": 3, "metric": "macro_f1", "seed": 0}
    assert label_permutation_p(truth, good, bad, **settings) <= 2 / 10_001
    assert label_permutation_p(truth, bad, good, **settings) == label_permutation_p(truth, good, bad, **settings)
    assert label_permutation_p(truth, good, good, **settings) == 1.0


@pytest.mark.parametrize("rows", [8, 20, 80])
def test_the_test_of_labels_raises_few_false_alarms(rows):
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 3, rows)
        first, second = (np.where(rng.random(rows) < 0.8, truth, (truth + 1) % 3) for _ in range(2))
        alarms += label_permutation_p(truth, first, second, classes=3, metric="macro_f1", draws=300, seed=seed) <= 0.05
    assert alarms / 300 <= 0.08  # of 300 at 5%, more than 24 come by chance once in 150 times


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_against_the_best_by_hand():
    assert worse_than_best([0.001, 0.04, 0.01]) == pytest.approx([0.006, 0.04, 0.03])  # times 6, 3 and 1, as many pairs as remain
    assert worse_than_best([0.02]) == [0.02]
    assert worse_than_best([0.5, 0.6]) == [1.0, 1.0]
    assert worse_than_best([]) == []


@pytest.mark.parametrize("seed", range(10))
def test_holm_keeps_the_order_and_lies_between_no_correction_and_bonferroni(seed):
    values = np.random.default_rng(seed).random(7) ** 3
    adjusted = np.asarray(holm(values.tolist()))
    assert (adjusted >= values).all() and (adjusted <= np.minimum(1, 7 * values) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(values)]) >= 0).all()


def test_the_detectable_difference_is_found_with_the_promised_power():
    n, rate = 400, 0.15
    difference = minimal_detectable_difference(n=n, discordant_rate=rate)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n, [(rate + difference) / 2, (rate - difference) / 2, 1 - rate], size=600)
    found = [mcnemar_exact(*discordant(int(a), int(b), both=int(c))) <= 0.05 for a, b, c in counts]
    assert 0.72 < np.mean(found) < 0.84  # the exact test is a little shy of the formula's 0.80


def test_more_rows_and_fewer_disagreements_reveal_smaller_differences():
    found = [minimal_detectable_difference(n=n, discordant_rate=0.2) for n in (20, 100, 400, 1600)]
    assert found == sorted(found, reverse=True)
    assert found[2] / found[3] == pytest.approx(2, rel=0.05)
    assert minimal_detectable_difference(n=400, discordant_rate=0.05) < found[2]
    assert 0 < minimal_detectable_difference(n=50, discordant_rate=0.0) < 0.2
    assert minimal_detectable_difference(n=200, discordant_rate=1.0) < 1


def test_too_few_rows_reveal_no_difference_at_all():
    with pytest.raises(NotEnough, match="at least 4"):
        minimal_detectable_difference(n=3, discordant_rate=0.5)


def test_the_detectable_mean_is_found_with_the_promised_power():
    difference = minimal_detectable_mean(n=200, sd=0.3)
    assert difference == pytest.approx(2.8015852 * 0.3 / 200**0.5, abs=1e-7)
    draws = np.random.default_rng(0).normal(difference, 0.3, size=(2000, 200))
    assert np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue <= 0.05) == pytest.approx(0.8, abs=0.03)
    with pytest.raises(NotEnough, match="spread"):
        minimal_detectable_mean(n=200, sd=0.0)


def test_probabilities_of_being_best_sum_to_one_and_follow_the_scores():
    rng = np.random.default_rng(0)
    right = rng.random((4, 150)) < np.array([0.5, 0.7, 0.72, 0.9])[:, None]
    chance = probability_best(right, seed=0)
    assert chance.sum() == pytest.approx(1)
    assert chance[3] > 0.95 and chance[0] < 0.01
    means = probability_best(rng.random((3, 40)), seed=0)
    assert means.sum() == pytest.approx(1) and means.shape == (3,)


def test_ties_are_split_evenly():
    np.testing.assert_allclose(probability_best(np.ones((4, 10)), seed=0), 0.25)
    right = np.random.default_rng(0).random(50) < 0.8
    np.testing.assert_allclose(probability_best(np.stack([right, right, np.zeros(50)]), seed=0), [0.5, 0.5, 0])


def test_two_strategies_follow_the_normal_approximation():
    rng = np.random.default_rng(3)
    a = rng.random(300)
    b = a + rng.normal(0.01, 0.2, 300)
    expected = stats.norm.cdf((a - b).mean() / ((a - b).std() / 300**0.5))
    assert probability_best(np.stack([a, b]), draws=4000, seed=0)[0] == pytest.approx(expected, abs=0.03)


def test_the_label_form_equals_the_score_form_for_accuracy_and_follows_strategies_when_reordered():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 120)
    given = np.stack([np.where(rng.random(120) < rate, truth, (truth + 1) % 3) for rate in (0.75, 0.8, 0.78)])
    by_label = probability_best_label(truth, given, classes=3, metric="accuracy", draws=4000, seed=0)
    by_score = probability_best(given == truth, draws=4000, seed=0)
    np.testing.assert_allclose(by_label, by_score, atol=0.04)
    by_f1 = probability_best_label(truth, given, classes=3, metric="macro_f1", draws=4000, seed=0)
    reordered = probability_best_label(truth, given[::-1], classes=3, metric="macro_f1", draws=4000, seed=0)
    assert by_f1.sum() == pytest.approx(1)
    np.testing.assert_allclose(by_f1, reordered[::-1], atol=0.04)


def test_one_row_is_refused_rather_than_certain():
    for refused in (
        lambda: mcnemar_exact([1], [0]),
        lambda: permutation_p([1.0], [0.0], seed=0),
        lambda: label_permutation_p([1], [1], [0], classes=2, metric="macro_f1", seed=0),
        lambda: probability_best([[1.0], [0.0]], seed=0),
        lambda: probability_best_label([1], [[1], [0]], classes=2, metric="macro_f1", seed=0),
        lambda: minimal_detectable_mean(n=1, sd=0.2),
    ):
        with pytest.raises(NotEnough, match="at least 2"):
            refused()
