"""Every registered strategy keeps the same list of promises."""

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import BadModel, Usage
from hone.model import load_encoder
from hone.strategy import (
    STRATEGIES,
    Effort,
    EncoderBench,
    Fitted,
    Predictor,
    Strategy,
    check_names,
    choose_strategies,
    load_predictor,
)
from hone.strategy.predictors import NetPredictor, VectorPredictor

MakeBench = Callable[..., EncoderBench]
NEW = ["t0w1 t0w2 again", "please t1w3 t1w5 t1w0 t1w4", "t2w1", "", "nothing known here", "the t0w1 t1w1 t2w1 today"]
TRAINED = [name for name, strategy in STRATEGIES.items() if strategy.moves_weights]
SELF_CONTAINED = ("contrastive", "full")  # every weight moves, so every weight is saved

every = pytest.mark.parametrize("name", STRATEGIES)


class CountingBar:
    """Stands in for a progress bar."""

    def __init__(self) -> None:
        self.steps = 0.0

    def advance(self, amount: float = 1) -> None:
        self.steps += amount

    def describe(self, text: str) -> None:
        """A bar may be told what to say."""


def first_fit(strategy: Strategy, bench: EncoderBench, **options: object) -> Fitted:
    return strategy.fit(bench, strategy.candidates(bench)[0], **options)  # type: ignore[arg-type]


def forward_calls(predictor: Predictor) -> list[int]:
    """Grows by one with each forward pass of the predictor's network."""
    calls: list[int] = []
    net = predictor.net if isinstance(predictor, NetPredictor) else predictor.encoder.net  # type: ignore[attr-defined]
    net.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.fixture(scope="module")
def kept() -> dict[str, Fitted]:
    """Fits on the standard bench, which tests share because they only read them."""
    return {}


@pytest.fixture
def fitted(name: str, kept: dict[str, Fitted], make_bench: MakeBench) -> Fitted:
    """The strategy of this test, fitted with its first candidate."""
    if name not in kept:
        kept[name] = first_fit(STRATEGIES[name], make_bench())
    return kept[name]


def test_a_bench_has_no_test_rows():
    assert {field.name for field in dataclasses.fields(EncoderBench)} & {"test", "test_rows", "split", "task"} == set()


@every
def test_answers_are_probabilities_for_each_text_and_class(name: str, fitted: Fitted):
    answers = fitted.predictor.probabilities(NEW)
    assert answers.shape == (len(NEW), 3) and answers.dtype == np.float64
    assert (answers >= 0).all() and answers.sum(axis=1) == pytest.approx(np.ones(len(NEW)), abs=1e-12)
    assert fitted.predictor.labels == ("topic0", "topic1", "topic2")


@every
def test_no_texts_get_no_answers(name: str, fitted: Fitted):
    assert fitted.predictor.probabilities([]).shape == (0, 3)


@every
def test_the_reported_validation_answers_and_score_are_the_predictors_own(name: str, fitted: Fitted, make_bench: MakeBench):
    bench = make_bench()
    answers = fitted.predictor.probabilities([example.text for example in bench.validation])
    assert fitted.validation == pytest.approx(answers, abs=1e-6)
    assert fitted.score == np.mean(answers.argmax(axis=1) == bench.validation_targets)


@every
def test_separable_topics_are_told_apart(name: str, make_bench: MakeBench):
    strategy, bench = STRATEGIES[name], make_bench(effort=Effort(epochs=8.0, arms=1, batch_rows=4))
    assert max(strategy.fit(bench, settings).score for settings in strategy.candidates(bench)) >= 0.9


@every
def test_the_same_seed_gives_the_same_answers_whatever_the_global_generators_did(
    name: str, fitted: Fitted, make_bench: MakeBench
):
    torch.manual_seed(99)
    np.random.seed(99)
    random.seed(99)
    again = first_fit(STRATEGIES[name], make_bench())
    assert again.predictor.probabilities(NEW) == pytest.approx(fitted.predictor.probabilities(NEW), abs=1e-6)
    assert (again.settings, again.score, again.note) == (fitted.settings, fitted.score, fitted.note)


