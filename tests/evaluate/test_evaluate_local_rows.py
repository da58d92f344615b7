"""A benchmark's files in every kind, and rows that cannot be asked: named by file and line before a model is loaded, never counted as wrong."""

import json

import pytest

from hone.core.errors import BadData
from hone.evaluate.local_tasks import find_local_tasks

OWN = [{"query": f"Who is {at}?", "choices": ["he", "she"], "gold": at % 2} for at in range(3)]
MMLU = {"question": "Who?", "A": "he", "B": "she", "C": "it", "D": "they", "answer": "D", "subject": "law"}


def write(path, rows, kind):
    path = path.with_name(f"{path.name}.{kind}")
    path.parent.mkdir(exist_ok=True)
    if kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text(json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_a_benchmark_is_the_same_from_every_kind_of_file(kind, tmp_path):
    write(tmp_path / "mine", OWN, kind)
    write(tmp_path / "mmlu" / "test", [MMLU] * 2, kind)
    write(tmp_path / "mmlu" / "dev", [MMLU], kind)
    mine, law = find_local_tasks(tmp_path, ("mine", "mmlu"))
    assert mine.tests == OWN and (law.name, len(law.tests), len(law.shots)) == ("mmlu_law", 2, 1)
    assert law.tests[0]["gold"] == 3 and find_local_tasks(tmp_path, (f"mine.{kind}",)) == [mine]


def test_the_same_rows_in_two_kinds_of_file_are_asked_once(tmp_path):
    for kind in ("json", "parquet"):
        write(tmp_path / "mmlu" / "test", [MMLU], kind)
    (law,) = find_local_tasks(tmp_path, ("mmlu",))
    assert len(law.tests) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gold": 2}, "the right choice is 2, and a number from 0 to 1"),
        ({"gold": -1}, "the right choice is -1"),
        ({"gold": "she"}, "the right choice is 'she'"),
        ({"choices": "he or she"}, "the choices are 'he or she', and a list"),
        ({"choices": []}, r"the choices are \[\]"),
        ({"choices": ["he", ""]}, "choice 1 is ''"),
        ({"query": 7}, "the question is 7"),
        ({"gold": None}, "no 'gold'; it has 'query', 'choices'"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named_with_its_line(changed, said, tmp_path):
    write(tmp_path / "mine", [OWN[0], {**OWN[1], **changed}], "jsonl")
    with pytest.raises(BadData, match=rf"mine\.jsonl, line 2: {said}"):
        find_local_tasks(tmp_path, ("mine",))


@pytest.mark.parametrize("answer", ["", "E", "AB", 2])
def test_an_answer_that_is_no_letter_of_a_choice_is_refused(answer, tmp_path):
    write(tmp_path / "mmlu" / "test", [{**MMLU, "answer": answer}], "jsonl")
    with pytest.raises(BadData, match=r"test\.jsonl, line 1: the answer is .*, not one of A, B, C, D"):
        find_local_tasks(tmp_path, ("mmlu",))


def test_a_choice_that_is_missing_moves_no_other_ones_place(tmp_path):
    write(tmp_path / "arc_easy" / "test", [{"question": "Who?", "A": "he", "B": "", "C": "it", "D": 0, "answer": "D"}], "jsonl")
    (task,) = find_local_tasks(tmp_path, ("arc_easy",))
    assert task.tests[0]["choices"] == ["he", "it", "0"] and task.tests[0]["gold"] == 2


@pytest.mark.parametrize("text", ["[1, 2", "[[1, 2]]", '{"query": "a"', ""], ids=["torn list", "lists", "torn object", "empty"])
def test_a_file_that_holds_no_rows_is_one_line(text, tmp_path):
    (tmp_path / "mine.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadData, match=r"mine\.json"):
        find_local_tasks(tmp_path, ("mine",))
