"""Rows that cannot be used are all reported with line and reason, and cost nobody else."""

import json

import pytest

from hone.core.errors import BadData
from hone.task import load_table, rejected_rows

GOOD = "".join(f"good text {index},{'ab'[index % 2]}\n" for index in range(30))


def load(path, content, **columns):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_table(str(path), **columns)


def reasons(table):
    return {row.line: row.reason.split(":")[0] for row in table.rejected}


def test_ragged_and_empty_rows_are_all_reported_with_their_lines(tmp_path):
    table = load(tmp_path / "a.csv", "text,label\nonly text\na,b,c\n,a\ntext,\n  , \nfine,a,,\n" + GOOD)
    assert reasons(table) == {2: "too few cells", 3: "too many cells", 4: "empty text", 5: "empty label", 6: "empty text"}
    assert table.examples[0].text == "fine" and len(table.examples) == 31
    assert [row.column for row in table.rejected] == ["", "", "text", "label", "text"]


def test_bad_json_lines_are_all_reported_and_the_rest_is_kept(tmp_path):
    bad = [
        "{oops",
        '{"label": ' + "9" * 5000 + "}",
        "[" * 100_000,
        "[1, 2]",
        '"text"',
        '{"text": "no label"}',
        '{"text": ["a"], "label": "x"}',
        '{"text": null, "label": "x"}',
    ]
    good = [json.dumps({"text": f"text {index}", "label": "ab"[index % 2]}) for index in range(20)]
    table = load(tmp_path / "a.jsonl", "\n".join([good[0], *bad, "", *good[1:]]))
    kinds = [
        "invalid JSON",
        "invalid JSON",
        "invalid JSON",
        "not an object",
        "not an object",
        "missing cell",
        "not a single value",
        "missing cell",
    ]
    assert reasons(table) == dict(zip(range(2, 10), kinds, strict=True)) and len(table.examples) == 20


def test_an_error_inside_a_json_list_names_its_line(tmp_path):
    with pytest.raises(BadData, match=r"a\.json line 3: invalid JSON"):
        load(tmp_path / "a.json", '[{"text": "a", "label": "b"},\n{"text": "a", "label": "b"},\n{"text": oops}]')


def test_a_json_object_without_rows_is_answered_with_its_keys(tmp_path):
    with pytest.raises(BadData, match=r"Its keys are text, label"):
        load(tmp_path / "a.json", '{"text": {"0": "a"}, "label": {"0": "b"}}')


def test_one_row_of_latin_1_is_rejected_by_its_line_and_the_others_stay(tmp_path):
    content = b"text,label\n" + "schön,a\n".encode() + b"caf\xe9,a\n" + GOOD.encode() + "größer,b\nmüde,b\n".encode()
    table = load(tmp_path / "a.csv", content)
    assert [(row.line, row.column) for row in table.rejected] == [(3, "text")] and len(table.examples) == 33
    assert "byte 0xE9" in table.rejected[0].reason and "iconv" not in table.rejected[0].reason


def test_a_file_that_is_windows_1252_as_a_whole_is_read_and_told(tmp_path, capsys):
    """As Excel writes CSV in Western Europe; the names of columns too."""
    content = "Äußerung,Größe\n" + "".join(f"“café” ½ {index} naïve,a\n" for index in range(5)) + GOOD
    table = load(tmp_path / "notes.csv", content.encode("cp1252"), text=["Äußerung"], label="Größe")
    assert not table.rejected and len(table.examples) == 35
    assert table.examples[0].text == "“café” ½ 0 naïve"
    load(tmp_path / "notes.csv", content.encode("cp1252"), text=["Äußerung"], label="Größe")
    assert capsys.readouterr().err.count("notes.csv is not UTF-8: read as Windows-1252. If letters look wrong") == 1


@pytest.mark.parametrize(
    "said",
    [
        "Größe und Äußerung über die Straße – „gut“ für 5 €",
        "déjà vu à l’été – cœur et garçon « oui » n°3",
        "¿Dónde está el niño? ¡Aquí! 1ª",
        "não há coração à mão",
        "æble på ø",
        "it’s “good” – £5 ½ m²",
        "col·lega",
    ],
)
def test_western_languages_are_read_as_windows_1252(said, tmp_path):
    content = "text,label\n" + "".join(f"{said} {index},a\n" for index in range(5)) + GOOD
    table = load(tmp_path / "notes.csv", content.encode("cp1252"))
    assert not table.rejected and table.examples[0].text == f"{said} 0"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("cp1251", "Всё это очень странно"), ("cp1250", "żółty wąż śpi i bałagan w pokoju"), ("cp1253", "Καλημέρα σας")],
)
def test_an_encoding_in_which_windows_1252_makes_no_words_is_left_to_the_user(encoding, said, tmp_path):
    content = "text,label\n" + "".join(f"{said} {index},a\n" for index in range(5)) + GOOD
    table = load(tmp_path / "notes.csv", content.encode(encoding))
    assert len(table.rejected) == 5 and len(table.examples) == 30
    assert "in another encoding; save it as UTF-8 (in Excel: CSV UTF-8)" in table.rejected[0].reason


