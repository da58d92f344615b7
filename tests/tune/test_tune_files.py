"""The files beside the rows that train, to choose on, to test on and to replay, are read as the rows that train are."""

import csv

import pytest

from hone.core.console import set_quiet
from hone.core.errors import BadData
from hone.tune.prepare import read_rows
from hone.tune.settings import TuneSettings


def write(path, rows):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return str(path)


def read(data, **files):
    return read_rows(TuneSettings(data=data, model="none", **files))


@pytest.mark.parametrize("name", ["test", "validation"])
def test_a_file_is_read_in_the_columns_of_the_rows_that_train(name, tmp_path):
    """Of 'remark' and 'reply' the longer is taken for the text, and in the small file the other is the longer."""
    rows = [{"remark": f"the remark is long {n}", "reply": f"no {n}", "mood": "up" if n % 2 else "down"} for n in range(60)]
    data = write(tmp_path / "rows.csv", rows)
    other = [{**row, "remark": f"new {row['remark']}", "reply": "a very long reply " * 9} for row in rows[:20]]
    found = read(data, **{name: write(tmp_path / "other.csv", other)})
    assert {row.text for row in getattr(found, name)} == {row["remark"] for row in other}


def test_a_few_test_rows_of_many_classes_are_classes_still(tmp_path):
    rows = [{"text": f"what is {n}", "label": f"kind {n % 30}"} for n in range(300)]
    data = write(tmp_path / "rows.csv", rows)
    test = write(tmp_path / "test.csv", [{**row, "text": f"and {row['text']}"} for row in rows[:30]])
    assert len(read(data, test=test).test) == 30


def test_test_rows_whose_numbers_are_whole_are_numbers_still(tmp_path):
    rows = [{"sentence1": f"a {n}", "sentence2": f"b {n}", "score": n % 9 / 2} for n in range(90)]
    data = write(tmp_path / "rows.csv", rows)
    whole = [{**row, "sentence1": f"c {n}", "score": n % 5} for n, row in enumerate(rows)]
    assert [row.score for row in read(data, test=write(tmp_path / "test.csv", whole)).test] == [row["score"] for row in whole]


def test_other_columns_and_unusable_rows_of_a_file_are_told(tmp_path, capsys):
    rows = [{"text": f"what is {n}", "label": f"kind {n % 3}"} for n in range(60)]
    data = write(tmp_path / "rows.csv", rows)
    other = [{"question": f"and {row['text']}", "class": row["label"] if n else ""} for n, row in enumerate(rows[:30])]
    set_quiet(False)
    found = read(data, test=write(tmp_path / "test.csv", other))
    told = capsys.readouterr().err
    assert len(found.test) == 29
    assert "test.csv: One class per text: label 'class' by its name; text 'question' by its name." in told
    assert "test.csv: 1 of 30 rows are unusable, the first in line 2: " in told
    assert str(tmp_path / "rows.csv") not in told


def test_rows_of_another_kind_are_refused(tmp_path):
    data = write(tmp_path / "rows.csv", [{"text": f"what is {n}", "label": f"kind {n % 3}"} for n in range(60)])
    scored = [{"sentence1": f"a {n}", "sentence2": f"b {n}", "score": n % 9 / 2} for n in range(90)]
    with pytest.raises(BadData, match=r"test.csv holds rows of the kind 'score', and .*rows.csv of 'classify'"):
        read(data, test=write(tmp_path / "test.csv", scored))
