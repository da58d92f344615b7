"""Rows whose answers are written or chosen, as examples: what is asked, what is right, what else would be, and how they are divided."""

import json
import random

import pytest

from hone.core.errors import BadData
from hone.task import (
    LETTERS,
    Choice,
    Completion,
    Dialogue,
    Example,
    Material,
    Message,
    Passage,
    as_examples,
    join_references,
    load_material,
    split_unlabelled,
    usual_metric,
)


def made(kind, *rows):
    """Examples and reasons of rows of a kind."""
    found, rejected = as_examples(Material("rows.jsonl", kind, list(rows), [], ""))
    return found, [(one.line, one.reason) for one in rejected]


def dialogue(*turns, line=1):
    return Dialogue(tuple(Message(role, content) for role, content in turns), "rows.jsonl", line)


def test_a_completion_asks_its_prompt_and_its_completion_is_right():
    found, rejected = made(
        "completion", Completion("2 + 2 = ", " 4\n", "rows.jsonl", 3), Completion("and then?", " \n", "rows.jsonl", 4)
    )
    assert found == [Example("2 + 2 = ", "4", "rows.jsonl", 3)]
    assert rejected == [(4, "empty answer")]


def test_a_single_question_is_asked_as_it_stands_behind_the_system_message():
    found, rejected = made(
        "chat",
        dialogue(("user", "Where is my parcel?"), ("assistant", " In Rome. ")),
        dialogue(("system", "Be kind."), ("user", "Where?"), ("assistant", "Here."), line=2),
    )
    assert [(one.text, one.label) for one in found] == [
        ("Where is my parcel?", "In Rome."),
        ("Be kind.\n\nWhere?", "Here."),
    ]
    assert rejected == []


def test_of_several_turns_the_last_answer_is_asked_after_all_that_was_said():
    turns = (("system", "Be kind."), ("user", "Where?"), ("assistant", "Rome."), ("user", "Rome?"), ("assistant", "Yes."))
    (found,), _ = made("chat", dialogue(*turns))
    assert found.text == "Be kind.\n\nUser: Where?\nAssistant: Rome.\nUser: Rome?" and found.label == "Yes."
    (shorter,), _ = made("chat", dialogue(*turns, ("user", "Thanks, bye.")))
    assert (shorter.text, shorter.label) == (found.text, "Yes."), "what follows the last answer is not told before it"


def test_a_dialogue_that_begins_with_its_only_answer_asks_nothing():
    found, rejected = made("chat", dialogue(("assistant", "Hello!"), ("user", "Hello.")))
    assert (found, rejected) == ([], [(1, "nothing is said before the answer")])


def test_a_passage_is_asked_behind_its_context_and_every_answer_is_right():
    context = "He was in Rome, then in Rome again."
    where = Passage("Where?", context, ("Rome", "in Rome", "Rome"), (10, 7, 24), "rows.jsonl", 1)
    found, rejected = made("answers", where, Passage("Why?", context, (), (), "rows.jsonl", 2))
    assert found == [Example(f"{context}\n\nWhere?", "Rome", "rows.jsonl", 1, group=context, more=("in Rome",), row=where)]
    assert rejected == [(2, "no answer in the context")]


def test_a_choice_is_answered_by_the_letter_of_the_right_one():
    choices = ("grass", "blood", "snow")
    found, rejected = made(
        "choice",
        Choice("What is red?", choices, 1, "rows.jsonl", 1),
        Choice("Which?", tuple(f"c{at}" for at in range(26)), 25, "rows.jsonl", 2),
        Choice("Which?", tuple(f"c{at}" for at in range(27)), 0, "rows.jsonl", 3),
    )
    assert found[0] == Example("What is red?", "B", "rows.jsonl", 1, choices=choices)
    assert found[1].label == LETTERS[25] == "Z"
    assert rejected == [(3, "27 choices, more than there are letters")]


def test_rows_of_a_file_become_examples_with_their_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"document": f"A long text {at}.", "summary": f"text {at}" if at != 2 else "  "} for at in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    material = load_material(str(path))
    found, _ = as_examples(material)
    assert material.shape == "summarization"
    assert [(one.text, one.label, one.line) for one in found] == [
        (f"A long text {at}.", f"text {at}", at + 1) for at in range(6) if at != 2
    ]


def row(text, label, *, line=1, **more):
    return Example(text, label, "rows.jsonl", line, **more)


def test_rows_that_ask_the_same_are_one_and_all_their_answers_right():
    kept, findings = join_references(
        [
            row("Translate Haus", "house", more=("a house",)),
            row("Translate Hund", "dog", line=2),
            row("translate  HAUS", "home", line=3),
            row("Translate Haus", "house", line=4, more=("building",)),
        ]
    )
    assert [(one.text, one.label, one.more) for one in kept] == [
        ("Translate Haus", "house", ("a house", "home", "building")),
        ("Translate Hund", "dog", ()),
    ]
    (finding,) = findings
    assert (finding.kind, finding.severity, finding.count) == ("exact_duplicate", "removed", 2)
    assert finding.places == ("rows.jsonl line 3", "rows.jsonl line 4") and finding.message.startswith("2 rows joined")


def test_rows_that_ask_nothing_twice_stay_as_they_are():
    rows = [row("one", "1"), row("two", "2", line=2)]
    assert join_references(rows) == (rows, [])


