"""ReCoRD, and with it SuperGLUE, is marked also where transformers no longer has the marks that the harness's task imports from it."""

import pytest
from datasets import Dataset, DatasetDict

from hone.evaluate.harness import quiet, read_task_list
from hone.evaluate.harness_squad import compute_exact, compute_f1


def test_record_is_marked_by_the_harness_own_task(monkeypatch):
    from lm_eval.api import task as harness_task

    row = {
        "passage": "It came.\n@highlight\nlate",
        "query": "@placeholder came",
        "entities": ["The box", "Ann"],
        "answers": ["box"],
    }
    splits = DatasetDict(dict.fromkeys(("train", "validation"), Dataset.from_list([row])))
    monkeypatch.setattr(harness_task.datasets, "load_dataset", lambda *_, **__: splits)
    with quiet():
        (record,) = read_task_list(["record"]).load("record")["tasks"].values()
    doc = next(iter(record.validation_docs()))
    assert doc["entities"] == ["Ann", "The box"]
    assert record.process_results(doc, [(-3.0, False), (-1.0, False)]) == {"f1": 1, "em": 1}
    assert record.process_results(doc, [(-1.0, False), (-3.0, False)]) == {"f1": 0, "em": 0}


@pytest.mark.parametrize(
    ("right", "answer", "exact", "f1"),
    [
        ("The Box!", "box", 1, 1),
        ("a late box", "box", 0, 2 / 3),
        ("", "", 1, 1),
        ("", "box", 0, 0),
        ("one two", "two two", 0, 1 / 2),
    ],
)
def test_the_marks_are_those_of_squads_script(right, answer, exact, f1):
    assert compute_exact(right, answer) == exact
    assert compute_f1(right, answer) == pytest.approx(f1)