def test_bytes_that_windows_1252_lacks_are_told_by_their_line(tmp_path):
    content = b"text,label\n" + b"caf\xe9 au lait,a\n" * 40 + b"what \x81 is this,a\n" + GOOD.encode()
    table = load(tmp_path / "notes.csv", content)
    assert [(row.line, row.reason.partition(":")[0]) for row in table.rejected] == [(42, "not CP1252")]


def test_bad_bytes_in_a_column_that_is_not_used_cost_nothing(tmp_path):
    rows = b"".join(b"text %d,%s,caf\xe9\n" % (index, b"ab"[index % 2 : index % 2 + 1]) for index in range(24))
    assert len(load(tmp_path / "a.csv", b"text,label,place\n" + rows, text=["text"], label="label").examples) == 24


def test_nul_characters_and_half_emoji_are_rejected(tmp_path):
    good = [json.dumps({"text": f"text {index}", "label": "ab"[index % 2]}) for index in range(20)]
    table = load(
        tmp_path / "a.jsonl", "\n".join(['{"text": "a\\u0000b", "label": "a"}', '{"text": "x \\ud83d", "label": "a"}', *good])
    )
    assert reasons(table) == {1: "NUL character", 2: "half a character"}


def test_a_quotation_mark_never_closed_costs_one_line_and_not_the_file(tmp_path):
    table = load(tmp_path / "a.csv", 'text,label\n"never closed,a\n' + GOOD)
    assert reasons(table) == {2: "quotation mark never closed"} and len(table.examples) == 30
    assert table.examples[0].line == 3 and table.examples[-1].line == 32


def test_a_quotation_mark_closed_by_a_later_row_costs_one_line(tmp_path):
    table = load(tmp_path / "a.csv", 'text,label\n"never closed,a\nmiddle,b\n"quoted, fine",a\n' + GOOD)
    assert reasons(table) == {2: "stray quotation mark"}
    assert [(example.text, example.line) for example in table.examples[:2]] == [("middle", 3), ("quoted, fine", 4)]


def test_a_row_of_100000_characters_is_kept_whole(tmp_path):
    long = "word " * 20_000
    table = load(tmp_path / "a.csv", f"text,label\n{long},a\n{GOOD}")
    assert len(table.examples[0].text) == 99_999 and not table.rejected


def test_over_half_unusable_rows_stop_with_counts_and_first_places(tmp_path):
    with pytest.raises(BadData) as caught:
        load(
            tmp_path / "a.csv", "text,label\n" + ",a\n" * 12 + "text\n" * 3 + "good,a\ngood too,b\n", text=["text"], label="label"
        )
    message = str(caught.value)
    assert "15 of 17 rows cannot be used: 12 empty text in text, 3 too few cells" in message
    assert "line 2, column text: empty text" in message and message.count("\n  line ") == 10


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"\xef\xbb\xbf\n\n", "a.csv is empty"),
        ("a.jsonl", b" \n ", "a.jsonl is empty"),
        ("a.json", b"[]", "no rows"),
        ("a.json", b"42", "holds no list of rows but a single value"),
        ("a.csv", b"text,label\n", "no rows"),
        ("a.csv", b"text,label,text\na,b,c\n", "'text' stands 2 times in the header"),
        ("a.csv", b"text\nhello\nworld\n", "one column only"),
        ("a.csv", b"PK\x03\x04 rest", "not text but a zip archive or an Excel workbook"),
        ("a.xlsx", b"PK\x03\x04 rest", "does not know the file type '.xlsx'.*Save the sheet as CSV"),
        ("a.foo", b"text,label\n", "does not know the file type '.foo'. Known: .csv"),
        ("a.csv", b"caf\x81,label\na,b\n", "line 1: the header cannot be read"),
        ("a.jsonl", b"1\n2\n3\n", "3 of 3 rows cannot be used: 3 not an object"),
    ],
)
def test_a_file_with_nothing_to_read_says_what_is_wrong(tmp_path, name, content, says):
    with pytest.raises(BadData, match=says):
        load(tmp_path / name, content)


def test_header_only_with_named_columns_has_no_rows_either(tmp_path):
    with pytest.raises(BadData, match="no rows"):
        load(tmp_path / "a.csv", "text,label\n", text=["text"], label="label")


def test_a_missing_column_is_answered_with_the_nearest_name(tmp_path):
    with pytest.raises(BadData, match=r"no column 'lable'\. Did you mean 'label'\? Known: label, text"):
        load(tmp_path / "a.csv", "text,label\n" + GOOD, label="lable")


def test_a_folder_and_a_misspelt_path_are_told_apart(tmp_path):
    (tmp_path / "reviews.csv").write_text("text,label\n" + GOOD)
    with pytest.raises(BadData, match=r"is a folder, not a data file. It holds reviews.csv"):
        load_table(str(tmp_path))
    with pytest.raises(BadData, match=r"does not exist. Did you mean '.*reviews.csv'"):
        load_table(str(tmp_path / "review.csv"))


def test_rejected_rows_become_one_finding_with_reasons_and_at_most_20_places(tmp_path):
    table = load(tmp_path / "a.csv", "text,label\n" + ",a\n" * 25 + GOOD)
    finding = rejected_rows(table.rejected)
    assert (finding.kind, finding.severity, finding.count, len(finding.places)) == ("rejected_row", "removed", 25, 20)
    assert "empty text (25)" in finding.message and finding.places[0] == "a.csv line 2: empty text"
    assert rejected_rows([]) is None
