"""The example desk keeps what its README says, and the checker finds what was put there for it."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from hone.measure import normalise_answer
from hone.retrieve import read_documents
from hone.task import Example, as_examples, find_duplicates, load_material, load_table, near_duplicates

DESK = Path(__file__).parents[1] / "examples" / "support"


def read(name: str) -> list[dict[str, str]]:
    with (DESK / name).open(encoding="utf-8", newline="") as file:
        return [json.loads(line) for line in file] if name.endswith(".jsonl") else list(csv.DictReader(file))


def read_dialogues() -> list[dict[str, str]]:
    return [*read("dialogues.jsonl"), *read("dialogues_test.jsonl")]


def dialogue_examples(name: str) -> list[Example]:
    material = load_material(str(DESK / name))
    examples, rejected = as_examples(material)
    assert (material.shape, rejected, len(material.rejected)) == ("summarization", [], 0)
    return examples


def test_there_are_enough_messages_in_eight_uneven_topics():
    rows = read("tickets.csv")
    counts = Counter(row["topic"] for row in rows)
    assert len(rows) >= 640
    assert len(counts) == 8
    assert max(counts.values()) >= 1.5 * min(counts.values())


def test_at_most_two_in_a_hundred_messages_nearly_repeat_another():
    examples = [*load_table(str(DESK / "tickets.csv")).examples, *load_table(str(DESK / "tickets_test.csv")).examples]
    found = near_duplicates(find_duplicates(examples)[0])
    assert (found.count if found else 0) <= 0.02 * len(examples)


def test_the_two_messages_that_were_sent_twice_are_found():
    _, findings = find_duplicates(load_table(str(DESK / "tickets.csv")).examples)
    assert [(finding.kind, finding.count) for finding in findings] == [("exact_duplicate", 2)]


def test_the_wrong_label_is_among_the_places_to_look_at(starter_encoder):
    from hone.compare.prepare import look_closer, prepare
    from hone.compare.settings import CompareSettings

    planted = next(row for row in read("tickets.csv") if row["id"] == "M1539")
    assert planted["topic"] == "product question"
    settings = CompareSettings(data=str(DESK / "tickets.csv"), test=str(DESK / "tickets_test.csv"))
    task = look_closer(prepare(settings).task, starter_encoder, seed=0)
    doubtful = next(finding for finding in task.findings if finding.kind == "likely_mislabel")
    place = next(one.place for one in load_table(settings.data).examples if one.text == planted["message"])
    assert any(one.startswith(f"{place}: product question -> payment") for one in doubtful.places)


def test_no_message_stands_in_both_files():
    assert not {row["message"] for row in read("tickets.csv")} & {row["message"] for row in read("tickets_test.csv")}


def test_the_dialogues_are_read_as_texts_with_a_summary_and_hardly_repeat_each_other():
    examples = [*dialogue_examples("dialogues.jsonl"), *dialogue_examples("dialogues_test.jsonl")]
    kept, findings = find_duplicates(examples)
    assert findings == []
    found = near_duplicates(kept)
    assert (found.count if found else 0) <= 0.02 * len(examples)


def test_no_dialogue_stands_in_both_files_and_no_id_names_two():
    assert not {row["dialogue"] for row in read("dialogues.jsonl")} & {row["dialogue"] for row in read("dialogues_test.jsonl")}
    rows = read_dialogues()
    assert len({row["id"] for row in rows}) == len({row["summary"] for row in rows}) == len(rows)


def test_in_every_dialogue_both_speak_in_four_to_fourteen_turns():
    for row in read_dialogues():
        turns = row["dialogue"].split("\n")
        speakers = {re.match(r"(Customer|Agent): \S", turn) for turn in turns}
        assert None not in speakers, row["id"]
        assert {found[1] for found in speakers if found} == {"Customer", "Agent"}, row["id"]
        assert 4 <= len(turns) <= 14, row["id"]


def test_every_summary_is_one_sentence_of_5_to_35_words_that_the_dialogue_does_not_hold():
    for row in read_dialogues():
        assert re.fullmatch(r"(?:(?![.!?]\s).)+\.", row["summary"]), row["id"]
        assert 5 <= len(row["summary"].split()) <= 35, row["id"]
        assert row["summary"].removesuffix(".") not in row["dialogue"], row["id"]


@pytest.mark.parametrize("name", ["tickets.csv", "tickets_test.csv", "dialogues.jsonl", "dialogues_test.jsonl"])
def test_the_readme_counts_the_rows_that_are_there(name: str):
    assert f"| `{name}` | {len(read(name)):,} |" in (DESK / "README.md").read_text(encoding="utf-8")


HANDBOOK = DESK / "handbook"
QUESTION_FILES = ("questions.jsonl", "questions_test.jsonl")


def read_questions(*names: str) -> list[dict[str, str]]:
    return [json.loads(line) for name in names for line in (DESK / name).read_text(encoding="utf-8").splitlines()]


def test_the_handbook_has_as_many_short_articles_as_its_readme_says():
    lengths = {path.name: len(path.read_text(encoding="utf-8").split()) for path in HANDBOOK.glob("*.md")}
    assert f"| `handbook/*.md` | {len(lengths)} articles |" in (DESK / "README.md").read_text(encoding="utf-8")
    assert {name: length for name, length in lengths.items() if not 80 <= length <= 260} == {}


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_the_readme_counts_the_questions_that_are_there(name: str):
    assert f"| `{name}` | {len(read_questions(name)):,} |" in (DESK / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_each_piece_of_evidence_stands_word_for_word_in_its_article(name: str):
    articles = {path.name: path.read_text(encoding="utf-8") for path in HANDBOOK.glob("*.md")}
    assert [row["id"] for row in read_questions(name) if row["evidence"] not in articles.get(row["document"], "")] == []


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_each_answer_is_short_and_stands_in_its_evidence(name: str):
    rows = read_questions(name)
    found = [f" {normalise_answer(row['answer'])} " in f" {normalise_answer(row['evidence'])} " for row in rows]
    assert [row["id"] for row, stands in zip(rows, found, strict=True) if not stands] == []
    assert max(len(row["answer"].split()) for row in rows) <= 12


def test_every_article_is_asked_about_by_the_name_that_an_index_gives_it():
    names = {document.name for document in read_documents(str(HANDBOOK)).documents}
    assert {row["document"] for row in read_questions(*QUESTION_FILES)} == names


@pytest.mark.parametrize("name", QUESTION_FILES)
def test_nothing_but_the_question_is_read_before_the_answer(name: str):
    material = load_material(str(DESK / name))
    assert (material.kind, material.shape, material.inputs, material.target) == (
        "completion",
        "question-answering",
        ("question",),
        "answer",
    )


def test_no_question_and_no_id_stands_twice():
    rows = read_questions(*QUESTION_FILES)
    assert [one for one, count in Counter(row["question"].casefold() for row in rows).items() if count > 1] == []
    assert len({row["id"] for row in rows}) == len(rows)


def test_at_most_two_in_a_hundred_questions_nearly_repeat_another():
    examples = [example for name in QUESTION_FILES for example in as_examples(load_material(str(DESK / name)))[0]]
    found = near_duplicates(examples)
    assert (found.count if found else 0) <= 0.02 * len(examples)


def test_the_readme_says_how_many_answers_and_sentences_are_shared():
    told = (DESK / "README.md").read_text(encoding="utf-8")
    articles = [f" {normalise_answer(path.read_text(encoding='utf-8'))} " for path in HANDBOOK.glob("*.md")]
    rows, test = read_questions(*QUESTION_FILES), read_questions(QUESTION_FILES[1])
    shared = sum(sum(f" {normalise_answer(row['answer'])} " in article for article in articles) > 1 for row in rows)
    assert f"{shared} of the {len(rows)} answers stand in" in told
    known = {(row["document"], row["evidence"]) for row in read_questions(QUESTION_FILES[0])}
    again = sum((row["document"], row["evidence"]) in known for row in test)
    assert f"{again} of the {len(test)} test questions ask about a sentence" in told
