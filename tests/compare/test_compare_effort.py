"""Effort: the budget decides how many learning rates and passes every strategy gets, and how many rows are used."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from stubs import Stub, entrants, make_bench, rows

from hone.compare.effort import Forecast, plan_effort, plan_text, usable_rows
from hone.compare.effort import _seconds_per_row as measured_pace
from hone.compare.race import Outcome, Trial
from hone.compare.run import _forecast
from hone.compare.settings import CompareSettings
from hone.core.store import write_atomic
from hone.model import Encoder
from hone.strategy import Effort, EncoderBench, Entrant, TextBench
from hone.strategy.contracts import Pace

PER_ROW = 0.001
AMPLE = 100_000.0


@pytest.fixture(autouse=True)
def fixed_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that embeds 1,000 rows a second, whatever else it does."""
    monkeypatch.setattr("hone.compare.effort._seconds_per_row", lambda bench: PER_ROW)


@pytest.fixture
def bench(tiny_encoder: Encoder, tmp_path: Path) -> EncoderBench:
    return make_bench(tiny_encoder, tmp_path / "work", train=200)


def strategies() -> list[Stub]:
    slow = Pace(seconds_per_step=0.2, peak_bytes=5000, trainable_parameters=9)
    return [
        Stub("head", values=(1.0, 2.0)),
        Stub("lora", moves_weights=True, values=(1.0, 2.0, 3.0)),
        Stub("full", moves_weights=True, values=(1.0, 2.0, 3.0), pace=slow),
    ]


def planned(bench: EncoderBench, budget: float = AMPLE, *, of: list[Stub] | None = None, **changes: object) -> Forecast:
    """With strategies that were named, unless a change says otherwise: all of them run whatever the budget."""
    of = of or strategies()
    more = {"strategies": tuple(one.name for one in of), **changes}
    settings = CompareSettings(data="x", budget_seconds=budget, **more)  # type: ignore[arg-type]
    return plan_effort(entrants(bench, of), settings, test_rows=50)


def halvings(bench: EncoderBench) -> list[tuple[float, Forecast]]:
    """Budgets from ample down, eight to each halving, with their plans."""
    budgets = [planned(bench).seconds * 2 / 2 ** (power / 8) for power in range(88)]
    return [(budget, planned(bench, budget)) for budget in budgets]


def test_an_ample_budget_gives_three_learning_rates_and_all_the_passes(bench: EncoderBench):
    forecast = planned(bench)
    assert (forecast.arms, forecast.epochs, forecast.batch_rows) == (3, 10.0, 16)


@pytest.mark.parametrize(("per_class", "epochs"), [(20, 12.0), (200, 10.0), (300, 6.67), (1000, 4.0)])
def test_few_rows_get_more_passes_than_many(tiny_encoder: Encoder, tmp_path: Path, per_class: int, epochs: float):
    assert planned(make_bench(tiny_encoder, tmp_path, train=per_class)).epochs == epochs


@pytest.mark.parametrize(("per_class", "batch_rows"), [(666, 16), (667, 32)])
def test_batches_are_larger_from_2000_rows_on(tiny_encoder: Encoder, tmp_path: Path, per_class: int, batch_rows: int):
    assert planned(make_bench(tiny_encoder, tmp_path, train=per_class)).batch_rows == batch_rows


def test_each_halving_of_the_budget_takes_learning_rates_first_and_passes_after(bench: EncoderBench):
    efforts = [(forecast.arms, forecast.epochs) for _, forecast in halvings(bench)]
    assert efforts == sorted(efforts, reverse=True)
    assert {arms for arms, _ in efforts} == {3, 2, 1}
    assert all(arms == 1 for arms, epochs in efforts if epochs < 10.0)
    assert any(arms < 3 and epochs == 10.0 for arms, epochs in efforts)
    assert len({epochs for _, epochs in efforts}) > 4


def test_the_expected_time_fits_the_budget_until_the_floor_is_reached(bench: EncoderBench):
    for budget, forecast in halvings(bench)[:36]:
        assert forecast.seconds <= budget


def test_passes_never_fall_below_a_single_step(bench: EncoderBench):
    forecast = planned(bench, 0.001)
    assert (forecast.arms, forecast.epochs) == (1, round(16 / 600, 2))
    stub = strategies()[1]
    assert stub.steps(replace(bench, effort=forecast.effort), {}) == 1


def test_a_huge_set_still_gets_more_than_no_pass(tiny_encoder: Encoder, tmp_path: Path):
    bench = replace(make_bench(tiny_encoder, tmp_path), train=rows(20, "train") * 2000)
    assert planned(bench, 0.001).epochs == 0.01


