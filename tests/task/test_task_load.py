"""Every format and encoding gives the same examples, with the line where each row starts."""

import csv
import gzip
import json
import sys
import types

import pytest

from hone.core.errors import BadData
from hone.task import load_table

ROWS = [(f"message number {index} about the parcel", "late" if index % 2 else "lost") for index in range(30)]


def write_csv(path, rows=ROWS, *, header=("text", "label"), delimiter=",", encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return str(path)


def pairs(table):
    return [(example.text, example.label) for example in table.examples]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_file(tmp_path, delimiter):
    rows = [(f"{text}, truly; really", label) for text, label in ROWS]
    table = load_table(write_csv(tmp_path / "a.csv", rows, delimiter=delimiter))
    assert pairs(table) == rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_unicode_encoding_gives_the_same_rows(tmp_path, encoding):
    rows = [(f"größe {index} naïve text — ok", label) for index, (_, label) in enumerate(ROWS)]
    table = load_table(write_csv(tmp_path / "a.csv", rows, encoding=encoding))
    assert pairs(table) == rows and table.columns.text == ("text",) and not table.rejected


def test_quotes_and_line_breaks_in_cells_keep_text_and_true_line_numbers(tmp_path):
    path = tmp_path / "a.csv"
    good = "".join(f"plain text {index},b\n" for index in range(20))
    path.write_text('text,label\n"said ""no"", then\nleft",a\n\n"last, but",a\n' + good, encoding="utf-8")
    first, second, third, *_ = load_table(str(path)).examples
    assert (first.text, first.line) == ('said "no", then\nleft', 2)
    assert (second.text, second.line) == ("last, but", 5)
    assert third.line == 6 and third.place == "a.csv line 6"


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_foreign_line_ends_are_line_ends(tmp_path, ending):
    path = tmp_path / "a.csv"
    path.write_bytes(ending.join(["text,label", *(f"{text},{label}" for text, label in ROWS)]).encode())
    table = load_table(str(path))
    assert pairs(table) == ROWS and table.examples[-1].line == 31


def test_json_lines_lists_and_data_objects_say_the_same(tmp_path):
    objects = [{"text": text, "label": label, "n": index} for index, (text, label) in enumerate(ROWS)]
    contents = {
        "lines.jsonl": "\n".join(map(json.dumps, objects)),
        "lines_called.json": "\n".join(map(json.dumps, objects)),
        "list.json": json.dumps(objects),
        "pretty.json": json.dumps(objects, indent=2),
        "pretty_called.jsonl": json.dumps(objects, indent=2),
        "data.json": json.dumps({"version": 12, "meta": {"by": "me"}, "data": objects}),
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert pairs(load_table(str(tmp_path / name))) == ROWS, name


def test_a_pretty_json_list_knows_the_line_of_each_object(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"text": t, "label": lab} for t, lab in ROWS], indent=1), encoding="utf-8")
    lines = [example.line for example in load_table(str(tmp_path / "a.json")).examples]
    assert lines == [2 + 4 * index for index in range(30)]


def test_a_json_list_larger_than_the_window_is_read_whole(tmp_path):
    objects = [
        {"text": f"{index} " + "word " * (60_000 if index == 3 else 2000), "label": "ab"[index % 2]} for index in range(300)
    ]
    (tmp_path / "a.json").write_text(json.dumps(objects), encoding="utf-8")
    assert [example.text for example in load_table(str(tmp_path / "a.json")).examples] == [row["text"].strip() for row in objects]


def objects(rows=ROWS):
    return [{"text": text, "label": label} for text, label in rows]


def test_json_lists_that_follow_one_another_are_read_in_turn(tmp_path):
    ten = [json.dumps(objects(ROWS[at : at + 10])) for at in range(0, 30, 10)]
    for name, content in {
        "lists.json": " ".join(ten),
        "a_list_a_line.jsonl": "\n".join(ten),
        "empty.json": f"[]\n{ten[0]}",
    }.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        table = load_table(str(tmp_path / name))
        assert pairs(table) == (ROWS[:10] if name == "empty.json" else ROWS) and not table.rejected, name
    assert load_table(str(tmp_path / "a_list_a_line.jsonl")).examples[10].line == 2


def test_what_follows_json_rows_and_is_no_list_is_refused(tmp_path):
    path = tmp_path / "a.json"
    for content, line in ((f"{json.dumps(objects())}\n{{}}", 2), (f"{json.dumps({'data': objects()})}\n\n[]", 3)):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(BadData, match=rf"a\.json line {line}: invalid JSON, .*follow"):
            load_table(str(path))


@pytest.mark.parametrize(
    "before", [{"errors": []}, {"labels": ["lost", "late"]}, {"users": [{"id": 1}]}, {"n": 3, "by": {"data": [1]}}], ids=str
)
def test_the_rows_of_a_json_object_stand_under_data_whatever_lists_come_first(tmp_path, before):
    (tmp_path / "a.json").write_text(json.dumps({**before, "data": objects(), "more": [1]}), encoding="utf-8")
    assert pairs(load_table(str(tmp_path / "a.json"))) == ROWS