@every
def test_an_answer_does_not_depend_on_its_neighbours_or_their_order(name: str, fitted: Fitted, make_bench: MakeBench):
    texts = NEW + [example.text for example in make_bench().validation]
    order = np.random.default_rng(0).permutation(len(texts))
    with fitted.predictor.computed_afresh():
        forwards = fitted.predictor.probabilities(texts)
        shuffled = fitted.predictor.probabilities([texts[index] for index in order])
        alone = np.concatenate([fitted.predictor.probabilities([text]) for text in texts])
    assert shuffled == pytest.approx(forwards[order], abs=1e-6)
    assert alone == pytest.approx(forwards, abs=1e-6)


@every
def test_a_saved_predictor_answers_as_before(name: str, fitted: Fitted, tmp_path: Path):
    fitted.predictor.save(tmp_path / "new" / "predictor")
    loaded = load_predictor(tmp_path / "new" / "predictor", precision="fp32")
    assert loaded.labels == fitted.predictor.labels
    assert loaded.probabilities(NEW) == pytest.approx(fitted.predictor.probabilities(NEW), abs=1e-6)


@every
def test_a_loaded_predictor_can_be_saved_again(name: str, fitted: Fitted, tmp_path: Path):
    fitted.predictor.save(tmp_path / "first")
    load_predictor(tmp_path / "first", precision="fp32").save(tmp_path / "second")
    again = load_predictor(tmp_path / "second", precision="fp32")
    assert again.probabilities(NEW) == pytest.approx(fitted.predictor.probabilities(NEW), abs=1e-6)


