"""From one file to its text and headings: Markdown, plain text, HTML, PDF. The door to pypdf.

Stands before `documents`, which walks folders. The one surprise: headings are kept as places in the text, so that chunks and
citations can say where they stand; a PDF's pages count as headings, since they are what a reader can turn to.
"""

import codecs
import logging
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hone.core.errors import BadData, MissingPackage, need
from hone.task.decode import open_text
from hone.task.wording import counted

__all__ = ["Heading", "Page", "read_html", "read_markdown", "read_pdf", "read_plain"]

_FENCE = re.compile(r" {0,3}(`{3,}(?!.*`)|~{3,})")  # with a backtick behind them, backticks are code within a line
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
_FRONT = re.compile(r"---[ \t]*\n((?:[ \t]*(?:#.*)?\n)*[\"']?\w[^\n:]*:(?:[ \t].*)?\n(?:.*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|$)")
_FRONT_TITLE = re.compile(r"^title:[ \t]+(?:\"(.*)\"|'(.*)'|([^\s>|].*?))(?:[ \t]+#.*)?[ \t]*$", flags=re.MULTILINE)
_BYTES = re.compile("[\udc80-\udcff]")  # what is not UTF-8 travels as these (PEP 383)
_NOT_ASCII = bytes(range(128, 256))
_DECLARED = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]{0,100}encoding\s*=\s*[\"']([\w.:-]+)", flags=re.IGNORECASE
)
_DECLARED_WITHIN = 4_096  # bytes; browsers look at the first 1,024
_WIDER = {  # what browsers read for these names: https://encoding.spec.whatwg.org/#names-and-labels
    **dict.fromkeys(("ascii", "iso8859-1"), "cp1252"),
    **{"shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "iso8859-9": "cp1254", "tis-620": "cp874"},
}
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


def read_plain(path: Path, *, declared: str = "") -> Page:
    """A text file: UTF-8, UTF-16 or UTF-32; what is none of these is read as Windows-1252, and that is remarked.

    Where most of what is not ASCII is UTF-8, the file is, and each byte that is none stands as U+FFFD; that is remarked, too.

    Args:
        declared: the encoding that the file names, tried where it is not UTF-8.
    Raises:
        BadData: it is empty, or no text.
    """
    raw = path.read_bytes()
    if not raw.strip():
        raise BadData("it is empty")
    file = open_text(path)
    text = "".join(file.chunks(1 << 20))
    remarks: tuple[str, ...] = ()
    bad = len(_BYTES.findall(text))
    if (bad or text.isascii()) and declared and file.encoding == "utf-8" and (said := _as_declared(raw, declared)):
        text = said
    elif bad and len(raw) - len(raw.translate(None, _NOT_ASCII)) > 2 * bad:
        text = _BYTES.sub("\ufffd", text)
        remarks = (f"UTF-8 but for {counted(bad, 'byte')}, each read as \ufffd; if letters are missing, correct them",)
    elif bad:
        text = raw.decode("cp1252", "replace")
        remarks = ("not UTF-8: read as Windows-1252; if letters look wrong, convert the file to UTF-8",)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text or sum(1 for _ in _UNPRINTED.finditer(text[:65_536])) > 0.01 * len(text[:65_536]):
        raise BadData(f"{path.name} is no text: it holds bytes that no text has. Convert it to text, HTML or PDF.")
    return Page(text, remarks=remarks)


def _as_declared(raw: bytes, declared: str) -> str | None:
    """None where the file is not in the encoding that it names, or there is none of that name."""
    try:
        return raw.decode(_WIDER.get(codecs.lookup(declared).name, declared))
    except (LookupError, ValueError):  # also of codecs that are no texts' encodings
        return None


def read_markdown(path: Path) -> Page:
    """Markdown as it is written, with its headings (# and underlined, not inside fences).

    The title is that of the front matter (YAML between --- at the very beginning, in which there are no headings), or else the
    first heading of level 1.

    Raises:
        BadData: it is empty, or no text.
    """
    page = read_plain(path)
    headings: list[Heading] = []
    fence = ""
    front = _FRONT.match(page.text)
    start = front.end() if front else 0
    before, before_start = "", start
    for line in page.text[start:].splitlines(keepends=True):
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
    named = _FRONT_TITLE.search(front[1]) if front else None
    first = next((heading.title for heading in headings if heading.level == 1), "")
    title = " ".join((named[1] or named[2] or named[3] or "").split()) if named else ""
    title = title or first
    return Page(page.text, title, tuple(heading for heading in headings if heading.title), page.remarks)


def read_html(path: Path) -> Page:
    """The visible text of an HTML file, blocks apart, with its title and its headings h1 to h6; scripts and styles are left out.

    Raises:
        BadData: it is empty, no text, or shows none.
    """
    with path.open("rb") as file:
        found = _DECLARED.search(file.read(_DECLARED_WITHIN))
    source = read_plain(path, declared=(found[1] or found[2]).decode("ascii", "replace") if found else "")
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
