"""What cannot be trained on: rows are set aside with line, column and reason; sources are refused with the cure."""

import json

import pytest

from hone.core.errors import BadData
from hone.task import Message, load_material

USER = {"role": "user", "content": "Hello?"}
REPLY = {"role": "assistant", "content": "Hi."}
CONTEXT = "He was in Rome, and then in Rome again."


def write(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def squad(answers):
    return {"question": "Where?", "context": CONTEXT, "answers": answers}


GOOD = {
    "plain": {"text": "Some text."},
    "completion": {"prompt": "a", "completion": "b"},
    "chat": {"messages": [USER, REPLY]},
    "tag": {"tokens": ["Ann", "left"], "ner_tags": ["B-PER", "O"]},
    "answers": squad({"text": ["Rome"], "answer_start": [10]}),
    "score": {"text": "Fine.", "score": 0.5},
    "multi_label": {"text": "Fine.", "labels": ["a", "b"]},
    "choice": {"question": "Which?", "choices": ["red", "blue"], "answer": 1},
}

BAD = [
    ("plain", {"text": "  \n"}, "text", "empty text"),
    ("plain", {"text": None}, "text", "missing cell: the row has no value there"),
    ("plain", {"text": {"a": 1}}, "text", "no text: there is an object in its place"),
    ("plain", {"text": "a\0b"}, "text", "NUL character"),
    ("completion", {"prompt": "", "completion": "b"}, "prompt", "empty text"),
    ("completion", {"prompt": "a", "completion": " "}, "completion", "empty text"),
    ("completion", {"prompt": "a"}, "completion", "missing cell"),
    ("completion", {"prompt": "a", "completion": []}, "completion", "no answer: the cell is an empty list"),
    ("chat", {"messages": []}, "messages", "no messages"),
    ("chat", {"messages": None}, "messages", "missing cell"),
    ("chat", {"messages": "Hello?"}, "messages", "no list: 'Hello?'"),
    ("chat", {"messages": [USER]}, "messages", "no assistant message"),
    ("chat", {"messages": [USER, "Hi."]}, "messages", "not a message: number 2"),
    ("chat", {"messages": [{"role": "narrator", "content": "x"}, REPLY]}, "messages", "unknown role: message 1 has the role 'narrator'"),
    ("chat", {"messages": [{"content": "x"}, REPLY]}, "messages", "unknown role: message 1 has no role"),
    ("chat", {"messages": [USER, {"role": "assistant", "content": ""}]}, "messages", "empty message: number 2 (assistant)"),
    ("chat", {"messages": [USER, REPLY, {"role": "assistant", "content": None, "tool_calls": [1]}]}, "messages", "only calls of tools"),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, REPLY]}, "messages", "not text: message 1"),
    ("tag", {"tokens": ["Ann", "left"], "ner_tags": ["O"]}, "ner_tags", "lengths differ: 2 tokens, 1 tags"),
    ("tag", {"tokens": [], "ner_tags": []}, "tokens", "no tokens"),
    ("tag", {"tokens": ["Ann", ""], "ner_tags": ["O", "O"]}, "tokens", "empty token at place 2"),
    ("tag", {"tokens": ["Ann", None], "ner_tags": ["O", "O"]}, "tokens", "no token at place 2: there is nothing"),
    ("tag", {"tokens": ["Ann"], "ner_tags": [""]}, "ner_tags", "empty label"),
    ("tag", {"tokens": ["Ann"], "ner_tags": [-100]}, "ner_tags", "no class: -100"),
    ("tag", {"tokens": ["Ann"], "ner_tags": {"a": 1}}, "ner_tags", "no list: the cell holds an object"),
    ("tag", {"tokens": ["Ann"]}, "ner_tags", "missing cell"),
    ("answers", squad({"text": ["Paris"], "answer_start": [0]}), "answers", "answer not in the context: 'Paris'"),
    ("answers", squad({"text": ["Rome", "He"], "answer_start": [0]}), "answers", "lengths differ: 2 answers, 1 starts"),
    ("answers", squad({"texts": ["Rome"]}), "answers", "no answers: the object has no lists"),
    ("answers", squad({"text": [""], "answer_start": [0]}), "answers", "empty answer"),
    ("answers", squad(None), "answers", "missing cell"),
    ("answers", {"question": "", "context": "x", "answers": []}, "question", "empty text"),
    ("answers", {"question": "Where?", "context": None, "answers": []}, "context", "missing cell"),
    ("score", {"text": "Fine.", "score": None}, "score", "missing cell"),
    ("score", {"text": "Fine.", "score": float("nan")}, "score", "missing cell"),
    ("score", {"text": "", "score": 0.5}, "text", "empty text"),
    ("multi_label", {"text": "Fine.", "labels": ["a", " "]}, "labels", "empty label"),
    ("multi_label", {"text": "Fine.", "labels": None}, "labels", "missing cell"),
    ("multi_label", {"text": "Fine.", "labels": " ; "}, "labels", "empty label"),
    ("multi_label", {"text": "", "labels": ["a"]}, "text", "empty text"),
    ("choice", {"question": " ", "choices": ["red", "blue"], "answer": 1}, "question", "empty question"),
    ("choice", {"question": "Which?", "choices": ["red"], "answer": 0}, "choices", "too few choices: there is 1"),
    ("choice", {"question": "Which?", "choices": ["red", " "], "answer": 0}, "choices", "empty choice"),
    ("choice", {"question": "Which?", "choices": ["red", None], "answer": 0}, "choices", "no choice: there is nothing"),
    ("choice", {"question": "Which?", "choices": "red or blue", "answer": 0}, "choices", "no list: 'red or blue'"),
    ("choice", {"question": "Which?", "choices": None, "answer": 0}, "choices", "missing cell"),
    ("choice", {"question": "Which?", "choices": ["red", "blue"], "answer": None}, "answer", "missing cell"),
    ("choice", {"question": "Which?", "choices": ["red", "blue"], "answer": 5}, "answer", "no such choice: '5' is the number from 0 of none"),
    ("choice", {"question": "Which?", "choices": ["red", "blue"], "answer": -1}, "answer", "no such choice: '-1'"),
    ("choice", {"question": "Which?", "choices": ["red", "blue"], "answer": True}, "answer", "no such choice: 'True'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "row", "column", "reason"), BAD)
def test_a_row_that_cannot_be_used_is_set_aside_with_its_line_and_reason(tmp_path, kind, row, column, reason):
    material = load_material(write(tmp_path, [GOOD[kind], row, GOOD[kind], GOOD[kind]]))
    assert material.kind == kind and [one.line for one in material.rows] == [1, 3, 4]
    (rejected,) = material.rejected
    assert (rejected.file, rejected.line, rejected.column) == ("rows.jsonl", 2, column)
    assert reason in rejected.reason


@pytest.mark.parametrize("score", ["high", True, "1e999", [1.5]])
def test_a_score_that_is_no_finite_number_is_set_aside(tmp_path, score):
    rows = [GOOD["score"], {"text": "Fine.", "score": score}, GOOD["score"]]
    material = load_material(write(tmp_path, rows), kind="score")
    assert [row.reason.split(":")[0] for row in material.rejected] == ["no number"]


def test_an_empty_list_of_labels_is_none_of_them_and_no_mistake(tmp_path):
    material = load_material(write(tmp_path, [GOOD["multi_label"], {"text": "Well.", "labels": []}]))
    assert material.rows[1].labels == () and not material.rejected


def test_a_dialogue_may_begin_with_the_assistant_and_an_empty_system_text_is_left_out(tmp_path):
    rows = [{"messages": [{"role": "system", "content": ""}, REPLY, USER]}]
    assert load_material(write(tmp_path, rows)).rows[0].messages == (Message("assistant", "Hi."), Message("user", "Hello?"))


@pytest.mark.parametrize(
    ("written", "role"),
    [("human", "user"), ("GPT", "assistant"), ("function_call", "assistant"), ("observation", "tool"), ("developer", "system")],
)
def test_the_names_of_roles_in_use_are_known(tmp_path, written, role):
    rows = [{"conversations": [{"from": written, "value": "x"}, {"from": "gpt", "value": "y"}]}]
    assert load_material(write(tmp_path, rows)).rows[0].messages[0] == Message(role, "x")


def test_text_in_parts_is_put_together(tmp_path):
    rows = [{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, REPLY]}]
    assert load_material(write(tmp_path, rows)).rows[0].messages[0].content == "a\nb"


