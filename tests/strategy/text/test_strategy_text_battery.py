"""Every strategy of models that answer in words keeps the same list of promises, for each kind of answer, on a decoder and an encoder-decoder."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import BadData, BadModel, Usage
from hone.measure import score_texts
from hone.model import RemoteSettings, load_encoder
from hone.retrieve import ChunkSettings, Index, IndexSettings, open_index, read_documents
from hone.strategy import TEXT_STRATEGIES, Effort, Fitted, TextBase, TextBench, load_predictor
from hone.task import Example
from tiny_language import save_language_model
from tiny_server import chat_answer, serve
from tiny_words import choice_rows, label_rows, written_rows

MakeBench = Callable[..., TextBench]
KINDS = ("text-generation", "multiple-choice", "text-classification")
NEW = {
    "text-generation": written_rows(9, seed=5),
    "multiple-choice": choice_rows(9, seed=5),
    "text-classification": label_rows(9, seed=5),
}
ONLY_TEXTS = ("first_sentences", "inference")
NO_WEIGHTS = ("bias",)  # the tiny models have none, as Llama and T5 have not
USUAL = [name for name, strategy in TEXT_STRATEGIES.items() if strategy.by_default]
BY_NAME = [name for name in TEXT_STRATEGIES if name not in USUAL and name not in NO_WEIGHTS]
MODELS = ("llama", "t5")
CROSSED = list(zip(KINDS, ("llama", "t5", "t5"), strict=True))  # each kind once and each model: training takes its time
CASES = [
    *((name, kind, model) for name in USUAL if not TEXT_STRATEGIES[name].moves_weights for kind in KINDS for model in MODELS),
    *(("lora", kind, model) for kind in KINDS for model in MODELS),
    *((name, *case) for name in ("adapter", "full") for case in CROSSED),
    *((name, *CROSSED[at % 3]) for at, name in enumerate(BY_NAME)),
]
CASES = [case for case in CASES if case[0] not in ONLY_TEXTS or case[1] == "text-generation"]
CHOICES = [case for case in CASES if case[1] == "multiple-choice"]
TRAINED = [case for case in CASES if TEXT_STRATEGIES[case[0]].moves_weights]
LEARNING = {"lora": 1e-2, "full": 5e-3, "adapter": 3e-2, "ia3": 1e-1}


def for_each(cases: list[tuple[str, str, str]]) -> pytest.MarkDecorator:
    """A test per strategy, kind of answer and model."""
    return pytest.mark.parametrize(("name", "kind", "model"), [pytest.param(*case, id="-".join(case)) for case in cases])


every = for_each(CASES)


class CountingBar:
    """Stands in for a progress bar."""

    def __init__(self) -> None:
        self.steps = 0.0

    def advance(self, amount: float = 1) -> None:
        self.steps += amount

    def describe(self, text: str) -> None:
        """A bar may be told what to say."""


@pytest.fixture(scope="module")
def kept() -> dict[tuple[str, str, str], tuple[TextBench, Fitted]]:
    """Fits with the first candidate, which tests share because they only read them."""
    return {}


@pytest.fixture
def fitted(name: str, kind: str, model: str, kept, make_bench: MakeBench, tmp_path_factory) -> Fitted:
    if (name, kind, model) not in kept:
        bench = make_bench(kind, model, work=tmp_path_factory.mktemp("work"))
        strategy = TEXT_STRATEGIES[name]
        kept[name, kind, model] = (bench, strategy.fit(bench, strategy.candidates(bench)[0]))
    return kept[name, kind, model][1]


@pytest.fixture
def bench(name: str, kind: str, model: str, fitted: Fitted, kept) -> TextBench:
    """The one on which it was fitted."""
    found: TextBench = kept[name, kind, model][0]
    return found


def same(one, other) -> bool:
    if isinstance(one, tuple):
        return bool(one == other)
    return one.shape == other.shape and bool(np.allclose(one, other, atol=1e-5))


@every
def test_there_are_candidates_no_two_alike_and_the_settings_reported_are_the_first(
    name: str, kind: str, model: str, fitted: Fitted, bench: TextBench
):
    strategy = TEXT_STRATEGIES[name]
    candidates = strategy.candidates(bench)
    assert candidates and len({repr(sorted(one.items())) for one in candidates}) == len(candidates)
    assert dict(fitted.settings) == dict(candidates[0]) and strategy.suits(bench) is None
    assert all(isinstance(value, (str, int, float)) for one in candidates for value in one.values())


@every
def test_answers_are_of_the_form_that_the_rows_ask_for(name: str, kind: str, model: str, fitted: Fitted):
    answers = fitted.predictor.answer(NEW[kind])
    if kind == "text-generation":
        assert len(answers) == 9 and all(isinstance(text, str) and text == text.strip() for text in answers)
        assert fitted.predictor.answer([]) == () and fitted.predictor.labels == ()
        return
    assert isinstance(answers, np.ndarray) and answers.shape == (9, 3) and answers.dtype == np.float64
    assert (answers >= 0).all() and answers.sum(axis=1) == pytest.approx(np.ones(9), abs=1e-9)
    assert np.asarray(fitted.predictor.answer([])).shape == (0, 3)
    if kind == "multiple-choice":
        absent = np.array([[at >= len(row.choices) for at in range(3)] for row in NEW[kind]])
        assert absent.any() and (answers[absent] == 0).all() and (answers[~absent] > 0).all()


@for_each(CHOICES)
def test_two_choices_of_three_letters_are_answered_by_two(name: str, kind: str, model: str, fitted: Fitted):
    """Also where no row has as many choices as there are letters."""
    few = [row for row in NEW[kind] if len(row.choices) == 2]
    answers = np.asarray(fitted.predictor.answer(few))
    assert answers.shape == (len(few), 3) and (answers[:, 2] == 0).all()
    assert same(answers, np.asarray(fitted.predictor.answer(NEW[kind]))[[len(row.choices) == 2 for row in NEW[kind]]])


@every
def test_the_reported_validation_answers_and_score_are_the_predictors_own(
    name: str, kind: str, model: str, fitted: Fitted, bench: TextBench
):
    answers = fitted.predictor.answer(bench.validation)
    assert same(fitted.validation, answers)
    if isinstance(answers, tuple):
        right = [(row.label, *row.more) for row in bench.validation]
        assert fitted.score == score_texts(answers, right, [bench.metric])[bench.metric].value
    else:
        letters = [bench.labels[index] for index in answers.argmax(axis=1)]
        assert fitted.score == np.mean([said == row.label for said, row in zip(letters, bench.validation, strict=True)])


@every
def test_an_answer_depends_neither_on_neighbours_nor_on_order_nor_on_its_label(name: str, kind: str, model: str, fitted: Fitted):
    rows = NEW[kind]
    order = np.random.default_rng(0).permutation(len(rows))
    forwards = fitted.predictor.answer(rows)
    shuffled = fitted.predictor.answer([rows[index] for index in order])
    alone = [fitted.predictor.answer([row])[0] for row in rows[:3]]
    blind = fitted.predictor.answer([replace(row, label="", more=()) for row in rows])
    if isinstance(forwards, tuple):
        assert shuffled == tuple(forwards[index] for index in order) and tuple(alone) == forwards[:3]
    else:
        assert same(shuffled, forwards[order]) and same(np.stack(alone), forwards[:3])
    assert same(blind, forwards)


@every
def test_a_saved_predictor_answers_as_before_also_from_another_place(
    name: str, kind: str, model: str, fitted: Fitted, tmp_path: Path
):
    fitted.predictor.save(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    loaded = load_predictor(tmp_path / "there", precision="fp32")
    before = fitted.predictor.answer(NEW[kind])
    assert loaded.labels == fitted.predictor.labels and same(loaded.answer(NEW[kind]), before)
    loaded.save(tmp_path / "again")
    assert {path.name for path in (tmp_path / "again").iterdir()} == {path.name for path in (tmp_path / "there").iterdir()}
    if TEXT_STRATEGIES[name].moves_weights:
        shutil.rmtree(tmp_path / "there")
        assert same(load_predictor(tmp_path / "again", precision="fp32").answer(NEW[kind]), before)


@for_each([case for case in CASES if case[0] not in (*BY_NAME, "full")])
def test_the_same_seed_gives_the_same_answers_whatever_the_global_generators_did(
    name: str, kind: str, model: str, fitted: Fitted, make_bench: MakeBench
):
    torch.manual_seed(99)
    np.random.seed(99)
    random.seed(99)
    fresh, strategy = make_bench(kind, model), TEXT_STRATEGIES[name]
    again = strategy.fit(fresh, strategy.candidates(fresh)[0])
    assert same(again.validation, fitted.validation)
    assert (again.score, again.note, again.trainable_parameters) == (fitted.score, fitted.note, fitted.trainable_parameters)


@every
def test_only_what_moves_weights_has_steps_a_pace_and_trained_parameters(
    name: str, kind: str, model: str, fitted: Fitted, bench: TextBench
):
    strategy = TEXT_STRATEGIES[name]
    is_trained = strategy.moves_weights
    assert (strategy.steps(bench, strategy.candidates(bench)[0]) > 0) == (fitted.trainable_parameters > 0) == is_trained
    assert (strategy.asked(bench) > 0) == (not is_trained and name != "first_sentences")
    if not is_trained:
        assert strategy.rehearse(bench) is None


@for_each(TRAINED[::5])
def test_a_rehearsal_tells_a_pace_and_leaves_the_model_as_it_was(name: str, kind: str, model: str, make_bench: MakeBench):
    bench = make_bench(kind, model)
    before = TEXT_STRATEGIES["zero_shot"].fit(bench, TEXT_STRATEGIES["zero_shot"].candidates(bench)[0]).validation
    pace = TEXT_STRATEGIES[name].rehearse(bench)
    assert pace is not None and pace.seconds_per_step > 0 and pace.peak_bytes > 0 and pace.trainable_parameters > 0
    after = make_bench(kind, model, base=bench.base)
    assert same(TEXT_STRATEGIES["zero_shot"].fit(after, TEXT_STRATEGIES["zero_shot"].candidates(after)[0]).validation, before)


@for_each(TRAINED[::4])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_fit_takes_the_steps_that_were_announced(name: str, kind: str, model: str, share: float, make_bench: MakeBench):
    strategy, bench, bar = TEXT_STRATEGIES[name], make_bench(kind, model, effort=Effort(2.0, 1, 8)), CountingBar()
    settings = strategy.candidates(bench)[0]
    fitted = strategy.fit(bench, settings, share=share, bar=bar)
    announced = strategy.steps(bench, settings, share=share)
    assert announced == round(6 * share) == bar.steps or "Stopped after" in fitted.note
    assert 0 < bar.steps <= announced and not list(bench.work.glob("*.checkpoint"))


@pytest.mark.parametrize("name", [name for name in USUAL if TEXT_STRATEGIES[name].moves_weights])
@pytest.mark.parametrize("arms", [1, 2, 3])
def test_the_effort_decides_how_many_learning_rates_are_tried(name: str, arms: int, make_bench: MakeBench):
    candidates = TEXT_STRATEGIES[name].candidates(make_bench(effort=Effort(epochs=2.5, arms=arms, batch_rows=6)))
    assert len({one["learning_rate"] for one in candidates}) == arms
    assert {(one["epochs"], one["batch_rows"]) for one in candidates} == {(2.5, 6)}


LESSONS = [
    *(("lora", *case) for case in CROSSED),
    *(("full", kind, "t5" if model == "llama" else "llama") for kind, model in CROSSED),
    *((name, "text-classification", "llama") for name in ("adapter", "ia3")),
]


@for_each(LESSONS)
def test_what_trains_learns_what_the_untouched_model_does_not_know(name: str, kind: str, model: str, make_bench: MakeBench):
    bench = make_bench(kind, model, rows=48, effort=Effort(epochs=8.0, arms=1, batch_rows=8))
    zero_shot, strategy = TEXT_STRATEGIES["zero_shot"], TEXT_STRATEGIES[name]
    before = zero_shot.fit(bench, zero_shot.candidates(bench)[0]).score
    after = strategy.fit(bench, {**strategy.candidates(bench)[0], "learning_rate": LEARNING[name]}).score
    assert before <= 0.6 and after >= 0.75 and after > before


def changed(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    name = next(iter(tensors))
    tensors[name] = tensors[name] + 1e-3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "lora", "adapter", "full"])
@pytest.mark.parametrize("model", ["llama", "t5"])
def test_other_base_weights_are_refused_unless_the_folder_holds_its_own(
    name: str, model: str, word_model: Callable[[str], Path], make_bench: MakeBench, tmp_path: Path
):
    base = tmp_path / "base"
    shutil.copytree(word_model(model), base)
    bench, strategy = make_bench("text-classification", model, base=TextBase(str(base), precision="fp32")), TEXT_STRATEGIES[name]
    predictor = strategy.fit(bench, strategy.candidates(bench)[0]).predictor
    before, old = predictor.answer(NEW["text-classification"]), locate_model(str(base)).sha256
    predictor.save(tmp_path / "saved")
    if name == "full":
        shutil.rmtree(base)
        assert same(load_predictor(tmp_path / "saved", precision="fp32").answer(NEW["text-classification"]), before)
        return
    changed(base)
    with pytest.raises(BadModel) as caught:
        load_predictor(tmp_path / "saved")
    assert old[:12] in str(caught.value) and locate_model(str(base)).sha256[:12] in str(caught.value)
    shutil.rmtree(base)
    with pytest.raises(BadModel):
        load_predictor(tmp_path / "saved")


def test_what_does_not_suit_the_rows_or_the_model_says_why(make_bench: MakeBench):
    choice, texts = make_bench("multiple-choice"), make_bench()
    reasons = {name: strategy.suits(choice) for name, strategy in TEXT_STRATEGIES.items()}
    assert {name for name, reason in reasons.items() if reason} >= set(ONLY_TEXTS)
    assert "scored, not written" in str(reasons["inference"]) and "no texts of their own" in str(reasons["first_sentences"])
    assert all(TEXT_STRATEGIES[name].suits(texts) is None for name in USUAL)
    assert "no encoder" in str(TEXT_STRATEGIES["nearest_shots"].suits(make_bench(encoder=None)))
    server = make_bench(base=TextBase("openai:some", base_url="http://127.0.0.1:9/v1"))
    for name, strategy in TEXT_STRATEGIES.items():
        assert (strategy.suits(server) == "its weights are not here to be trained") == strategy.moves_weights, name


def test_a_run_that_was_moved_looks_things_up_in_the_index_that_moved_with_it(
    make_bench: MakeBench, index: Index, tmp_path: Path
):
    shutil.copytree(index.folder, tmp_path / "run" / "index")
    bench = make_bench(index=open_index(tmp_path / "run" / "index", encoder=index.encoder))
    strategy = TEXT_STRATEGIES["retrieval"]
    predictor = strategy.fit(bench, strategy.candidates(bench)[0]).predictor
    predictor.save(tmp_path / "run" / "strategies" / "retrieval" / "predictor")
    before = predictor.answer(NEW["text-generation"])
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = load_predictor(tmp_path / "moved" / "strategies" / "retrieval" / "predictor", precision="fp32")
    assert same(moved.answer(NEW["text-generation"]), before)


@pytest.fixture
def lost(make_bench: MakeBench, index: Index, tmp_path: Path) -> Path:
    """A saved predictor whose index lies no more where it lay, but in `elsewhere`."""
    shutil.copytree(index.folder, tmp_path / "there")
    bench = make_bench(index=open_index(tmp_path / "there", encoder=index.encoder))
    strategy = TEXT_STRATEGIES["retrieval"]
    strategy.fit(bench, strategy.candidates(bench)[0]).predictor.save(tmp_path / "best")
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    return tmp_path / "best"


def test_an_index_that_lies_elsewhere_is_named(lost: Path, index: Index, tmp_path: Path, capsys):
    with pytest.raises(
        BadData, match=rf"lay in {tmp_path}/there, and lies there no more.*--index DIR.*hone\.load\(FOLDER, index=DIR\)"
    ):
        load_predictor(lost, precision="fp32")
    shutil.copytree(index.folder, tmp_path / "there")
    usual = load_predictor(lost, precision="fp32").answer(NEW["text-generation"])
    shutil.rmtree(tmp_path / "there")
    found = load_predictor(lost, precision="fp32", index=tmp_path / "elsewhere")
    assert same(found.answer(NEW["text-generation"]), usual) and not capsys.readouterr().err
    with pytest.raises(BadData, match="nowhere holds no index"):
        load_predictor(lost, precision="fp32", index=tmp_path / "nowhere")


def _changed(folder: Path, **values: object) -> None:
    record = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    (folder / "index.json").write_text(json.dumps(record | values), encoding="utf-8")


def test_an_index_built_anew_answers_where_it_is_named_and_says_so(lost: Path, tmp_path: Path, capsys):
    _changed(tmp_path / "elsewhere", built="2030-01-01T00:00:00+00:00")
    load_predictor(lost, precision="fp32", index=tmp_path / "elsewhere")
    assert "elsewhere is not the index that was compared (built 2030-01-01" in capsys.readouterr().err
    (tmp_path / "elsewhere").rename(tmp_path / "there")
    with pytest.raises(BadModel, match=r"was built anew .* name it with --index DIR"):
        load_predictor(lost, precision="fp32")


def test_an_index_of_another_embedding_model_or_without_passages_is_refused(lost: Path, encoder_path, tmp_path: Path):
    _changed(tmp_path / "elsewhere", passages=0)
    with pytest.raises(BadData, match="elsewhere holds no passages"):
        load_predictor(lost, precision="fp32", index=tmp_path / "elsewhere")
    other = load_encoder(locate_model(str(encoder_path())), precision="fp32")
    (tmp_path / "text.txt").write_text("boats sail", encoding="utf-8")
    small = IndexSettings(chunks=ChunkSettings(tokens=32))
    Index.build(read_documents(str(tmp_path / "text.txt")), tmp_path / "other", encoder=other, settings=small)
    with pytest.raises(BadModel, match=r"other was built with the embedding model .* it finds other passages.*--encoder"):
        load_predictor(lost, precision="fp32", index=tmp_path / "other")


def test_what_looks_nothing_up_takes_no_index(make_bench: MakeBench, index: Index, tmp_path: Path):
    for name in ("zero_shot", "first_sentences"):
        bench, strategy = make_bench(), TEXT_STRATEGIES[name]
        strategy.fit(bench, strategy.candidates(bench)[0]).predictor.save(tmp_path / name)
        with pytest.raises(Usage, match="looks nothing up, so --index would do nothing"):
            load_predictor(tmp_path / name, precision="fp32", index=index.folder)


def test_a_servers_answers_are_kept_where_its_run_lies_and_nowhere_else(make_bench: MakeBench, tmp_path: Path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    monkeypatch.chdir(here)
    with serve(lambda *_: (200, chat_answer("boats"))) as server:
        settings = RemoteSettings(cache=Path("run/answers"), context_length=300)
        bench = make_bench(base=TextBase("openai:some", base_url=server.url, server=settings))
        strategy = TEXT_STRATEGIES["zero_shot"]
        strategy.fit(bench, strategy.candidates(bench)[0]).predictor.save(Path("run/best"))
        load_predictor(here / "run/best").answer(NEW["text-generation"])
        times = len(server.asked)
        load_predictor(here / "run/best").answer(NEW["text-generation"])
        assert len(server.asked) == times
        monkeypatch.chdir(there)
        load_predictor(here / "run/best").answer(NEW["text-generation"])
    assert list(there.iterdir()) == []


@pytest.mark.parametrize("model", MODELS)
def test_a_model_without_biases_has_none_to_train(model: str, make_bench: MakeBench):
    assert "has no biases" in str(TEXT_STRATEGIES["bias"].suits(make_bench(model=model)))


def test_a_model_with_biases_trains_them(tmp_path: Path, make_bench: MakeBench):
    base = TextBase(str(save_language_model(tmp_path / "gpt2", "gpt2")), precision="fp32")
    bench, strategy = make_bench("text-classification", base=base), TEXT_STRATEGIES["bias"]
    assert strategy.suits(bench) is None
    biases = [value for name, value in bench.base.load().named_parameters() if name.endswith("bias")]
    assert strategy.fit(bench, strategy.candidates(bench)[0]).trainable_parameters == sum(value.numel() for value in biases) > 0


def test_a_class_without_a_training_row_is_still_among_the_answers(make_bench: MakeBench):
    """A learning curve may leave a class without a row."""
    bench = make_bench("text-classification")
    bench = bench.with_train([row for row in bench.train if row.label != "bread"])
    for name in ("zero_shot", "few_shot", "lora"):
        strategy = TEXT_STRATEGIES[name]
        assert np.asarray(strategy.fit(bench, strategy.candidates(bench)[0]).validation).shape == (12, 3)


def test_a_training_row_is_no_class_without_labels(make_bench: MakeBench):
    bench = make_bench()
    assert bench.train_targets.tolist() == [0] * 24 and len(bench.draw_per_class(5, seed=0)) == 5
    other = [Example("a", "unknown", "x", 1)]
    with pytest.raises(KeyError):
        _ = make_bench("text-classification", train=other).train_targets
    bench = make_bench("text-classification", validation=other)
    assert bench.validation_targets.tolist() == [-1] and not bench.key.mark(np.eye(3)[:1]).per_row.any()


CHAT = """
{%- for message in messages %}{{ "Question" if message.role == "user" else "Answer" }} : {{ message.content }} {% endfor %}
{%- if add_generation_prompt %}Answer : {% endif %}"""


@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "lora", "full"])
@pytest.mark.parametrize("kind", ["text-generation", "text-classification"])
def test_a_model_with_a_chat_template_is_asked_in_it_before_and_after_it_was_saved(
    name: str, kind: str, word_model: Callable[[str], Path], make_bench: MakeBench, tmp_path: Path
):
    folder = tmp_path / "chat"
    shutil.copytree(word_model("llama"), folder)
    (folder / "chat_template.jinja").write_text(CHAT, encoding="utf-8")
    base = TextBase(str(folder), precision="fp32")
    bench, strategy = make_bench(kind, base=base), TEXT_STRATEGIES[name]
    assert not base.joins and bench.sampling.stop == ()
    settings = strategy.candidates(bench)[0]
    fitted = strategy.fit(bench, settings)
    plain = make_bench(kind, work=tmp_path / "plain")
    assert not same(fitted.validation, strategy.fit(plain, settings).validation)
    fitted.predictor.save(tmp_path / "saved")
    loaded = load_predictor(tmp_path / "saved", precision="fp32")
    assert same(loaded.answer(bench.validation), fitted.validation)
