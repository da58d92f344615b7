"""Files of many kinds are read; what cannot be read is named and the rest goes on; the work is divided without loss."""

import pytest
from corpus import write_rows, write_texts

from hone.core.errors import BadData, Usage
from hone.curate.sources import RawText, SourceFile, Unread, divide, find_files, read_texts


def read(path, *, text=None, keep=("title",)):
    files, _ = find_files([str(path)])
    return [found for file in files for found in read_texts(file, text=text, keep=keep)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.ndjson"])
def test_rows_keep_their_columns(tmp_path, name):
    write_rows(tmp_path / name, [{"title": "One", "text": "First.", "other": 1}, {"text": "Second.", "title": ""}])
    assert read(tmp_path / name) == [RawText(f"{name}:1", "First.", {"title": "One"}), RawText(f"{name}:2", "Second.", {})]


def test_csv_and_parquet_are_read_alike(tmp_path):
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "a.csv").write_text('title,text\nOne,"First, of all."\nTwo,Second.\n', encoding="utf-8")
    parquet.write_table(
        pyarrow.table({"title": ["One", "Two"], "text": ["First, of all.", "Second."]}), str(tmp_path / "a.parquet")
    )
    rows = [[(found.text, found.columns) for found in read(tmp_path / name)] for name in ("a.csv", "a.parquet")]
    assert rows[0] == rows[1] == [("First, of all.", {"title": "One"}), ("Second.", {"title": "Two"})]


def test_a_text_file_is_one_document_with_its_line_breaks(tmp_path):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "b.md").write_bytes(b"# Title\r\n\r\nBody.\r\n")
    assert read(tmp_path / "books") == [RawText("books/b.md", "# Title\n\nBody.\n", {"source": "books/b.md"})]


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(
        b'{"text": "Good."}\n{"text": broken}\n{"text": ""}\n{"text": 5}\n{"text": "b\xe4d"}\n{"text": "Good too \xc3\xbc."}\n'
    )
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    found = read(tmp_path)
    assert [each.text for each in found if isinstance(each, RawText)] == ["Good.", "Good too ü."]
    unread = {each.name.split("/")[1]: each.reason for each in found if isinstance(each, Unread)}
    assert set(unread) == {"empty.txt", "rows.jsonl line 2", "rows.jsonl line 3", "rows.jsonl line 4", "rows.jsonl line 5"}
    assert "invalid JSON" in unread["rows.jsonl line 2"]
    assert unread["rows.jsonl line 4"] == "the text is no string"
    assert "UTF-8" in unread["rows.jsonl line 5"]


def test_the_text_column_is_asked_for_where_it_is_not_plain(tmp_path):
    write_rows(tmp_path / "a.jsonl", [{"body": "First.", "title": "One"}])
    with pytest.raises(Usage, match="no column is named 'text'"):
        read(tmp_path / "a.jsonl")
    with pytest.raises(Usage, match="Did you mean 'body'"):
        read(tmp_path / "a.jsonl", text="bdoy")
    assert read(tmp_path / "a.jsonl", text="body") == [RawText("a.jsonl:1", "First.", {"title": "One"})]


def test_sources_that_hold_nothing_or_meet_twice_are_refused(tmp_path):
    with pytest.raises(BadData, match="does not exist"):
        find_files([str(tmp_path / "none")])
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"x")
    with pytest.raises(BadData, match="holds nothing that can be read"):
        find_files([str(tmp_path / "pictures")])
    file = write_texts(tmp_path / "texts" / "a.jsonl", ["One."])
    with pytest.raises(BadData, match="two of the sources"):
        find_files([str(tmp_path / "texts"), str(file)])


def test_hidden_files_and_the_runs_own_folder_are_not_sources(tmp_path):
    for name in ("a.jsonl", ".hidden.jsonl", "out/texts.jsonl", "b/c.jsonl"):
        write_texts(tmp_path / name, ["One."])
    (tmp_path / "cover.png").write_bytes(b"x")
    files, other = find_files([str(tmp_path)], leave_out=tmp_path / "out")
    assert [file.name.split("/", 1)[1] for file in files] == ["a.jsonl", "b/c.jsonl"]
    assert [each.name.split("/", 1)[1] for each in other] == ["cover.png"]


def test_a_table_without_a_text_in_a_folder_is_named_and_the_rest_goes_on(tmp_path):
    write_texts(tmp_path / "in" / "a.jsonl", ["One."])
    (tmp_path / "in" / "z.json").write_text('[{"name": "x", "v": 1}]', encoding="utf-8")
    text, unread = read(tmp_path / "in")
    assert text == RawText("in/a.jsonl:1", "One.", {})
    assert unread.name == "in/z.json"
    assert unread.reason.startswith("no column is named 'text' (columns: name, v)")
    assert [type(each) for each in read(tmp_path / "in", text="text")] == [RawText, Unread]


def test_run_folders_inside_a_source_are_not_read_and_a_note_names_them(tmp_path, capsys):
    for name in ("in/a.jsonl", "in/runs/one/texts.jsonl", "in/deep/run/texts.jsonl"):
        write_texts(tmp_path / name, ["One."])
    for name in ("in/runs/one", "in/deep/run"):
        (tmp_path / name / "run.key").write_text("0", encoding="utf-8")
    assert [file.name for file in find_files([str(tmp_path / "in")])[0]] == ["in/a.jsonl"]
    assert capsys.readouterr().err.count("is a run folder of hone's and is not read") == 2
    assert [file.name for file in find_files([str(tmp_path / "in" / "deep" / "run")])[0]] == ["run/texts.jsonl"]


@pytest.mark.parametrize("tasks", [1, 2, 3, 7, 20])
def test_dividing_loses_no_file_and_keeps_the_order(tasks):
    files = [SourceFile(f"{index}", f"{index}", 0, size) for index, size in enumerate([5, 1, 90, 0, 2, 2, 40, 7])]
    parts = divide(files, tasks)
    assert len(parts) == tasks
    assert [file for part in parts for file in part] == files


def test_files_of_one_size_are_divided_evenly():
    files = [SourceFile(f"{index}", f"{index}", 0, 10) for index in range(12)]
    assert [len(part) for part in divide(files, 4)] == [3, 3, 3, 3]
