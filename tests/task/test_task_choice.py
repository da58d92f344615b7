"""Multiple choice: every way of writing it gives the same row, what the answers mean is decided over the file, and a row becomes a completion."""

import pytest
from sources import write

from hone.core.errors import Usage
from hone.task import Choice, Completion, Refused, as_completion, bundled_templates, choice_template, load_material

QUESTION = "What is red?"
TEXTS = ["grass", "blood", "snow", "the sky"]


def columns(names):
    return dict(zip(names, TEXTS, strict=True))


def labelled(labels):
    return [{"text": text, "label": label} for text, label in zip(TEXTS, labels, strict=True)]


# A layout without its answer; then the column of the answers, those of choices 0 to 3, and what they are said to be.
LAYOUTS = {
    "mmlu": ({"question": QUESTION, **columns("ABCD"), "subject": "x"}, "answer", "ABCD", "letter"),
    "mmlu of the Hub": ({"question": QUESTION, "subject": "x", "choices": TEXTS}, "answer", [0, 1, 2, 3], "number from 0"),
    "arc": ({"id": "x1", "question": QUESTION, "choices": {"text": TEXTS, "label": list("ABCD")}}, "answerKey", "ABCD", "letter"),
    "arc in numbers": ({"question": QUESTION, "choices": {"text": TEXTS, "label": list("1234")}}, "answerKey", "1234", "label"),
    "labels out of order": ({"question": QUESTION, "choices": {"text": TEXTS, "label": list("DCBA")}}, "answerKey", "DCBA", "label"),
    "commonsense_qa": ({"question": {"stem": QUESTION, "choices": labelled("ABCD")}}, "answerKey", "ABCD", "letter"),
    "openbookqa": ({"question_stem": QUESTION, "choices": labelled("ABCD")}, "answerKey", "ABCD", "letter"),
    "one text": (
        {"Question Stem": QUESTION, "Choices": "(A) grass (B) blood (C) snow (D) the sky"}, "Answer Key", "ABCD", "letter",
    ),
    "letters in the choices": (
        {"question": QUESTION, "options": ["A)grass", "B) blood", "C)snow", "D)the sky"], "rationale": "x"}, "correct", "ABCD", "letter",
    ),
    "hellaswag": ({"ctx": QUESTION, "endings": TEXTS}, "label", [0, 1, 2, 3], "number from 0"),
    "swag": ({"startphrase": QUESTION, **columns([f"ending{place}" for place in range(4)])}, "label", [0, 1, 2, 3], "number from 0"),
    "columns from 1": (
        {"sentence": QUESTION, **columns([f"option{place}" for place in (1, 2, 3, 4)])}, "answer", "1234", "number from 1",
    ),
    "the column's name": (
        {"sentence": QUESTION, **columns([f"option{place}" for place in (1, 2, 3, 4)])}, "answer",
        [f"option{place}" for place in (1, 2, 3, 4)], "label",
    ),
    "arc of llm-foundry": ({"choices": TEXTS, "query": QUESTION}, "gold", [0, 1, 2, 3], "number from 0"),
    "medqa": ({"question": QUESTION, "options": columns("ABCD")}, "answer_idx", "ABCD", "letter"),
    "medmcqa": ({"question": QUESTION, **columns(["opa", "opb", "opc", "opd"])}, "cop", [0, 1, 2, 3], "number from 0"),
    "dream": ({"question": QUESTION, "choices": TEXTS}, "answer", TEXTS, "text"),
    "candidates": ({"prompt": QUESTION, "candidates": TEXTS}, "target", TEXTS, "text"),
    "option_a": ({"question": QUESTION, **columns([f"option_{mark}" for mark in "abcd"])}, "answer", ["a)", "(B)", "C.", "d"], "letter"),
}  # fmt: skip


