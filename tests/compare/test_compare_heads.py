"""Comparisons of rows with a number, several labels, a tag for every word or a stretch of a passage, from start to end with a tiny encoder."""

import json
import random
import re
from pathlib import Path

import jsonschema
import pytest

import hone
from head_rows import made
from hone.cli.main import run
from hone.compare import comparison_table
from hone.compare.prepare import prepare
from hone.compare.records import Comparison, Metric
from hone.compare.report import render_report
from hone.compare.run import compare_rows
from hone.compare.schema import comparison_schema
from hone.compare.settings import CompareSettings
from hone.core.errors import BadData, Usage
from hone.strategy import answer_key
from tiny import SENTENCES
from tiny_words import save_word_model

KINDS = ("score", "multi_label", "tag", "parts", "answers")
PLAINEST = {"score": "constant", "multi_label": "constant", "tag": "lookup", "parts": "lookup", "answers": "first_sentences"}
METRIC = {"score": "r2", "multi_label": "micro_f1", "tag": "entity_f1", "parts": "accuracy", "answers": "token_f1"}
NEW = "please refund my parcel"

WORDS = sorted({word for text in SENTENCES for word in text.split()} | {"refund", "parcel", "money"})


def write_files(folder, kind):
    """Paths of rows to train and to choose on, and of rows to test on; texts are drawn, so that none is like another."""
    rng, paths = random.Random(3), []
    for name, count in (("rows", 80), ("test", 24)):
        rows = [made(" ".join(rng.sample(WORDS, rng.randint(5, 12))), f"{name}{at}")[kind] for at in range(count)]
        paths.append(folder / f"{name}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [str(path) for path in paths]


def asked(data, test, models, out, strategies):
    """Settings of a short comparison."""
    return CompareSettings(
        data=data,
        test=test,
        model=models,
        out=str(out),
        strategies=strategies,
        epochs=1.0,
        arms=1,
        batch_rows=8,
        precision="fp32",
        budget_seconds=20.0,
    )


every = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def compared(tmp_path_factory, encoder_path, tiny_encoder):
    """A comparison of each kind, run once; its rows are in the folder above."""
    made = {}

    def of(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            train, test = write_files(folder, kind)
            settings = asked(train, test, (str(encoder_path()),), folder / "run", (PLAINEST[kind], "head", "bias"))
            made[kind] = compare_rows(settings)
        return made[kind]

    return of


@every
def test_the_record_keeps_its_schema_and_is_read_back_as_it_was(kind, compared):
    found = compared(kind)
    said = (Path(found.folder) / "comparison.json").read_text(encoding="utf-8")
    jsonschema.validate(json.loads(said), comparison_schema())
    assert Comparison.model_validate_json(said) == found
    assert found.task.metric == METRIC[kind] and {row.strategy for row in found.rows} == {PLAINEST[kind], "head", "bias"}


@every
def test_the_best_stands_first_and_every_metric_has_an_interval(kind, compared):
    found = compared(kind)
    values = [row.metrics[METRIC[kind]].value for row in found.rows if row.stopped_early is None]
    assert values == sorted(values, reverse=True) and set(found.task.metrics) <= set(found.rows[0].metrics)
    assert found.rows[0].difference is None and all(row.difference is not None for row in found.rows[1:])
    for row in found.rows:
        assert all(one.low <= one.value <= one.high for one in row.metrics.values())
        assert row.forgetting.drop == 0 or row.strategy == "bias"


@every
def test_every_test_row_is_written_down_with_its_answer(kind, compared):
    found = compared(kind)
    for row in found.rows:
        lines = (Path(found.folder) / "strategies" / row.strategy / "predictions.jsonl").read_text().splitlines()
        assert len(lines) == found.data.test
        first = json.loads(lines[0])
        assert {"text", "label", "predicted", METRIC[kind]} <= set(first)
        if kind in ("tag", "parts"):
            assert len(first["predicted"].split()) == len(first["label"].split()) == len(first["text"].split())


@every
def test_the_table_and_the_report_speak_of_such_rows(kind, compared):
    found = compared(kind)
    table = comparison_table(found)
    report = (Path(found.folder) / "report.html").read_text(encoding="utf-8")
    phrase = {"score": "a number each", "multi_label": "several of 2 labels", "answers": "written answers"}.get(
        kind, "tags for every word"
    )
    assert (
        phrase in " ".join(table.split())
        and max(len(line) for line in table.splitlines() if "hone" not in line and "/" not in line) <= 100
    )
    assert {"score": "R²", "multi_label": "Micro F1", "tag": "Entity F1", "parts": "Accuracy", "answers": "Token F1"}[
        kind
    ] in report
    if kind == "score":
        error = found.rows[0].metrics["rmse"]
        assert f"{error.value:.3g}" in table and f"{error.value:.3g}" in report and "RMSE" in table


@every
def test_the_winner_answers_texts_and_files_as_it_was_measured(kind, compared, tmp_path):
    found = compared(kind)
    ready = hone.load(f"{found.folder}/best")
    (said,) = ready.predict([f"{NEW}\n\nwhat is it"])
    assert isinstance(said.label, {"score": float, "answers": str}.get(kind, tuple)) and said.confidence is None
    assert len(said.label) == len(NEW.split()) + 3 if kind in ("tag", "parts") else said.told
    test = Path(found.folder).parent / "test.jsonl"
    out = tmp_path / "answers.jsonl"
    assert run(["predict", f"{found.folder}/best", str(test), "--out", str(out)]) == 0
    answered = [json.loads(line) for line in out.read_text().splitlines()]
    said = (Path(found.folder) / "strategies" / found.recommended.strategy / "predictions.jsonl").read_text().splitlines()
    by_text = {json.loads(line)["text"]: json.loads(line)["predicted"] for line in said}
    for row in answered:
        text = f"{row['context']}\n\n{row['question']}" if kind == "answers" else row.get("text") or " ".join(row["tokens"])
        predicted, expected = row["predicted"], by_text[text]
        if kind == "answers":
            assert predicted == expected and predicted in text
        elif kind == "score":
            assert predicted == pytest.approx(float(expected), rel=1e-4)
        else:
            assert (" " if kind in ("tag", "parts") else ", ").join(predicted) == expected
    card = (Path(found.folder) / "best" / "README.md").read_text(encoding="utf-8")
    assert {"score": "with a number", "multi_label": "any number of them", "answers": "Writes 'answers'"}.get(
        kind, "every word"
    ) in card


def test_the_same_command_goes_on_where_it_was(compared, capsys):
    found = compared("score")
    settings = asked(
        found.data.source,
        str(Path(found.folder).parent / "test.jsonl"),
        (found.model.name,),
        found.folder,
        ("constant", "head", "bias"),
    )
    again = compare_rows(settings)
    assert "read back" in capsys.readouterr().err
    assert [row.metrics for row in again.rows] == [row.metrics for row in found.rows]


@every
def test_check_says_what_the_rows_hold(kind, tmp_path, encoder_path, capsys):
    data, _ = write_files(tmp_path, kind)
    assert run(["check", data, "--model", str(encoder_path())]) == 0
    assert {"score": "numbers", "multi_label": "2 labels", "tag": "3 tags", "parts": "3 tags", "answers": "written answers"}[
        kind
    ] in capsys.readouterr().out


def test_ranking_is_by_what_is_better_the_higher_it_is(tmp_path):
    data, _ = write_files(tmp_path, "score")
    assert prepare(CompareSettings(data=data, metric="pearson")).task.metric == "pearson"
    with pytest.raises(Usage, match="name r2"):
        prepare(CompareSettings(data=data, metric="rmse"))
    with pytest.raises(Usage, match="does not fit"):
        prepare(CompareSettings(data=data, metric="accuracy"))


def test_options_of_classes_are_refused(tmp_path):
    data, _ = write_files(tmp_path, "tag")
    with pytest.raises(Usage, match="--describe and --drop-rare are for rows with one label each"):
        prepare(CompareSettings(data=data, drop_rare=True))


@every
def test_rows_of_a_named_group_stay_on_one_side_and_widen_the_intervals(kind, tmp_path):
    data, test = write_files(tmp_path, kind)
    rows = [json.loads(line) | {"customer": f"customer {at % 12}"} for at, line in enumerate(Path(data).read_text().splitlines())]
    Path(data).write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = prepare(CompareSettings(data=data, group="customer"), writes=kind == "answers").task
    split = task.split
    parts = [{example.group for example in part} for part in (split.train, split.validation, split.test)]
    assert all(parts) and sum(map(len, parts)) == len(set.union(*parts)) == 12
    assert task.columns.group == "customer" and "customer" not in (*task.columns.text, task.columns.label)
    assert answer_key(split.test, task.labels, metric=task.metric, kind=task.kind).groups.count == len(parts[2])
    held = [json.loads(line) | {"customer": f"customer {at % 12}"} for at, line in enumerate(Path(test).read_text().splitlines())]
    Path(test).write_text("".join(json.dumps(row) + "\n" for row in held))
    with pytest.raises(BadData, match=r"\d+ test rows belong to groups that training holds too, such as 'customer"):
        prepare(CompareSettings(data=data, test=test, group="customer"), writes=kind == "answers")


@pytest.mark.parametrize(
    ("group", "message"),
    [("custmer", "There is no column 'custmer'. Did you mean 'customer'"), ("customer", "holds 2 groups, and at least 3")],
)
def test_a_group_that_is_not_there_or_too_coarse_is_named(group, message, tmp_path):
    data, _ = write_files(tmp_path, "score")
    rows = [json.loads(line) | {"customer": at % 2} for at, line in enumerate(Path(data).read_text().splitlines())]
    Path(data).write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadData, match=message):
        prepare(CompareSettings(data=data, group=group))


def test_a_model_that_writes_is_told_that_an_encoder_answers_these_rows(tmp_path):
    data, _ = write_files(tmp_path, "score")
    model = save_word_model(tmp_path / "llama", "llama")
    with pytest.raises(Usage, match="an encoder answers these rows"):
        compare_rows(CompareSettings(data=data, model=(str(model),), out=str(tmp_path / "run"), budget_seconds=20.0))


def test_numbers_are_classes_where_they_are_named_so_and_numbers_where_they_are_not(tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("review,stars\n" + "".join(f"text number {at} is here,{at % 3 + 1}\n" for at in range(60)))
    assert prepare(CompareSettings(data=str(path))).task.kind == "text-classification"
    found = prepare(CompareSettings(data=str(path), kind="score", text=("review",), label="stars")).task
    assert found.kind == "regression" and found.labels == () and found.columns.label == "stars"


def test_the_column_of_the_answers_may_be_named(tmp_path):
    tagged, _ = write_files(tmp_path, "tag")
    assert prepare(CompareSettings(data=tagged, label="ner_tags")).task.kind == "token-classification"
    path = tmp_path / "grades.csv"
    path.write_text("id,review,grade\n" + "".join(f"{at},some words of review {at} there,{at / 7:.3f}\n" for at in range(60)))
    with pytest.raises(BadData, match="--kind score"):
        prepare(CompareSettings(data=str(path), text=("review",), label="grade"))
    found = prepare(CompareSettings(data=str(path), text=("review",), label="grade", kind="score")).task
    assert (found.kind, found.columns.text, found.columns.label) == ("regression", ("review",), "grade")
    with pytest.raises(BadData):
        prepare(CompareSettings(data=str(path), text=("review",), label="id", kind="classify"))


def test_rows_that_differ_in_their_number_alone_are_kept_and_repeats_go(tmp_path):
    path = tmp_path / "pairs.csv"
    rows = [f"a text of its own {at},{at / 7:.2f}" for at in range(60)]
    path.write_text("text,score\n" + "\n".join([*rows, rows[0], "a text of its own 1,9.5"]))
    found = prepare(CompareSettings(data=str(path), kind="score"))
    split = found.task.split
    everyone = [*split.train, *split.validation, *split.test]
    assert found.removed == 62 - len(everyone) and sum(row.text == rows[0].partition(",")[0] for row in everyone) == 1
    assert {row.text for row in split.train}.isdisjoint({row.text for row in split.test})


def test_plain_texts_are_still_no_rows_to_compare_on(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"some words {at} " * 30}) + "\n" for at in range(40)))
    with pytest.raises(BadData, match="plain texts"):
        prepare(CompareSettings(data=str(path)))


