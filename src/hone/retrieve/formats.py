"""From one file to its text and headings: Markdown, plain text, HTML, PDF. The door to pypdf.

Stands before `documents`, which walks folders. The one surprise: headings are kept as places in the text, so that chunks and
citations can say where they stand; a PDF's pages count as headings, since they are what a reader can turn to.
"""

import logging
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hone.core.errors import BadData, MissingPackage, need
from hone.task.decode import open_text

__all__ = ["Heading", "Page", "read_html", "read_markdown", "read_pdf", "read_plain"]

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
_BYTES = re.compile("[\udc80-\udcff]")  # what is not UTF-8 travels as these (PEP 383)
_UNPRINTED = re.compile("[\0-\x08\x0e-\x1f\ud800-\udfff]")
_BLOCKS = {
    *(
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "br",
        "caption",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
    ),
    *("figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "main", "menu"),
    *(
        "nav",
        "ol",
        "optgroup",
        "option",
        "p",
        "pre",
        "section",
        "select",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
    ),
}
_DROPPED = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object"})


@dataclass(frozen=True, slots=True)
class Heading:
    """Where a section begins. `level` counts from 1, the highest; `start` is a character of the text."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one file holds, before it has a name; `remarks` say what of it could not be read."""

    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()
    remarks: tuple[str, ...] = ()


def read_plain(path: Path) -> Page:
    """A text file: UTF-8, UTF-16 or UTF-32; what is none of these is read as Windows-1252, and that is remarked.

    Raises:
        BadData: it is empty, or no text.
    """
    if not path.read_bytes().strip():
        raise BadData("it is empty")
    file = open_text(path)
    text = "".join(file.chunks(1 << 20)).replace("\r\n", "\n").replace("\r", "\n")
    remarks: tuple[str, ...] = ()
    if _BYTES.search(text):
        text = path.read_bytes().decode("cp1252", "replace").replace("\r\n", "\n").replace("\r", "\n")
        remarks = ("not UTF-8: read as Windows-1252; if letters look wrong, convert the file to UTF-8",)
    if "\0" in text or sum(1 for _ in _UNPRINTED.finditer(text[:65_536])) > 0.01 * len(text[:65_536]):
        raise BadData(f"{path.name} is no text: it holds bytes that no text has. Convert it to text, HTML or PDF.")
    return Page(text, remarks=remarks)


def read_markdown(path: Path) -> Page:
    """Markdown as it is written, with its headings (# and underlined, not inside fences); the first of level 1 is the title.

    Raises:
        BadData: it is empty, or no text.
    """
    page = read_plain(path)
    headings: list[Heading] = []
    fence = ""
    start, before, before_start = 0, "", 0
    for line in page.text.splitlines(keepends=True):
        bare = line.rstrip("\n")
        opened = _FENCE.match(bare)
        if fence:
            if opened and opened[1].startswith(fence) and not bare.strip(" `~"):
                fence = ""
        elif opened:
            fence = opened[1]
        elif found := _ATX.fullmatch(bare):
            headings.append(Heading(start, len(found[1]), (found[2] or "").strip()))
            bare = ""
        elif (
            before.strip()
            and (under := _SETEXT.fullmatch(bare))
            and not before.lstrip().startswith((">", "-", "*", "+", "|", "#"))
        ):
            headings.append(Heading(before_start, 1 if under[1][0] == "=" else 2, before.strip()))
            bare = ""
        before, before_start = ("", start) if fence else (bare, start)
        start += len(line)
    title = next((heading.title for heading in headings if heading.level == 1), "")
    return Page(page.text, title, tuple(heading for heading in headings if heading.title), page.remarks)


def read_html(path: Path) -> Page:
    """The visible text of an HTML file, blocks apart, with its title and its headings h1 to h6; scripts and styles are left out.

    Raises:
        BadData: it is empty, no text, or shows none.
    """
    source = read_plain(path)
    parser = _Visible()
    try:
        parser.feed(source.text)
        parser.close()
    except AssertionError as error:  # the parser's word for declarations that no browser knows either
        raise BadData(f"{path.name} is damaged HTML ({error}). Save it from a browser.") from error
    text, headings = parser.finished()
    if not text.strip():
        raise BadData(f"{path.name} shows no text. Where a script writes the page, save it from a browser.")
    return Page(text, parser.title, headings, source.remarks)


class _Visible(HTMLParser):
    """Collects blocks of text in order; a block is one or more lines, and an empty line stands between two."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._blocks: list[tuple[str, int]] = []  # text, level of heading or 0
        self._now: list[str] = []
        self._level = 0
        self._hidden = 0
        self._kept_lines = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self._hidden += 1
        elif tag == "title" and not self._hidden:
            self._in_title = True
        elif tag in ("td", "th"):
            self._now.append(" \t ")
        elif tag in _BLOCKS:
            self._break()
            if tag == "pre":
                self._kept_lines += 1
            if re.fullmatch("h[1-6]", tag):
                self._level = int(tag[1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._break()

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self._hidden = max(0, self._hidden - 1)
        elif tag == "title":
            self._in_title = False
        elif tag in _BLOCKS:
            self._break()
            if tag == "pre":
                self._kept_lines = max(0, self._kept_lines - 1)
            self._level = 0

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = " ".join(f"{self.title} {data}".split())
        elif not self._hidden:
            self._now.append(data)

    def _break(self) -> None:
        text = "".join(self._now)
        self._now = []
        text = text.strip("\n") if self._kept_lines else " ".join(text.split())
        if text.strip():
            self._blocks.append((text, self._level))

    def finished(self) -> tuple[str, tuple[Heading, ...]]:
        """The text, and where its headings stand."""
        self._break()
        parts: list[str] = []
        headings: list[Heading] = []
        at = 0
        for text, level in self._blocks:
            if level:
                headings.append(Heading(at, level, " ".join(text.split())))
            parts.append(text)
            at += len(text) + 2
        return "\n\n".join(parts), tuple(headings)


def read_pdf(path: Path) -> Page:
    """The text of a PDF, page after page; each page begins a section.

    Raises:
        BadData: it is damaged, locked, or holds no text, as a scan does. MissingPackage: pypdf is not installed.
    """
    pypdf: Any = need("pypdf", extra="retrieve")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of every oddity of a file; what matters is raised
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise BadData(f"{path.name} is locked with a password. Save it without one.")
        texts = [_clean(page.extract_text() or "") for page in reader.pages]
        title = _clean(str((reader.metadata.title if reader.metadata else None) or ""))
    except (BadData, MissingPackage, MemoryError):
        raise
    except Exception as error:  # a damaged file brings out errors of every kind in the parser
        raise BadData(
            f"{path.name} is damaged, or no PDF ({type(error).__name__}: {error}). Save or download it again."
        ) from error
    empty = [str(number) for number, text in enumerate(texts, 1) if not text]
    if len(empty) == len(texts):
        raise BadData(
            f"{path.name} holds no text on any of its {len(texts)} pages, as a scan does. hone reads no images: run it through OCR."
        )
    remarks = (f"no text on {len(empty)} of {len(texts)} pages (scanned?): {', '.join(empty[:10])}",) if empty else ()
    parts: list[str] = []
    headings: list[Heading] = []
    at = 0
    for number, text in enumerate(texts, 1):
        if text:
            headings.append(Heading(at, 1, f"page {number}"))
            parts.append(text)
            at += len(text) + 2
    return Page("\n\n".join(parts), " ".join(title.split()), tuple(headings), remarks)


def _clean(text: str) -> str:
    return _UNPRINTED.sub("", text).replace("\r\n", "\n").replace("\r", "\n").strip()
