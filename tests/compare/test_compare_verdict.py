"""The verdict: the cheapest strategy that is not distinguishably worse than the best, and sentences that hold the record's numbers."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from stubs import Stub

from hone.compare.race import Finished, Outcome, Trial
from hone.compare.records import CurvePoint, Difference, LearningCurve, Row
from hone.compare.report.words import learning_sentence
from hone.compare.verdict import LEVEL, judge, recommend
from hone.compare.verdict import Tested as Ready  # pytest would take a class named Test... for tests
from hone.evaluate import Speed
from hone.measure import (
    LabelKey,
    LabelMarks,
    cost_seconds,
    human_seconds,
    label_permutation_p,
    mcnemar_exact,
    minimal_detectable_difference,
    paired_confusion_interval,
    worse_than_best,
)
from hone.strategy import EncoderBench, Entrant

LABELS = ("a", "b", "c")
N = 300


def one(
    name: str,
    accuracy: float,
    *,
    seconds: float = 10.0,
    rate: float = 1000.0,
    stopped: str | None = None,
    shift: int = 0,
    truth: np.ndarray | None = None,
) -> Ready:
    """A strategy that is right on `accuracy` of the test rows; `shift` moves which ones."""
    truth = np.arange(N) % 3 if truth is None else truth
    is_right = np.roll(np.arange(len(truth)) < round(accuracy * len(truth)), shift)
    given = np.where(is_right, truth, (truth + 1) % 3)
    trial = Trial(
        settings={"value": 1.0}, share=1.0, score=accuracy, seconds=seconds, peak_bytes=10, trainable_parameters=3, note=""
    )
    outcome = Outcome(chosen=trial, seconds=seconds, peak_bytes=10, trials=(trial,), spread=None, stopped_early=stopped)
    finished = Finished(entrant(name), outcome, np.zeros((0, 3)), Path("nowhere"))
    speed = Speed(latency_ms_median=1.0, latency_ms_p95=2.0, rows_per_second=rate)
    return Ready(finished, LabelMarks(truth, 0.7 * np.eye(3)[given] + 0.1, "accuracy"), speed, 100, None)


def entrant(name: str) -> Entrant:
    """Only its names are read here."""
    return Entrant(name, f"the {name}", Stub(name), cast(EncoderBench, None), "tiny")


def judged(*tested: Ready, metric: str = "accuracy", seed: int = 0) -> dict[str, Row]:
    first = tested[0].marks
    assert isinstance(first, LabelMarks)
    marked = [replace(one, marks=replace(one.marks, metric=metric)) for one in tested]
    return {row.strategy: row for row in judge(marked, LabelKey(first.truth, metric), labels=LABELS, seed=seed)}


def advice(*tested: Ready, metric: str = "accuracy", curve: LearningCurve | None = None):
    return recommend(list(judged(*tested, metric=metric).values()), metric=metric, curve=curve)


def flat_curve(
    *, still_rises: bool | None, low: float | None, high: float | None, forecast: float | None = 0.917
) -> LearningCurve:
    return LearningCurve(
        strategy="x",
        points=(CurvePoint(rows=10, value=0.5, low=0.4, high=0.6),),
        still_rises=still_rises,
        gain_low=low,
        gain_high=high,
        forecast_rows=1234 if forecast else None,
        forecast=forecast,
    )


def test_the_cheapest_that_is_not_distinguishably_worse_is_recommended():
    found = advice(
        one("full", 0.90, seconds=500),
        one("lora", 0.89, seconds=100, shift=10),
        one("head", 0.88, seconds=5, shift=10),
        one("zero", 0.4, seconds=0),
    )
    assert (found.strategy, found.best) == ("head", "full")


def test_a_clearly_better_one_is_recommended_at_any_price():
    found = advice(one("full", 0.95, seconds=1e6), one("head", 0.80, seconds=5), one("zero", 0.4, seconds=0))
    assert (found.strategy, found.best) == ("full", "full")


def test_cost_is_training_and_answering():
    """Cheap to train and slow to answer is dearer than the other way round."""
    slow, fast = one("slow", 0.9, seconds=1, rate=10), one("fast", 0.9, seconds=100, rate=1000)
    assert slow.cost == cost_seconds(1, 10, rows=10_000) == 1001 and fast.cost == 110
    assert advice(slow, fast).strategy == "fast"


def test_rows_stand_best_first_and_the_cheaper_of_equals_first():
    rows = judged(one("dear", 0.9, seconds=50), one("worse", 0.8), one("cheap", 0.9, seconds=1))
    assert list(rows) == ["cheap", "dear", "worse"]
    assert rows["cheap"].difference is None and rows["dear"].difference is not None


def test_what_was_stopped_early_stands_last_and_is_never_recommended():
    rows = judged(one("stopped", 0.99, seconds=0, stopped="It was behind."), one("lora", 0.9), one("head", 0.5, seconds=1))
    assert list(rows) == ["lora", "head", "stopped"]
    assert (
        rows["stopped"].p_best == 0 and rows["stopped"].is_pareto is False and rows["stopped"].stopped_early == "It was behind."
    )
    found = recommend(list(rows.values()), metric="accuracy", curve=None)
    assert (found.strategy, found.best) == ("lora", "lora")
    found = advice(one("stopped", 0.89, seconds=0, shift=10, stopped="It was behind."), one("lora", 0.9), one("head", 0.5))
    assert found.strategy == "lora" and "stopped" not in " ".join(found.because)


def test_the_pareto_front_is_that_of_the_racing_ones():
    rows = judged(
        one("best", 0.9, seconds=100),
        one("dominated", 0.8, seconds=200),
        one("middle", 0.8, seconds=50),
        one("cheap", 0.5, seconds=1),
        one("stopped", 0.95, seconds=0, stopped="It was behind."),
    )
    assert {name for name, row in rows.items() if row.is_pareto} == {"best", "middle", "cheap"}


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1"])
def test_the_chances_of_being_best_add_up_to_one_over_the_racing_ones(metric: str):
    rows = judged(
        one("a", 0.85), one("b", 0.84, shift=90), one("c", 0.6), one("stopped", 0.9, stopped="It was behind."), metric=metric
    )
    assert sum(row.p_best for row in rows.values()) == pytest.approx(1.0, abs=1e-9)
    assert rows["a"].p_best > rows["b"].p_best > rows["c"].p_best
    assert 0.5 < rows["a"].p_best < 0.9 and rows["c"].p_best < 0.01


def test_two_equal_strategies_share_the_chance_of_being_best():
    rows = judged(one("a", 0.85), one("b", 0.85))
    assert [row.p_best for row in rows.values()] == pytest.approx([0.5, 0.5])


def test_differences_are_to_the_best_paired_and_adjusted():
    tested = [one("best", 0.9), one("near", 0.87, shift=30), one("far", 0.82, shift=200), one("stopped", 0.5, stopped="Behind.")]
    rows = judged(*tested)
    others = {t.finished.strategy.name: t for t in tested}
    plain = [mcnemar_exact(others[name].marks.per_row, others["best"].marks.per_row) for name in ("near", "far", "stopped")]
    for name, p_value, adjusted in zip(("near", "far", "stopped"), plain, worse_than_best(plain), strict=True):
        difference = rows[name].difference
        assert difference is not None and difference.test == "mcnemar_exact"
        assert (difference.p_value, difference.p_holm) == (p_value, adjusted)
        interval = paired_confusion_interval(
            others[name].marks.truth,
            others[name].marks.predicted,
            others["best"].marks.predicted,
            classes=3,
            metric="accuracy",
            seed=0,
        )
        assert (difference.value, difference.low, difference.high) == (interval.mid, interval.low, interval.high)
    assert any(p_value != adjusted for p_value, adjusted in zip(plain, worse_than_best(plain), strict=True))


def test_of_equal_strategies_hardly_ever_is_one_marked_worse():
    """Nine that are equally good: Holm's factors for eight tests mark one in 9% of such comparisons, since the best was the luckiest."""
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores = rng.normal(size=N) + rng.normal(size=(9, N)) < 1.2
        best, *others = scores[np.argsort(-scores.mean(axis=1), kind="stable")]
        alarms += min(worse_than_best([mcnemar_exact(other, best) for other in others])) < LEVEL
    assert alarms / 200 <= 0.05