def test_named_passes_rates_and_batches_are_kept_at_any_budget(bench: EncoderBench):
    for budget in (0.001, AMPLE):
        forecast = planned(bench, budget, epochs=2.5, arms=2, batch_rows=4)
        assert (forecast.epochs, forecast.arms, forecast.batch_rows) == (2.5, 2, 4)


def test_a_plan_that_is_repeated_from_its_own_configuration_is_the_same(bench: EncoderBench):
    for _, forecast in halvings(bench):
        again = planned(bench, epochs=forecast.epochs, arms=forecast.arms, batch_rows=forecast.batch_rows)
        assert again.effort == forecast.effort


def test_named_rates_still_leave_the_passes_to_the_budget(bench: EncoderBench):
    forecast = planned(bench, 30, arms=3)
    assert forecast.arms == 3 and forecast.epochs < 10.0


def test_every_strategy_has_an_estimate_in_the_order_given(bench: EncoderBench):
    forecast = planned(bench)
    assert list(forecast.estimates) == ["head", "lora", "full"]
    assert forecast.embed_seconds == pytest.approx(PER_ROW * (600 + 120))
    strategies = sum(estimate.seconds for estimate in forecast.estimates.values())
    assert forecast.seconds == forecast.spent_seconds + forecast.embed_seconds + strategies + forecast.after_seconds
    assert forecast.estimates["full"].peak_bytes == 5000 and forecast.estimates["head"].peak_bytes > 0


def test_sentence_vectors_stand_in_the_estimate_of_each_that_reads_them_and_count_once(bench: EncoderBench):
    readers = [Stub("head", reads_train_vectors=True), Stub("nearest", reads_train_vectors=True), Stub("zero_shot")]
    forecast, embed = planned(bench, of=readers), PER_ROW * (600 + 120)
    alone = planned(bench, of=[Stub("head"), Stub("nearest"), Stub("zero_shot")])
    for name in ("head", "nearest"):
        assert forecast.estimates[name].seconds == pytest.approx(alone.estimates[name].seconds + embed)
    assert forecast.estimates["zero_shot"].seconds == alone.estimates["zero_shot"].seconds
    assert forecast.seconds - forecast.spent_seconds == pytest.approx(alone.seconds - alone.spent_seconds)


def test_other_strategies_get_a_plan_of_their_own_until_one_has_trained(bench: EncoderBench, tmp_path: Path):
    everyone = entrants(bench, strategies())
    settings = CompareSettings(data="x", budget_seconds=60.0)

    def plan(some: list[Entrant]) -> Forecast:
        return _forecast(some, settings, tmp_path, test_rows=50, retained_texts=0, clock=time.perf_counter())

    first, fewer = plan(everyone), plan(everyone[:2])
    assert fewer.epochs > first.epochs and list(fewer.estimates) == ["head", "lora"]
    assert plan(everyone[:2]) == fewer  # it goes on as it was planned
    trial = Trial(
        settings={"epochs": fewer.epochs}, share=1.0, score=0.5, seconds=1.0, peak_bytes=None, trainable_parameters=1, note=""
    )
    outcome = Outcome(chosen=trial, seconds=1.0, peak_bytes=None, trials=(trial,), spread=None, stopped_early=None)
    write_atomic(tmp_path / "strategies" / "lora" / "outcome.json", outcome.to_json())
    assert plan(everyone[1:2]) == fewer.model_copy(update={"estimates": {"lora": fewer.estimates["lora"]}})
    late = plan(everyone)
    assert late.epochs == fewer.epochs and list(late.estimates) == ["head", "lora", "full"]


def test_an_estimate_counts_the_full_run_the_short_ones_and_the_validation_scores(bench: EncoderBench):
    """38 batches of 16 x 10 passes at 0.2 s; 3 short runs of a quarter; 120 rows scored 6 times and 2 on the way, once at the end of each."""
    steps = 380 + 3 * 95
    assert planned(bench).estimates["full"].seconds == pytest.approx(0.2 * steps + 120 * (7 + 3 * 3) * PER_ROW)
    single = planned(bench, arms=1).estimates["full"].seconds
    assert single == pytest.approx(0.2 * 380 + 120 * 7 * PER_ROW)


def everyone_tuned() -> list[Stub]:
    names = ("contrastive", "bias", "lora", "adapter", "full")
    return [Stub("head"), *(Stub(name, moves_weights=True, values=(1.0, 2.0, 3.0)) for name in names)]


