"""Certificates: the numbers of items by hand, agreement with scipy, and whether the promise is kept in simulation."""

import numpy as np
import pytest
from scipy import stats

from hone.core.errors import BadData, NotEnough, Usage
from hone.measure import Certificate, certify, items_needed, naive_choice

DIALS = np.linspace(0.05, 1, 20)
ALLOWED = 0.1 + 2 * np.sqrt(0.1 * 0.9 / 300)
"""Broken promises in 300 repeats at 90% confidence: a tenth and two standard errors."""


def lost(count, items):
    return np.arange(items) < count


def growing(dials):
    """A drop that grows with the dial, to 6.5%."""
    return 0.065 * dials**1.5


def waving(dials):
    """A drop that rises to 7%, falls to 2% and rises to 6% once more."""
    return np.interp(dials, [0, 0.3, 0.5, 0.8, 1], [0, 0.07, 0.02, 0.06, 0.055])


def broken(curve, choose, *, items, budget, repeats=300):
    """How often the chosen dial truly loses more than the budget. An item is lost where its own threshold lies below the curve."""
    dials = DIALS[1::2]
    truth = curve(dials)
    count = 0
    for seed in range(repeats):
        threshold = np.random.default_rng(seed).random(items)
        losses = {float(dial): threshold < rate for dial, rate in zip(dials, truth, strict=True)}
        chosen = choose(losses, budget)
        count += chosen > 0 and curve(np.asarray(chosen)) > budget
    return count / repeats


def by_binomial(losses, budget):
    return certify(losses, budget=budget, confidence=0.9).dial


def by_betting(losses, budget):
    return certify(losses, budget=budget, confidence=0.9, test="betting").dial


def by_luck(losses, budget):
    return naive_choice(losses, budget=budget)


@pytest.mark.parametrize(("budget", "items", "for_betting"), [(0.01, 230, 251), (0.02, 114, 125), (0.05, 45, 50)])
def test_the_items_needed_at_90_percent_are_those_of_the_formula(budget, items, for_betting):
    assert items_needed(budget, 0.9) == items
    assert items_needed(budget, 0.9, test="betting") == for_betting