@pytest.mark.parametrize(("given", "start"), [(10, 10), (28, 28), (27, 28), (12, 10), (-1, 10), (900, 28)])
def test_an_answer_away_from_its_start_is_found_at_the_nearest_place_and_counted(tmp_path, given, start):
    material = load_material(write(tmp_path, [squad({"text": ["Rome"], "answer_start": [given]})]))
    row = material.rows[0]
    assert row.starts == (start,) and row.context[start:].startswith("Rome")
    assert ("in 1 row an answer was found elsewhere" in material.because) is (given != start)


def test_a_broken_line_costs_itself_only(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n{"text": \n{"text": "b"}\n', encoding="utf-8")
    material = load_material(str(path))
    assert [row.text for row in material.rows] == ["a", "b"] and material.rejected[0].line == 2


def test_over_half_unusable_rows_are_refused_with_counts_and_places(tmp_path):
    with pytest.raises(
        BadData, match=r"2 of 3 rows cannot be used: 2 empty text in completion.\n  line 2(.|\n)*--prompt and --completion"
    ) as caught:
        load_material(write(tmp_path, [GOOD["completion"], *[{"prompt": "a", "completion": ""}] * 2]))
    assert "line 3, column completion: empty text" in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "text\n"])
def test_a_source_without_rows_is_refused(tmp_path, content):
    path = tmp_path / ("rows.json" if content == "[]" else "rows.csv")
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadData, match="no rows"):
        load_material(str(path))


