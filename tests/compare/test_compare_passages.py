"""Rows that ask about passages: those on one passage belong together, whatever their answers are."""

import json
from random import Random

import pytest

from hone.compare.prepare import prepare
from hone.compare.settings import CompareSettings

KINDS = ("boolq", "race", "free", "nli")


def words(random, count):
    return " ".join("".join(random.choices("abcdefghijklmnop", k=5)) for _ in range(count))


def row(kind, passage, random, number):
    """Something asked about a passage."""
    question = words(random, 5)
    if kind == "boolq":
        return {"question": question, "passage": passage, "label": ("yes", "no")[number % 2]}
    if kind == "race":
        options = [words(random, 2) for _ in range(4)]
        return {"article": passage, "question": question, "options": options, "answer": "ABCD"[number % 4]}
    if kind == "free":
        return {"question": question, "context": passage, "answer": words(random, 3)}
    return {"premise": passage, "hypothesis": question, "label": ("entailment", "neutral", "contradiction")[number % 3]}


def rows_of(kind, *, passages, questions, letters=40, seed=0):
    random = Random(seed)
    made = [words(random, letters) for _ in range(passages)]
    return [row(kind, passage, random, number) for passage in made for number in range(questions)]


def prepared(folder, rows, **more):
    files = {"data": rows, **more}
    for name, part in files.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in part))
        files[name] = str(path)
    return prepare(CompareSettings(model=(), **files), writes=None).task


def groups(part):
    return {example.group for example in part}


def kinds_of(task):
    return [finding.kind for finding in task.findings]


@pytest.mark.parametrize("kind", KINDS)
def test_questions_on_one_passage_stay_on_one_side_and_are_no_copies(kind, tmp_path):
    task = prepared(tmp_path, rows_of(kind, passages=30, questions=4))
    split = task.split
    parts = [groups(part) for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 30
    assert sum(map(len, (split.train, split.validation, split.test))) == 120
    assert "near_duplicate" not in kinds_of(task) and "leak" not in kinds_of(task)
    assert all(example.group in example.text for example in split.train)


@pytest.mark.parametrize("kind", KINDS)
def test_where_passages_are_too_few_to_be_kept_apart_that_is_told(kind, tmp_path):
    task = prepared(tmp_path, rows_of(kind, passages=2, questions=40))
    assert len(task.split.test) == 16 and len(task.split.train) == 48
    told = [finding.message for finding in task.findings if finding.kind == "near_duplicate"]
    assert told == [
        "48 training rows with another question on a passage of the test rows; kept. Where all passages are new in use, this test is easier."
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_passage_of_a_given_test_is_told_and_costs_no_row(kind, tmp_path):
    rows = rows_of(kind, passages=30, questions=4)
    task = prepared(tmp_path, [one for at, one in enumerate(rows) if at % 4], test=rows[::4])
    assert len(task.split.train) + len(task.split.validation) == 90 and not groups(task.split.train) & groups(
        task.split.validation
    )
    assert "leak" not in kinds_of(task) and kinds_of(task).count("near_duplicate") == 1


def test_passages_that_do_not_repeat_and_short_contexts_change_nothing(tmp_path):
    rows = rows_of("boolq", passages=80, questions=1)
    rows = [one | {"label": ("yes", "no")[at % 2]} for at, one in enumerate(rows)]
    task = prepared(tmp_path, rows)
    assert [len(part) for part in (task.split.train, task.split.validation, task.split.test)] == [48, 16, 16]
    named = [one | {"context": ("billing", "delivery")[at % 2]} for at, one in enumerate(rows)]
    named = [{"question": one["question"], "context": one["context"], "label": one["label"]} for one in named]
    path = tmp_path / "named.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in named))
    split = prepare(CompareSettings(data=str(path), text=("question", "context"), label="label"), writes=None).task.split
    assert groups([*split.train, *split.test]) == {None}


def test_a_passage_named_as_the_group_is_still_read(tmp_path):
    rows = rows_of("boolq", passages=30, questions=4)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    task = prepare(CompareSettings(data=str(path), group="passage"), writes=None).task
    assert task.columns.text == ("question", "passage") and len(groups(task.split.test)) == 6
