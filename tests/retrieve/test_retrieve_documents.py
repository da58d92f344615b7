"""Files become texts with titles and headings, and whatever cannot be read is named with its reason."""

import gzip
import os
import random
import sys

import pytest
from library import MARKDOWN, make_pdf

from hone.core.errors import BadData, Usage
from hone.retrieve import read_documents


def by_name(found):
    return {document.name: document for document in found.documents}


def reasons(found):
    return {each.path: each.reason for each in found.set_aside}


def test_a_folder_is_read_whole_and_all_else_is_named(library):
    found = read_documents(str(library))
    assert list(by_name(found)) == [
        "cafe.txt",
        "desk.md",
        "hours.html",
        "terms.pdf",
        "tickets.csv#2",
        "tickets.csv#3",
        "deep/er/note.txt",
    ]
    told = reasons(found)
    assert told.keys() == {"cafe.txt", "broken.pdf", "data.txt", "empty.txt", "image.png", "terms.pdf", "tickets.csv line 4"}
    assert "not UTF-8: read as Windows-1252" in told["cafe.txt"]
    assert "damaged, or no PDF" in told["broken.pdf"]
    assert "is no text" in told["data.txt"]
    assert "is empty" in told["empty.txt"]
    assert told["image.png"].startswith("hone does not read files that end in .png")
    assert told["terms.pdf"] == "no text on 1 of 3 pages (scanned?): 2"
    assert told["tickets.csv line 4"] == "empty text"


def test_latin_1_letters_come_through(library):
    assert by_name(read_documents(str(library)))["cafe.txt"].text == "the driver left the box in the café"


def test_headings_of_markdown_stand_where_they_begin_and_fences_hold_none(library):
    document = by_name(read_documents(str(library)))["desk.md"]
    assert document.text == MARKDOWN
    assert document.title == "Parcel desk"
    assert [(each.level, each.title) for each in document.headings] == [
        (1, "Parcel desk"),
        (2, "Delays"),
        (3, "Strikes"),
        (2, "Refunds"),
    ]
    assert [MARKDOWN[each.start :].split("\n")[0] for each in document.headings] == [
        "# Parcel desk",
        "## Delays",
        "### Strikes",
        "Refunds",
    ]


def test_html_gives_its_words_its_title_and_no_scripts(library):
    document = by_name(read_documents(str(library)))["hours.html"]
    assert document.title == "Opening & closing"
    assert document.text == "Hours\n\nThe desk opens at nine and closes at five.\n\nSundays\n\nclosed\n\nphone only\n\na  b\nc"
    assert [(document.text[each.start :].split("\n")[0], each.level) for each in document.headings] == [
        ("Hours", 1),
        ("Sundays", 2),
    ]


def test_pages_of_a_pdf_are_its_headings(library):
    document = by_name(read_documents(str(library)))["terms.pdf"]
    assert document.title == "Terms"
    assert document.text == "the invoice shows a wrong amount\n\nmy parcel never came"
    assert [(each.start, each.title) for each in document.headings] == [(0, "page 1"), (34, "page 3")]


def test_a_pdf_without_words_is_called_a_scan(tmp_path):
    make_pdf(tmp_path / "scan.pdf", ["", ""])
    with pytest.raises(BadData, match="no text on any of its 2 pages, as a scan does"):
        read_documents(str(tmp_path / "scan.pdf"))


