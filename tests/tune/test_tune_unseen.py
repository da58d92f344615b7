"""Labels that only rows of the test or validation have count as wrong; texts that they share with training train nothing."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from head_rows import lines, settings, write_files
from hone.core.errors import BadData
from hone.measure import score_entities
from hone.tune import tune_rows

SAID = "of 20 rows have {} that no training row has: {}. They cannot be learnt, and {} always count as wrong."


def with_other(folder, kind, *, changed):
    """A file to train on, and one to test on in which some rows were changed."""
    data, test = write_files(folder, kind)
    rows = lines(folder / "test.jsonl")[:20]
    assert len(rows) == 20
    for row in rows[:5]:
        changed(row)
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return data, test


def answers(folder):
    """What is right for the test rows, and what was said."""
    rows = lines(folder / "test_answers.jsonl")
    return [row["right"] for row in rows], [row["tuned"] for row in rows]


def test_rows_of_a_class_that_only_the_test_has_count_as_wrong(model, tmp_path, capsys):
    data, test = with_other(tmp_path, "classify", changed=lambda row: row.update(label="stolen"))
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=test, steps=30))
    assert SAID.format("labels", "'stolen' (5)", "such rows") in capsys.readouterr().err
    assert done.labels == ("late", "refund") and done.test.unseen == 5
    right, said = answers(tmp_path / "run")
    assert right.count("stolen") == 5 and "stolen" not in said
    found = {score.metric: score.value for score in done.test.scores}
    assert found["macro_f1"] == pytest.approx(f1_score(right, said, average="macro", labels=["late", "refund", "stolen"]))
    assert found["accuracy"] == done.test.accuracy == accuracy_score(right, said) <= 0.75
    assert "5 of them have a label or tag that no training row has" in (tmp_path / "run" / "README.md").read_text()
    assert np.isfinite(done.test.loss)


def test_labels_among_several_that_only_the_test_has_count_as_missed(model, tmp_path, capsys):
    data, test = with_other(tmp_path, "multi_label", changed=lambda row: row["labels"].append("stolen"))
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=test, steps=15))
    assert SAID.format("labels", "'stolen' (5)", "such labels") in capsys.readouterr().err
    right, said = (
        np.array([[label in row for label in ("is", "refund", "stolen")] for row in rows]) for rows in answers(tmp_path / "run")
    )
    assert right[:, 2].sum() == 5 and not said[:, 2].any()
    found = {score.metric: score.value for score in done.test.scores}
    assert found["macro_f1"] == pytest.approx(f1_score(right, said, average="macro", zero_division=0))


@pytest.mark.parametrize(("kind", "column"), [("tag", "ner_tags"), ("parts", "pos_tags")])
def test_tags_that_only_the_test_has_count_as_wrong(kind, column, model, tmp_path, capsys):
    def change(row):
        row[column] = ["B-OTHER", *row[column][1:]]

    data, test = with_other(tmp_path, kind, changed=change)
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=test, steps=15))
    assert SAID.format("tags", "'B-OTHER' (5)", "such words") in capsys.readouterr().err
    right, said = answers(tmp_path / "run")
    assert [row[0] for row in right].count("B-OTHER") == 5 and done.test.unseen == 5
    found = {score.metric: score.value for score in done.test.scores}
    if kind == "tag":
        assert found["entity_f1"] == score_entities(right, said)["entity_f1"].value
    else:
        assert found["accuracy"] == done.test.accuracy
        assert found["accuracy"] == np.mean(
            [one == other for row in zip(right, said, strict=True) for one, other in zip(*row, strict=True)]
        )


def test_validation_rows_may_hold_labels_that_cannot_be_learnt(model, tmp_path, capsys):
    data, held = with_other(tmp_path, "classify", changed=lambda row: row.update(label="stolen"))
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", validation=held, metric="macro_f1", steps=15))
    assert SAID.format("labels", "'stolen' (5)", "such rows") in capsys.readouterr().err
    assert done.rows.validation == 20 and done.commonest.label in done.labels
    assert {score.metric: score for score in done.scores}["accuracy"].value == done.accuracy <= 0.75


def test_test_rows_with_no_known_label_at_all_are_refused(model, tmp_path):
    data, test = write_files(tmp_path, "classify")
    rows = [row | {"label": "1"} for row in lines(tmp_path / "test.jsonl")]
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(BadData, match=r"no row has a label that the training rows have. Theirs: late, refund; here: '1' \(\d+\)"):
        tune_rows(settings(data, model("bert"), tmp_path / "run", test=test, steps=2))


@pytest.mark.parametrize(
    ("kind", "change"), [("classify", {"label": "lost"}), ("score", {"score": 1.0}), ("multi_label", {"labels": []})]
)
def test_a_text_of_the_test_trains_nothing_whatever_its_label(kind, change, model, tmp_path, capsys):
    data, _ = write_files(tmp_path, kind)
    rows = lines(tmp_path / "rows.jsonl")
    test = tmp_path / "part.jsonl"
    test.write_text("\n".join(map(json.dumps, rows[::5])))
    other = [row | change if at % 5 == 0 else row for at, row in enumerate(rows)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, other)))
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=str(test), steps=2))
    assert done.rows.duplicates == len(rows[::5]) and done.rows.train + done.rows.validation == len(rows) - len(rows[::5])
    assert (
        "training rows are left out that have a text of validation or test with another answer, the first in"
        in capsys.readouterr().err
    )
