"""Every layout is recognised by itself, in CSV and in JSON lines, and gives its kind's rows with their places."""

import json

import pytest
from sources import write

from hone.core.errors import BadData, Usage
from hone.task import (
    Completion,
    Dialogue,
    Example,
    Message,
    MultiLabelled,
    Passage,
    Plain,
    Scored,
    Tagged,
    load_material,
)


def first(material):
    """The first row without its place."""
    row = material.rows[0]
    left_out = ("file", "line", "group") if getattr(row, "more", None) else ("file", "line", "group", "more")
    return tuple(getattr(row, name) for name in row.__dataclass_fields__ if name not in left_out)


TURNS = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}]
SHARED = [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "Hello?"}, {"from": "gpt", "value": "Hi."}]
SPOKEN = [{"speaker": "USER", "utterance": "Hello?"}, {"speaker": "SYSTEM", "utterance": "Hi."}]
READ = (Message("user", "Hello?"), Message("assistant", "Hi."))
SQUAD = {"text": ["Rome", "in Rome"], "answer_start": [10, 7]}

LAYOUTS = {
    "prompt, completion": (
        {"prompt": "2 + 2 =", "completion": " 4"},
        "completion", Completion, ("2 + 2 =", " 4"),
    ),
    "messages": ({"messages": TURNS}, "chat", Dialogue, (READ,)),
    "conversations": ({"conversations": SHARED}, "chat", Dialogue, ((Message("system", "Be kind."), *READ),)),
    "a question and a list of answers": (
        {"question": "Where is it?", "answers": ["Rome", "in Rome"]},
        "completion", Completion, ("Where is it?", "Rome", ("in Rome",)),
    ),
    "turns of a user and a system": (
        {"dialogue_id": "1", "services": ["Hotels"], "turns": SPOKEN},
        "chat", Dialogue, (READ,),
    ),
    "messages with a system column": (
        {"system": "Be kind.", "messages": TURNS},
        "chat", Dialogue, ((Message("system", "Be kind."), *READ),),
    ),
    "prompt and completion of messages": ({"prompt": TURNS[:1], "completion": TURNS[1:]}, "chat", Dialogue, (READ,)),
    "alpaca": (
        {"instruction": "Translate.", "input": "Haus", "output": "house"},
        "completion", Completion, ("Translate.\n\nHaus", "house"),
    ),
    "alpaca without input": (
        {"instruction": "Name a colour.", "input": "", "output": "red"},
        "completion", Completion, ("Name a colour.", "red"),
    ),
    "dolly": (
        {"instruction": "Who wrote it?", "context": "Ann wrote it.", "response": "Ann", "category": "closed_qa"},
        "completion", Completion, ("Who wrote it?\n\nAnn wrote it.", "Ann"),
    ),
    "definition, inputs, targets": (
        {"task": "t1", "definition": "Translate.", "inputs": "Haus", "targets": "house"},
        "completion", Completion, ("Translate.\n\nHaus", "house"),
    ),
    "source, target": ({"source": "Haus", "target": "house"}, "completion", Completion, ("Haus", "house")),
    "document, summary": ({"id": 7, "document": "A long text.", "summary": "Text."}, "completion", Completion, ("A long text.", "Text.")),
    "dialogue, summary": (
        {"dialogue": "A: Hi\nB: Hi", "summary": "A greets.", "topic": "x"},
        "completion", Completion, ("A: Hi\nB: Hi", "A greets."),
    ),
    "article, highlights": ({"article": "News.", "highlights": "New."}, "completion", Completion, ("News.", "New.")),
    "question, answer": ({"question": "2 + 2?", "answer": "2 + 2 = 4 #### 4"}, "completion", Completion, ("2 + 2?", "2 + 2 = 4 #### 4")),
    "tokens, ner_tags": (
        {"tokens": ["Ann", "left"], "ner_tags": ["B-PER", "O"]},
        "tag", Tagged, (("Ann", "left"), ("B-PER", "O")),
    ),
    "tokens, tag numbers": ({"tokens": ["Ann", "left"], "tags": [3, 0]}, "tag", Tagged, (("Ann", "left"), ("LABEL_3", "LABEL_0"))),
    "words between blanks": ({"tokens": "Ann left", "labels": "B-PER O"}, "tag", Tagged, (("Ann", "left"), ("B-PER", "O"))),
    "squad": (
        {"question": "Where?", "context": "He was in Rome.", "answers": SQUAD},
        "answers", Passage, ("Where?", "He was in Rome.", ("Rome", "in Rome"), (10, 7)),
    ),
    "squad in a list": (
        {"question": "Where?", "context": "He was in Rome.", "answers": [{"text": "Rome", "answer_start": 10}]},
        "answers", Passage, ("Where?", "He was in Rome.", ("Rome",), (10,)),
    ),
    "squad without an answer": (
        {"question": "Where?", "context": "He was away.", "answers": {"text": [], "answer_start": []}},
        "answers", Passage, ("Where?", "He was away.", (), ()),
    ),
    "answer in the context": (
        {"question": "Where?", "context": "He was in Rome.", "answer": "Rome"},
        "answers", Passage, ("Where?", "He was in Rome.", ("Rome",), (10,)),
    ),
    "answer not in the context": (
        {"question": "Where?", "context": "He was in Rome.", "answer": "In Italy"},
        "completion", Completion, ("Where?\n\nHe was in Rome.", "In Italy"),
    ),
    "text, labels": (
        {"text": " It broke late. ", "labels": ["late", "broken", "late"]},
        "multi_label", MultiLabelled, ("It broke late.", ("late", "broken")),
    ),
    "text, label numbers": ({"text": "It broke.", "labels": [2]}, "multi_label", MultiLabelled, ("It broke.", ("LABEL_2",))),
    "text, joined labels": ({"text": "It broke.", "labels": "late; broken"}, "multi_label", MultiLabelled, ("It broke.", ("late", "broken"))),
    "text, score": ({"text": "Fine.", "score": 0.25}, "score", Scored, ("Fine.", 0.25)),
    "text, label that is a fraction": ({"text": "Fine.", "label": -1.5}, "score", Scored, ("Fine.", -1.5)),
    "pair, similarity": (
        {"sentence1": "One.", "sentence2": "Two.", "similarity": 4.2},
        "score", Scored, ("One.\nTwo.", 4.2),
    ),
    "text": ({"text": "  indented\n"}, "plain", Plain, ("  indented\n",)),
    "text and where it is from": ({"title": "Fox", "text": "The fox.", "licence": "CC0"}, "plain", Plain, ("The fox.",)),
}  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_recognised_and_read(tmp_path, layout, form):
    row, kind, made, values = LAYOUTS[layout]
    material = load_material(write(tmp_path, [row] * 3, form=form))
    assert material.kind == kind and not material.rejected and len(material.rows) == 3
    assert isinstance(material.rows[0], made) and first(material) == values
    breaks = 0 if form == "jsonl" else sum(cell.count("\n") for cell in row.values() if isinstance(cell, str))
    assert material.rows[1].place == f"rows.{form} line {2 + (form == 'csv') + breaks}"
    assert material.because.endswith(".") and "\n" not in material.because


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_one_class_per_text_is_read_as_load_table_reads_it(tmp_path, form):
    rows = [{"text": f" message {index} ", "label": "ab"[index % 2]} for index in range(30)]
    material = load_material(write(tmp_path, rows, form=form))
    assert material.kind == "classify" and isinstance(material.rows[0], Example)
    assert (material.rows[1].text, material.rows[1].label) == ("message 1", "b")
    assert material.because.startswith("One class per text: ")


