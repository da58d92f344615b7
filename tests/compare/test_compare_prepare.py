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
    with pytest.raises(BadData, match=r"test rows hold 30 labels that the training rows lack.*\n  test.jsonl line 1: 'words 0'"):
        prepared(data, test=test)
