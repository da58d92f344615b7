"""A file of rows is answered in its own format: every row stays, every cell stays, and on an error nothing is written."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hone.cli.main import run
from hone.compare.bundle import Answer, Bundle
from hone.core.errors import BadData, Usage
from hone.serve import predict_file
from hone.task import Columns

LATE, LOST, REFUND = "the order is three days late", "your courier lost my letter", "can I have my money back"


@pytest.fixture
def bundle(make_bundle) -> Bundle:
    return make_bundle("message")


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_jsonl(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def refused(bundle: Bundle, source: Path, target: Path, **options: object) -> str:
    with pytest.raises(BadData) as caught:
        predict_file(bundle, source, target, **options)  # type: ignore[arg-type]
    assert not target.exists() and not list(target.parent.glob(f".{target.name}*"))
    return str(caught.value)


def test_every_row_of_a_csv_is_answered_beside_its_cells(bundle: Bundle, tmp_path: Path):
    source = write_csv(tmp_path / "in.csv", [["id", "message"], ["7", LOST], ["8", REFUND], ["9", LATE], ["10", LOST]])
    assert predict_file(bundle, source, tmp_path / "out.csv") == 4
    found = read_csv(tmp_path / "out.csv")
    assert list(found[0]) == ["id", "message", "predicted", "confidence"]
    assert [row["predicted"] for row in found] == ["lost", "refund", "late", "lost"]
    assert [(row["id"], row["message"]) for row in found] == [("7", LOST), ("8", REFUND), ("9", LATE), ("10", LOST)]
    assert all(0.9 < float(row["confidence"]) <= 1 for row in found)


def test_quotes_commas_and_line_breaks_come_out_as_they_went_in(bundle: Bundle, tmp_path: Path):
    odd = ['say "late", twice', "two\nlines", "cr\r\nlf", " blank around ", "é ü 日本 🙂", "a;b\tc|d", "'=1+1"]
    source = write_csv(tmp_path / "in.csv", [["message", "note, with comma"], *([text, text[::-1]] for text in odd)])
    predict_file(bundle, source, tmp_path / "out.csv")
    found = read_csv(tmp_path / "out.csv")
    assert [row["message"] for row in found] == odd
    assert [row["note, with comma"] for row in found] == [text[::-1] for text in odd]


@pytest.mark.parametrize(("mark", "delimiter"), [("", ","), ("\ufeff", ";"), ("", "|")])
def test_a_table_is_answered_with_the_delimiter_and_the_mark_that_it_came_with(bundle: Bundle, tmp_path: Path, mark, delimiter):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(f"{mark}message{delimiter}price\nso weiß{delimiter}1\n", encoding="utf-8")
    assert predict_file(bundle, source, target) == 1
    head, row = target.read_text(encoding="utf-8").splitlines()
    assert head == f"{mark}{delimiter.join(('message', 'price', 'predicted', 'confidence'))}"
    assert row.startswith(f"so weiß{delimiter}1{delimiter}")


def test_a_row_without_text_is_kept_with_an_empty_answer(bundle: Bundle, tmp_path: Path):
    source = write_csv(tmp_path / "in.csv", [["id", "message"], ["1", LOST], ["2", ""], ["3", "  \n "], ["4", REFUND]])
    assert predict_file(bundle, source, tmp_path / "out.csv") == 4
    found = read_csv(tmp_path / "out.csv")
    assert [row["predicted"] for row in found] == ["lost", "", "", "refund"]
    assert [row["confidence"] == "" for row in found] == [False, True, True, False]
    assert [row["id"] for row in found] == ["1", "2", "3", "4"]


def test_a_file_whose_every_text_is_empty_is_kept(bundle: Bundle, tmp_path: Path):
    source = write_csv(tmp_path / "in.csv", [["id", "message"], ["1", ""], ["2", ""]])
    assert predict_file(bundle, source, tmp_path / "out.csv") == 2
    assert [row["predicted"] for row in read_csv(tmp_path / "out.csv")] == ["", ""]


def test_more_rows_than_a_batch_stay_in_order(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hone.serve.predict.BATCH", 4)
    texts = [LOST, "", LATE, REFUND] * 3 + ["", "", "", "", REFUND]
    source = write_csv(tmp_path / "in.csv", [["id", "message"], *([str(at), text] for at, text in enumerate(texts))])
    predict_file(bundle, source, tmp_path / "out.csv")
    expected = {LOST: "lost", LATE: "late", REFUND: "refund", "": ""}
    assert [row["predicted"] for row in read_csv(tmp_path / "out.csv")] == [expected[text] for text in texts]


def test_json_lines_keep_their_types(bundle: Bundle, tmp_path: Path):
    given = [
        {"message": LOST, "id": 3, "tags": ["a", "b"], "ok": None},
        {"message": "", "id": 4.5, "more": {"x": 1}},
        {"id": 5, "message": "🙂 " + REFUND},
    ]
    source = write_jsonl(tmp_path / "in.jsonl", given)
    assert predict_file(bundle, source, tmp_path / "out.jsonl") == 3
    found = read_jsonl(tmp_path / "out.jsonl")
    assert [row["predicted"] for row in found] == ["lost", "", "refund"]
    for row, before in zip(found, given, strict=True):
        assert {key: row[key] for key in before} == before
    assert isinstance(found[0]["confidence"], float) and found[1]["confidence"] == ""


@pytest.mark.parametrize(("source", "target"), [("in.csv", "out.jsonl"), ("in.jsonl", "out.csv")])
def test_one_format_may_be_answered_in_another(bundle: Bundle, tmp_path: Path, source: str, target: str):
    if source == "in.csv":
        write_csv(tmp_path / source, [["id", "message"], ["1", LOST]])
    else:
        write_jsonl(tmp_path / source, [{"id": "1", "message": LOST}])
    predict_file(bundle, tmp_path / source, tmp_path / target)
    row = (read_jsonl if target == "out.jsonl" else read_csv)(tmp_path / target)[0]
    assert (row["id"], row["message"], row["predicted"]) == ("1", LOST, "lost")


def test_several_text_columns_are_joined_as_in_training(make_bundle, tmp_path: Path):
    bundle = make_bundle("subject", "body")
    source = write_csv(tmp_path / "in.csv", [["subject", "body"], ["Hello", LOST], ["", REFUND], [LATE, ""], ["", ""]])
    predict_file(bundle, source, tmp_path / "out.csv")
    answers = bundle.predict([f"Hello\n{LOST}", REFUND, LATE])
    found = read_csv(tmp_path / "out.csv")
    assert [row["predicted"] for row in found] == [*(answer.label for answer in answers), ""]
    assert [row["confidence"] for row in found[:3]] == [str(round(answer.confidence, 4)) for answer in answers]


def test_a_text_is_read_as_training_reads_it(make_bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Blanks around it are cut, and numbers are written alike: the promise that what trained is what serves."""
    from hone.task import load_table

    rows = [
        {"a": f"  {text} ", "b": number, "label": f"l{at % 2}"}
        for at, (text, number) in enumerate([("x", 1.0), ("y", 0), ("z", True), (" w", 2.5)] * 3)
    ]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    bundle, asked = make_bundle("a", "b"), []
    monkeypatch.setattr(bundle, "predict", lambda texts: asked.extend(texts) or Bundle.predict(bundle, texts))
    predict_file(bundle, source, tmp_path / "out.jsonl")
    assert asked == [example.text for example in load_table(str(source), text=("a", "b"), label="label").examples]
    assert asked[:4] == ["x\n1", "y\n0", "z\ntrue", "w\n2.5"]