@pytest.mark.parametrize("long", [600, 3000])
def test_choices_longer_than_the_cells_of_a_sample_are_read_whole(tmp_path, long):
    choices = [f"{text} {'and so on ' * (long // 10)}{place}" for place, text in enumerate(TEXTS)]
    for named in ("ABCD", [choice.strip() for choice in choices]):
        rows = [{"question": f"{QUESTION} {index}", "choices": choices, "answer": named[index % 4]} for index in range(60)]
        material = load_material(write(tmp_path, rows, form="csv"))
        assert material.kind == "choice" and not material.rejected
        assert [row.answer for row in material.rows] == [index % 4 for index in range(60)]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_way_of_writing_it_gives_the_same_rows(tmp_path, layout, form):
    row, column, answers, called = LAYOUTS[layout]
    material = load_material(write(tmp_path, [{**row, column: answer} for answer in answers], form=form))
    assert (material.kind, material.shape, material.rejected) == ("choice", "multiple-choice", [])
    first = 1 if form == "jsonl" else 2
    file = f"rows.{form}"
    assert material.rows == [Choice(QUESTION, tuple(TEXTS), place, file, place + first) for place in range(4)]
    assert f"to '{column}', which names the right one by its {called}" in material.because


def asked(answers, *, choices=("7", "8", "9")):
    return [{"question": f"Number {place}?", "choices": list(choices), "answer": answer} for place, answer in enumerate(answers)]


@pytest.mark.parametrize(
    ("answers", "places", "called"),
    [
        ([0, 1, 2], [0, 1, 2], "number from 0"),
        ([3, 1, 2], [2, 0, 1], "number from 1"),
        (["2.0", "0"], [2, 0], "number from 0"),
        ([1, 2], [1, 2], "number from 0 (no answer shows whether the first is 0 or 1)"),
        (["7", "9", "8"], [0, 2, 1], "text"),
        (["b", "A", "(c)"], [1, 0, 2], "letter"),
    ],
)
def test_what_the_answers_mean_is_decided_over_all_rows(tmp_path, answers, places, called):
    material = load_material(write(tmp_path, asked(answers)))
    assert [row.answer for row in material.rows] == places and f"by its {called}." in material.because


def test_a_last_number_in_any_row_shows_that_the_first_is_1(tmp_path):
    from_one = [*asked([1] * 30), *asked([2], choices=("7", "8"))]
    assert {row.answer for row in load_material(write(tmp_path, from_one)).rows} == {0, 1}


def test_one_wrong_answer_does_not_change_what_the_others_mean_and_is_set_aside(tmp_path):
    material = load_material(write(tmp_path, asked([0, 1, 2, 0, 3, 1])))
    assert [row.answer for row in material.rows] == [0, 1, 2, 0, 1]
    (rejected,) = material.rejected
    assert (rejected.line, rejected.column) == (
        5,
        "answer",
    ) and "'3' is the number from 0 of none of the 3 choices" in rejected.reason


def test_the_text_of_a_choice_goes_before_its_letter_and_a_number_before_the_text(tmp_path):
    rows = load_material(write(tmp_path, asked(["b", "c"], choices=("c", "b")))).rows
    assert [row.answer for row in rows] == [1, 0]
    rows = load_material(write(tmp_path, asked([0, 1], choices=("1", "0")))).rows
    assert [row.answer for row in rows] == [0, 1]


def test_of_two_columns_that_could_hold_the_answer_the_one_that_names_choices_is_taken(tmp_path):
    rows = [{**row, "label": place % 3, "answer": "since it is so"} for place, row in enumerate(asked(range(9)))]
    material = load_material(write(tmp_path, rows))
    assert "to 'label'" in material.because and [row.answer for row in material.rows] == [0, 1, 2] * 3