def test_a_budget_that_carries_no_pass_of_all_runs_fewer_strategies_and_those_for_a_pass_at_least(bench: EncoderBench):
    """A pass is 38 steps of 0.1 s: with its scores and the learning curve 30 s carry some of five strategies, and a second none."""
    ample = planned(bench, of=everyone_tuned(), strategies=())
    assert not ample.left_out and len(ample.estimates) == 6
    tight = planned(bench, 30.0, of=everyone_tuned(), strategies=())
    assert tight.left_out and set(tight.left_out) < {"bias", "adapter", "full"} and tight.epochs >= 1
    assert tight.seconds <= 30 and list(tight.estimates) == [
        one.name for one in everyone_tuned() if one.name not in tight.left_out
    ]
    least = planned(bench, 1.0, of=everyone_tuned(), strategies=())
    assert list(least.estimates) == ["head"] and len(least.left_out) == 5, "what trained for a step would tell nothing"
    assert "epochs" not in plan_text(least, entrants(bench, everyone_tuned())[:1], budget=1.0)
    alone = planned(bench, 1.0, of=everyone_tuned()[3:], strategies=())
    assert list(alone.estimates) == ["lora"] and alone.epochs < 1, "something runs"
    told = plan_text(tight, entrants(bench, everyone_tuned())[:1], budget=30.0)
    assert f"Left out, since the budget does not carry a pass, or 2,000 rows, of each: {', '.join(tight.left_out)}." in told
    for settings in ({"strategies": ("bias",)}, {"strategies": (), "epochs": 0.5}):
        assert not planned(bench, 1.0, of=everyone_tuned(), **settings).left_out, "what was asked for runs"


def test_what_follows_in_order_is_not_even_rehearsed_where_the_budget_is_spent(bench: EncoderBench):
    class NeverRehearsed(Stub):
        def rehearse(self, bench: EncoderBench) -> Pace | None:
            raise AssertionError("it takes time that is not there")

    some = [NeverRehearsed("bias", moves_weights=True), *(Stub(name, moves_weights=True) for name in ("lora", "adapter"))]
    assert planned(bench, 1.0, of=some, strategies=()).left_out == ("bias", "adapter")


def test_many_rows_need_no_whole_pass(tiny_encoder: Encoder, tmp_path: Path):
    """6,000 rows in batches of 32: a pass takes 19 s of each of the two strategies, 2,000 rows a third of that."""
    forecast = planned(make_bench(tiny_encoder, tmp_path, train=2000), 40.0, of=everyone_tuned()[2:4], strategies=())
    assert not forecast.left_out and 1 / 3 <= forecast.epochs < 1


def test_a_plan_that_leaves_strategies_out_is_kept(bench: EncoderBench, tmp_path: Path):
    everyone, settings = entrants(bench, everyone_tuned()), CompareSettings(data="x", budget_seconds=30.0)
    first, again = (
        _forecast(everyone, settings, tmp_path, test_rows=50, retained_texts=0, clock=time.perf_counter()) for _ in range(2)
    )
    assert first.left_out and again == first


def test_what_is_gone_and_what_follows_training_count(bench: EncoderBench):
    """50 test rows of 3 strategies, 2 x 50 and 100 that are timed, 200 retained texts of the 2 that train, and the curve of 'full'."""
    settings = CompareSettings(data="x", budget_seconds=AMPLE)
    forecast = plan_effort(entrants(bench, strategies()), settings, test_rows=50, retained_texts=200, spent=30.0)
    assert forecast.spent_seconds >= 30
    curve = 0.2 * 380 * (1 / 8 + 1 / 4 + 1 / 2) + 3 * 120 * 7 * PER_ROW
    assert forecast.after_seconds == pytest.approx(PER_ROW * (3 * (50 + 100 + 100) + 2 * 200) + curve)
    whole = planned(bench).seconds
    late = plan_effort(
        entrants(bench, strategies()), settings.model_copy(update={"budget_seconds": whole}), test_rows=50, spent=whole / 2
    )
    assert late.arms < 3 and late.seconds <= whole


def test_a_run_of_fewer_than_three_passes_is_scored_less_often(bench: EncoderBench):
    times = [Effort(epochs, 1, 16).evaluations() for epochs in (8.0, 3.0, 2.0, 1.0, 0.5, 0.01)]
    assert times == [6, 6, 4, 2, 1, 1] and Effort(8.0, 1, 16).evaluations(0.25) == 2
    forecast = planned(bench, epochs=0.5, arms=1)
    assert forecast.estimates["full"].seconds == pytest.approx(0.2 * 19 + 120 * 2 * PER_ROW)