def test_many_rivals_excuse_no_loss():
    """Six rivals at p of about 0.01 each: adjustment leaves them unmarked in the table, yet none of them is recommended."""
    truth = np.arange(N) % 3
    rivals = [one(f"rival{i}", 246 / N, seconds=10 + i) for i in range(6)]
    is_right = (np.arange(N) >= 4) & (np.arange(N) < 262)  # rows 0-3 only the rivals have right, rows 246-261 only the best
    base, given = one("best", 0.86, seconds=1000), np.where(is_right, truth, (truth + 1) % 3)
    best = Ready(base.finished, LabelMarks(truth, 0.7 * np.eye(3)[given] + 0.1, "accuracy"), base.speed, 100, None)
    rows = judged(best, *rivals)
    gap = rows["rival0"].difference
    assert gap is not None and gap.p_value == mcnemar_exact(rivals[0].marks.correct, best.marks.correct)
    assert gap.p_value < LEVEL <= gap.p_holm
    assert recommend(list(rows.values()), metric="accuracy", curve=None).strategy == "best"


def test_macro_f1_ranks_and_tests_by_macro_f1():
    """The rare class decides: better in accuracy, worse in macro F1."""
    truth = np.repeat([0, 1, 2], [250, 40, 10])
    never_rare, fair = truth.copy(), truth.copy()
    never_rare[290:] = 0
    fair[:15] = 1
    tested = []
    for name, given in (("never_rare", never_rare), ("fair", fair)):
        base = one(name, 0.5, truth=truth)
        tested.append(Ready(base.finished, LabelMarks(truth, 0.7 * np.eye(3)[given] + 0.1, "accuracy"), base.speed, 100, None))
    assert next(iter(judged(*tested))) == "never_rare"
    rows = judged(*tested, metric="macro_f1")
    assert list(rows) == ["fair", "never_rare"]
    gap = rows["never_rare"].difference
    assert gap is not None and gap.test == "paired_permutation" and gap.high < 0
    from hone.core.seeds import derive_seed

    expected = label_permutation_p(truth, never_rare, fair, classes=3, metric="macro_f1", seed=derive_seed(0, "p"))
    assert gap.p_value == gap.p_holm == expected < LEVEL
    found = recommend(list(rows.values()), metric="macro_f1", curve=None)
    assert found.strategy == "fair" and "macro F1" in found.because[0]
    assert f"{rows['fair'].metrics['macro_f1'].value:.1%}" in found.because[0]