def test_without_pypdf_each_pdf_is_named_and_the_rest_is_read(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    found = read_documents(str(library))
    assert "pip install 'hone-lm[retrieve]'" in reasons(found)["terms.pdf"]
    assert "desk.md" in by_name(found)


def test_columns_may_be_named_and_an_id_names_the_rows(library):
    found = read_documents(str(library / "tickets.csv"), text=["queue", "body"], id_column="id")
    assert {name: document.text for name, document in by_name(found).items()} == {
        "tickets.csv#A1": "post\nwhere is my package? the tracking page says nothing",
        "tickets.csv#A2": "pay\ncan I have my money back",
        "tickets.csv#A3": "pay",
    }


def test_the_longest_column_is_taken_and_said(library):
    found = read_documents(str(library / "tickets.csv"))
    assert len(found.notes) == 1
    assert "the text is 'body', whose cells are the longest" in found.notes[0]


def test_a_compressed_table_is_a_table(tmp_path):
    with gzip.open(tmp_path / "rows.jsonl.gz", "wt") as file:
        file.write('{"text": "my parcel never came"}\n{"text": "it is late"}\n')
    found = read_documents(str(tmp_path), text=["text"])
    assert list(by_name(found)) == ["rows.jsonl.gz#1", "rows.jsonl.gz#2"]


def test_an_id_that_names_two_rows_is_refused_with_both_lines(tmp_path):
    (tmp_path / "rows.csv").write_text("id,text\nA,one text\nB,two text\nA,three text\n")
    with pytest.raises(BadData, match="holds 'A' on lines 2 and 4"):
        read_documents(str(tmp_path / "rows.csv"), text=["text"], id_column="id")


def test_a_missing_column_names_the_nearest(library):
    with pytest.raises(BadData, match=r"no column 'bodi'. Did you mean 'body'"):
        read_documents(str(library / "tickets.csv"), text=["bodi"])


def test_columns_named_for_files_without_any_are_refused(library):
    with pytest.raises(Usage, match="holds none"):
        read_documents(str(library / "desk.md"), text=["body"])


def test_a_folder_with_nothing_readable_says_why(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "b.txt").write_text("  \n ")
    with pytest.raises(BadData, match=r"nothing that can be indexed(.|\n)*a\.png(.|\n)*b\.txt"):
        read_documents(str(tmp_path))
    with pytest.raises(BadData, match="does not exist"):
        read_documents(str(tmp_path / "nowhere"))


def test_a_name_that_is_not_utf8_is_shown_by_its_bytes_and_the_file_is_read(tmp_path):
    written = {b"caf\xe9.txt": b"words", b"caf\xe8.txt": b"others", b"s\xff.txt": b"", b"t\xe9.csv": b"text\na b\nc \xe9\n"}
    for name, content in written.items():
        (tmp_path / os.fsdecode(name)).write_bytes(content)
    (tmp_path / os.fsdecode(b"link\xe9")).symlink_to(tmp_path.parent)
    found = read_documents(str(tmp_path), text=["text"])
    assert {name: document.text for name, document in by_name(found).items()} == {
        "caf\\xe8.txt": "others",
        "caf\\xe9.txt": "words",
        "t\\xe9.csv#2": "a b",
    }
    assert reasons(found).keys() == {"s\\xff.txt", "link\\xe9", "t\\xe9.csv line 3"}
    alone = read_documents(str(tmp_path / os.fsdecode(b"caf\xe9.txt")))
    for each in (*found.set_aside, alone.source, *by_name(alone)):
        str(each).encode("utf-8")


def test_links_that_lead_nowhere_or_in_circles_end_nothing(library):
    (library / "circle").symlink_to(library)
    (library / "nowhere.txt").symlink_to(library / "gone")
    told = reasons(read_documents(str(library)))
    assert told["circle"].startswith("a link to a folder")
    assert told["nowhere.txt"] == "a link that leads nowhere"


def test_a_name_is_no_part_of_a_documents_digest(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("the same words")
    (tmp_path / "c.txt").write_text("the same words.")
    a, b, c = read_documents(str(tmp_path)).documents
    assert a.digest == b.digest != c.digest


@pytest.mark.parametrize("ending", [".html", ".md", ".txt", ".pdf"])
def test_no_bytes_whatever_end_the_reading(tmp_path, ending):
    """Every file is read or set aside with its reason."""
    rng = random.Random(0)
    pieces = [
        "<p>",
        "</p>",
        "<![x[",
        "<!--",
        "]]>",
        "<script>",
        "<title",
        "&#x110000;",
        "# a",
        "```",
        "---",
        "%PDF-1.4",
        "word",
        "\n",
        "\0",
        "é",
        "<td>",
    ]
    for at in range(300):
        text = "".join(rng.choice(pieces) + rng.choice(["", " ", "\n"]) for _ in range(rng.randrange(30)))
        (tmp_path / f"{at}{ending}").write_bytes(text.encode(rng.choice(["utf-8", "latin-1", "utf-16"])))
    (tmp_path / "good.txt").write_text("good")
    found = read_documents(str(tmp_path))
    assert {document.name for document in found.documents} | reasons(found).keys() == {path.name for path in tmp_path.iterdir()}
    assert all(each.start <= len(document.text) for document in found.documents for each in document.headings)