def test_what_the_question_is_about_stands_before_it(tmp_path):
    copa = {"premise": "It rained.", "choice1": "I got wet.", "choice2": "I ate.", "question": "effect", "label": 0}
    assert load_material(write(tmp_path, [copa, {**copa, "label": 1}])).rows[0].question == "It rained.\n\neffect"
    race = {"article": "A story.", "question": "Why?", "options": ["a1", "b1"], "answer": "A"}
    assert load_material(write(tmp_path, [race, {**race, "article": "", "answer": "B"}])).rows[1].question == "Why?"


def test_last_choices_may_be_missing_and_one_in_the_middle_may_not(tmp_path):
    row = {"question": QUESTION, "A": "one", "B": "two", "C": "three", "answer": "A"}
    material = load_material(write(tmp_path, [row, {**row, "C": ""}, {**row, "B": None}, row], form="jsonl"))
    assert [len(one.choices) for one in material.rows] == [3, 2, 3]
    assert material.rejected[0].line == 3 and material.rejected[0].reason == "empty choice: a later one is filled"


def test_a_prompt_that_says_everything_goes_before_its_options(tmp_path):
    row = {"prompt": "Red or blue?", "completion": "red", "question": "Which?", "options": ["red", "blue"], "answer": "red"}
    assert load_material(write(tmp_path, [row])).kind == "completion"


def test_choices_go_before_an_answer_that_stands_in_the_context(tmp_path):
    row = {"context": "Blood is red.", "question": QUESTION, "choices": TEXTS, "answer": "blood"}
    material = load_material(write(tmp_path, [row]))
    assert material.kind == "choice" and material.rows[0].question == f"Blood is red.\n\n{QUESTION}"


def test_several_right_answers_are_no_choices(tmp_path):
    row = {"question": QUESTION, "answer1": "blood", "answer2": "a rose", "response": "blood"}
    assert load_material(write(tmp_path, [row])).kind == "completion"


def test_the_kind_and_its_columns_can_be_named(tmp_path):
    rows = [{"input": f"{QUESTION} {place}", "choices": TEXTS, "best": TEXTS[place], "answer": 0} for place in range(4)]
    path = write(tmp_path, rows)
    assert load_material(path, kind="choice").rows[3].answer == 0
    material = load_material(path, kind="choice", text=("input",), label="best")
    assert [row.answer for row in material.rows] == [0, 1, 2, 3] and "to 'best'" in material.because
    with pytest.raises(Usage, match="prompt and completion name the columns of kind completion alone"):
        load_material(path, kind="choice", prompt="input")


def test_long_choices_in_a_csv_cell_are_read_whole(tmp_path):
    texts = [f"{text} {'x' * 700}" for text in TEXTS]
    rows = [{"question": QUESTION, "choices": texts if place else TEXTS, "answer": place} for place in range(4)]
    assert load_material(write(tmp_path, rows, form="csv")).rows[3].choices == tuple(texts)


def test_class_numbers_mean_the_names_that_their_file_declares(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {"question": [QUESTION] * 2, "choices": [TEXTS] * 2, "answer": [0, 1]}
    features = datasets.Features(
        question=datasets.Value("string"),
        choices=datasets.Sequence(datasets.Value("string")),
        answer=datasets.ClassLabel(names=["C", "D"]),
    )
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "rows.parquet")
    material = load_material(str(tmp_path / "rows.parquet"))
    assert [row.answer for row in material.rows] == [2, 3]


class TestAsCompletion:
    """The one place where a choice becomes a prompt and an answer."""

    ROW = Choice(QUESTION, tuple(TEXTS), 1, "rows.csv", 7)

    def test_the_choices_stand_in_the_prompt_and_the_text_of_the_right_one_is_the_answer(self):
        made = as_completion(self.ROW)
        assert made == Completion(choice_template().render(QUESTION, options=TEXTS), "blood", "rows.csv", 7)
        assert choice_template().id == "multiple-choice/plain.v1" and all(text in made.prompt for text in TEXTS)

    def test_another_template_can_ask_for_the_letter(self):
        letters = next(one for one in bundled_templates("multiple-choice") if one.name == "letters")
        made = as_completion(self.ROW, template=letters)
        assert made.completion == "(B)" and "(B) blood" in made.prompt

    def test_a_completion_stays_as_it_is(self):
        row = Completion("a", "b", "rows.csv", 1)
        assert as_completion(row) is row