def test_a_text_given_as_sentences_is_joined_by_line_breaks(tmp_path):
    material = load_material(write(tmp_path, [{"source": ["One.", "Two."], "target": ["Both."]}]))
    assert first(material) == ("One.\nTwo.", "Both.")


def test_a_completion_that_is_written_as_a_list_stays_text(tmp_path):
    material = load_material(write(tmp_path, [{"prompt": "Name two.", "completion": '["red", "blue"]'}]))
    assert first(material) == ("Name two.", '["red", "blue"]')


def test_the_columns_left_out_are_named(tmp_path):
    material = load_material(write(tmp_path, [{"id": 1, "prompt": "a", "completion": "b", "topic": "c"}]))
    assert "'prompt' to 'completion'" in material.because and "left out: id, topic" in material.because


PANDAS = {
    "tokens": ("['Ann', \"isn't\"]", "['B-PER', 'O']", ("Ann", "isn't")),
    "numpy without commas": ("['Ann' 'left']", "['B-PER' 'O']", None),
}


@pytest.mark.parametrize("case", PANDAS)
def test_a_python_list_in_a_csv_cell_is_read_only_if_it_is_written_with_commas(tmp_path, case):
    tokens, tags, expected = PANDAS[case]
    path = write(tmp_path, [{"tokens": tokens, "ner_tags": tags}], form="csv")
    if expected is None:
        with pytest.raises(BadData, match="no list"):
            load_material(path)
    else:
        assert load_material(path).rows[0].tokens == expected


