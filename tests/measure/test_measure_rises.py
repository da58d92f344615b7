"""Rises of the loss on the same texts: hand cases, the weighted mean, coverage in simulation."""

import numpy as np
import pytest
from scipy import stats

from hone.core.errors import BadData, NotEnough
from hone.measure import Rises, TextLosses, holm, measure_rise, measure_rises, paired_interval, permutation_p


def texts(seed, rise=0.1, size=40):
    rng = np.random.default_rng(seed)
    before = rng.gamma(9, 0.3, size)
    return before, before + rise + rng.normal(0, 0.1, size), rng.integers(5, 200, size)


def test_texts_weigh_by_their_tokens():
    found = measure_rise(TextLosses("wiki", [1.0, 2.0], [1.5, 2.1], tokens=[30, 10]), seed=0)
    assert (found.texts, found.tokens) == (2, 40)
    assert (found.before, found.after) == (pytest.approx(1.25), pytest.approx(1.65))
    assert found.rise == pytest.approx(0.4)
    assert found.perplexity_rise == pytest.approx(np.exp(1.65) / np.exp(1.25) - 1)


def test_without_tokens_it_is_the_paired_bootstrap():
    before, after, _ = texts(0)
    found = measure_rise(TextLosses("t", before, after), seed=3)
    expected = paired_interval(after, before, seed=3)
    assert found.rise_interval.low == pytest.approx(expected.low, abs=0.003)
    assert found.rise_interval.high == pytest.approx(expected.high, abs=0.003)
    assert found.p_value == permutation_p(after, before, seed=3)
    assert found.tokens is None


def test_the_interval_of_weighted_texts_equals_scipys():
    before, after, tokens = texts(1)
    found = measure_rise(TextLosses("t", before, after, tokens=tokens), draws=20_000, seed=0)

    def mean(difference, weight, axis=-1):
        return (difference * weight).sum(axis=axis) / weight.sum(axis=axis)

    rng = np.random.default_rng(0)
    reference = stats.bootstrap(
        (after - before, tokens), mean, paired=True, vectorized=True, method="BCa", n_resamples=20_000, rng=rng
    )
    assert found.rise_interval.low == pytest.approx(reference.confidence_interval.low, abs=0.003)
    assert found.rise_interval.high == pytest.approx(reference.confidence_interval.high, abs=0.003)
    assert found.perplexity_interval.high == pytest.approx(np.expm1(found.rise_interval.high))


def test_log_likelihoods_rise_like_the_losses_they_are():
    before, after, tokens = texts(2)
    losses = measure_rise(TextLosses("t", before, after, tokens), seed=0)
    likelihoods = measure_rise(TextLosses("t", -before, -after, tokens, kind="log_likelihood"), seed=0)
    assert losses == likelihoods and losses.rise > 0


def test_texts_that_all_moved_alike_have_no_interval_and_say_why():
    before = np.asarray([1.0, 2.0, 3.0])
    same = measure_rise(TextLosses("t", before, before), seed=0)
    assert (same.rise, same.p_value, same.rise_interval, same.perplexity_interval, same.detectable_rise) == (
        0,
        1,
        None,
        None,
        None,
    )
    assert same.interval_missing == "All 3 differences are 0: their spread cannot be told."
    several = measure_rises([TextLosses("same", before, before), TextLosses("other", *texts(0)[:2])], seed=0)
    assert several.mean_interval is None and several.worst_interval is None
    assert several.interval_missing.startswith("Task same: All 3") and several.worst_task == "other"


def test_numbers_that_are_none_are_refused():
    with pytest.raises(BadData, match="text 2 has nan"):
        measure_rise(TextLosses("t", [1.0, np.nan], [1.0, 1.0]), seed=0)
    with pytest.raises(BadData, match="text 1 has 0 tokens"):
        measure_rise(TextLosses("t", [1.0, 2.0], [1.0, 1.0], tokens=[0, 3]), seed=0)
    with pytest.raises(NotEnough, match="task t needs at least 2"):
        measure_rise(TextLosses("t", [1.0], [1.0]), seed=0)


def test_a_model_that_broke_has_an_infinite_perplexity():
    found = measure_rise(TextLosses("t", [1.0, 2.0, 1.5], [900.0, 1000.0, 2000.0]), seed=0)
    assert found.perplexity_rise == np.inf
    assert '"perplexity_rise": "Infinity"' in found.to_json()


def test_several_tasks_have_their_mean_their_worst_and_holms_p_values():
    tasks = [TextLosses(str(rise), *texts(seed, rise)) for seed, rise in enumerate((0.0, 0.3, 0.02))]
    found = measure_rises(tasks, seed=0)
    assert found.worst_task == "0.3" and found.worst == found.tasks[1].rise
    assert found.mean == pytest.approx(np.mean([each.rise for each in found.tasks]))
    assert [each.p_holm for each in found.tasks] == holm([each.p_value for each in found.tasks])
    assert found.mean_interval.low < found.mean < found.mean_interval.high
    assert Rises.model_validate_json(found.to_json()) == found


def test_the_interval_covers_the_true_rise_and_the_test_raises_few_false_alarms():
    hits = alarms = 0
    for seed in range(150):
        before, after, tokens = texts(seed, rise=0.05, size=60)
        interval = measure_rise(TextLosses("t", before, after, tokens), draws=300, seed=seed).rise_interval
        hits += interval.low <= 0.05 <= interval.high
        alarms += permutation_p((after - 0.05) * tokens, before * tokens, draws=300, seed=seed) <= 0.05
    assert 0.9 <= hits / 150 <= 0.985
    assert alarms / 150 <= 0.09
