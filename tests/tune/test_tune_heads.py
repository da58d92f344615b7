"""What heads answer is scored by the metrics of their kind of rows, chooses the checkpoint, and is measured on rows of its own."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, root_mean_squared_error

from head_rows import lines, settings, write_files
from hone.core.errors import BadData, Usage
from hone.evaluate import find_tasks
from hone.measure import LABEL_METRICS, LABEL_SET_METRICS, NUMBER_METRICS, score_entities
from hone.tune import TuneRecord, tune_rows
from tiny import SENTENCES


@pytest.fixture
def files(tmp_path):
    """A file to train on and one to test on."""
    return lambda kind: write_files(tmp_path, kind)


@pytest.mark.parametrize(
    ("kind", "metric", "others"),
    [
        ("classify", "weighted_f1", {"accuracy", "macro_f1", "weighted_f1"}),
        ("multi_label", "micro_f1", set(LABEL_SET_METRICS)),
        ("score", "rmse", set(NUMBER_METRICS)),
        ("tag", "entity_f1", {"entity_f1", "entity_precision", "entity_recall"}),
        ("parts", "macro_f1", {"accuracy", "macro_f1"}),
        ("answers", "token_f1", {"exact_match", "token_f1"}),
    ],
)
def test_answers_are_scored_on_validation_and_on_test_rows(kind, metric, others, files, model, tmp_path, capsys):
    data, test = files(kind)
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=test, metric=metric, steps=150, evaluations=3))
    told = capsys.readouterr().err
    card = (tmp_path / "run" / "README.md").read_text()
    assert TuneRecord.model_validate_json((tmp_path / "run" / "hone.json").read_text()) == done
    assert {score.metric for score in done.scores} == {score.metric for score in done.test.scores} == others
    assert done.test.rows == len(SENTENCES) * 2 and done.test.file == test
    for score in (*done.scores, *done.test.scores):
        is_error = score.metric in ("rmse", "mae")
        assert score.low is None or score.low <= score.value <= score.high
        if score.plain is not None and score.metric in (metric, "macro_f1"):
            assert score.value < score.plain if is_error else score.value > score.plain, score
        assert f"  {score.metric} " in told and f"| {score.metric} | {score.value:.4g} |" in card
    assert f"Test rows ({len(SENTENCES) * 2} of {test}, on which nothing was chosen): loss {done.test.loss:.4f}" in told
    assert "split: test" in card or "test rows" in card
    best = next(score for score in done.scores if score.metric == metric)
    chosen = -best.value if metric == "rmse" else best.value
    assert done.training.best_score == pytest.approx(chosen), "the kept checkpoint is the one that was chosen"
    assert len(lines(tmp_path / "run" / "test_answers.jsonl")) == done.test.rows


def test_what_is_told_equals_what_the_file_of_answers_says(files, model, tmp_path):
    """Each kind's main number, computed anew from the answers of the test rows."""

    def run(kind):
        data, test = files(kind)
        done = tune_rows(settings(data, model("bert"), tmp_path / kind, test=test, steps=15))
        return {score.metric: score.value for score in done.test.scores}, lines(tmp_path / kind / "test_answers.jsonl")

    found, rows = run("score")
    right, given = ([row[name] for row in rows] for name in ("right", "tuned"))
    assert min(right) >= 70.0 and max(right) > 90.0 and found["rmse"] == pytest.approx(root_mean_squared_error(right, given))
    found, rows = run("multi_label")
    right, given = (np.array([[label in row[name] for label in ("is", "refund")] for row in rows]) for name in ("right", "tuned"))
    assert found["macro_f1"] == pytest.approx(f1_score(right, given, average="macro", zero_division=0))
    found, rows = run("tag")
    right, given = ([row[name] for row in rows] for name in ("right", "tuned"))
    assert found["entity_f1"] == score_entities(right, given)["entity_f1"].value
    found, rows = run("classify")
    assert found["accuracy"] == np.mean([row["right"] == row["tuned"] for row in rows])
    found, rows = run("answers")
    assert found["exact_match"] == np.mean([row["tuned"] in row["right"] for row in rows])
    assert all(row["tuned"] in row["read"].split("\n")[1] for row in rows)


