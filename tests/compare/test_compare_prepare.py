"""From a file to a divided task: which rows are taken, and what is said of those that are not."""

import json
from random import Random

import pytest

from hone.compare.prepare import prepare
from hone.compare.settings import CompareSettings
from hone.core.errors import BadData


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def prepared(data, **more):
    return prepare(CompareSettings(data=data, model=(), **more), writes=None)


def sentence(random, words=12):
    return " ".join("".join(random.choices("abcdefghijklmnop", k=5)) for _ in range(words))


def intents(count, *, classes, seed=0):
    random = Random(seed)
    return [{"text": sentence(random), "label": f"intent_{index % classes}"} for index in range(count)]


def test_a_short_test_file_of_many_known_classes_is_taken(tmp_path):
    data = write(tmp_path / "train.jsonl", intents(600, classes=60))
    test = write(tmp_path / "test.jsonl", intents(90, classes=60, seed=1))
    split = prepared(data, test=test).task.split
    assert len(split.test) == 90 and {row.label for row in split.test} == {f"intent_{index}" for index in range(60)}


def test_free_text_in_a_test_file_is_refused_as_labels_that_training_lacks(tmp_path):
    data = write(tmp_path / "train.jsonl", intents(60, classes=3))
    test = write(tmp_path / "test.jsonl", [{"text": f"row {index}", "label": f"words {index}"} for index in range(30)])
    with pytest.raises(
        BadData, match=r"test.jsonl: no row has a label that the training rows have. Theirs: intent_0.*'words 0' \(1\)"
    ):
        prepared(data, test=test)


def test_composed_and_decomposed_letters_are_one_class_and_are_described_by_either(tmp_path):
    rows = [row | {"label": ("caf\u00e9", "cafe\u0301", "tea")[index % 3]} for index, row in enumerate(intents(60, classes=2))]
    task = prepared(write(tmp_path / "rows.jsonl", rows), descriptions={"cafe\u0301": "a place"}).task
    assert task.labels == ("caf\u00e9", "tea") and task.descriptions == {"caf\u00e9": "a place"}


REFUSED = [
    ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preferences is not there yet. .*--prompt prompt --completion chosen"),
    ({"prompt": "a", "completion": "b", "label": True}, "'label' says of each answer whether it was wanted"),
    ({"definition": "a", "instances": [{"input": "b", "output": "c"}]}, "several examples, as a list of objects in 'instances'"),
]


@pytest.mark.parametrize(("row", "message"), REFUSED)
def test_rows_known_to_be_something_else_are_refused_for_what_they_are(tmp_path, row, message):
    with pytest.raises(BadData, match=f"rows.jsonl: .*{message}"):
        prepared(write(tmp_path / "rows.jsonl", [row] * 30))


def scored(count):
    random = Random(0)
    return [
        {
            "genre": "ab"[index % 2],
            "score": f"{index % 50 / 10:.3f}",
            "sentence1": sentence(random),
            "sentence2": sentence(random),
        }
        for index in range(count)
    ]


def test_scores_are_not_compared_on_a_column_beside_them_unless_it_is_named(tmp_path):
    data = write(tmp_path / "rows.jsonl", scored(60))
    found = prepared(data).task
    assert (found.kind, found.columns.label, found.labels) == ("regression", "score", ())
    assert prepared(data, label="genre", text=("sentence1",)).task.labels == ("a", "b")


def test_a_label_of_a_few_halves_is_still_read_as_classes(tmp_path):
    rows = [row | {"label": ("1.0", "1.5")[index % 2]} for index, row in enumerate(intents(60, classes=2))]
    assert prepared(write(tmp_path / "rows.jsonl", rows)).task.labels == ("1.0", "1.5")


@pytest.mark.parametrize("more", [{}, {"kind": "classify"}])
def test_rows_that_are_all_broken_are_refused_with_their_reasons(tmp_path, more):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f'"he said \\"no\\" {index}",{"ab"[index % 2]}\n' for index in range(40)))
    with pytest.raises(BadData, match=r"rows.csv: 40 of 40 rows cannot be used: 40 stray quotation mark.\n  line 2: stray"):
        prepared(str(path), **more)


@pytest.mark.parametrize("writes", [None, True])
def test_answers_that_are_judged_right_or_wrong_are_classes_and_none_is_to_be_written(tmp_path, writes):
    random = Random(0)
    rows = [
        {"paragraph": sentence(random), "question": sentence(random), "answer": sentence(random, 4), "label": index % 2}
        for index in range(60)
    ]
    task = prepare(CompareSettings(data=write(tmp_path / "rows.jsonl", rows)), writes=writes).task
    assert task.kind == "text-classification" and task.labels == ("0", "1")
    assert task.columns.text == ("paragraph", "question", "answer")


def test_written_answers_that_seldom_come_again_are_no_classes(tmp_path):
    random = Random(0)
    rows = [{"prompt": sentence(random), "completion": f"answer {index % 15 if index < 85 else index}"} for index in range(100)]
    assert prepared(write(tmp_path / "rows.jsonl", rows)).task.kind == "text-generation"
    assert prepared(write(tmp_path / "rows.jsonl", rows), drop_rare=True).task.kind == "text-classification"
    assert prepared(write(tmp_path / "rows.jsonl", rows[:85])).task.kind == "text-classification"