def test_a_question_with_other_choices_is_another_question():
    rows = [
        row("Which?", "A", choices=("red", "blue")),
        row("Which?", "A", choices=("red", "green"), line=2),
        row("Which?", "B", choices=("blue", "red"), line=3),
        row("which?", "A", choices=("red", "blue"), line=4),
    ]
    kept, (finding,) = join_references(rows)
    assert kept == rows[:3] and finding.count == 1


@pytest.mark.parametrize(
    ("shape", "answer", "metric"),
    [
        ("summarization", "short", "rougeL"),
        ("translation", "house", "chrf"),
        ("question-answering", "in the year 1889", "token_f1"),
        ("question-answering", "because " * 13, "rougeL"),
        ("text-to-text", "yes", "exact_match"),
        ("text-to-text", "one two three", "exact_match"),
        ("text-to-text", "one two three four", "rougeL"),
        (None, "a whole sentence of words", "rougeL"),
        ("instruction", "yes", "exact_match"),
        ("text-to-text", "三十天", "exact_match"),
        ("text-to-text", "我的包裹还没有到，请尽快退款给我。", "rougeL"),
        ("question-answering", "三十天，从一月开始", "token_f1"),
    ],
)
def test_the_metric_is_the_one_usual_for_answers_of_that_kind_and_length(shape, answer, metric):
    assert usual_metric(shape, [row(f"text {at}", answer) for at in range(5)]) == metric


def test_one_long_answer_among_short_ones_does_not_decide_the_metric():
    assert usual_metric("text-to-text", [*(row(f"t{at}", "yes") for at in range(5)), row("t", "yes " * 50)]) == "exact_match"


def many(count, *, start=0):
    return [row(f"question {at}", f"answer {at % 7}", line=at + 1, more=(f"other {at}",)) for at in range(start, start + count)]


def test_written_rows_are_divided_60_20_20_and_each_keeps_its_answers():
    rows = many(100)
    split = split_unlabelled(rows, seed=1)
    assert (len(split.train), len(split.validation), len(split.test)) == (60, 20, 20)
    parts = [*split.train, *split.validation, *split.test]
    assert sorted(parts, key=lambda one: one.line) == rows


def test_shuffling_written_rows_changes_no_part_and_another_seed_all():
    rows = many(60)
    shuffled = random.Random(0).sample(rows, len(rows))
    assert split_unlabelled(rows, seed=3) == split_unlabelled(shuffled, seed=3)
    assert split_unlabelled(rows, seed=3).digest != split_unlabelled(rows, seed=4).digest


def test_the_digest_follows_every_right_answer():
    rows = many(40)
    other = [row(one.text, one.label, line=one.line, more=(*one.more, "another")) for one in rows]
    assert split_unlabelled(rows, seed=0).digest != split_unlabelled(other, seed=0).digest


def test_a_given_test_file_is_kept_whole_with_answers_that_no_training_row_has():
    rows, held = many(60), [row(f"unseen {at}", f"new answer {at}", line=at) for at in range(15)]
    split = split_unlabelled(rows, seed=0, test=held)
    assert sorted(one.line for one in split.test) == sorted(one.line for one in held) and set(split.test) == set(held)
    assert len(split.validation) == 15 and sorted([*split.train, *split.validation], key=lambda one: one.line) == rows
    both = split_unlabelled(rows, seed=0, test=held, validation=many(10, start=200))
    assert (len(both.train), len(both.validation), len(both.test)) == (60, 10, 15)


def test_fewer_than_twenty_written_rows_are_refused_and_twenty_are_not():
    with pytest.raises(BadData, match="19 usable rows, at least 20"):
        split_unlabelled(many(19), seed=0)
    assert len(split_unlabelled(many(20), seed=0).test) == 4


def test_several_answers_in_a_cell_are_all_right_and_the_first_is_learnt(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({"source": f"asked {at}", "target": ["one", "two", "one"]}) + "\n" for at in range(3)),
        encoding="utf-8",
    )
    material = load_material(str(path))
    assert material.kind == "completion" and material.rows[0].completion == "one"
    examples, rejected = as_examples(material)
    assert [(row.label, row.more) for row in examples] == [("one", ("two",))] * 3 and rejected == []


def test_questions_on_one_text_stay_together():
    rows = [
        Passage(f"What is {word}?", f"Text {at} is long enough.", ("long",), (10,), "rows.jsonl", 3 * at + place)
        for at in range(20)
        for place, word in enumerate(("this", "that", "it"))
    ]
    examples, _ = as_examples(Material("rows.jsonl", "answers", rows, [], ""))
    split = split_unlabelled(examples, seed=0)
    parts = [{row.group for row in part} for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    assert sum(map(len, (split.train, split.validation, split.test))) == 60
    two = [row for row in examples if row.group in sorted(set.union(*parts))[:2]]
    assert len(split_unlabelled([*two, *(Example(f"t{at}", "a", "x", at) for at in range(30))], seed=0).test) > 0


def test_a_test_file_may_ask_about_the_same_texts():
    rows = [Example(f"Text {at % 5}\n\nAsked {at}", "a", "rows.jsonl", at, group=f"Text {at % 5}") for at in range(60)]
    assert split_unlabelled(rows[:40], seed=0, test=rows[40:]).test