def test_a_question_without_an_answer_may_be_left_unanswered(model, tmp_path):
    rows = []
    for copy in range(6):
        for at, text in enumerate(SENTENCES):
            words = text.split()
            has = at % 2 == 0
            answers = {"text": [words[0]], "answer_start": [0]} if has else {"text": [], "answer_start": []}
            question = "what is it" if has else "how many days late"
            rows.append({"question": question, "context": f"{text} {copy} {at}", "answers": answers})
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    done = tune_rows(settings(str(tmp_path / "rows.jsonl"), model("bert"), tmp_path / "run", metric="exact_match", steps=60))
    told = lines(tmp_path / "run" / "answers.jsonl")
    assert any(row["tuned"] == "" for row in told) and any(row["tuned"] for row in told)
    right = np.mean([row["tuned"] in (row["right"] or [""]) for row in told])
    assert {score.metric: score.value for score in done.scores}["exact_match"] == right > 0.6


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_the_checkpoint_may_be_chosen_by_written_answers(kind, model, tmp_path):
    rows = [
        {"prompt": f"{text} {n}", "completion": "please refund" if "money" in text else "it is late"}
        for n, text in enumerate(SENTENCES * 4)
    ]
    for name, part in (("rows", rows[:-8]), ("test", rows[-8:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in part))
    asked = settings(
        str(tmp_path / "rows.jsonl"),
        model(kind),
        tmp_path / "run",
        metric="token_f1",
        test=str(tmp_path / "test.jsonl"),
        steps=60,
        answers=6,
    )
    done = tune_rows(asked)
    assert done.training.best_score == pytest.approx({score.metric: score.value for score in done.answers}["token_f1"])
    told = lines(tmp_path / "run" / "test_answers.jsonl")
    assert len(told) == done.test.answers[0].n == 6 and done.test.rows == 8
    exact = {score.metric: score for score in done.test.answers}["exact_match"]
    assert exact.value == np.mean([row["tuned"] == row["right"] for row in told])
    assert exact.base == np.mean([row["base"] == row["right"] for row in told])
    assert done.test.scores == ()


def test_the_metric_of_written_answers_that_chose_is_told_whatever_is_usual(model, tmp_path, capsys):
    rows = [{"prompt": f"{text} {n}", "completion": "late" if n % 2 else "lost"} for n, text in enumerate(SENTENCES * 2)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = tune_rows(settings(str(tmp_path / "rows.jsonl"), model("llama"), tmp_path / "run", metric="chrf", steps=6))
    found = {score.metric: score.value for score in done.answers}
    assert list(found) == ["exact_match", "token_f1", "chrf"] and done.training.best_score == pytest.approx(found["chrf"])
    assert f"  chrf {done.answers[-1].base:.3f} before, " in capsys.readouterr().err


def test_rows_of_the_test_file_train_nothing_and_choose_nothing(files, model, tmp_path):
    data, _ = files("classify")
    rows = lines(tmp_path / "rows.jsonl")
    (tmp_path / "part.jsonl").write_text("\n".join(json.dumps(row) for row in rows[::3]))
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=str(tmp_path / "part.jsonl"), steps=2))
    assert done.rows.train + done.rows.validation == len(rows) - len(rows[::3]) == len(rows) - done.rows.duplicates
    assert done.test.rows == len(lines(tmp_path / "run" / "test_answers.jsonl")) == len(rows[::3])
    assert done.scores[0].n == done.rows.validation == len(lines(tmp_path / "run" / "answers.jsonl"))
    with pytest.raises(BadData, match=r"without those of .*rows\.jsonl 0 are left to train on"):
        tune_rows(settings(data, model("bert"), tmp_path / "all", test=data))


@pytest.mark.parametrize(
    ("kind", "metric", "said"),
    [
        ("classify", "macro_f2", "--metric macro_f2 is none of the objective 'classify'. Did you mean 'macro_f1'?"),
        ("classify", "rougeL", "Known: accuracy, loss, macro_f1"),
        ("score", "accuracy", "is none of the objective 'regression'. Known: loss, mae, pearson, rmse, spearman"),
        ("multi_label", "accuracy", "Known: loss, macro_f1, micro_f1"),
        ("tag", "macro_f1", "Known: accuracy, entity_f1"),
        ("parts", "entity_f1", "Known: accuracy, loss, macro_f1"),
    ],
)
def test_a_metric_that_the_rows_do_not_have_is_refused_before_the_first_step(kind, metric, said, files, model, tmp_path):
    data, _ = files(kind)
    with pytest.raises(Usage) as error:
        tune_rows(settings(data, model("bert"), tmp_path / "run", metric=metric))
    assert said in str(error.value) and not (tmp_path / "run").exists()


def test_written_answers_choose_nothing_where_none_are_asked_for(model, tmp_path):
    (tmp_path / "rows.jsonl").write_text(
        "\n".join(json.dumps({"prompt": f"{text} {n}", "completion": "late"}) for n, text in enumerate(SENTENCES * 2))
    )
    with pytest.raises(Usage, match=r"--metric rougeL is of written answers, and --answers 0 asks for none"):
        tune_rows(settings(str(tmp_path / "rows.jsonl"), model("llama"), tmp_path / "run", metric="rougeL", answers=0))


def test_a_run_of_tags_is_no_retained_task(files, model, tmp_path):
    data, _ = files("tag")
    tune_rows(settings(data, model("bert"), tmp_path / "run", steps=2))
    with pytest.raises(BadData, match="learnt numbers, tags, several labels or stretches of passages, which nobody can be asked"):
        find_tasks([str(tmp_path / "run")])


def test_without_scores_on_the_way_the_test_rows_are_measured_all_the_same(files, model, tmp_path):
    data, test = files("score")
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=test, evaluations=0, steps=2))
    assert done.scores == () and done.loss is None
    assert {score.metric for score in done.test.scores} == set(NUMBER_METRICS)
    assert set(LABEL_METRICS).isdisjoint(score.metric for score in done.test.scores)


def test_a_single_row_of_numbers_has_errors_and_no_correlation(files, model, tmp_path):
    files("score")
    few = "\n".join((tmp_path / "rows.jsonl").read_text().splitlines()[:12])
    for name, part in (("few", few), ("one", few.splitlines()[1].replace("late", "lost"))):
        (tmp_path / f"{name}.jsonl").write_text(part)
    data, test = str(tmp_path / "few.jsonl"), str(tmp_path / "one.jsonl")
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=test, steps=2))
    for scores in (done.scores, done.test.scores):
        assert [(score.metric, score.n, score.low) for score in scores] == [("rmse", 1, None), ("mae", 1, None)]
    with pytest.raises(BadData, match="--metric pearson takes at least 2 rows to choose on, and there is 1"):
        tune_rows(settings(data, model("bert"), tmp_path / "other", metric="pearson", steps=2))