def test_each_row_carries_what_was_measured():
    row = judged(one("lora", 0.9, seconds=12, rate=50), one("head", 0.8))["lora"]
    assert row.title == "the lora" and row.validation == 0.9 and row.settings == {"value": 1.0}
    assert (row.cost.train_seconds, row.cost.rows_per_second, row.cost.bytes_on_disk, row.cost.peak_bytes) == (12, 50, 100, 10)
    assert np.sum(row.confusion) == N and [one.label for one in row.per_class] == list(LABELS)
    assert row.forgetting.mean is None and row.forgetting.not_measured is not None


def test_the_sentences_hold_the_numbers_when_a_cheaper_one_is_recommended():
    tested = (one("full", 0.90, seconds=500), one("head", 0.88, seconds=5, shift=10), one("zero", 0.4, seconds=0))
    rows = judged(*tested)
    found = advice(*tested)
    text = " ".join(found.because)
    head, gap = rows["head"], rows["head"].difference
    assert isinstance(gap, Difference)
    metric = head.metrics["accuracy"]
    for part in (
        f"The head reaches {metric.value:.1%} accuracy on {N} test rows (95% interval {metric.low:.1%} to {metric.high:.1%}).",
        "The highest accuracy is that of the full, 90.0%",
        f"the difference of {100 * gap.value:+.1f} points (95% interval {100 * gap.low:+.1f} points to {100 * gap.high:+.1f} points)",
        f"(paired test, p = {gap.p_value:.2f})",
        "the cheapest of the 2 that are not distinguishably worse",
        human_seconds(head.cost.seconds),
        human_seconds(rows["full"].cost.seconds),
        "Cheaper, but worse than the best beyond chance when held against it alone: the zero (-50.0 points).",
    ):
        assert part in text, part
    assert any("If 2.0 points matter more to you than cost, take the full" in line for line in found.would_change)