@every
def test_a_folder_that_was_moved_still_answers(name: str, fitted: Fitted, tmp_path: Path):
    fitted.predictor.save(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    loaded = load_predictor(tmp_path / "there", precision="fp32")
    assert loaded.probabilities(NEW) == pytest.approx(fitted.predictor.probabilities(NEW), abs=1e-6)


@every
def test_there_are_candidates_and_the_settings_reported_are_the_ones_given(name: str, fitted: Fitted, make_bench: MakeBench):
    candidates = STRATEGIES[name].candidates(make_bench())
    assert candidates and len({repr(sorted(one.items())) for one in candidates}) == len(candidates)
    assert fitted.settings == candidates[0]


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("arms", [1, 2, 3])
def test_the_effort_decides_how_many_learning_rates_are_tried(name: str, arms: int, make_bench: MakeBench):
    candidates = STRATEGIES[name].candidates(make_bench(effort=Effort(epochs=2.5, arms=arms, batch_rows=6)))
    assert len({one["learning_rate"] for one in candidates}) == arms
    assert {one["epochs"] for one in candidates} == {2.5}


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_fit_takes_at_most_the_steps_that_were_announced(name: str, share: float, make_bench: MakeBench):
    strategy, bench, bar = STRATEGIES[name], make_bench(), CountingBar()
    announced = strategy.steps(bench, strategy.candidates(bench)[0], share=share)
    fitted = first_fit(strategy, bench, share=share, bar=bar)
    assert 0 < bar.steps <= announced
    if "Stopped after" not in fitted.note:
        assert bar.steps == announced


@pytest.mark.parametrize("name", TRAINED)
def test_a_quarter_of_the_length_is_a_quarter_of_the_steps(name: str, make_bench: MakeBench):
    strategy, bench = STRATEGIES[name], make_bench(effort=Effort(epochs=16.0, arms=1, batch_rows=8))
    settings = strategy.candidates(bench)[0]
    assert abs(strategy.steps(bench, settings, share=0.25) - strategy.steps(bench, settings) / 4) <= 1


@every
def test_only_strategies_that_move_weights_have_steps_and_a_pace(name: str, make_bench: MakeBench):
    strategy, bench = STRATEGIES[name], make_bench()
    steps, pace = strategy.steps(bench, strategy.candidates(bench)[0]), strategy.rehearse(bench)
    assert (steps > 0) == (pace is not None) == strategy.moves_weights
    if pace is not None:
        assert pace.seconds_per_step > 0 and pace.peak_bytes > 0 and pace.trainable_parameters > 0


@every
def test_fitting_and_rehearsing_leave_the_shared_encoder_and_the_work_folder_as_they_were(
    name: str, encoder_folder: Path, make_bench: MakeBench
):
    encoder = load_encoder(locate_model(str(encoder_folder)), precision="fp32")
    bench = make_bench(encoder=encoder)
    before = {key: value.clone() for key, value in encoder.net.state_dict().items()}
    STRATEGIES[name].rehearse(bench)
    first_fit(STRATEGIES[name], bench, share=0.25)
    after = encoder.net.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert not bench.work.exists() or list(bench.work.iterdir()) == []


@every
def test_a_class_with_a_single_training_row_works(name: str, make_bench: MakeBench):
    check_shape(name, make_bench((8, 8, 1)), classes=3)


@every
def test_a_single_row_of_each_class_works(name: str, make_bench: MakeBench):
    check_shape(name, make_bench((1, 1, 1)), classes=3)


@every
def test_two_classes_work(name: str, make_bench: MakeBench):
    check_shape(name, make_bench((8, 8)), classes=2)


@every
def test_twenty_classes_work(name: str, make_bench: MakeBench):
    check_shape(name, make_bench((2,) * 20, effort=Effort(epochs=1.0, arms=1, batch_rows=8)), classes=20)


@every
def test_a_class_whose_training_rows_are_all_gone_works(name: str, make_bench: MakeBench):
    """A learning curve may leave a class without a row."""
    bench = make_bench((8, 8, 8))
    check_shape(name, bench.with_train([example for example in bench.train if example.label != "topic1"]), classes=3)


def check_shape(name: str, bench: EncoderBench, *, classes: int) -> None:
    fitted = first_fit(STRATEGIES[name], bench)
    answers = fitted.predictor.probabilities(NEW)
    assert answers.shape == (len(NEW), classes) and np.isfinite(answers).all()
    assert answers.sum(axis=1) == pytest.approx(np.ones(len(NEW)), abs=1e-12)
    assert fitted.validation.shape == (len(bench.validation), classes) and 0 <= fitted.score <= 1


@pytest.mark.parametrize("name", ["head", "nearest"])
def test_a_class_without_a_training_row_is_never_given(name: str, make_bench: MakeBench):
    bench = make_bench((8, 8, 8))
    bench = bench.with_train([example for example in bench.train if example.label != "topic1"])
    for settings in STRATEGIES[name].candidates(bench):
        given = STRATEGIES[name].fit(bench, settings).predictor.probabilities([e.text for e in bench.validation])
        assert 1 not in given.argmax(axis=1)


@every
def test_the_metric_of_the_task_is_the_one_by_which_a_fit_is_scored(name: str, make_bench: MakeBench):
    from sklearn.metrics import f1_score

    bench = make_bench((12, 2, 2), metric="macro_f1", effort=Effort(epochs=1.0, arms=1, batch_rows=8))
    fitted = first_fit(STRATEGIES[name], bench)
    theirs = f1_score(bench.validation_targets, fitted.validation.argmax(axis=1), average="macro", zero_division=0)
    assert fitted.score == pytest.approx(theirs, abs=1e-12)


@every
def test_known_texts_are_reused_and_computed_afresh_only_on_request(name: str, fitted: Fitted, tmp_path: Path):
    fitted.predictor.save(tmp_path)
    predictor = load_predictor(tmp_path, precision="fp32")
    calls = forward_calls(predictor)
    predictor.probabilities(NEW)
    first = len(calls)
    assert first > 0
    with predictor.computed_afresh():
        predictor.probabilities(NEW)
        predictor.probabilities(NEW)
    assert len(calls) == 3 * first
    predictor.probabilities(NEW)
    assert len(calls) == (3 * first if isinstance(predictor, VectorPredictor) else 4 * first)


@every
def test_other_base_weights_are_refused_unless_the_folder_holds_its_own(
    name: str, encoder_folder: Path, make_bench: MakeBench, tmp_path: Path
):
    base = tmp_path / "base"
    shutil.copytree(encoder_folder, base)
    folder = locate_model(str(base))
    bench = make_bench(encoder=load_encoder(folder, precision="fp32"))
    predictor = first_fit(STRATEGIES[name], bench, share=0.25).predictor
    predictor.save(tmp_path / "saved")
    change_weights(base)
    if name in SELF_CONTAINED:
        loaded = load_predictor(tmp_path / "saved", precision="fp32")
        assert loaded.probabilities(NEW) == pytest.approx(predictor.probabilities(NEW), abs=1e-6)
        return
    with pytest.raises(BadModel) as caught:
        load_predictor(tmp_path / "saved")
    assert folder.sha256[:12] in str(caught.value) and locate_model(str(base)).sha256[:12] in str(caught.value)


def change_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    name = next(iter(tensors))
    tensors[name] = tensors[name] + 1e-3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_folder_without_a_predictor_is_refused(tmp_path: Path):
    with pytest.raises(BadModel, match=r"holds no predictor: predictor\.json is missing"):
        load_predictor(tmp_path)


def test_all_strategies_come_in_the_order_of_their_cost_whatever_the_order_asked_for():
    assert [strategy.name for strategy in choose_strategies((), STRATEGIES)] == [
        n for n in STRATEGIES if STRATEGIES[n].by_default
    ]
    assert [strategy.name for strategy in choose_strategies(("lora", "zero_shot", "head"), STRATEGIES)] == [
        "zero_shot",
        "head",
        "lora",
    ]
    moves = [strategy.moves_weights for strategy in STRATEGIES.values()]
    assert moves == sorted(moves)


def test_unknown_strategies_are_all_told_at_once():
    with pytest.raises(Usage) as caught:
        check_names(("lorra", "head", "hed"))
    lines = str(caught.value).splitlines()
    assert len(lines) == 2 and "Did you mean 'lora'?" in lines[0] and "Did you mean 'head'?" in lines[1]


def test_a_bench_draws_up_to_k_rows_of_each_class(make_bench: MakeBench):
    bench = make_bench((6, 2, 4))
    drawn = bench.draw_per_class(3, seed=5)
    assert [bench.train[index].label for index in drawn] == ["topic0"] * 3 + ["topic1"] * 2 + ["topic2"] * 3
    assert len(set(drawn)) == 8 and drawn == bench.draw_per_class(3, seed=5) != bench.draw_per_class(3, seed=6)


def test_the_digest_of_the_rows_notices_another_label_and_another_order(make_bench: MakeBench):
    bench = make_bench()
    other = dataclasses.replace(bench.train[0], label="topic2" if bench.train[0].label != "topic2" else "topic0")
    digests = {bench.with_train(train).rows_digest for train in (bench.train, bench.train[::-1], [other, *bench.train[1:]])}
    assert len(digests) == 3


def test_virtual_tokens_leave_room_for_a_text_as_long_as_the_context(make_bench: MakeBench, tmp_path: Path):
    """The encoder has 64 positions, and a prompt takes 20 of them."""
    bench = make_bench()
    long = dataclasses.replace(bench.train[0], text=" ".join(["t0w1"] * 200))
    bench = dataclasses.replace(bench, train=[long, *bench.train], validation=[long, *bench.validation])
    assert STRATEGIES["prompt"].rehearse(bench) is not None
    fitted = first_fit(STRATEGIES["prompt"], bench, share=0.25)
    fitted.predictor.save(tmp_path / "saved")
    loaded = load_predictor(tmp_path / "saved", precision="fp32")
    assert loaded.answer([long]) == pytest.approx(fitted.predictor.answer([long]), abs=1e-6)