def test_other_text_columns_may_be_named(bundle: Bundle, tmp_path: Path):
    source = write_csv(tmp_path / "in.csv", [["message", "other"], [LOST, REFUND]])
    predict_file(bundle, source, tmp_path / "out.csv", text=("other",))
    assert read_csv(tmp_path / "out.csv")[0]["predicted"] == "refund"


def test_a_missing_column_names_the_nearest(bundle: Bundle, tmp_path: Path):
    source = write_csv(tmp_path / "in.csv", [["id", "mesage"], ["1", LOST]])
    said = refused(bundle, source, tmp_path / "out.csv")
    assert "has no column 'message'" in said and "Did you mean 'mesage'? Known: id, mesage." in said and "--text" in said
    assert "has no column 'nothing'" in refused(bundle, source, tmp_path / "out.csv", text=("mesage", "nothing"))


def test_a_folder_is_no_place_for_answers_and_is_refused_before_anything_is_read(bundle: Bundle, tmp_path: Path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(Usage, match="is a folder, and a file is to be written"):
        predict_file(bundle, tmp_path / "missing.csv", tmp_path / "out.csv")


@pytest.mark.parametrize("name", ["out.xlsx", "out.parquet", "out", "out.csv.gz"])
def test_an_unknown_ending_is_refused_before_anything_is_read(bundle: Bundle, tmp_path: Path, name: str):
    assert "is written as .csv or .jsonl" in refused(bundle, tmp_path / "not there.csv", tmp_path / name)


def test_a_missing_source_is_named(bundle: Bundle, tmp_path: Path):
    assert "not there.csv" in refused(bundle, tmp_path / "not there.csv", tmp_path / "out.csv")


def test_rows_that_cannot_be_read_are_told_with_their_lines(bundle: Bundle, tmp_path: Path):
    source = tmp_path / "in.csv"
    source.write_text(f"id,message\n1,{LOST}\n2\n3,{LATE},surplus\n", encoding="utf-8")
    said = refused(bundle, source, tmp_path / "out.csv")
    assert "line 3: too few cells" in said and "line 4: too many cells" in said
    assert "2 rows cannot be read. Nothing was written." in said


@pytest.mark.parametrize("column", ["message", "note"])
def test_bytes_that_are_not_utf8_are_told_with_line_and_column(bundle: Bundle, tmp_path: Path, column: str):
    source = tmp_path / "in.csv"
    cells = {"message": LOST.encode(), "note": b"x"} | {column: "кафе".encode("cp1251")}
    source.write_bytes(b"message,note\nfine,fine\n" + b",".join(cells.values()) + b"\n")
    said = refused(bundle, source, tmp_path / "out.csv")
    assert "line 3" in said and f"column '{column}'" in said and "not UTF-8" in said


def test_a_table_in_windows_1252_is_answered_in_utf8(bundle: Bundle, tmp_path: Path):
    source = tmp_path / "in.csv"
    source.write_bytes(f"message,Straße\n{LOST},Größe\n".encode("cp1252"))
    assert predict_file(bundle, source, tmp_path / "out.csv") == 1
    header, row = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert header.startswith("message,Straße,") and ",Größe," in row


def test_a_text_that_is_no_single_value_is_told(bundle: Bundle, tmp_path: Path):
    source = write_jsonl(tmp_path / "in.jsonl", [{"message": LOST}, {"message": ["a", "list"]}])
    said = refused(bundle, source, tmp_path / "out.jsonl")
    assert "line 2" in said and "a list of 2" in said


@pytest.mark.parametrize("column", ["predicted", "confidence"])
def test_a_column_that_is_there_already_is_not_written_over(bundle: Bundle, tmp_path: Path, column: str):
    source = write_csv(tmp_path / "in.csv", [["message", column], [LOST, "mine"]])
    said = refused(bundle, source, tmp_path / "out.csv")
    assert f"already has a column '{column}'" in said


def test_an_old_answer_is_replaced_whole_and_kept_on_an_error(bundle: Bundle, tmp_path: Path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    broken = tmp_path / "broken.csv"
    broken.write_text("id,message\n1\n", encoding="utf-8")
    with pytest.raises(BadData):
        predict_file(bundle, broken, target)
    assert target.read_text() == "old"
    predict_file(bundle, write_csv(tmp_path / "in.csv", [["message"], [LOST]]), target)
    assert read_csv(target)[0]["predicted"] == "lost"


def test_a_file_may_be_answered_in_place(bundle: Bundle, tmp_path: Path):
    source = write_csv(tmp_path / "in.csv", [["message"], [LOST], [REFUND]])
    predict_file(bundle, source, source)
    assert [row["predicted"] for row in read_csv(source)] == ["lost", "refund"]


def test_dialogues_are_asked_as_they_were_compared(tmp_path: Path):
    """The file that was compared, and rows that end with a question; the system text may have a column of its own."""
    from hone.task import as_examples, load_material

    rows = [
        {
            "messages": [said("user", f"first {at}"), said("assistant", "x"), said("user", "more"), said("assistant", "y")],
            "system": "Be kind.",
        }
        for at in range(3)
    ]
    rows += [{"messages": [said("user", LOST), said("assistant", "z")], "system": None}]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    columns = Columns(text=("messages",), label="")
    record = SimpleNamespace(kind="text-generation", columns=columns)
    asked: list[str] = []
    bundle = SimpleNamespace(
        folder=tmp_path, provenance=record, load=lambda: None, predict=lambda texts: asked.extend(texts) or answers(texts)
    )
    assert predict_file(bundle, source, tmp_path / "out.jsonl") == 4  # type: ignore[arg-type]
    assert asked == [example.text for example in as_examples(load_material(str(source)))[0]]
    assert [row["predicted"] for row in read_jsonl(tmp_path / "out.jsonl")][3] == f"to {LOST}"
    open_ended = [{"messages": rows[0]["messages"][:3]}, {"messages": []}, {"messages": json.dumps([said("user", LATE)])}]
    asked.clear()
    predict_file(bundle, write_jsonl(tmp_path / "more.jsonl", open_ended), tmp_path / "out.jsonl")  # type: ignore[arg-type]
    assert asked == ["User: first 0\nAssistant: x\nUser: more", LATE]
    broken = write_jsonl(tmp_path / "broken.jsonl", [{"messages": [{"role": "nobody", "content": "x"}]}])
    said_of_it = refused(bundle, broken, tmp_path / "none.jsonl")  # type: ignore[arg-type]
    assert "column 'messages': unknown role" in said_of_it


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def answers(texts: list[str]) -> list[Answer]:
    return [Answer(label=f"to {text}", confidence=None, probabilities={}) for text in texts]


@pytest.mark.parametrize("options", [["{file}"], [LATE, "{file}"], [LATE, "--text", "message"]])
def test_a_file_or_a_column_without_out_is_refused(bundle: Bundle, tmp_path: Path, capsys, options: list[str]):
    source = write_csv(tmp_path / "in.csv", [["message"], [LOST]])
    assert run(["predict", str(bundle.folder), *(option.format(file=source) for option in options)]) == 3
    told = capsys.readouterr()
    assert told.out == "" and "--out" in told.err


def test_a_text_longer_than_any_path_is_a_text(bundle: Bundle, capsys):
    assert run(["predict", str(bundle.folder), f"{LOST} " * 300]) == 0
    assert capsys.readouterr().out