def test_rows_that_are_no_objects_are_refused_with_the_reason(tmp_path):
    with pytest.raises(BadData, match="2 of 2 rows cannot be used: 2 not an object"):
        load_material(write(tmp_path, [["a", "b"], ["c", "d"]]))


REFUSED = [
    ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preferences is not there yet. .*--prompt prompt --completion chosen"),
    ({"chosen": "b", "rejected": "c"}, "preferences is not there yet. Write the chosen answers"),
    ({"prompt": "a", "completion": "b", "label": True}, "'label' says of each answer whether it was wanted"),
    ({"messages": [USER, REPLY], "label": False}, "'label' says of each answer whether it was wanted"),
    ({"question": "a?", "choices": ["b", "c"]}, "multiple choice, with the choices in 'choices', but no column says which is right"),
    ({"question": "a?", "A": "b", "B": "c", "topic": "d"}, "multiple choice, with the choices in 'A', 'B', but no column says"),
    ({"question": "a?", "choices": ["b", "c"], "answer": "d"}, "'d' in 'answer' is neither label, letter, number nor text of a choice"),
    ({"question": "a?", "options": "b or c", "answer": "b"}, "'b or c' in 'options' is no list of choices"),
    ({"question": {"stem": "a?", "choices": []}, "answerKey": "A"}, "choices in 'question', .* too few choices: there are 0"),
    ({"endings": ["a", "b"], "label": 1}, "choices in 'endings', but no column is called a question"),
    ({"context_options": ["a", "b"], "continuation": "c", "gold": 1}, "choices in 'context_options' before a text that is the same"),
    ({"definition": "a", "instances": [{"input": "b", "output": "c"}]}, "several examples, as a list of objects in 'instances'"),
    ({"title": "a", "paragraphs": [{"context": "b", "qas": []}]}, "several examples, as a list of objects in 'paragraphs'"),
    (
        {"sentence_good": "a", "sentence_bad": "b", "field": "syntax", "pairID": "0"},
        r"a good and a bad sentence each, in 'sentence_good' and 'sentence_bad': minimal pairs.*hone eval --tasks blimp",
    ),
    ({"one": "a", "two": "b"}, r"No known layout fits. The columns are: one, two. Known layouts: text \+ label;.*--prompt and --completion"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "message"), REFUSED)
def test_a_layout_that_would_train_the_wrong_thing_is_refused_with_the_cure(tmp_path, row, message):
    with pytest.raises(BadData, match=f"rows.jsonl: .*{message}") as caught:
        load_material(write(tmp_path, [row] * 3))
    assert "\n" not in str(caught.value)


def test_the_cure_for_preferences_works(tmp_path):
    path = write(tmp_path, [{"prompt": "a", "chosen": "b", "rejected": "c"}])
    assert load_material(path, prompt="prompt", completion="chosen").rows[0].completion == "b"
    path = write(tmp_path, [{"prompt": "a", "completion": "b", "label": True}])
    assert load_material(path, kind="completion").kind == "completion"


def test_a_kind_without_its_columns_is_refused_by_name(tmp_path):
    with pytest.raises(BadData, match=r"No columns fit the kind 'tag'. The columns are: text"):
        load_material(write(tmp_path, [{"text": "a"}]), kind="tag")
