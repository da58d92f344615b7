"""Comparisons whose models answer in words: texts, choices and label words, from start to end with tiny models."""

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import hone.compare.race as racing
from hone.cli.main import run
from hone.compare import comparison_table
from hone.compare.bundle import Bundle
from hone.compare.line_up import open_rows
from hone.compare.race import Trial, _Best, _spread
from hone.compare.records import Comparison
from hone.compare.run import compare_rows
from hone.compare.schema import comparison_schema
from hone.compare.settings import CompareSettings
from hone.core.claim import only_process
from hone.core.errors import BadModel, Failed, Usage
from hone.evaluate.retained_find import BUNDLED
from hone.measure import score_texts
from hone.model import Encoder
from hone.strategy import Entrant
from hone.task import Example
from tiny_server import chat_answer, serve
from tiny_words import TOPICS, choice_rows, label_rows, save_word_model, written_rows

ROWS = 45
QUICK = {"epochs": 1.0, "arms": 1, "batch_rows": 8, "precision": "fp32", "budget_seconds": 20.0}
FEW = ("first_sentences", "zero_shot", "few_shot", "inference", "lora")


@pytest.fixture(scope="module")
def models(tiny_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Folder of a tiny 'llama' or 't5'; the folder's name is the model's. With the encoder comes what quickens garbage collections."""
    made: dict[str, Path] = {}

    def path(kind: str) -> str:
        if kind not in made:
            made[kind] = save_word_model(tmp_path_factory.mktemp("models", numbered=True) / kind, kind)
        return str(made[kind])

    return path


def write(path: Path, rows: Sequence[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def completions(rows: Sequence[Example]) -> list[dict[str, object]]:
    return [{"prompt": row.text, "completion": row.label} for row in rows]


def choices(rows: Sequence[Example]) -> list[dict[str, object]]:
    return [{"question": row.text, "choices": list(row.choices), "answer": "ABC".index(row.label)} for row in rows]


def labels(rows: Sequence[Example]) -> list[dict[str, object]]:
    return [{"text": row.text, "label": row.label} for row in rows]


def compared(folder: Path, rows: Sequence[dict[str, object]], *names: str, **more: object) -> Comparison:
    data = write(folder / "rows.jsonl", rows)
    return compare_rows(CompareSettings(data=data, model=names, out=str(folder / "run"), **{**QUICK, **more}))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def texts(models, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("texts")
    return compared(folder, completions(written_rows(ROWS)), models("llama"), strategies=FEW, metric="rougeL")


@pytest.fixture(scope="module")
def choice(models, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("choice")
    return compared(folder, choices(choice_rows(ROWS)), models("t5"), strategies=("zero_shot", "one_shot", "lora"))


@pytest.fixture(scope="module")
def both(models, encoder_path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """An encoder and a decoder on the same labels."""
    folder = tmp_path_factory.mktemp("both")
    names = (str(encoder_path()), models("llama"))
    return compared(folder, labels(label_rows(ROWS)), *names, strategies=("zero_shot", "nearest_shots", "head", "lora"))


@pytest.fixture(params=["texts", "choice", "both"])
def any_one(request: pytest.FixtureRequest) -> Comparison:
    found: Comparison = request.getfixturevalue(request.param)
    return found


def test_the_record_keeps_its_schema_and_is_read_back_as_it_was(any_one: Comparison):
    path = Path(any_one.folder) / "comparison.json"
    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), comparison_schema())
    assert Comparison.model_validate_json(path.read_text(encoding="utf-8")) == any_one


def test_what_was_tuned_is_asked_what_the_model_could_do_before_and_the_rest_forgets_nothing(any_one: Comparison):
    for row in any_one.rows:
        found = row.forgetting
        if row.strategy.split("@")[0] != "lora":
            assert found.unchanged and found.mean == found.worst == 0 and found.tasks is None and found.seconds is None
            continue
        own = {"similar", "find"} if "bert" in row.model else set(BUNDLED) - {"texts"}
        assert found.tasks is not None and set(found.tasks) == own == {one.task for one in found.details}
        assert found.mean == pytest.approx(np.mean(list(found.tasks.values()))) and found.worst == min(found.tasks.values())
        assert found.tasks[found.worst_task] == found.worst and found.not_measured is None
        assert found.low < found.high and found.low <= found.mean <= found.high and found.seconds > 0
        assert found.worst_low <= found.worst <= found.worst_high
        assert (found.loss_rises is None) == ("bert" in row.model)
        for one in found.details:
            assert one.change == pytest.approx(one.after - one.before) and one.low <= one.change <= one.high and one.items >= 8


def test_every_field_of_a_record_makes_sense(any_one: Comparison):
    task, data = any_one.task, any_one.data
    assert (data.train, data.validation, data.test, data.removed) == (27, 9, 9, 0)
    assert sum(row.p_best for row in any_one.rows) == pytest.approx(1) and any_one.seconds > 0
    assert [row.difference is None for row in any_one.rows] == [True] + [False] * (len(any_one.rows) - 1)
    for row in any_one.rows:
        metric = row.metrics[task.metric]
        assert 0 <= metric.low <= metric.value <= metric.high <= 1 and metric.high > metric.low and metric.n == 9
        assert row.cost.train_seconds > 0 and row.cost.rows_per_second > 0 and row.cost.bytes_on_disk > 0
        assert (row.cost.trainable_parameters > 0) == (row.strategy.split("@")[0] in ("lora", "head"))
        assert 0 < row.cost.latency_ms_median <= row.cost.latency_ms_p95
        assert row.settings in [one.settings for one in row.tried]
        assert row.model in [model.name for model in any_one.models]
    assert any_one.rows[0].metrics[task.metric].value == max(row.metrics[task.metric].value for row in any_one.rows)
    assert any_one.recommended.strategy in {row.strategy for row in any_one.rows}
    assert not (Path(any_one.folder) / "work").exists() and (Path(any_one.folder) / "report.html").stat().st_size > 10_000
    assert len(any_one.mistakes) <= 9 and all(
        set(one.answers) == {row.strategy for row in any_one.rows} for one in any_one.mistakes
    )


def test_the_answers_written_down_give_the_numbers_of_the_table(any_one: Comparison):
    metric = any_one.task.metric
    for row in any_one.rows:
        path = Path(any_one.folder) / "strategies" / row.strategy / "predictions.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert len(lines) == 9
        if any_one.task.kind == "text-generation":
            score = score_texts([one["predicted"] for one in lines], [[one["label"]] for one in lines], [metric])[metric]
            assert score.value == pytest.approx(row.metrics[metric].value)
            assert [one[metric] for one in lines] == pytest.approx(score.per_row.tolist(), abs=1e-6)
        else:
            assert np.mean([one["label"] == one["predicted"] for one in lines]) == pytest.approx(row.metrics[metric].value)
            assert all(sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5) for one in lines)


def test_written_answers_are_reported_with_their_metrics_and_no_classes(texts: Comparison):
    task = texts.task
    assert (task.kind, task.labels, task.metric) == ("text-generation", (), "rougeL")
    assert {row.strategy for row in texts.rows} == set(FEW)
    assert set(task.metrics) >= {"rougeL", "bleu", "chrf", "exact_match"} and all(task.metrics.values())
    for row in texts.rows:
        assert set(row.metrics) == set(task.metrics) and row.per_class == () and row.confusion == ()
    assert {row.difference.test for row in texts.rows if row.difference} == {"paired_permutation"}
    page = (Path(texts.folder) / "report.html").read_text(encoding="utf-8")
    assert "ROUGE-L" in page and "Written answers".lower() in page.lower()
    assert "Every class" not in page and "Which classes are confused" not in page and "#confusion" not in page
    table = comparison_table(texts)
    assert "ROUGE-L" in table and "written answers, 9 test rows" in " ".join(table.split())
    assert max(len(line) for line in table.splitlines() if "/" not in line) <= 100


def test_prompts_are_tried_in_several_wordings_and_their_spread_is_told(texts: Comparison):
    rows = {row.strategy: row for row in texts.rows}
    spread = rows["few_shot"].spread
    assert spread is not None and spread.n == 3 and spread.low <= rows["few_shot"].validation <= spread.high
    assert rows["lora"].spread is None and rows["first_sentences"].spread is None
    assert "Examples fill" in rows["few_shot"].note and rows["lora"].note.startswith("Kept step")
    assert rows["inference"].note.startswith("Over the prompt of ")
    assert {name: reason for name, reason in texts.not_run.items() if name == "full"} == {"full": "not asked for"}
    assert "intervals of prompts hold the spread" in comparison_table(texts)


def test_choices_are_told_apart_by_letter_and_reported_as_classes_are(choice: Comparison):
    assert (choice.task.kind, choice.task.labels, choice.task.metric) == ("multiple-choice", ("A", "B", "C"), "accuracy")
    assert {row.strategy for row in choice.rows} == {"zero_shot", "one_shot", "lora"}
    assert all("ece" in row.metrics and np.sum(row.confusion) == 9 for row in choice.rows)
    assert "a choice among up to 3" in comparison_table(choice)
    assert "Every class" in (Path(choice.folder) / "report.html").read_text(encoding="utf-8")


def test_an_encoder_and_a_decoder_stand_in_one_table_under_their_names(both: Comparison):
    encoder, decoder = (Path(model.name).name for model in both.models)
    keys = {row.strategy for row in both.rows}
    assert keys == {
        *(f"{name}@{encoder}" for name in ("zero_shot", "head", "lora")),
        *(f"{name}@{decoder}" for name in ("zero_shot", "nearest_shots", "lora")),
    }
    for row in both.rows:
        assert row.title.endswith(f"({row.strategy.split('@')[1]})") and row.model.endswith(row.strategy.split("@")[1])
    assert both.model == both.models[0] and both.not_run[f"full@{decoder}"] == both.not_run[f"full@{encoder}"] == "not asked for"
    for row in both.rows:
        assert (Path(both.folder) / "strategies" / row.strategy / "predictor").is_dir()


def test_the_bundle_of_a_text_model_answers_from_python_and_from_the_command(texts: Comparison, tmp_path: Path, capsys):
    best = Path(texts.folder) / "best"
    bundle = Bundle(best)
    asked = ["sail mast rope tide note", "oven crust dough rye again"]
    answers = bundle.predict(asked)
    assert [(one.confidence, one.probabilities) for one in answers] == [(None, {})] * 2
    assert bundle.predict([]) == []
    with pytest.raises(Usage, match="answers without choices"):
        bundle.predict(asked, choices=[("a", "b")] * 2)

    given = write(tmp_path / "new.jsonl", [{"prompt": text, "id": at} for at, text in enumerate(asked)])
    assert run(["predict", str(best), given, "--out", str(tmp_path / "answered.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "answered.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["id"], one["predicted"], one["confidence"]) for one in lines] == [
        (at, answer.label, "") for at, answer in enumerate(answers)
    ]
    capsys.readouterr()
    assert run(["predict", str(best), *asked, "--json"]) == 0
    assert [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()] == [one.label for one in answers]


def test_a_text_is_printed_alone_for_it_has_no_confidence(texts: Comparison, capsys):
    best = Path(texts.folder) / "best"
    assert run(["predict", str(best), "sail mast rope tide note"]) == 0
    assert capsys.readouterr().out == f"{Bundle(best).predict(['sail mast rope tide note'])[0].label}\n"


def test_the_bundle_of_a_choice_needs_the_choices(choice: Comparison):
    bundle = Bundle(Path(choice.folder) / "best")
    (answer,) = bundle.predict(["sail mast rope tide note"], choices=[("boats", "chess")])
    assert answer.label in "AB" and answer.probabilities["C"] == 0 and answer.confidence is not None
    with pytest.raises(Usage, match="needs the choices"):
        bundle.predict(["sail mast rope tide note"])


@pytest.mark.parametrize("given", [[], [("a",)], ["ab"], [("a", "")], [("a", "b"), ("a", "b")]])
def test_what_are_no_choices_is_refused_with_what_to_give(choice: Comparison, given):
    with pytest.raises(Usage, match=r"choices"):
        Bundle(Path(choice.folder) / "best").predict(["sail mast"], choices=given)


def test_a_bundle_of_choices_answers_the_file_it_was_compared_on_and_single_questions(choice: Comparison, tmp_path: Path, capsys):
    best, data = Path(choice.folder) / "best", Path(choice.folder).parent / "rows.jsonl"
    assert choice.data.columns.choices == ("choices",)
    assert run(["predict", str(best), str(data), "--out", str(tmp_path / "out.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    answers = Bundle(best).predict([row["question"] for row in rows], choices=[row["choices"] for row in rows])
    assert [(row["predicted"], row["predicted_text"]) for row in rows] == [(one.label, one.choice) for one in answers]
    assert all(row["choices"]["ABC".index(row["predicted"])] == row["predicted_text"] for row in rows)
    capsys.readouterr()
    first, ask = rows[0], ["predict", str(best), rows[0]["question"]]
    assert run([*ask, *(part for one in first["choices"] for part in ("--choice", one))]) == 0
    assert capsys.readouterr().out == f"{first['predicted']}\t{first['predicted_text']}\t{answers[0].confidence:.3f}\n"
    assert run(ask) == 3
    assert "--choice ONE --choice ANOTHER" in capsys.readouterr().err


def test_more_choices_than_the_bundle_knows_are_refused(choice: Comparison):
    with pytest.raises(Usage, match="4 choices"):
        Bundle(Path(choice.folder) / "best").predict(["sail mast"], choices=[("boats", "chess", "bread", "rope")])


def test_an_interrupted_comparison_repeats_nothing_that_was_finished(models, tmp_path: Path, monkeypatch):
    fitted: list[str] = []
    real = racing._fit

    def watched(entrant, settings, *, share, bar=None):
        if entrant.key == "lora" and "lora" not in fitted:
            fitted.append("lora")
            raise KeyboardInterrupt
        fitted.append(entrant.key)
        return real(entrant, settings, share=share, bar=bar)

    monkeypatch.setattr(racing, "_fit", watched)
    rows, names = completions(written_rows(30)), ("zero_shot", "one_shot", "lora")
    with pytest.raises(KeyboardInterrupt):
        compared(tmp_path, rows, models("llama"), strategies=names)
    assert {"zero_shot", "one_shot", "lora"} == set(fitted)
    fitted[:] = ["lora"]
    found = compared(tmp_path, rows, models("llama"), strategies=names)
    assert fitted == ["lora", "lora"] and {row.strategy for row in found.rows} == set(names)
    assert found.task.metric == "exact_match"


def refused(tmp_path: Path, rows: Sequence[dict[str, object]], *names: str, **more: object) -> str:
    with pytest.raises(Usage) as told:
        compared(tmp_path, rows, *names, **more)
    assert not (tmp_path / "run").exists()
    return str(told.value)


def test_texts_with_an_encoder_alone_ask_for_a_model_that_writes(encoder_path, tmp_path: Path):
    said = refused(
        tmp_path,
        completions([Example(row.text, f"{row.label} {row.text[::-1]}", "", 1) for row in written_rows(30)]),
        str(encoder_path()),
    )
    assert "an encoder writes none" in said and "--model" in said and "rows.jsonl" in said


def test_choices_with_an_encoder_alone_ask_for_a_model_that_writes(encoder_path, tmp_path: Path):
    said = refused(tmp_path, choices(choice_rows(30)), str(encoder_path()))
    assert "--model" in said


@pytest.mark.parametrize(
    ("make", "metric", "known"),
    [
        ("completions", "accuracy", "rougeL"),
        ("completions", "macro_f1", "exact_match"),
        ("choices", "rougeL", "accuracy"),
        ("labels", "bleu", "accuracy"),
    ],
)
def test_a_metric_of_other_answers_is_refused(make: str, metric: str, known: str, models, tmp_path: Path):
    rows = {"completions": completions(written_rows(30)), "choices": choices(choice_rows(30)), "labels": labels(label_rows(30))}[
        make
    ]
    said = refused(tmp_path, rows, models("llama"), metric=metric)
    assert f"metric '{metric}' does not fit" in said and known in said


@pytest.mark.parametrize("more", [{"descriptions": {"boats": "they float"}}, {"drop_rare": True}])
def test_what_is_for_labels_is_refused_for_texts(more: dict[str, object], models, tmp_path: Path):
    said = refused(tmp_path, completions(written_rows(30)), models("llama"), **more)
    assert "--describe and --drop-rare are for rows with one label each" in said


def test_all_unknown_strategies_are_told_at_once(models, tmp_path: Path):
    said = refused(tmp_path, completions(written_rows(30)), models("llama"), strategies=("loora", "zero_shot", "few_shots"))
    assert "'loora' is not known. Did you mean 'lora'?" in said and "'few_shots' is not known. Did you mean 'few_shot'?" in said


def test_a_strategy_of_another_family_leaves_nothing_to_run_and_no_folder_behind(models, tmp_path: Path):
    with pytest.raises(Usage, match="No strategy is left to run on these rows"):
        compared(tmp_path, completions(written_rows(30)), models("llama"), strategies=("head",))
    assert not (tmp_path / "run").exists()


def test_models_of_one_name_do_not_share_their_results(models, tmp_path: Path):
    """Two folders whose last part is the same."""
    other = save_word_model(tmp_path / "other" / "llama", "llama", seed=3)
    found = compared(tmp_path, completions(written_rows(30)), models("llama"), str(other), strategies=("zero_shot",))
    assert {row.strategy for row in found.rows} == {"zero_shot@llama", "zero_shot@llama+2"}
    assert (Path(found.folder) / "strategies" / "zero_shot@llama+2" / "predictions.jsonl").exists()
    assert {row.model for row in found.rows} == {models("llama"), str(other)}


def test_a_model_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(BadModel, match="no-such-model"):
        compared(tmp_path, completions(written_rows(30)), str(tmp_path / "no-such-model"))


def test_rows_that_a_budget_cannot_carry_are_told_with_the_budget_in_the_usual_units(models, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("hone.compare.run.usable_rows", lambda *_, **__: (12, 5, 6))
    more = {"strategies": ("zero_shot",), "budget_seconds": 40.0}
    found = compared(tmp_path, completions(written_rows(30)), models("llama"), **more)
    (message,) = (one.message for one in found.data.findings if one.kind == "unused_rows")
    assert "a budget of 40.0 s carries 12 training, 5 validation and 6 test rows" in message


def test_a_model_behind_a_server_stands_in_the_table_and_is_not_tuned(models, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    known = {word: name for name, words in TOPICS.items() for word in words.split()}

    def reply(path, body):
        if path.endswith("/models"):
            return 200, {"data": [{"id": "tiny", "max_model_len": 300}]}
        said = [known[word] for word in re.findall(r"\w+", prompt_of(body)) if word in known][-1]
        return 200, chat_answer(f"about {said}")

    with serve(reply) as server:
        arguments = (tmp_path, completions(written_rows(30)), "openai:tiny", models("llama"))
        more = {"base_url": server.url, "strategies": ("zero_shot", "one_shot", "lora"), "price": "1,2"}
        found = compared(*arguments, **more)
        times = len(server.asked)
        again = {row.strategy: row.metrics for row in compared(*arguments, **more).rows}
        assert again == {row.strategy: row.metrics for row in found.rows}
        assert len(server.asked) - times <= 60, "all but the timing of a few rows is remembered"
    rows = {row.strategy: row for row in found.rows}
    assert set(rows) == {"zero_shot@openai-tiny", "one_shot@openai-tiny", "zero_shot@llama", "one_shot@llama", "lora@llama"}
    assert rows["zero_shot@openai-tiny"].metrics["exact_match"].value == 1
    assert found.not_run["lora@openai-tiny"] == "its weights are not here to be trained"
    assert found.models[0].parameters is None and found.models[0].name == "openai:tiny" and found.models[0].sha256 == ""
    assert found.machine.arithmetic and "behind a server" in (Path(found.folder) / "best" / "README.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("make", ["completions", "labels"])
def test_a_server_that_thinks_aloud_is_judged_by_its_answers(make: str, tmp_path: Path):
    """Its thoughts name every topic; more tokens are asked for than the rows' answers have."""
    known = {word: name for name, words in TOPICS.items() for word in words.split()}

    def reply(path: str, body):
        if path.endswith("/models"):
            return 200, {"data": [{"id": "tiny", "max_model_len": 900}]}
        said = [known[word] for word in re.findall(r"\w+", prompt_of(body)) if word in known][-1]
        answer = f"about {said}" if make == "completions" else said
        return 200, chat_answer(f"Is it {' or '.join(TOPICS)}?\n\n</think>\n\n{answer}")

    rows = completions(written_rows(30)) if make == "completions" else labels(label_rows(30))
    with serve(reply) as server:
        more = {"base_url": server.url, "strategies": ("zero_shot",), "max_tokens": 300}
        found = compared(tmp_path, rows, "openai:tiny", **more)
        (row,) = found.rows
        assert row.metrics[found.task.metric].value == 1
        assert {body["max_tokens"] for _, body in server.asked if body is not None} == {300}
        (answer,) = Bundle(Path(found.folder) / "best").predict(["sail anchor mast note"])
    assert answer.label == ("about boats" if make == "completions" else "boats")


def test_a_length_of_answers_is_refused_where_none_is_written(encoder_path, tmp_path: Path):
    said = refused(tmp_path, labels(label_rows(30)), str(encoder_path()), max_tokens=9)
    assert "--max-tokens is the length of a written answer" in said


def test_a_second_process_in_the_same_folder_is_refused(models, tmp_path: Path):
    with only_process(tmp_path / "run"), pytest.raises(Failed, match="Another process is working in"):
        compared(tmp_path, completions(written_rows(30)), models("llama"), strategies=("zero_shot",))


def test_a_finished_comparison_is_read_back_as_long_as_the_same_is_asked(models, tmp_path: Path, capsys, monkeypatch):
    def asked(*strategies: str, **more: object) -> Comparison:
        return compared(tmp_path, completions(written_rows(30)), models("llama"), strategies=strategies, **more)

    def tested(*_: object) -> Comparison:
        raise Failed("the test rows are asked")

    found = asked("zero_shot", "one_shot")
    monkeypatch.setattr("hone.compare.run.conclude", tested)
    assert asked("zero_shot", "one_shot") == found
    assert "Finished before" in capsys.readouterr().err
    for changed in ({"strategies": ("zero_shot",)}, {"retain": ("grammar",)}, {"may_lose": 0.5}):
        with pytest.raises(Failed, match="the test rows are asked"):
            asked(*changed.pop("strategies", ("zero_shot", "one_shot")), **changed)
    assert asked("zero_shot", "one_shot") == found
    (tmp_path / "run" / "strategies" / "one_shot" / "predictions.jsonl").unlink()
    with pytest.raises(Failed, match="the test rows are asked"):
        asked("zero_shot", "one_shot")


def test_documents_that_changed_are_looked_up_again_and_what_reads_none_stays(models, tmp_path: Path, capsys):
    def asked() -> str:
        compared(
            tmp_path,
            completions(written_rows(30)),
            models("llama"),
            strategies=("zero_shot", "retrieval"),
            docs=str(tmp_path / "docs"),
        )
        return capsys.readouterr().err

    (tmp_path / "docs").mkdir()
    document = tmp_path / "docs" / "trains.md"
    document.write_text("# Trains\n\nTrains leave at nine.\n", encoding="utf-8")
    asked()
    assert "Finished before" in asked()
    document.write_text("# Trains\n\nTrains leave at ten, from another platform.\n", encoding="utf-8")
    told = asked()
    assert "The documents have changed, so these run again: retrieval." in told
    assert "Already finished, read back: zero-shot." in told


def test_other_words_in_a_file_of_templates_make_another_comparison(models, tmp_path: Path):
    def asked(words: str) -> None:
        (tmp_path / "asks.toml").write_text(
            f'shape = "text-to-text"\n[[template]]\nname = "mine"\nprompt = "{{{{ text }}}} {words}"\n', encoding="utf-8"
        )
        compared(
            tmp_path,
            completions(written_rows(30)),
            models("llama"),
            strategies=("zero_shot",),
            templates=str(tmp_path / "asks.toml"),
        )

    asked("Answer:")
    with pytest.raises(Usage, match="holds a run with other rows or settings"):
        asked("Now answer:")


def test_a_comparison_that_goes_on_tells_time_and_money_of_one_left_alone(tmp_path: Path, monkeypatch):
    """It breaks off between two strategies, of which the later asks again what the earlier has asked."""
    pause, choose = 0.02, racing._choose

    def reply(path: str, body):
        if path.endswith("/models"):
            return 200, {"data": [{"id": "tiny", "max_model_len": 300}]}
        time.sleep(pause)
        return 200, chat_answer(f"about {prompt_of(body)[-12:]}", read=3, written=2)

    def broken(entrant: Entrant, *, share: float) -> _Best:
        if entrant.key == "inference":
            raise Failed("broken off")
        return choose(entrant, share=share)

    asked = {"strategies": ("zero_shot", "one_shot", "inference"), "price": "1,2", "budget_seconds": 60.0}
    rows = completions(written_rows(30))
    with serve(reply) as server:
        (tmp_path / "whole").mkdir()
        whole = compared(tmp_path / "whole", rows, "openai:tiny", base_url=server.url, **asked)
        (tmp_path / "broken").mkdir()
        with monkeypatch.context() as patch, pytest.raises(Failed, match="broken off"):
            patch.setattr(racing, "_choose", broken)
            compared(tmp_path / "broken", rows, "openai:tiny", base_url=server.url, **asked)
        found = compared(tmp_path / "broken", rows, "openai:tiny", base_url=server.url, **asked)
    costs = {row.strategy: row.cost for row in found.rows}
    for row in whole.rows:
        mine = costs[row.strategy]
        assert (mine.usd, mine.usd_per_answers) == (pytest.approx(row.cost.usd), pytest.approx(row.cost.usd_per_answers))
        assert mine.rows_per_second < 8 / pause and row.cost.rows_per_second < 8 / pause, "eight at a time"
        assert mine.estimate is not None and mine.estimate.seconds > 0.2 + pause
    kept = (tmp_path / "broken" / "run" / "answers" / "remote-answers.jsonl").read_text(encoding="utf-8").splitlines()
    answers = {json.loads(line)["key"] for line in kept}
    assert sum(cost.usd or 0.0 for cost in costs.values()) == pytest.approx(len(answers) * (3 * 1 + 2 * 2) / 1e6), (
        "each paid once"
    )


def test_another_price_goes_on_in_the_same_folder_and_tells_its_own_money(tmp_path: Path, monkeypatch):
    """A price decides no answer: what was asked before stands, in a comparison that broke off and in one that is finished."""
    choose, prompts = racing._choose, []

    def reply(path: str, body):
        if path.endswith("/models"):
            return 200, {"data": [{"id": "tiny", "max_model_len": 300}]}
        prompts.append(prompt_of(body))
        return 200, chat_answer(f"about {prompt_of(body)[-12:]}", read=3, written=2)

    def broken(entrant: Entrant, *, share: float) -> _Best:
        if entrant.key == "one_shot":
            raise Failed("broken off")
        return choose(entrant, share=share)

    def money(found: Comparison) -> dict[str, tuple[float | None, float | None]]:
        return {row.strategy: (row.cost.usd, row.cost.usd_per_answers) for row in found.rows}

    rows = completions(written_rows(30))
    with serve(reply) as server:
        asked = {"strategies": ("zero_shot", "one_shot"), "base_url": server.url}
        with monkeypatch.context() as patch, pytest.raises(Failed, match="broken off"):
            patch.setattr(racing, "_choose", broken)
            compared(tmp_path, rows, "openai:tiny", price="1,2", **asked)
        before = len(prompts)
        found = compared(tmp_path, rows, "openai:tiny", price="10,20", **asked)
        again = prompts[before:]
        assert before and len(again) > before / 2, "the second strategy was asked"
        assert not set(prompts[:before]) & set(again)
        times = len(prompts)
        cheap = compared(tmp_path, rows, "openai:tiny", price="1,2", **asked)
        free = compared(tmp_path, rows, "openai:tiny", **asked)
        assert len(prompts) == times > len(set(prompts)), "rows that are timed are asked again"
    assert (found.asked.read, found.asked.written) == (3 * times, 2 * times), "and paid for"
    assert found.usd == pytest.approx(times * (10 * 3 + 20 * 2) / 1e6) and cheap.usd == pytest.approx(found.usd / 10)
    assert found.usd == pytest.approx(sum(row.cost.usd or 0.0 for row in found.rows))
    assert f"Money: ${found.usd:,.4f} in all; " in comparison_table(found).replace("\n  ", " ")
    for row in found.rows:
        assert row.cost.usd == pytest.approx((10 * row.cost.paid.read + 20 * row.cost.paid.written) / 1e6)
        assert row.cost.usd_per_answers == pytest.approx(10_000 * (10 * 3 + 20 * 2) / 1e6)
        dear, less = money(found)[row.strategy], money(cheap)[row.strategy]
        assert less == (pytest.approx(dear[0] / 10), pytest.approx(dear[1] / 10))
    assert set(money(free).values()) == {(None, None)} and "Money" not in comparison_table(free)
    folder = Path(found.folder)
    assert Comparison.model_validate_json((folder / "comparison.json").read_text(encoding="utf-8")) == free
    assert [row.metrics for row in free.rows] == [row.metrics for row in found.rows]
    assert "price:" not in (folder / "config.yaml").read_text(encoding="utf-8")
    assert Bundle(folder / "best").provenance.cost == free.recommended_row.cost


def prompt_of(body) -> str:
    return str(body["messages"][0]["content"])


def prompts(table: np.ndarray, *, fixed: dict[str, object] | None = None) -> _Best:
    """So many wordings that scored so on each row, [prompts, rows]."""
    trials = [
        Trial(
            settings={"k": 2, **(fixed or {}), "template": f"t{at}", "order": at},
            share=1.0,
            score=float(row.mean()),
            seconds=1.0,
            peak_bytes=None,
            trainable_parameters=0,
            note="",
        )
        for at, row in enumerate(table)
    ]
    return _Best(Path("nowhere"), trials, max(trials, key=lambda one: one.score), per_row=list(table))


def test_prompts_that_differ_by_chance_alone_have_no_spread_of_their_own():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        spread = _spread(prompts((rng.random((3, 50)) < 0.6).astype(float)))
        assert spread is not None and spread.n == 3 and spread.low <= spread.high
        found.append(spread.sd)
    assert np.median(found) < 0.04 and np.mean(found) < 0.045, "the scores themselves vary with an sd of 0.07"


def test_prompts_that_differ_in_truth_have_the_sd_of_that_difference():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        truth = rng.normal(0.6, 0.15, size=(4, 1)).clip(0.02, 0.98)
        spread = _spread(prompts((rng.random((4, 80)) < truth).astype(float)))
        assert spread is not None
        found.append(spread.sd**2)
    assert np.sqrt(np.mean(found)) == pytest.approx(0.15, abs=0.02)


def test_only_prompts_that_differ_in_nothing_else_are_held_together():
    table = np.random.default_rng(0).random((4, 20))
    best = prompts(table)
    best.trials[3] = best.trials[3].model_copy(update={"settings": {**best.trials[3].settings, "k": 4}})
    best.trial = best.trials[0]
    spread = _spread(best)
    assert spread is not None and spread.n == 3 and spread.high == max(trial.score for trial in best.trials[:3])
    best.trial = best.trials[3]
    assert _spread(best) is None, "one prompt of its kind tells no spread"


def test_an_encoder_beside_a_model_that_writes_is_told_to_write_nothing(models, encoder_path, tmp_path: Path):
    held = write(tmp_path / "held.jsonl", completions([*written_rows(12, seed=8), written_rows(30)[0]]))
    rows = completions(written_rows(30))
    found = compared(tmp_path, rows, str(encoder_path()), models("t5"), strategies=("zero_shot", "head"), test=held)
    assert [row.strategy for row in found.rows] == ["zero_shot@t5"] and found.not_run[
        "head@bert0"
    ] == "an encoder writes no answers"
    assert (found.data.test, found.data.removed) == (13, 1), "the row that stands in both files trains nothing"
    leak = next(one for one in found.data.findings if one.kind == "leak")
    assert leak.count == 1 and "line 1" in leak.places[0]


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        (label_rows, ("starter/encoder",)),
        (written_rows, ("starter/decoder",)),
    ],
)
def test_where_no_model_is_named_the_rows_choose_among_the_starters(rows, chosen, tmp_path):
    examples = rows(ROWS)
    told = "label" if rows is label_rows else "summary"  # answers that never repeat are no classes
    lines = [{"text": row.text, told: row.label if rows is label_rows else f"{row.text}, {row.label}"} for row in examples]
    settings, models, prepared = open_rows(CompareSettings(data=write(tmp_path / "rows.jsonl", lines)))
    assert settings.model == models.order == chosen
    assert (prepared.task.kind == "text-classification") == (chosen == ("starter/encoder",))


def test_a_model_that_is_named_stands_against_what_the_rows_would_choose(models, tmp_path):
    lines = [{"text": row.text, "label": row.label} for row in label_rows(ROWS)]
    settings, found, _ = open_rows(CompareSettings(data=write(tmp_path / "rows.jsonl", lines), model=(models("llama"),)))
    assert settings.model == found.order == (models("llama"),)