def test_the_only_list_of_objects_of_a_json_object_is_its_rows(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"names": ["a"], "tickets": objects(), "total": 30}), encoding="utf-8")
    assert pairs(load_table(str(tmp_path / "a.json"))) == ROWS


def test_a_json_object_with_two_lists_of_rows_is_refused_by_their_names(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"train": objects(ROWS[:20]), "test": objects(ROWS[20:])}), encoding="utf-8")
    with pytest.raises(BadData, match=r"a\.json holds several lists, under train, test.*a file of its own"):
        load_table(str(tmp_path / "a.json"))


@pytest.mark.parametrize("words", [40_000, 600_000])
def test_a_long_first_line_does_not_hide_that_there_is_an_object_a_line(tmp_path, words):
    rows = [{"text": "x " * words, "label": "lost", "parts": [{"text": "no row", "label": "a"}]}, *objects()]
    (tmp_path / "a.json").write_text("\n" + "\r\n".join(map(json.dumps, rows)), encoding="utf-8", newline="")
    table = load_table(str(tmp_path / "a.json"))
    assert pairs(table) == [("x " * (words - 1) + "x", "lost"), *ROWS] and table.examples[0].line == 2


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_gzip_is_opened_by_itself(tmp_path, name):
    if "csv" in name:
        content = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)
    else:
        content = "\n".join(json.dumps({"text": text, "label": label}) for text, label in ROWS)
    (tmp_path / name).write_bytes(gzip.compress(content.encode()))
    assert pairs(load_table(str(tmp_path / name))) == ROWS