def advice_at(prices: dict[str, float], *tested: Ready, may_lose: float | None = None):
    """With US dollars for 10,000 answers of those that a server gives."""
    rows = [
        row.model_copy(update={"cost": row.cost.model_copy(update={"usd_per_answers": prices.get(row.strategy)})})
        for row in judged(*tested).values()
    ]
    return recommend(rows, metric="accuracy", curve=None, may_lose=may_lose)


PAID = (one("few", 0.9, seconds=1), one("one", 0.9, seconds=5), one("zero", 0.89, seconds=9), one("bad", 0.4, seconds=9))


def test_of_equals_that_a_server_is_paid_for_the_least_paid_is_recommended():
    """How fast a server answers is chance; what would be bought with more money is told."""
    found = advice_at({"few": 40.0, "one": 20.0, "zero": 10.0, "bad": 3.0}, *PAID)
    assert found.strategy == "zero"
    assert (
        "Its server would be paid $10.00 for 10,000 answers; of the others not distinguishably worse than the best, the one would cost "
        "least: $20.00." in found.because
    )
    assert "It takes 19.0 s to train it and answer 10,000 rows here, against 11.0 s for the few." in found.because
    assert "Cheaper, but worse than the best beyond chance when held against it alone: the bad (-50.0 points)." in found.because
    assert "If time matters more to you than money, take the few: 11.0 s against 19.0 s." in found.would_change
    alone = advice_at({"few": 40.0, "bad": 3.0}, PAID[0], PAID[3])
    assert "Its server would be paid $40.00 for 10,000 answers." in alone.because
    assert any(line.startswith("Every other strategy is distinguishably worse.") for line in alone.because)


def test_a_slow_model_that_runs_here_goes_before_a_paid_equal_and_the_time_it_takes_is_told():
    found = advice_at({"few": 40.0, "one": 20.0}, *PAID[:3])
    assert found.strategy == "zero"
    assert (
        "It costs no server's money; of the others not distinguishably worse than the best, the one would cost least: $20.00."
        in found.because
    )
    assert "If time matters more to you than money, take the few: 11.0 s against 19.0 s." in found.would_change
    both = advice_at({"few": 40.0}, *PAID[:3])
    assert both.strategy == "one", "of two that run here the faster"
    assert any("the zero would cost least: nothing." in line for line in both.because)


def test_a_paid_strategy_that_is_better_beyond_chance_is_recommended_at_its_price():
    found = advice_at({"few": 40.0}, PAID[0], PAID[3])
    assert found.strategy == "few"
    assert "Its server would be paid $40.00 for 10,000 answers." in found.because
    assert "Cheaper, but worse than the best beyond chance when held against it alone: the bad (-50.0 points)." in found.because


def test_where_no_price_is_known_the_fastest_of_equals_is_recommended():
    found = advice_at({}, *PAID)
    assert found.strategy == "few" and not any(
        "paid" in line or "money" in line for line in (*found.because, *found.would_change)
    )


def test_the_sentences_hold_the_numbers_when_the_best_is_recommended():
    tested = (one("full", 0.95, seconds=500), one("head", 0.6, seconds=5))
    found, row = advice(*tested), judged(*tested)["full"]
    text = " ".join(found.because)
    assert f"it is the best of all with probability {row.p_best:.0%}" in text
    assert f"Every other strategy is distinguishably worse. It takes {human_seconds(row.cost.seconds)} to train it" in text
    assert "Cheaper, but worse than the best beyond chance when held against it alone: the head (-35.0 points)." in text