def test_the_wealth_of_betting_is_a_fair_game_at_the_budget():
    """By hand, every outcome of 3 items that are lost with the budget's chance: the mean wealth, 1 / p, is at most 1."""
    mean = 0.0
    for count, ways in enumerate((1, 3, 3, 1)):
        tried = certify({1.0: lost(count, 3)}, budget=0.7, confidence=0.6, test="betting").tests[0]
        mean += ways * 0.7**count * 0.3 ** (3 - count) * (1 / tried.p_value if tried.p_value < 1 else 0)
    assert 0.3 < mean <= 1


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("budget", [0.001, 0.03, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("test", ["binomial", "betting"])
def test_as_many_items_as_needed_pass_without_a_loss_and_one_fewer_is_refused(budget, confidence, test):
    items = items_needed(budget, confidence, test=test)
    found = certify({1.0: np.zeros(items)}, budget=budget, confidence=confidence, test=test)
    assert found.dial == 1.0 and found.stopped_at is None
    if items > 1:
        with pytest.raises(NotEnough, match=f"at least {items} are needed"):
            certify({1.0: np.zeros(items - 1)}, budget=budget, confidence=confidence, test=test)


@pytest.mark.parametrize("count", [0, 1, 9, 20, 299, 300])
def test_the_binomial_test_and_its_bound_equal_scipy(count):
    tried = certify({0.5: lost(count, 300)}, budget=0.05, confidence=0.9).tests[0]
    assert tried.p_value == pytest.approx(stats.binomtest(count, 300, 0.05, alternative="less").pvalue, abs=1e-12)
    interval = stats.binomtest(count, 300, alternative="less").proportion_ci(0.9, method="exact")
    assert tried.upper_bound == pytest.approx(interval.high, abs=1e-12)
    assert tried.is_certified == (interval.high <= 0.05)


@pytest.mark.parametrize("test", ["binomial", "betting"])
def test_the_smallest_budget_is_the_one_that_just_passes(test):
    losses = {0.5: lost(4, 500), 1.0: lost(12, 500)}
    for tried in certify(losses, budget=0.05, confidence=0.9, test=test).tests:
        enough = certify(losses, budget=tried.smallest_budget * 1.011, confidence=0.9, test=test)
        too_small = certify(losses, budget=tried.smallest_budget / 1.011, confidence=0.9, test=test)
        assert enough.dial >= tried.dial > too_small.dial


def test_the_walk_ends_at_the_first_setting_that_fails():
    losses = {1.0: lost(0, 300), 0.25: lost(1, 300), 0.5: lost(40, 300), 0.0: lost(0, 300)}
    found = certify(losses, budget=0.05, confidence=0.9)
    assert (found.dial, found.stopped_at, found.items) == (0.25, 0.5, 300)
    assert [each.dial for each in found.tests] == [0.25, 0.5, 1.0]
    assert [each.is_certified for each in found.tests] == [True, False, False]
    assert [each.p_value is None for each in found.tests] == [False, False, True]
    assert [each.lost for each in found.tests] == [1, 40, 0]
    assert found.mean_loss == pytest.approx(1 / 300) and found.upper_bound == found.tests[0].upper_bound <= 0.05
    # The last setting alone would do with less, but is reached only through the one before.
    assert found.tests[2].upper_bound < found.tests[1].upper_bound == found.tests[2].smallest_budget
    assert naive_choice(losses, budget=0.05) == 1.0


def test_where_nothing_passes_the_base_is_left_which_loses_nothing():
    found = certify({0.1: lost(100, 300), 1.0: lost(200, 300)}, budget=0.05, confidence=0.9)
    assert (found.dial, found.mean_loss, found.upper_bound, found.stopped_at) == (0.0, 0.0, 0.0, 0.1)
    assert naive_choice({0.1: lost(100, 300)}, budget=0.05) == 0.0


def test_a_certificate_survives_json():
    found = certify({0.5: lost(1, 300), 0.7: lost(90, 300), 1.0: lost(99, 300)}, budget=0.05, confidence=0.9)
    assert Certificate.model_validate_json(found.to_json()) == found


@pytest.mark.parametrize("curve", [growing, waving])
@pytest.mark.parametrize("choose", [by_binomial, by_betting])
@pytest.mark.parametrize(("items", "budget"), [(200, 0.05), (500, 0.03)])
def test_the_promise_is_kept(curve, choose, items, budget):
    assert broken(curve, choose, items=items, budget=budget) <= ALLOWED


@pytest.mark.parametrize("curve", [growing, waving])
def test_the_naive_choice_breaks_the_promise(curve):
    assert broken(curve, by_luck, items=200, budget=0.05) > 0.2


def test_the_certificate_is_of_use_where_little_is_lost():
    """Losses of 1% at most, a budget of 5%, 500 items: the dial goes up nearly all the way."""
    chosen = []
    for seed in range(50):
        threshold = np.random.default_rng(seed).random(500)
        chosen.append(certify({float(d): threshold < 0.01 * d for d in DIALS}, budget=0.05, confidence=0.9).dial)
    assert np.mean(chosen) > 0.99


def net_of(rng, items, rates):
    return rng.choice([1.0, 0.0, -1.0], items, p=[rates[0], 1 - sum(rates), rates[1]])


def test_betting_keeps_its_level_for_net_drops_at_the_edge_of_the_budget():
    wrong = 0
    for seed in range(300):
        losses = net_of(np.random.default_rng(seed), 400, (0.07, 0.05))
        wrong += certify({1.0: losses}, budget=0.02, confidence=0.9, test="betting").dial > 0
    assert wrong / 300 <= ALLOWED


@pytest.mark.parametrize("test", ["binomial", "betting"])
def test_tasks_behind_each_other_keep_the_promise_when_only_the_last_is_bad(test):
    wrong = 0
    for seed in range(300):
        bad = np.random.default_rng(seed).random(20) < 0.5
        losses = np.concatenate([np.zeros(180), bad])  # the mean over all items is the budget
        wrong += certify({1.0: losses}, budget=0.05, confidence=0.9, test=test).dial > 0
    assert wrong / 300 <= ALLOWED


def test_gains_count_for_betting_where_the_binomial_test_sees_only_losses():
    rng = np.random.default_rng(0)
    losses = net_of(rng, 1000, (0.05, 0.05))
    assert certify({1.0: losses}, budget=0.05, confidence=0.9, test="betting").dial == 1.0
    assert certify({1.0: losses > 0}, budget=0.05, confidence=0.9).dial == 0.0


def test_betting_knows_a_small_steady_rise_from_a_large_one():
    rng = np.random.default_rng(1)
    rises = {0.5: rng.uniform(0, 0.02, 500), 1.0: rng.uniform(0, 0.2, 500)}
    found = certify(rises, budget=0.05, confidence=0.9, test="betting")
    assert found.dial == 0.5 and 0.01 < found.upper_bound < 0.05


def test_the_order_of_items_changes_nothing():
    rng = np.random.default_rng(2)
    losses = net_of(rng, 500, (0.02, 0.01))
    shuffled = rng.permutation(losses)
    first, second = (certify({1.0: each}, budget=0.05, confidence=0.9, test="betting") for each in (losses, shuffled))
    assert first == second


@pytest.mark.parametrize(
    ("losses", "why"),
    [
        ({1.0: np.full(300, 0.5)}, "Dial 1, item 1: the loss is 0.5"),
        ({1.0: -np.ones(300)}, "betting"),
        ({1.0: np.full(300, np.nan)}, "the loss is nan"),
        ({-0.5: np.zeros(300)}, "The dial is set to -0.5"),
        ({0.0: lost(1, 300), 1.0: lost(1, 300)}, "dial 0 is the base itself"),
        ({0.5: np.zeros(300), 1.0: np.zeros(299)}, "299 to 300 losses"),
    ],
)
def test_losses_that_mean_nothing_are_refused(losses, why):
    with pytest.raises(BadData, match=why):
        certify(losses, budget=0.05, confidence=0.9)


def test_a_loss_beyond_1_is_refused_by_betting_and_so_are_no_settings_at_all():
    with pytest.raises(BadData, match="from -1"):
        certify({1.0: np.full(300, 1.2)}, budget=0.05, confidence=0.9, test="betting")
    with pytest.raises(NotEnough, match="no setting"):
        certify({0.0: np.zeros(300)}, budget=0.05, confidence=0.9)


@pytest.mark.parametrize(("budget", "confidence"), [(0, 0.9), (1, 0.9), (5, 0.9), (0.01, 1), (0.01, 0), (0.01, 90)])
def test_a_budget_or_confidence_that_is_no_share_is_refused(budget, confidence):
    with pytest.raises(Usage, match="between 0 and 1"):
        items_needed(budget, confidence)


def test_an_unknown_test_is_refused_with_the_near_name():
    with pytest.raises(Usage, match="Did you mean 'binomial'"):
        items_needed(0.01, 0.9, test="binomal")