def test_a_gzip_file_cut_short_is_named_as_such(tmp_path):
    content = gzip.compress(("text,label\n" + "".join(f"{index * 7919} x,a\n" for index in range(9000))).encode())
    (tmp_path / "a.csv.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadData, match=r"a\.csv\.gz is damaged or cut short"):
        load_table(str(tmp_path / "a.csv.gz"))


def test_parquet_reads_only_the_chosen_columns_and_names_class_numbers(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    features = {"label": {"names": ["lost", "late"], "_type": "ClassLabel"}, "text": {"_type": "Value"}}
    table = pyarrow.table({"text": [row[0] for row in ROWS], "label": [index % 2 for index in range(30)], "other": [[1]] * 30})
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    loaded = load_table(str(tmp_path / "a.parquet"))
    assert pairs(loaded) == ROWS and loaded.examples[4].line == 5


def test_a_file_that_is_not_parquet_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(BadData, match=r"a\.parquet cannot be read as Parquet"):
        load_table(str(tmp_path / "a.parquet"))


def test_several_text_columns_are_joined_by_a_line_break_without_the_empty_ones(tmp_path):
    rows = [(f"title {index}", "" if index == 1 else f"body {index}", "ab"[index % 2]) for index in range(24)]
    table = load_table(write_csv(tmp_path / "a.csv", rows, header=("title", "body", "label")), text=["title", "body"])
    assert [example.text for example in table.examples[:2]] == ["title 0\nbody 0", "title 1"] and table.columns.because != ""


def test_a_group_column_travels_with_its_rows(tmp_path):
    rows = [(text, label, "" if index == 0 else f"c{index % 5}") for index, (text, label) in enumerate(ROWS)]
    table = load_table(write_csv(tmp_path / "a.csv", rows, header=("text", "label", "customer")), group="customer")
    assert [example.group for example in table.examples[:3]] == [None, "c1", "c2"]


def test_numeric_labels_become_their_plain_text(tmp_path):
    values = {"int": [0, 1], "bool": [False, True], "whole": [0.0, 1.0]}
    wanted = {"int": {"0", "1"}, "bool": {"false", "true"}, "whole": {"0", "1"}}
    for kind, (no, yes) in values.items():
        path = tmp_path / f"{kind}.jsonl"
        path.write_text("\n".join(json.dumps({"text": text, "label": yes if i % 2 else no}) for i, (text, _) in enumerate(ROWS)))
        assert {example.label for example in load_table(str(path)).examples} == wanted[kind]


def test_decimals_of_whole_numbers_in_a_csv_lose_their_point_and_true_decimals_do_not(tmp_path):
    whole = load_table(write_csv(tmp_path / "a.csv", [(text, f"{i % 3}.0") for i, (text, _) in enumerate(ROWS)]))
    half = load_table(write_csv(tmp_path / "b.csv", [(text, ["1.0", "1.5"][i % 2]) for i, (text, _) in enumerate(ROWS)]))
    assert {example.label for example in whole.examples} == {"0", "1", "2"}
    assert {example.label for example in half.examples} == {"1.0", "1.5"}


def test_a_continuous_label_is_called_regression(tmp_path):
    rows = [(f"{text} {index}", f"{index * 0.37:.3f}") for index, (text, _) in enumerate(ROWS * 10)]
    with pytest.raises(BadData, match=r"looks like regression.*few named classes"):
        load_table(write_csv(tmp_path / "a.csv", rows))


def test_a_label_that_differs_in_nearly_every_row_is_refused_with_what_was_seen(tmp_path):
    rows = [(text, f"free words {index}") for index, (text, _) in enumerate(ROWS)]
    with pytest.raises(BadData, match=r"'label' holds 30 different values in 30 rows, such as 'free words 0'.*--label"):
        load_table(write_csv(tmp_path / "a.csv", rows), text=["text"], label="label")


def test_a_tsv_whose_quotes_are_literal_keeps_every_line(tmp_path):
    lines = ["text\tlabel", '"open quote only\ta', 'say "hi" there\tb', *(f"text {index}\ta" for index in range(20))]
    (tmp_path / "a.tsv").write_text("\n".join(lines), encoding="utf-8")
    table = load_table(str(tmp_path / "a.tsv"))
    assert table.examples[0].text == '"open quote only' and len(table.examples) == 22


@pytest.mark.parametrize("width", [60, 63, 67, 71])
def test_a_tsv_with_line_breaks_in_quoted_cells_is_read_wherever_its_sample_is_cut(tmp_path, width):
    rows = [(f"row {index}\n" + f"{'x' * width}\n" * 5 + "the end", "ab"[index % 2]) for index in range(400)]
    table = load_table(write_csv(tmp_path / "a.tsv", rows, delimiter="\t"))
    assert pairs(table) == rows and not table.rejected


@pytest.mark.parametrize(("opens", "closes"), [(2000, 2500), (2000, 2001), (3, 2500), (3, 4)])
def test_a_quotation_mark_in_a_tsv_without_quotes_swallows_no_rows(tmp_path, opens, closes):
    texts = [f"the parcel with the number {index} never came" for index in range(3000)]
    texts[opens], texts[closes] = f'"{texts[opens]}', f'{texts[closes]}"'
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "".join(f"{t}\t{'ab'[i % 2]}\n" for i, t in enumerate(texts)))
    table = load_table(str(tmp_path / "a.tsv"))
    kept = [text for index, text in enumerate(texts) if index != opens or opens < 100]
    assert [example.text for example in table.examples] == kept
    assert [(row.line, row.reason[:20]) for row in table.rejected] == [(2002, "stray quotation mark")] * (opens > 100)


def test_quoted_tsv_cells_may_hold_tabs_and_line_breaks(tmp_path):
    codes = ["def f():\n\treturn 1", "a\tb\nc\td\ne\tf", "x\n\n\ty\n\tz"]
    rows = [("ab"[index % 2], f"# {index}\n{codes[index % 3]}") for index in range(3000)]
    table = load_table(write_csv(tmp_path / "a.tsv", rows, header=("label", "text"), delimiter="\t"))
    assert [(example.label, example.text) for example in table.examples] == rows and not table.rejected


def fake_datasets(monkeypatch, found):
    module = types.ModuleType("datasets")

    def load_dataset(name, config):
        if isinstance(found, Exception):
            raise found
        return found

    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    monkeypatch.setattr("hone.task.hub._is_reachable", lambda: True)


class FakeSplit:
    """The four members of datasets.Dataset that the door uses."""

    column_names = ("text", "label")
    features: dict = {"text": None, "label": types.SimpleNamespace(names=["lost", "late"])}  # noqa: RUF012

    def __init__(self, columns=("text", "label")):
        self.columns = columns

    def select_columns(self, columns):
        return FakeSplit(columns)

    def iter(self, batch_size):
        data = {"text": [row[0] for row in ROWS], "label": [index % 2 for index in range(30)]}
        yield {name: data[name] for name in self.columns}


def test_a_hub_id_reads_the_train_split_with_class_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets(monkeypatch, {"test": None, "train": FakeSplit()})
    assert pairs(load_table("org/tickets")) == ROWS


def test_an_unknown_split_is_answered_with_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_datasets(monkeypatch, {"train": None, "test": None})
    with pytest.raises(BadData, match=r"no split 'dev'\. It has: train, test.*org/tickets:train"):
        load_table("org/tickets:dev")


def test_a_hub_that_cannot_be_reached_costs_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    fake_datasets(monkeypatch, ConnectionError("no route\nsecond line"))
    with pytest.raises(BadData, match="'org/tickets' is no file here, and the Hugging Face Hub cannot be reached") as caught:
        load_table("org/tickets")
    assert "\n" not in str(caught.value)


def test_without_the_datasets_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadData, match=r"'org/tickets' is no file here.*hone-lm\[hub\]"):
        load_table("org/tickets")


@pytest.mark.parametrize("start", ["[", '{"version": "1", "data": ['])
def test_rows_of_a_json_list_on_one_line_are_told_apart_by_their_number(tmp_path, start):
    rows = [{"text": f"text {index}", "label": "ab"[index % 2]} if index != 7 else index for index in range(20)]
    path = tmp_path / "a.json"
    path.write_text(start + json.dumps(rows)[1:] + ("}" if start[0] == "{" else ""), encoding="utf-8")
    table = load_table(str(path))
    assert [example.line for example in table.examples] == [number for number in range(1, 21) if number != 8]
    assert [row.line for row in table.rejected] == [8]