@pytest.mark.parametrize(
    "shape",
    [
        [{"names": ["O", "PER"], "_type": "ClassLabel"}],
        {"feature": {"names": ["O", "PER"], "_type": "ClassLabel"}, "_type": "List"},
    ],
)
def test_tag_numbers_get_the_names_that_a_parquet_file_declares(tmp_path, shape):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"tokens": [["Ann", "left"]], "ner_tags": [[1, 0]]})
    metadata = {"huggingface": json.dumps({"info": {"features": {"tokens": {"_type": "List"}, "ner_tags": shape}}})}
    path = tmp_path / "rows.parquet"
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    assert load_material(str(path)).rows[0].tags == ("PER", "O")


def test_nested_parquet_cells_are_read_without_text_in_between(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"messages": [TURNS]}), tmp_path / "chat.parquet")
    parquet.write_table(
        pyarrow.table({"question": ["Where?"], "context": ["He was in Rome."], "answers": [SQUAD]}), tmp_path / "squad.parquet"
    )
    assert load_material(str(tmp_path / "chat.parquet")).rows[0].messages == READ
    assert load_material(str(tmp_path / "squad.parquet")).rows[0].starts == (10, 7)


def test_column_names_fit_in_any_writing(tmp_path):
    material = load_material(write(tmp_path, [{"Prompt": "a", "Completion": "b"}]))
    assert first(material) == ("a", "b")


# The order in which kinds are tried, as `recognise` documents it: each row fits the kind given and a later one.
ORDER = [
    ({"messages": TURNS, "prompt": "a", "completion": "b"}, "chat"),
    ({"text": "Ann left", "tokens": ["Ann", "left"], "labels": ["B-PER", "O"]}, "tag"),
    ({"question": "Where?", "context": "In Rome.", "answers": ["Rome"], "answer": "in Italy"}, "answers"),
    ({"question": "Where?", "answer": "Rome", "text": "In Rome.", "labels": ["a"]}, "completion"),
    ({"document": "Long.", "summary": "Short.", "label": 0.5}, "completion"),
    ({"text": "Fine.", "label": 0.5, "score": 0.7, "tags": ["a"]}, "score"),
    ({"text": "Fine.", "labels": ["a"], "score": 0.7}, "multi_label"),
    ({"text": "Fine.", "score": 0.7, "topic": "a"}, "score"),
    ({"text": "Fine.", "label": "a", "score": 0.7}, "classify"),
    ({"text": "Fine.", "language": "en", "url": "x"}, "plain"),
]


@pytest.mark.parametrize("row", [{"text": "t", "labels": ["e\u0301"]}, {"tokens": ["t"], "ner_tags": ["e\u0301"]}])
def test_labels_and_tags_are_composed(tmp_path, row):
    (read,) = load_material(write(tmp_path, [row])).rows
    assert (getattr(read, "labels", None) or read.tags) == ("\u00e9",)


@pytest.mark.parametrize("before", [0, 5000])
def test_an_answer_far_inside_its_context_is_found_there(tmp_path, before):
    rows = [
        {"question": "Who?", "context": f"{'a b ' * before}It was person {index}. {'c d ' * 400}", "answer": f"person {index}"}
        for index in range(70)
    ]
    material = load_material(write(tmp_path, rows))
    assert material.kind == "answers" and len(material.rows) == 70


@pytest.mark.parametrize(("row", "kind"), ORDER)
def test_of_several_kinds_that_fit_the_documented_one_is_taken(tmp_path, row, kind):
    rows = [{key: f"{cell} {index}" if key == "text" else cell for key, cell in row.items()} for index in range(4)]
    assert load_material(write(tmp_path, rows)).kind == kind


def test_input_and_output_are_classes_when_few_short_outputs_repeat(tmp_path):
    rows = [{"input": f"claim number {index}", "output": ("yes", "no")[index % 2]} for index in range(20)]
    assert load_material(write(tmp_path, rows)).kind == "classify"
    rows = [{"input": f"claim number {index}", "output": f"since it is {index}"} for index in range(20)]
    assert load_material(write(tmp_path, rows)).kind == "completion"


def test_whole_numbers_are_classes_and_not_scores(tmp_path):
    rows = [{"text": f"a long review {index}", "rating": float(index % 5)} for index in range(60)]
    assert load_material(write(tmp_path, rows)).kind == "classify"


