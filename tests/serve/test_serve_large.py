"""Files of any size: answered in parts, of which none is answered twice after an interruption."""

import csv
import json
from pathlib import Path

import pytest

from hone.cli.main import run
from hone.compare.bundle import Bundle
from hone.serve import predict_file
from hone.serve.kept import KeptAnswers

TEXTS = ["your courier lost my letter", "can I have my money back", "", "the order is three days late"]


@pytest.fixture
def bundle(make_bundle, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr("hone.serve.predict.BATCH", 4)
    found: Bundle = make_bundle("message")
    return found


def write(path: Path, count: int = 20) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["id", "message"], *([str(at), f"{TEXTS[at % 4]} {at}" * (at % 4 != 2)] for at in range(count))]
        )
    return path


def stopping(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, *, after: int) -> list[str]:
    """What is asked from now on; the call behind so many is interrupted."""
    asked: list[str] = []
    calls = iter(range(1000))

    def predict(texts: list[str]) -> object:
        if next(calls) == after:
            raise KeyboardInterrupt
        asked.extend(texts)
        return Bundle.predict(bundle, texts)

    monkeypatch.setattr(bundle, "predict", predict)
    return asked


@pytest.mark.parametrize("target", ["out.csv", "out.jsonl", "in.csv"])
def test_a_file_that_was_interrupted_goes_on_and_ends_as_if_it_were_not(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, target: str
):
    whole = write(tmp_path / f"whole.{target[-3:]}") if target == "in.csv" else tmp_path / f"whole.{target.split('.')[1]}"
    source = write(tmp_path / "in.csv")
    predict_file(bundle, source, whole)
    before = source.read_bytes()
    first = stopping(bundle, monkeypatch, after=3)
    with pytest.raises(KeyboardInterrupt):
        predict_file(bundle, source, tmp_path / target)
    assert len(first) == 9 and source.read_bytes() == before
    assert (tmp_path / target).exists() == (target == "in.csv"), "no part of an answer is there"
    second = stopping(bundle, monkeypatch, after=99)
    capsys.readouterr()
    assert predict_file(bundle, source, tmp_path / target) == 20
    assert "12 of 20 rows were answered before this was stopped" in capsys.readouterr().err
    assert len(second) == 6 and not {*first} & {*second}
    assert (tmp_path / target).read_bytes() == whole.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_other_rows_or_columns_are_answered_anew(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source, target = write(tmp_path / "in.csv"), tmp_path / "out.csv"
    stopping(bundle, monkeypatch, after=2)
    with pytest.raises(KeyboardInterrupt):
        predict_file(bundle, source, target)
    write(source, 19)
    asked = stopping(bundle, monkeypatch, after=99)
    assert predict_file(bundle, source, target) == 19 and len(asked) == 14


def test_half_a_line_and_lines_of_another_process_are_left(tmp_path: Path):
    kept = KeptAnswers(tmp_path / "out.csv", key="k")
    kept.add([None, None, None])
    path = tmp_path / ".out.csv.answered"
    path.write_text(path.read_text() + '[3, ["lo', encoding="utf-8")
    assert KeptAnswers(tmp_path / "out.csv", key="k").answers == [None] * 3
    path.write_text('"k"\n[0, null]\n[0, null]\n[1, null]\n', encoding="utf-8")
    assert KeptAnswers(tmp_path / "out.csv", key="k").answers == [None]
    assert KeptAnswers(tmp_path / "out.csv", key="other").answers == []


def test_a_bundle_keeps_no_vector_of_what_it_answered(bundle: Bundle):
    bundle.predict(TEXTS[:2])
    assert bundle.predictor.encoder._kept == {}  # type: ignore[attr-defined]


def test_lists_truths_and_what_is_no_number_are_written_so_that_they_can_be_read(bundle: Bundle, tmp_path: Path):
    row = '{"message": "lost", "tags": ["a", "\\ud800"], "ok": true, "x": NaN, "more": {"b": 1}}\n'
    (tmp_path / "in.jsonl").write_text(row, encoding="utf-8")
    predict_file(bundle, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    found = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert (found["tags"], found["ok"], found["x"], found["more"]) == (["a", "\ud800"], True, None, {"b": 1})
    (tmp_path / "plain.jsonl").write_text(row.replace("\\ud800", "é"), encoding="utf-8")
    predict_file(bundle, tmp_path / "plain.jsonl", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        (cells,) = csv.DictReader(file)
    assert (cells["tags"], cells["ok"], cells["more"]) == ('["a", "é"]', "true", '{"b": 1}')


def test_a_name_of_a_file_that_is_not_there_is_no_text(bundle: Bundle, tmp_path: Path, capsys):
    assert run(["predict", str(bundle.folder), "new.csv"]) == 3
    assert "There is no file 'new.csv'" in capsys.readouterr().err
    assert run(["predict", str(bundle.folder), "my file new.csv is empty"]) == 0


def test_an_empty_text_is_no_text_and_a_run_folder_points_to_its_bundle(bundle: Bundle, capsys):
    assert run(["predict", str(bundle.folder), "where is it", "  "]) == 3
    assert "A text is empty" in capsys.readouterr().err
    assert run(["predict", str(bundle.folder.parent), "where is it"]) == 3
    assert f"Did you mean {bundle.folder}?" in capsys.readouterr().err