def test_a_best_that_is_also_the_cheapest_is_called_so():
    assert "It is also the cheapest of the 2" in " ".join(advice(one("head", 0.9, seconds=1), one("full", 0.89)).because)


def test_a_single_strategy_is_recommended():
    found = advice(one("head", 0.9))
    assert (found.strategy, found.best) == ("head", "head") and 0 < found.minimal_detectable_difference <= 1


def test_the_smallest_visible_difference_stands_in_the_sentence_and_shrinks_with_rows():
    many = np.arange(10 * N) % 3
    few_rows = advice(one("a", 0.9), one("b", 0.88, shift=20))
    more_rows = advice(one("a", 0.9, truth=many), one("b", 0.88, shift=200, truth=many))
    assert more_rows.minimal_detectable_difference < few_rows.minimal_detectable_difference
    assert f"with {N}, a difference below {100 * few_rows.minimal_detectable_difference:.1f} points" in few_rows.would_change[0]


@pytest.mark.parametrize(("right", "shift", "share"), [(0.9, 6, 0.02), (0.9, 20, 0.12), (0.8, 60, 0.38)])
def test_the_smallest_visible_difference_is_that_of_mcnemars_test(right, shift, share):
    """The interval between the two gives the share of discordant rows back, nearly."""
    tested = (one("a", right), one("b", right - 0.02, shift=shift))
    discordant = float(np.mean(tested[0].marks.correct != tested[1].marks.correct))
    assert discordant == pytest.approx(share, abs=0.03)
    expected = minimal_detectable_difference(n=N, discordant_rate=discordant)
    assert advice(*tested).minimal_detectable_difference == pytest.approx(expected, rel=0.1)


def test_a_rival_far_behind_does_not_widen_the_smallest_visible_difference():
    """All right against a few wrong is seen from 3 rows in 100 on, however many the next best has wrong."""
    far = advice(one("a", 1.0), one("b", 0.4)).minimal_detectable_difference
    near = advice(one("a", 1.0), one("b", 0.98)).minimal_detectable_difference
    assert far == pytest.approx(near, rel=0.2) and far < 0.04


def test_a_tiny_test_set_says_that_it_shows_nothing():
    found = advice(one("a", 1.0, truth=np.array([0, 1, 2])), one("b", 0.34, truth=np.array([0, 1, 2])))
    assert found.minimal_detectable_difference == 1.0


def test_a_rising_curve_is_told_with_its_gain_and_forecast():
    lines = advice(one("a", 0.9), one("b", 0.5), curve=flat_curve(still_rises=True, low=0.012, high=0.034)).would_change
    assert "+1.2 points to +3.4 points" in lines[-1] and "at 1,234 rows about 91.7%" in lines[-1] and "still rises" in lines[-1]
    without = advice(one("a", 0.9), one("b", 0.5), curve=flat_curve(still_rises=True, low=0.012, high=0.034, forecast=None))
    assert "is to be expected" not in without.would_change[-1]


def test_a_curve_that_reached_the_top_is_not_said_to_rise():
    curve = flat_curve(still_rises=True, low=0.012, high=0.034, forecast=None)
    full = curve.model_copy(update={"points": (*curve.points, CurvePoint(rows=20, value=1.0, low=1.0, high=1.0))})
    last = advice(one("a", 0.9), one("b", 0.5), curve=full).would_change[-1]
    assert last == learning_sentence(full) and "cannot show a gain" in last


def test_a_flat_curve_is_told_as_unknown_and_an_unmeasured_one_not_at_all():
    flat = advice(one("a", 0.9), one("b", 0.5), curve=flat_curve(still_rises=False, low=-0.01, high=0.02)).would_change
    assert "cannot be told" in flat[-1] and "-1.0 points to +2.0 points" in flat[-1]
    unmeasured = advice(one("a", 0.9), one("b", 0.5), curve=flat_curve(still_rises=None, low=None, high=None)).would_change
    assert unmeasured == advice(one("a", 0.9), one("b", 0.5)).would_change