class TestWishes:
    """What the user names is taken as it is."""

    def test_prompt_and_completion_name_any_columns(self, tmp_path):
        path = write(tmp_path, [{"de": "Haus", "en": "house", "text": "x", "label": "y"}])
        material = load_material(path, prompt="de", completion="en")
        assert material.kind == "completion" and first(material) == ("Haus", "house") and "as named" in material.because

    def test_the_other_column_of_a_pair_is_found_by_its_name(self, tmp_path):
        path = write(tmp_path, [{"de": "Haus", "target": "house", "context": "x"}])
        assert first(load_material(path, prompt="de")) == ("Haus", "house")

    def test_several_text_columns_are_joined(self, tmp_path):
        path = write(tmp_path, [{"one": "a", "two": "b", "value": "3"}, {"one": "a", "two": "b", "value": "3.5"}])
        material = load_material(path, kind="score", text=("one", "two"), label="value")
        assert first(material) == ("a\nb", 3.0)

    def test_a_kind_overrides_the_recognition(self, tmp_path):
        path = write(tmp_path, [{"text": f"message {index}", "label": "ab"[index % 2]} for index in range(30)])
        assert load_material(path, kind="plain").kind == "plain" and load_material(path).kind == "classify"

    @pytest.mark.parametrize(
        ("kind", "text", "label", "row"),
        [
            ("chat", ("turns",), None, {"turns": TURNS}),
            ("tag", ("w",), "t", {"w": ["a"], "t": ["O"]}),
            ("answers", ("q", "c"), "a", {"q": "Where?", "c": "In Rome.", "a": "Rome"}),
            ("multi_label", ("body",), "kinds", {"body": "x", "kinds": "a"}),
            ("score", ("body",), "n", {"body": "x", "n": 3}),
            ("plain", ("body",), None, {"body": "x"}),
        ],
    )
    def test_text_and_label_name_the_columns_of_every_kind(self, tmp_path, kind, text, label, row):
        assert load_material(write(tmp_path, [row]), kind=kind, text=text, label=label).kind == kind

    def test_a_label_alone_decides_by_what_it_holds(self, tmp_path):
        rows = [{"text": f"message {index}", "n": index + 0.5, "k": ["a"], "c": "ab"[index % 2]} for index in range(30)]
        path = write(tmp_path, rows)
        kinds = [load_material(path, text=("text",), label=label).kind for label in ("n", "k", "c")]
        assert kinds == ["score", "multi_label", "classify"]

    def test_a_column_that_is_not_there_is_named_with_the_known_ones(self, tmp_path):
        with pytest.raises(BadData, match=r"rows.jsonl: There is no column 'promt'. Did you mean 'prompt'\?"):
            load_material(write(tmp_path, [{"prompt": "a", "completion": "b"}]), prompt="promt")

    @pytest.mark.parametrize(
        ("wishes", "message"),
        [
            ({"kind": "complete"}, "Did you mean 'completion'"),
            ({"kind": "chat", "prompt": "a"}, "kind completion alone"),
            ({"prompt": "a", "text": ("b",)}, "kind completion alone"),
            ({"kind": "completion", "text": ("b",)}, "by prompt and completion"),
            ({"kind": "plain", "label": "b"}, "has no label column"),
            ({"prompt": "a", "completion": "a"}, "Name two columns"),
            ({"kind": "tag", "text": ("a", "b")}, "2 columns: a, b. Name 1"),
            ({"kind": "answers", "text": ("a",)}, "1 column: a. Name 2"),
        ],
    )
    def test_wishes_that_contradict_each_other_are_refused(self, tmp_path, wishes, message):
        with pytest.raises(Usage, match=message):
            load_material(write(tmp_path, [{"a": "x", "b": "y"}]), **wishes)


def test_turns_of_two_people_are_no_chat_and_the_columns_beside_them_are_taken(tmp_path):
    turns = [{"speaker": "Ann", "utterance": "Hello?"}, {"speaker": "Bob", "utterance": "Hi."}]
    rows = [{"turns": turns, "text": f"The {n}th call was long.", "label": ("good", "bad")[n % 2]} for n in range(8)]
    assert load_material(write(tmp_path, rows)).kind == "classify"


def test_numbers_with_a_decimal_comma_between_semicolons_are_scores(tmp_path):
    path = tmp_path / "bewertungen.csv"
    path.write_text(
        "text;score\n" + "".join(f"so, satz {at} ist hier;{at % 5},{at % 10}\n" for at in range(40)), encoding="utf-8-sig"
    )
    material = load_material(str(path))
    assert material.kind == "score" and [row.score for row in material.rows[:3]] == [0.0, 1.1, 2.2]
    assert material.rows[1].text == "so, satz 1 ist hier"
    path.write_text("text;score\n" + "".join(f"satz {at};{'1,5' if at % 2 else 'gut, sehr'}\n" for at in range(40)))
    assert load_material(str(path)).kind == "classify"


def test_words_that_begin_with_a_bracket_are_words(tmp_path):
    rows = ["[ Surfwear label ] Quiksilver left\tO O O O B-ORG O", *(f"word{at} left\tB-ORG O" for at in range(20))]
    (tmp_path / "tagged.tsv").write_text("\n".join(["tokens\ttags", *rows]))
    material = load_material(str(tmp_path / "tagged.tsv"))
    assert not material.rejected and material.rows[0].tokens[:2] == ("[", "Surfwear")
