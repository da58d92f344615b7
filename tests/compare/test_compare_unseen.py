"""Labels that only the rows of --test or --validation have: told once, kept, and wrong for every strategy, as in `hone tune`."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score
from test_compare_heads import asked, write_files

from hone.compare import comparison_table
from hone.compare.prepare import prepare
from hone.compare.records import Comparison
from hone.compare.run import compare_rows
from hone.compare.settings import CompareSettings
from hone.measure import LabelKey, LabelSetKey, score_entities
from tiny_words import label_rows, save_word_model

OTHER = 5
NEW = {"classify": "stolen", "multi_label": "stolen", "tag": "B-OTHER", "parts": "OTHER"}
every = pytest.mark.parametrize("kind", NEW)


def change(row, kind):
    """The row with a label that no training row has."""
    if kind == "classify":
        return row | {"label": NEW[kind]}
    column = {"multi_label": "labels", "tag": "ner_tags", "parts": "pos_tags"}[kind]
    return row | {column: [NEW[kind], *row[column][1:]]}


def with_other(folder, kind):
    """A file to train on, and one in which some rows have another label."""
    data, test = write_files(folder, kind)
    rows = [json.loads(line) for line in Path(test).read_text().splitlines()]
    Path(test).write_text("".join(json.dumps(change(row, kind) if at < OTHER else row) + "\n" for at, row in enumerate(rows)))
    return data, test


@pytest.fixture(scope="module")
def compared(tmp_path_factory, encoder_path, tiny_encoder):
    """A comparison of each kind, run once."""
    made = {}

    def of(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            data, test = with_other(folder, kind)
            ways = ("zero_shot", "nearest", "head", "bias") if kind == "classify" else ("head", "bias")
            made[kind] = compare_rows(asked(data, test, (str(encoder_path()),), folder / "run", ways))
        return made[kind]

    return of


def said(found, row):
    """What is right for the test rows, and what a strategy said."""
    lines = (Path(found.folder) / "strategies" / row.strategy / "predictions.jsonl").read_text().splitlines()
    read = [json.loads(line) for line in lines]
    return [one["label"] for one in read], [one["predicted"] for one in read], read


@every
def test_they_are_told_once_and_stay_in_the_test(kind, tmp_path):
    data, test = with_other(tmp_path, kind)
    task = prepare(CompareSettings(data=data, test=test)).task
    told = [finding for finding in task.findings if finding.kind == "unseen_label"]
    assert len(told) == 1 and told[0].count == OTHER and len(told[0].places) == OTHER
    what, such = {"classify": ("labels", "rows"), "multi_label": ("labels", "labels")}.get(kind, ("tags", "words"))
    assert told[0].message == (
        f"test.jsonl: {OTHER} of 24 rows have {what} that no training row has: '{NEW[kind]}' ({OTHER}). They cannot be learnt, and "
        f"such {such} always count as wrong."
    )
    assert len(task.split.test) == 24 and NEW[kind] not in task.labels


@every
def test_they_count_as_wrong_for_every_strategy(kind, compared):
    found = compared(kind)
    assert found.task.unseen == (NEW[kind],) and NEW[kind] not in found.task.labels
    for row in found.rows:
        right, given, _ = said(found, row)
        assert sum(NEW[kind] in one for one in right) == OTHER and not any(NEW[kind] in one for one in given)
        if kind == "classify":
            names = list(found.task.right)
            assert row.metrics["accuracy"].value == pytest.approx(accuracy_score(right, given))
            assert row.metrics["macro_f1"].value == pytest.approx(f1_score(right, given, average="macro", labels=names))
            assert np.array(row.confusion).sum(axis=1).tolist() == [right.count(name) for name in names]
            assert np.array(row.confusion)[:, -1].sum() == 0 and row.per_class[-1].label == "stolen"
            assert row.per_class[-1].support == OTHER and row.per_class[-1].f1 == 0
        elif kind == "multi_label":
            sets = [np.array([[name in one for name in found.task.right] for one in rows]) for rows in (right, given)]
            assert row.metrics["macro_f1"].value == pytest.approx(f1_score(*sets, average="macro", zero_division=0))
        elif kind == "tag":
            split = [[one.split(" ") for one in rows] for rows in (right, given)]
            assert row.metrics["entity_f1"].value == pytest.approx(score_entities(*split)["entity_f1"].value)


def test_confidence_is_measured_and_written_down_with_them(compared):
    found = compared("classify")
    for row in found.rows:
        _, _, lines = said(found, row)
        assert all(line["probabilities"]["stolen"] == 0 for line in lines)
        assert all(sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-4) for line in lines)
        assert 0 <= row.metrics["ece"].low <= row.metrics["ece"].value <= row.metrics["ece"].high <= 1


@every
def test_table_report_and_bundle_know_them(kind, compared):
    found = compared(kind)
    assert Comparison.model_validate_json((Path(found.folder) / "comparison.json").read_text(encoding="utf-8")) == found
    assert f"{len(found.task.labels)} " in comparison_table(found)
    report = (Path(found.folder) / "report.html").read_text(encoding="utf-8")
    assert f"no training row has {NEW[kind]}, which always counts as wrong" in re.sub("<[^>]+>", "", report)
    assert f"It knows nothing of {NEW[kind]}" in (Path(found.folder) / "best" / "README.md").read_text(encoding="utf-8")
    assert json.loads((Path(found.folder) / "best" / "hone.json").read_text())["labels"] == list(found.task.labels)


def test_validation_rows_may_have_them_too_with_encoders_and_models_that_write(tmp_path, encoder_path, tiny_encoder):
    rows = [{"text": row.text, "label": row.label} for row in label_rows(60)]
    held = [row | ({"label": "stolen"} if at < OTHER else {}) for at, row in enumerate(rows[40:])]
    files = []
    for name, part in (("rows", rows[:40]), ("held", held)):
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in part))
    llama = save_word_model(tmp_path / "llama", "llama")
    settings = CompareSettings(
        data=str(files[0]), validation=str(files[1]), model=(str(encoder_path()), str(llama)), strategies=("zero_shot", "lora", "head"),
        epochs=1.0, arms=1, batch_rows=8, precision="fp32", budget_seconds=20.0, out=str(tmp_path / "run"),
    )  # fmt: skip
    found = compare_rows(settings)
    assert [one.kind for one in found.data.findings].count("unseen_label") == 1
    assert found.task.unseen == () and all(row.validation <= 1 - OTHER / found.data.validation for row in found.rows)


def test_answers_with_fewer_columns_than_labels_miss_the_last():
    shares = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    marks = LabelKey(np.array([0, 1, 2]), "accuracy", classes=3).mark(shares)
    assert marks.correct.tolist() == [True, True, False] and marks.classes == 3
    assert marks.value_of("macro_f1") == pytest.approx((2 / 3 + 1 + 0) / 3)
    truth = np.array([[True, False, True], [False, True, False]])
    sets = LabelSetKey(truth, ("a", "b", "new"), "micro_f1").mark(np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert sets.words == ("a", "b") and sets.value == pytest.approx(0.8)
