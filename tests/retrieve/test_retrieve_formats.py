"""Encodings as files really have them, and what of Markdown is no heading."""

import pytest

from hone.retrieve.formats import read_html, read_markdown, read_plain


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_one_bad_byte_leaves_the_rest_of_a_file_utf8(tmp_path):
    page = read_plain(written(tmp_path, "a.txt", "Größe: 5 m²\n".encode() * 50 + b"caf\xe9\n"))
    assert page.text == "Größe: 5 m²\n" * 50 + "caf\ufffd\n"
    assert page.remarks == ("UTF-8 but for 1 byte, each read as \ufffd; if letters are missing, correct them",)


def test_a_file_most_of_which_is_not_utf8_is_read_as_windows_1252(tmp_path):
    page = read_plain(written(tmp_path, "a.txt", "Größe und Länge\n".encode("cp1252") * 5 + "é".encode()))
    assert page.text.startswith("Größe und Länge\n")
    assert "Windows-1252" in page.remarks[0]


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("<meta charset='windows-1251'>", "cp1251", "Сколько дней отпуска"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">', "cp932", "休暇は何日ですか①"),
        ("<META CHARSET=iso-8859-1>", "cp1252", "café – “ten”"),
        ("<meta charset=gb2312>", "gb18030", "年假有三十天"),
        ('<?xml version="1.0" encoding="iso-8859-2"?>', "iso8859-2", "dovolená třicet dnů"),
        ("<meta charset=iso-2022-jp>", "iso2022_jp", "休暇は何日"),
    ],
)
def test_html_is_read_in_the_encoding_that_it_declares(tmp_path, declared, encoding, text):
    page = read_html(written(tmp_path, "a.html", f"{declared}<h1>{text}</h1><p>{text}</p>".encode(encoding)))
    assert page.text == f"{text}\n\n{text}"
    assert page.headings[0].title == text
    assert not page.remarks


@pytest.mark.parametrize("declared", ["utf-8", "windows-1251", "no-such", "rot13", "utf-16"])
def test_html_that_is_utf8_is_read_so_whatever_it_declares(tmp_path, declared):
    page = read_html(written(tmp_path, "a.html", f"<meta charset={declared}><p>Größe – 日本"))
    assert (page.text, page.remarks) == ("Größe – 日本", ())


def test_an_encoding_that_does_not_fit_is_not_taken(tmp_path):
    page = read_html(written(tmp_path, "a.html", b"<meta charset=shift_jis><p>caf\xe9\xff"))
    assert page.text == "café\xff" and "Windows-1252" in page.remarks[0]


def headings(page):
    return [(each.level, each.title) for each in page.headings]


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("title: Leave\ndate: 2024-01-01\n", "Leave"),
        ('# a comment\n\nlayout: page\ntitle: "Leave: all of it"\n', "Leave: all of it"),
        ("title: 'Leave'  # of absence\ntags:\n  - a\n", "Leave"),
        ("title: >\n  Leave\n", "Days"),
        ("tags: [a]\n", "Days"),
    ],
)
@pytest.mark.parametrize("end", ["---", "..."])
def test_front_matter_has_no_headings_and_gives_the_title(tmp_path, front, title, end):
    text = f"---\n{front}{end}\n\nIntro text.\n\n# Days\n\ntext\n\nSick\n---\n"
    page = read_markdown(written(tmp_path, "a.md", text))
    assert (page.text, page.title) == (text, title)
    assert headings(page) == [(1, "Days"), (2, "Sick")]
    assert text[page.headings[0].start :].startswith("# Days")


def test_a_rule_at_the_beginning_is_no_front_matter(tmp_path):
    for text in ("---\n\nA text.\n\n# Days\n\n---\n", "---\ntitle: never ended\n\n# Days\n", "---\n"):
        assert headings(read_markdown(written(tmp_path, "a.md", text))) == ([(1, "Days")] if "Days" in text else [])


def test_backticks_within_a_line_open_no_fence(tmp_path):
    text = "# A\n\n```npm install```\n\n# B\n\n```sh\n# no\n```\n\n~~~ `x`\n# no\n~~~\n## C\n"
    assert headings(read_markdown(written(tmp_path, "a.md", text))) == [(1, "A"), (1, "B"), (2, "C")]
