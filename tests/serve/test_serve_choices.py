"""Rows of multiple choice are answered among their own choices, wherever a file holds these."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hone.compare.bundle import Answer
from hone.core.errors import BadData, Usage
from hone.serve import predict_file
from hone.task import Columns

ROWS = [("what melts", ("iron", "ice")), ("what flies", ("a bat", "a cow", "a stone"))]
LETTERED = {"question": "what melts", "choices": "(A) iron (B) ice"}
NESTED = {"question": {"stem": "what melts", "choices": [{"label": "A", "text": "iron"}, {"label": "B", "text": "ice"}]}}


def choosing(*columns: str, choices: tuple[str, ...] = (), asked: list[object] | None = None) -> SimpleNamespace:
    """What stands in a bundle's place: the last choice is always right."""

    def predict(texts: list[str], *, choices: list[tuple[str, ...]]) -> list[Answer]:
        if asked is not None:
            asked.extend(zip(texts, map(tuple, choices), strict=True))
        return [Answer(label="ABCD"[len(mine) - 1], confidence=0.75, probabilities={}, choice=mine[-1]) for mine in choices]

    record = SimpleNamespace(kind="multiple-choice", columns=Columns(text=columns, label="answer", choices=choices))
    labels = ("A", "B", "C", "D")
    return SimpleNamespace(folder=Path("best"), provenance=record, labels=labels, load=lambda: None, predict=predict)


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answered(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("rows", "trained"),
    [
        ([{"question": text, "choices": list(mine)} for text, mine in ROWS], ("choices",)),
        ([{"question": text, "choices": json.dumps(mine)} for text, mine in ROWS], ("choices",)),
        ([{"question": text, "options": list(mine)} for text, mine in ROWS], ("choices",)),
        ([{"question": text, **dict(zip("ABC", (*mine, ""), strict=False))} for text, mine in ROWS], ("A", "B", "C", "D")),
        ([{"question": text, **dict(zip("ABC", (*mine, None), strict=False))} for text, mine in ROWS], ("A", "B")),
        ([{"question": text, **{f"ending{at}": one for at, one in enumerate(mine)}} for text, mine in ROWS], ()),
    ],
    ids=["lists", "lists as text", "another name", "fewer columns", "more columns", "a bundle of before"],
)
def test_a_file_is_answered_among_the_choices_of_each_row(rows, trained, tmp_path: Path):
    asked: list[object] = []
    source = write(tmp_path / "in.jsonl", rows)
    assert predict_file(choosing("question", choices=trained, asked=asked), source, tmp_path / "out.jsonl") == 2  # type: ignore[arg-type]
    assert asked == ROWS
    found = answered(tmp_path / "out.jsonl")
    assert [(row["predicted"], row["predicted_text"], row["confidence"]) for row in found] == [
        ("B", "ice", 0.75),
        ("C", "a stone", 0.75),
    ]
    assert [list(row)[-3:] for row in found] == [["predicted", "predicted_text", "confidence"]] * 2
    assert all({key: row[key] for key in given} == given for row, given in zip(found, rows, strict=True))


@pytest.mark.parametrize("row", [LETTERED, NESTED], ids=["lettered", "inside the question"])
def test_choices_in_one_text_and_inside_the_question_are_told_apart(row, tmp_path: Path):
    asked: list[object] = []
    trained = ("choices",) if row is LETTERED else ()
    source = write(tmp_path / "in.jsonl", [row])
    predict_file(choosing("question", choices=trained, asked=asked), source, tmp_path / "out.jsonl")  # type: ignore[arg-type]
    assert asked == ROWS[:1]


def test_a_question_stands_behind_its_context_as_in_training(tmp_path: Path):
    asked: list[object] = []
    rows = [{"context": "It is warm.", "question": "what melts", "choices": ["iron", "ice"]}]
    source = write(tmp_path / "in.jsonl", rows)
    predict_file(choosing("context", "question", choices=("choices",), asked=asked), source, tmp_path / "out.jsonl")  # type: ignore[arg-type]
    assert asked == [("It is warm.\n\nwhat melts", ("iron", "ice"))]


def test_a_table_keeps_rows_that_ask_nothing(tmp_path: Path):
    (tmp_path / "in.csv").write_text("question,A,B\nwhat melts,iron,ice\n,iron,ice\nwhat flies,,\n", encoding="utf-8")
    assert predict_file(choosing("question", choices=("A", "B")), tmp_path / "in.csv", tmp_path / "out.csv") == 3  # type: ignore[arg-type]
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["question", "A", "B", "predicted", "predicted_text", "confidence"]
    assert [(row["predicted"], row["predicted_text"], row["confidence"]) for row in rows] == [
        ("B", "ice", "0.75"),
        *[("",) * 3] * 2,
    ]


def test_columns_by_other_names_may_be_named(tmp_path: Path):
    asked: list[object] = []
    source = write(tmp_path / "in.jsonl", [{"ask": "what melts", "x": "iron", "y": "ice"}])
    bundle, target = choosing("question", choices=("choices",), asked=asked), tmp_path / "out.jsonl"
    with pytest.raises(BadData, match=r"No column holds the choices.*Training read them from choices.*--choice COLUMN"):
        predict_file(bundle, source, target, text=["ask"])  # type: ignore[arg-type]
    with pytest.raises(BadData, match=r"no column 'z'.*--choice"):
        predict_file(bundle, source, target, text=["ask"], choices=["x", "z"])  # type: ignore[arg-type]
    predict_file(bundle, source, target, text=["ask"], choices=["x", "y"])  # type: ignore[arg-type]
    assert asked == ROWS[:1]


def test_rows_whose_choices_cannot_be_read_are_told_with_their_lines(tmp_path: Path):
    rows = [
        {"question": "what melts", "choices": ["iron"]},
        {"question": "what melts", "choices": list("abcde")},
        {"question": "what melts", "choices": ["iron", ""]},
        {"question": "what melts", "choices": "iron"},
    ]
    with pytest.raises(BadData) as refused:
        predict_file(choosing("question", choices=("choices",)), write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl")  # type: ignore[arg-type]
    said = str(refused.value)
    assert (
        "line 1: column 'choices': too few choices" in said
        and "line 2: 5 choices, and the rows of training had 4 at most" in said
    )
    assert "line 3: column 'choices': empty choice" in said and "line 4: column 'choices': no list" in said
    assert "4 rows cannot be read. Nothing was written." in said and not (tmp_path / "out.jsonl").exists()


def test_columns_of_choices_are_refused_where_nothing_is_chosen(make_bundle, tmp_path: Path):
    (tmp_path / "in.csv").write_text("message,A\nstill waiting!,x\n", encoding="utf-8")
    with pytest.raises(Usage, match=r"--choice names columns of choices, and .*best answers without any"):
        predict_file(make_bundle("message"), tmp_path / "in.csv", tmp_path / "out.csv", choices=["A"])