def test_strategies_that_train_nothing_are_not_rehearsed_and_take_little(bench: EncoderBench):
    class Untrained(Stub):
        def rehearse(self, bench: EncoderBench) -> Pace | None:
            raise AssertionError("nothing to rehearse")

    forecast = planned(bench, of=[Untrained("head"), Untrained("nearest"), Untrained("zero_shot")])
    assert all(0 < estimate.seconds < 2 for estimate in forecast.estimates.values())
    assert forecast.epochs == 10.0


def test_a_forecast_survives_its_json_form(bench: EncoderBench):
    forecast = planned(bench)
    assert Forecast.model_validate_json(forecast.to_json()) == forecast


def test_the_plan_is_told_with_its_estimates(bench: EncoderBench):
    text = plan_text(planned(bench), entrants(bench, strategies()), budget=AMPLE)
    assert "the head" in text and "the lora" in text and "the full" in text
    assert "up to 10 epochs, 3 learning rates, 16 rows a step." in text
    assert "fewer strategies" not in text
    tight = plan_text(planned(bench, 3.0), entrants(bench, strategies()), budget=3.0)
    assert "less than one pass" in tight and "The budget of 3.0 s carries fewer strategies on this machine" in tight
    cheap = plan_text(planned(bench, of=strategies()[:1]), entrants(bench, strategies()[:1]), budget=AMPLE)
    assert "in all." in cheap and "epochs" not in cheap
    assert "1 learning rate," in plan_text(planned(bench, arms=1), entrants(bench, strategies()), budget=AMPLE)


@pytest.mark.parametrize(
    ("train", "budget", "kept"),
    [
        (600, 600.0, 600),  # 180,000 vectors fit
        (600, 2.0, 480),  # 600 vectors fit, of which 120 are validation rows
        (600, 0.1, 200),  # never fewer than 200
        (90, 0.1, 90),  # nor more than there are
        (60_000, 100.0, 29_880),
    ],
)
def test_training_rows_are_those_whose_vectors_fit_a_share_of_the_budget(
    tiny_encoder: Encoder, tmp_path: Path, train: int, budget: float, kept: int
):
    bench = replace(make_bench(tiny_encoder, tmp_path), train=rows(1, "train") * (train // 3))
    assert usable_rows(entrants(bench, strategies()), test_rows=50, budget=budget) == (kept, 120, 50)


def test_many_classes_keep_twenty_rows_each(tiny_encoder: Encoder, tmp_path: Path):
    labels = tuple(f"label{at}" for at in range(77))
    bench = replace(make_bench(tiny_encoder, tmp_path), labels=labels, train=rows(100, "train", labels), validation=[])
    assert usable_rows(entrants(bench, strategies()), test_rows=50, budget=0.1)[0] == 20 * 77


def test_validation_and_test_rows_are_capped_where_more_would_show_nothing(tiny_encoder: Encoder, tmp_path: Path):
    few = rows(1, "train")
    bench = replace(make_bench(tiny_encoder, tmp_path), train=few * 10_000, validation=few * 10_000)
    assert usable_rows(entrants(bench, strategies()), test_rows=1_000_000, budget=1e6) == (30_000, 5_000, 20_000)


def test_the_fewer_models_answer_in_words_the_more_test_rows_a_budget_carries():
    bench = object.__new__(TextBench)  # only its rows are looked at
    object.__setattr__(bench, "train", rows(10, "train"))
    object.__setattr__(bench, "validation", rows(10, "validation"))

    def test_rows(count: int, budget: float) -> int:
        one = Entrant("lora", "LoRA", Stub("lora", moves_weights=True), bench, "tiny")
        return usable_rows([one] * count, test_rows=1000, budget=budget)[2]

    # A quarter of the budget, at three zero-shot answers a row and strategy.
    assert (test_rows(2, 12.0), test_rows(4, 12.0), test_rows(2, 6.0)) == (500, 250, 250)
    assert (test_rows(4, 0.1), test_rows(1, 1e4)) == (48, 1000)


def test_the_pace_is_measured_on_texts_that_are_computed_afresh(bench: EncoderBench):
    bench.encoder.embed([example.text for example in bench.train])
    calls: list[int] = []
    hook = bench.encoder.net.register_forward_hook(lambda *_: calls.append(1))
    try:
        assert 0 < measured_pace(bench) < 1
    finally:
        hook.remove()
    assert len(calls) >= 2