def test_an_encoder_that_marks_stands_beside_a_decoder_that_writes(tmp_path, encoder_path):
    train, test = write_files(tmp_path, "answers")
    names = (str(encoder_path()), str(save_word_model(tmp_path / "llama", "llama")))
    found = compare_rows(asked(train, test, names, tmp_path / "run", ("first_sentences", "zero_shot", "head")))
    assert sorted(row.strategy.split("@")[0] for row in found.rows) == ["first_sentences", "head", "zero_shot"]
    assert "first_sentences" in {row.strategy for row in found.rows}, "what asks no model stands once, under no model's name"
    marked = next(row for row in found.rows if row.strategy.startswith("head@"))
    lines = (Path(found.folder) / "strategies" / marked.strategy / "predictions.jsonl").read_text().splitlines()
    assert all(json.loads(line)["predicted"] in json.loads(line)["text"] for line in lines)


def test_values_far_below_nothing_stay_within_the_figures(compared):
    found = compared("score")
    far = Metric(value=-5.0, low=-7.0, high=-3.0, n=24)
    rows = tuple(row.model_copy(update={"metrics": row.metrics | {"r2": far}}) for row in found.rows[1:])
    page = render_report(found.model_copy(update={"rows": (found.rows[0], *rows)}))
    figures = re.findall(r'<svg[^>]*viewBox="0 0 [\d.]+ ([\d.]+)"(.*?)</svg>', page, flags=re.DOTALL)
    drawn = [(float(height), float(y)) for height, body in figures for y in re.findall(r' (?:cy|y1|y2)="(-?[\d.]+)"', body)]
    assert drawn and all(0 <= y <= height for height, y in drawn)
    assert "-500.0" in page
