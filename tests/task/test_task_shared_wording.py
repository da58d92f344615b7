"""Rows that share an instruction, a system prompt or a template are told apart by what is their own."""

import random

import pytest

import hone.task.near
from hone.task import Example, near_duplicates, remove_leaks, split_examples, split_unlabelled
from hone.task.near import nearest_copies

WORDS = [f"word{index}" for index in range(400)]
PROMPT = " ".join(f"rule{index} says that you must do step{index} before step{index + 1}" for index in range(20))


def messages(count, *, words=20, seed=0):
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=words)) for _ in range(count)]


def rows(texts, labels="ab"):
    return [Example(text, labels[index % len(labels)], "a.csv", index) for index, text in enumerate(texts)]


@pytest.mark.parametrize("count", [20, 200, 3000])
def test_a_prompt_before_every_row_makes_no_row_a_copy(count):
    examples = rows([f"{PROMPT} {message}" for message in messages(count)])
    for split in (split_unlabelled(examples, seed=0), split_examples(examples, seed=0, grouped=False)):
        assert remove_leaks(split) == (split, [])
    assert near_duplicates(examples) is None


def test_edited_and_equal_copies_are_found_behind_a_prompt():
    texts = [f"{PROMPT} {message}" for message in messages(200)]
    edited = [f"{text} indeed" for text in texts[:5]]
    assert nearest_copies([*texts, *edited]) == {200 + index: index for index in range(5)}
    assert nearest_copies([*edited, *texts[5:]], texts[:5]) == {index: index for index in range(5)}
    short = [f"{PROMPT} {message}" for message in messages(200, words=3)]
    assert nearest_copies([*short, short[7].upper()]) == {200: 7}
    assert nearest_copies(short[:100], [*short[100:], short[7]]) == {7: 100}


def test_short_rows_of_few_signs_are_copies_only_when_they_are_the_same():
    generator = random.Random(0)
    signs = ["not", "not (", "True", "False", "and", "or", ") and"]
    logic = list(dict.fromkeys(" ".join(generator.choices(signs, k=9)) for _ in range(250)))
    assert nearest_copies(logic) == {}
    assert nearest_copies([*logic, logic[3]]) == {len(logic): 3}


def test_a_few_copies_of_one_text_are_no_shared_wording():
    (text,) = messages(1, words=30)
    copies = [f"{text} {word}" for word in WORDS[:9]]
    assert set(nearest_copies([*messages(20, words=30, seed=1), *copies])) == set(range(21, 29))


def test_many_lost_training_rows_are_a_warning():
    texts = messages(60, words=30)
    split = split_examples(rows([*texts, *(f"{text} indeed" for text in texts[:45])]), seed=0, grouped=False)
    after, findings = remove_leaks(split)
    gone = len(split.train) - len(after.train)
    assert gone > 0.2 * len(split.train)
    assert [(finding.severity, finding.count) for finding in findings if finding.severity != "removed"] == [("warning", gone)]
    assert f"{gone} of {len(split.train)} training rows" in findings[-1].message and "--group" in findings[-1].message
    assert "--group" in remove_leaks(split, is_labelled=False)[1][-1].message, "rows of every kind may be grouped"


def test_no_pair_is_compared_twice(monkeypatch):
    templates = messages(20, words=23, seed=1)
    texts = [f"{templates[index % 20]} {message}" for index, message in enumerate(messages(400, words=8, seed=2))]
    compared = []
    measure = hone.task.near.jaccard
    monkeypatch.setattr(hone.task.near, "jaccard", lambda one, other: compared.append((one, other)) or measure(one, other))
    assert nearest_copies(texts) == {}
    assert len(compared) == len(set(compared)) > 100
