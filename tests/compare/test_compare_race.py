"""The race: settings by validation rows, short runs for what trains, early stops with a reason, and no work done twice."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from stubs import Stub, entrants, make_bench

from hone.compare.effort import SHORT
from hone.compare.race import LATE_GAIN, Finished, race
from hone.core.errors import BadData
from hone.model import Encoder
from hone.strategy import Effort, EncoderBench
from hone.strategy.predictors import VectorPredictor


@pytest.fixture
def bench(tiny_encoder: Encoder, tmp_path: Path) -> EncoderBench:
    return make_bench(tiny_encoder, tmp_path / "work")


@pytest.fixture
def run(bench: EncoderBench, tmp_path: Path):
    """`run(strategies)`: a race in this test's folder."""

    def start(strategies: Sequence[Stub], *, embed_seconds: float = 0.0, bench: EncoderBench = bench) -> dict[str, Finished]:
        found = race(entrants(bench, strategies), tmp_path / "strategies", embed_seconds=embed_seconds)
        assert [one.strategy.name for one in found] == [strategy.name for strategy in strategies]
        return {one.strategy.name: one for one in found}

    return start


def trained(name: str, quality, **options) -> Stub:
    return Stub(name, quality, moves_weights=True, values=(3.0, 1.0, 2.0), **options)


def bias(finished: Finished) -> list[float]:
    """[setting, share] of the fit that was saved: stubs write them into their head."""
    predictor = finished.predictor("fp32")
    assert isinstance(predictor, VectorPredictor)
    return predictor.scorer.bias.tolist()[:2]  # type: ignore[attr-defined]


def test_the_candidate_with_the_best_validation_score_is_kept_and_saved(run):
    stub = Stub("head", lambda _, settings, __: {0.3: 0.6, 1.0: 0.9, 3.0: 0.7}[settings["value"]], values=(0.3, 1.0, 3.0))
    found = run([stub])["head"]
    assert found.outcome.chosen.settings == {"value": 1.0} and found.outcome.chosen.score == 0.9
    assert [trial.score for trial in found.outcome.trials] == [0.6, 0.9, 0.7]
    assert found.outcome.stopped_early is None
    assert bias(found) == [1.0, 1.0]
    assert np.mean(found.validation.argmax(axis=1) == np.tile([0, 1, 2], 40)) == 0.9


def test_among_equals_the_first_candidate_is_kept(run):
    assert run([Stub("head", 0.8, values=(5.0, 4.0, 6.0))])["head"].outcome.chosen.settings == {"value": 5.0}


def test_the_score_of_a_choice_is_the_metric_of_the_task(bench: EncoderBench, run):
    """With macro F1 the scores are not the accuracies."""
    other = make_bench(bench.encoder, bench.work, metric="macro_f1")
    found = run([Stub("head", 0.75)], bench=other)["head"]
    from sklearn.metrics import f1_score

    theirs = f1_score(other.validation_targets, found.validation.argmax(axis=1), average="macro")
    assert found.outcome.chosen.score == pytest.approx(theirs) != 0.75


def test_what_trains_is_run_short_with_every_rate_and_full_with_the_best(run):
    stub = trained("lora", lambda _, settings, share: 0.8 - 0.1 * settings["value"] + 0.05 * (share == 1))
    found = run([stub])["lora"]
    assert stub.fits == [(3.0, SHORT), (1.0, SHORT), (2.0, SHORT), (1.0, 1.0)]
    assert (found.outcome.chosen.settings, found.outcome.chosen.share) == ({"value": 1.0}, 1.0)
    assert len(found.outcome.trials) == 4
    assert bias(found) == [1.0, 1.0]


def test_the_full_run_is_the_result_even_where_the_short_one_scored_higher(run):
    """Short runs choose the rate and no more: a lucky one does not end the race."""
    found = run([trained("lora", lambda _, __, share: 0.9 if share < 1 else 0.8)])["lora"]
    assert found.outcome.chosen.share == 1.0 and found.outcome.chosen.score == 0.8


def test_a_single_rate_needs_no_short_run(bench: EncoderBench, run):
    from dataclasses import replace

    stub = trained("lora", 0.8)
    run([stub], bench=replace(bench, effort=Effort(epochs=4.0, arms=1, batch_rows=16)))
    assert stub.fits == [(3.0, 1.0)]


def test_the_hopeless_is_stopped_with_the_reason_and_keeps_its_short_result(run, tmp_path: Path):
    good, bad = trained("lora", 0.9), trained("bias", 0.4)
    found = run([bad, good])
    stopped = found["bias"].outcome
    assert stopped.stopped_early is not None and stopped.chosen.share == SHORT and stopped.chosen.score == 0.4
    for part in ("25%", "40.0%", "90.0%", "the lora", f"{100 * LATE_GAIN:.0f}", "98%"):
        assert part in stopped.stopped_early
    assert {share for _, share in bad.fits} == {SHORT} and good.fits[-1] == (3.0, 1.0)
    assert bias(found["bias"]) == [3.0, SHORT]
    assert json.loads((tmp_path / "strategies/bias/outcome.json").read_text())["stopped_early"] == stopped.stopped_early
    assert found["lora"].outcome.stopped_early is None


@pytest.mark.parametrize("gap", [0.0, LATE_GAIN / 2, LATE_GAIN])
def test_a_late_bloomer_goes_on_and_may_win(run, gap: float):
    late = trained("full", lambda _, __, share: 0.95 if share == 1 else 0.85 - gap)
    found = run([late, trained("lora", lambda _, __, share: 0.9 if share == 1 else 0.85)])
    assert found["full"].outcome.stopped_early is None
    assert found["full"].outcome.chosen.score == 0.95