SHAPES = [
    ({"text": "a long text", "label": "a"}, {"kind": "classify"}, "classification"),
    ({"document": "a", "summary": "b"}, {}, "summarization"),
    ({"dialogue": "a", "summary": "b"}, {}, "summarization"),
    ({"article": "a", "highlights": "b"}, {}, "summarization"),
    ({"question": "a", "answer": "b"}, {}, "question-answering"),
    ({"question": "a", "context": "He was in Rome.", "answers": ["Rome"]}, {}, "question-answering"),
    ({"question": "a", "context": "He was in Rome.", "answer": "no"}, {}, "question-answering"),
    ({"query": "a", "response": "because"}, {}, "question-answering"),
    ({"instruction": "a", "input": "c", "output": "b"}, {}, "instruction"),
    ({"instruction": "a", "context": "c", "response": "b"}, {}, "instruction"),
    ({"instruction": "a", "output": "b", "source_lang": "de"}, {}, "instruction"),
    ({"source": "a", "target": "b"}, {}, "text-to-text"),
    ({"source": "a", "target": "b", "source_lang": "de", "target_lang": "en"}, {}, "translation"),
    ({"de": "a", "en": "b"}, {"prompt": "de", "completion": "en"}, "translation"),
    ({"German": "a", "English": "b"}, {"prompt": "German", "completion": "English"}, "translation"),
    ({"eng_Latn": "a", "deu_Latn": "b"}, {"prompt": "eng_Latn", "completion": "deu_Latn"}, "translation"),
    ({"source_en": "a", "target_no": "b"}, {"prompt": "source_en", "completion": "target_no"}, "translation"),
    ({"source": "a", "translation": "b"}, {"prompt": "source", "completion": "translation"}, "translation"),
    ({"is": "a", "no": "b"}, {"prompt": "is", "completion": "no"}, "text-to-text"),
    ({"prompt": "a", "completion": "b"}, {}, "text-to-text"),
    ({"context": "a", "continuation": "b c"}, {}, "text-to-text"),
    ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, {}, None),
    ({"text": "a"}, {}, None),
    ({"tokens": ["a"], "ner_tags": ["O"]}, {}, None),
    ({"text": "a", "labels": ["b", "c"]}, {}, None),
    ({"text": "a", "score": 0.5}, {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("row", "named", "shape"), SHAPES)
def test_the_columns_tell_which_shape_of_task_it_is(tmp_path, row, named, shape):
    rows = [{**row, "text": f"a long text {place}", "label": "ab"[place % 2]} if "label" in row else row for place in range(4)]
    assert load_material(write(tmp_path, rows), **named).shape == shape


@pytest.mark.parametrize(
    "names", [("Antwort A", "Antwort B", "Antwort C", "Antwort D"), ("réponse_a", "réponse_b", "réponse_c", "réponse_d")]
)
def test_choices_under_foreign_names_are_no_classes(tmp_path, names):
    """Letters guessed from the question alone would be learnt, and nobody told."""
    rows = [{"Frage": f"{QUESTION} {place}", **columns(names), "Richtig": "ABCD"[place % 4]} for place in range(40)]
    with pytest.raises(Refused, match=f"choices in '{names[0]}', .* and the right one in 'Richtig', but .* Rename them"):
        load_material(write(tmp_path, rows))
    assert load_material(write(tmp_path, rows), label="Richtig").kind == "classify"
    for row in rows:
        row["Richtig"] = "south"
    rows[0]["Richtig"] = "north"
    assert load_material(write(tmp_path, rows)).kind == "classify"