def test_the_order_in_which_strategies_ran_changes_nothing():
    tested = [one("full", 0.90, seconds=500), one("head", 0.88, seconds=5), one("zero", 0.4, seconds=0)]
    assert judged(*tested) == judged(*tested[::-1])


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1"])
def test_strategies_that_answer_no_better_than_one_class_for_all_rows_are_said_to_be_of_no_use(metric):
    """Eight rows of ten are of class b: 79% right is no achievement, and 95% is one."""
    truth = np.where(np.arange(N) % 5 == 0, 0, 1)
    always = LabelMarks(truth, np.eye(3)[np.ones(N, dtype=np.int64)], metric).value
    found = advice(one("a", 0.2, truth=truth), one("b", 0.25, truth=truth), metric=metric)
    (doubt,) = [line for line in found.because if "whatever is asked" in line]
    assert doubt.startswith(f"To answer 'b' whatever is asked would reach {always:.1%}, and no strategy is better than that")
    assert found.unbeaten is not None and found.unbeaten.startswith(f"No strategy beats answering 'b' always ({always:.1%} ")
    assert found.unbeaten.endswith(" beyond chance: tuning brings nothing here yet.")
    better = advice(one("a", 0.2, truth=truth), one("b", 0.95, truth=truth, shift=7), metric=metric)
    assert better.unbeaten is None
    assert not [line for line in better.because if "whatever is asked" in line]


def test_where_rare_classes_are_found_but_accuracy_does_not_show_it_macro_f1_is_pointed_to():
    """Wrong on a sixth of the many and right on most of the few: as many right answers as one class for all would give."""
    truth = np.where(np.arange(N) % 5 == 0, np.arange(N) // 5 % 2 * 2, 1)
    found = advice(one("a", 0.8, truth=truth), one("b", 0.78, truth=truth, shift=7))
    assert found.unbeaten is not None and "tuning brings nothing" not in found.unbeaten and "rank by it" in found.unbeaten
    (doubt,) = [line for line in found.because if "whatever is asked" in line]
    assert doubt.endswith("though in macro F1 there is: to find the rare classes, rank by it (--metric macro_f1).")


def written(name: str, share: float, *, moved: int = 3, p: float | None = None) -> Row:
    """A strategy that writes texts."""
    row = judged(one(name, share))[name]
    gap = None if p is None else Difference(value=-0.01, low=-0.03, high=0.01, p_value=p, p_holm=p, test="paired_permutation")
    cost = row.cost.model_copy(update={"trainable_parameters": moved})
    return row.model_copy(update={"per_class": (), "confusion": (), "difference": gap, "cost": cost})


@pytest.mark.parametrize(("p", "is_beaten"), [(0.3, False), (0.01, True)])
def test_what_cannot_be_told_from_copying_the_first_sentences_is_said_not_to_beat_it(p: float, is_beaten: bool):
    rows = [written("lora", 0.31), written("first_sentences@tiny", 0.30, moved=0, p=p)]
    found = recommend(rows, metric="accuracy", curve=None)
    assert (found.unbeaten is None) == is_beaten
    assert any("copying the first sentences" in line for line in found.because) != is_beaten
    if not is_beaten:
        assert found.unbeaten == (
            "No strategy beats copying the first sentences (30.0% accuracy) beyond chance: tuning brings nothing here yet."
        )
        untuned = recommend([written("zero", 0.31, moved=0), rows[1]], metric="accuracy", curve=None)
        assert untuned.unbeaten is not None and untuned.unbeaten.endswith("none is of use here yet.")
    first = [rows[1].model_copy(update={"difference": None}), written("lora", 0.2, p=0.001)]
    assert recommend(first, metric="accuracy", curve=None).unbeaten is not None
