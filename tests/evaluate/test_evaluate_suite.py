"""The bundled tests of what a model could do before: as many as their README says, well shaped, balanced, and without repeats."""

import fnmatch
import json
import re
import tomllib
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

import hone.evaluate
from hone.task import Example, near_duplicates, normalise

RETAINED = Path(hone.evaluate.__file__).parent / "suite"
CHOICES = {"everyday": 3, "words": 4, "knowledge": 4, "numbers": 4, "feelings": 2, "reading": 4}
COLUMNS: dict[str, dict[str, type]] = {
    "grammar": {"good": str, "bad": str},
    **{name: {"question": str, "choices": list, "answer": int} for name in CHOICES},
    "reading": {"context": str, "question": str, "choices": list, "answer": int},
    "texts": {"text": str},
    "similar": {"sentence1": str, "sentence2": str, "score": float},
    "find": {"query": str, "passage": str},
}
FEWEST = {
    "grammar": 160,
    "everyday": 120,
    "words": 100,
    "knowledge": 120,
    "numbers": 80,
    "feelings": 80,
    "reading": 80,
    "texts": 90,
    "similar": 120,
    "find": 110,
}
every_file = pytest.mark.parametrize("name", COLUMNS)
every_choice = pytest.mark.parametrize("name", CHOICES)


def read(name: str) -> list[dict[str, Any]]:
    with (RETAINED / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def asked(row: dict[str, Any]) -> str:
    """What tells a row from another: its texts without the choices, of a minimal pair only the good sentence."""
    return " ".join(value for column, value in row.items() if isinstance(value, str) and column != "bad")


def words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.casefold())


def differing_words(one: str, other: str) -> int:
    changes = SequenceMatcher(None, words(one), words(other), autojunk=False).get_opcodes()
    return sum(max(end - start, stop - begin) for kind, start, end, begin, stop in changes if kind != "equal")


def test_no_file_is_missing_or_untested():
    assert {path.stem for path in RETAINED.glob("*.jsonl")} == set(COLUMNS)


def test_the_files_are_part_of_the_package():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["hone"]
    assert all(any(fnmatch.fnmatch(f"evaluate/suite/{path.name}", one) for one in patterns) for path in RETAINED.iterdir())


@every_file
def test_there_are_enough_rows_and_the_readme_counts_them(name: str):
    rows = read(name)
    assert len(rows) >= FEWEST[name]
    assert f"| `{name}.jsonl` | {len(rows)} | {', '.join(COLUMNS[name])} |" in (RETAINED / "README.md").read_text(
        encoding="utf-8"
    )


@every_file
def test_every_row_has_its_columns_and_no_empty_or_untidy_text(name: str):
    for row in read(name):
        assert {column: type(value) for column, value in row.items()} == COLUMNS[name]
        texts = [value for value in row.values() if isinstance(value, str)] + row.get("choices", [])
        assert all(text and text == " ".join(text.split()) and "|" not in text for text in texts), row


@every_file
def test_no_row_stands_twice(name: str):
    counts = Counter(normalise(asked(row)) for row in read(name))
    assert [text for text, count in counts.items() if count > 1] == []


@every_file
def test_at_most_three_in_a_hundred_rows_nearly_repeat_another(name: str):
    rows = read(name)
    examples = [Example(text=asked(row), label="", file=name, line=line) for line, row in enumerate(rows, 1)]
    found = near_duplicates(examples)
    assert (found.count if found else 0) <= 0.03 * len(rows)


@every_choice
def test_every_answer_is_one_of_the_choices_and_no_choice_stands_twice(name: str):
    for row in read(name):
        assert len({normalise(choice) for choice in row["choices"]}) == len(row["choices"]) == CHOICES[name], row
        assert 0 <= row["answer"] < CHOICES[name], row


@every_choice
def test_no_position_is_right_much_more_often_than_another(name: str):
    rows = read(name)
    counts = Counter(row["answer"] for row in rows)
    most, least = (0.5, 0.5) if CHOICES[name] == 2 else (0.4, 0.15)
    assert max(counts.values()) <= most * len(rows)
    assert min(counts[position] for position in range(CHOICES[name])) >= least * len(rows)


@pytest.mark.parametrize("name", [name for name in CHOICES if name != "feelings"])
def test_the_right_choice_is_not_given_away_by_its_length(name: str):
    """Choosing always the longest, or always the shortest, must not be a good strategy."""
    rows = read(name)
    chance = 1 / CHOICES[name]
    for pick in (max, min):
        lengths = [[len(choice) for choice in row["choices"]] for row in rows]
        right = [(size[row["answer"]] == pick(size)) / size.count(pick(size)) for size, row in zip(lengths, rows, strict=True)]
        assert sum(right) / len(rows) <= chance + 0.15


def test_feelings_always_offer_the_same_two_words():
    assert {tuple(row["choices"]) for row in read("feelings")} == {("positive", "negative")}


def test_a_minimal_pair_differs_in_one_to_four_words():
    for row in read("grammar"):
        assert 1 <= differing_words(row["good"], row["bad"]) <= 4, row
        assert 5 <= len(words(row["good"])) <= 14, row


def test_the_wrong_sentence_is_seldom_longer_and_seldom_shorter():
    """A sum of log-likelihoods favours the shorter sentence, whatever its grammar."""
    lengths = [len(words(row["bad"])) - len(words(row["good"])) for row in read("grammar")]
    assert sum(length > 0 for length in lengths) <= 0.25 * len(lengths)
    assert sum(length < 0 for length in lengths) <= 0.25 * len(lengths)


def test_every_answer_to_a_text_is_asked_of_two_to_four_sentences():
    for row in read("reading"):
        assert 2 <= len(re.findall(r"[.!?](?:\s|$)", re.sub(r"\b(Mr|Mrs|Dr)\.", r"\1", row["context"]))) <= 4, row
        assert row["question"].endswith("?")


def test_every_text_is_a_paragraph():
    assert [row["text"] for row in read("texts") if not 45 <= len(row["text"].split()) <= 130] == []


def test_the_scores_are_spread_over_the_whole_scale():
    scores = [row["score"] for row in read("similar")]
    assert all(0 <= score <= 5 for score in scores)
    fifths = Counter(min(int(score), 4) for score in scores)
    assert min(fifths[fifth] for fifth in range(5)) >= 0.1 * len(scores)


def test_no_passage_answers_two_questions():
    passages = Counter(normalise(row["passage"]) for row in read("find"))
    assert max(passages.values()) == 1