def test_what_does_not_train_is_never_stopped(run):
    found = run([Stub("zero_shot", 0.1), trained("lora", 0.9), trained("bias", 0.9)])
    assert [one.outcome.stopped_early for one in found.values()] == [None] * 3


def test_the_reason_for_a_stop_follows_the_metric_of_the_task(bench: EncoderBench, run):
    found = run([trained("bias", 0.3), trained("lora", 0.95)], bench=make_bench(bench.encoder, bench.work, metric="macro_f1"))
    assert found["bias"].outcome.stopped_early is not None and found["lora"].outcome.stopped_early is None


def test_finished_strategies_are_read_back_and_not_fitted_again(run):
    def strategies() -> list[Stub]:
        return [Stub("head", 0.7, values=(1.0, 2.0)), trained("lora", 0.9), trained("bias", 0.4)]

    first, again = strategies(), strategies()
    found, back = run(first), run(again)
    assert [len(stub.fits) for stub in first] == [2, 4, 3]
    assert [stub.fits for stub in again] == [[], [], []]
    for name, one in found.items():
        assert back[name].outcome == one.outcome and np.array_equal(back[name].validation, one.validation)


def test_finished_strategies_are_not_fitted_again_when_the_work_folder_is_gone(bench: EncoderBench, run):
    """A comparison that ends removes its work folder; the same command then only reads."""
    strategies = [trained("lora", 0.9), trained("bias", 0.4)]
    run(strategies)
    shutil.rmtree(bench.work, ignore_errors=True)
    for stub in strategies:
        stub.fits.clear()
    assert run(strategies)["bias"].outcome.stopped_early is not None
    assert [stub.fits for stub in strategies] == [[], []]


def test_a_strategy_added_later_is_the_only_one_fitted(bench: EncoderBench, run):
    old, new = trained("lora", 0.9), trained("full", 0.9)
    run([old])
    shutil.rmtree(bench.work, ignore_errors=True)
    old.fits.clear()
    run([old, new])
    assert old.fits == [] and len(new.fits) == 4


def test_an_interrupted_race_goes_on_where_it_was(run, tmp_path: Path):
    first, second = Stub("zero_shot", 0.5), Stub("head", 0.8)
    third = Stub("nearest", 0.7, breaks=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run([first, second, third])
    on_disk = sorted(path.name for path in (tmp_path / "strategies").iterdir())
    assert on_disk == ["head", "zero_shot"]
    third.breaks = None
    found = run([first, second, third])
    assert [len(stub.fits) for stub in (first, second, third)] == [1, 1, 2]
    assert found["nearest"].outcome.chosen.score == 0.7


def test_short_runs_survive_an_interruption_of_the_full_ones(run):
    steady = trained("lora", 0.9)

    def interrupted(_: EncoderBench, __: object, share: float) -> float:
        if share == 1.0:
            raise KeyboardInterrupt
        return 0.85

    broken = trained("full", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run([broken, steady])
    assert len(broken.fits) == 4 and len(steady.fits) == 3
    broken.quality = 0.95
    found = run([broken, steady])
    assert broken.fits[4:] == [(3.0, 1.0)] and steady.fits[3:] == [(3.0, 1.0)]
    assert found["full"].outcome.chosen.score == 0.95 and len(found["full"].outcome.trials) == 4


def test_a_kill_while_a_stopped_strategy_is_written_down_leaves_nothing_half_done(run, tmp_path: Path, monkeypatch):
    strategies = [trained("bias", 0.4), trained("lora", 0.9)]

    def killed(source: Path, target: Path, **_: object) -> None:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "outcome.json", target / "outcome.json")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("hone.compare.race.shutil.copytree", killed)
        run(strategies)
    found = run(strategies)
    assert bias(found["bias"]) == [3.0, SHORT]


def test_sentence_vectors_are_charged_to_those_who_read_them(run):
    found = run(
        [
            Stub("zero_shot"),
            Stub("head", reads_train_vectors=True),
            trained("lora", 0.8),
        ],
        embed_seconds=1000.0,
    )
    charged = {name: one.outcome.seconds >= 1000 for name, one in found.items()}
    assert charged == {"zero_shot": False, "head": True, "lora": False}
    head = found["head"].outcome
    assert head.seconds == pytest.approx(1000 + sum(trial.seconds for trial in head.trials))


def test_the_seconds_of_a_trained_strategy_are_those_of_all_its_trials(run):
    outcome = run([trained("lora", 0.8)])["lora"].outcome
    assert outcome.seconds == pytest.approx(sum(trial.seconds for trial in outcome.trials)) and len(outcome.trials) == 4
    assert outcome.peak_bytes == max(trial.peak_bytes for trial in outcome.trials)


def test_what_is_tested_is_read_from_disk(run, tmp_path: Path):
    found = run([Stub("head", values=(2.0,))])["head"]
    assert found.folder == tmp_path / "strategies" / "head"
    assert {path.name for path in found.folder.iterdir()} == {"predictor", "outcome.json", "validation.safetensors"}
    shutil.rmtree(found.folder / "predictor")
    with pytest.raises(Exception, match="holds no predictor"):
        found.predictor("fp32")


@pytest.mark.parametrize(
    "name", ["outcome.json", "validation.safetensors", "predictor/predictor.json", "predictor/scorer.safetensors"]
)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b'{"chosen": 1}'])
def test_a_damaged_file_of_a_finished_strategy_is_named_with_the_way_on(run, tmp_path: Path, name: str, content: bytes):
    run([Stub("head", 0.8)])
    (tmp_path / "strategies" / "head" / name).write_bytes(content)
    with pytest.raises(BadData, match=r"strategies/head.* cannot be read: .+ damaged.+[Rr]emove th(is|e strategy's) folder"):
        run([Stub("head", 0.8)])["head"].predictor("fp32")
