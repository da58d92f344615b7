"""Documents to search in: files of a folder, or rows of a table. What cannot be read is named with the reason, never dropped.

The first step of `hone index`; `chunk` cuts what this gives. The one surprise: each row of a table is a document of its own,
named file#id, where the id is the row's line unless a column is named.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hone.core.console import progress
from hone.core.errors import BadData, HoneError, Usage, did_you_mean
from hone.core.record import Record
from hone.core.store import digest_text
from hone.retrieve.formats import Heading, Page, read_html, read_markdown, read_pdf, read_plain
from hone.task import Broken, Reader, open_rows, read_row
from hone.task.profile import profile_column
from hone.task.sample import sample_rows

__all__ = ["Document", "Documents", "SetAside", "read_documents"]

_READERS = {
    **dict.fromkeys((".md", ".markdown", ".mdown"), read_markdown),
    **dict.fromkeys((".txt", ".text", ".rst", ".log", ""), read_plain),
    **dict.fromkeys((".html", ".htm", ".xhtml"), read_html),
    ".pdf": read_pdf,
}
_TABLES = frozenset({".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet"})
_KNOWN = "Markdown, text, HTML, PDF, CSV, TSV, JSON, JSON Lines and Parquet"
_MARK = "index.json"
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")  # how Python hands over a byte of a name that is not UTF-8 (PEP 383)


@dataclass(frozen=True, slots=True)
class Document:
    """One text with a name that a citation can give: a file's path below its folder, or file#id of a row."""

    name: str
    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()

    @property
    def digest(self) -> str:
        """Of all that passages are made of; the name is left out."""
        marks = [f"{heading.start} {heading.level} {heading.title}" for heading in self.headings]
        return digest_text(self.text, self.title, *marks)


class SetAside(Record):
    """Something of the source that is not among the documents, or not wholly, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Documents:
    """What a source holds."""

    source: str
    documents: list[Document]
    set_aside: list[SetAside] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was chosen for the user: which column of which table is the text."""


def read_documents(
    source: str, *, text: Sequence[str] = (), id_column: str | None = None, leave_out: Path | None = None
) -> Documents:
    """Read a file, or all files below a folder; hidden files, links to folders and folders that hold an index are not entered.

    Args:
        text, id_column: columns of tables; without `text` the one with the longest cells. leave_out: a folder below the source
            that is no source, such as the index to be written.
    Raises:
        BadData: nothing there can be read; all reasons are told. Usage: columns are named and there is no table.
    """
    path, source = Path(source).expanduser(), _shown(source)
    if not path.exists():
        raise BadData(f"{source} does not exist. Give a folder of documents or one file ({_KNOWN}).")
    found = Documents(source, [])
    files = [path] if path.is_file() else list(_files(path, leave_out, found))
    has_table = any(_kind(file) in _TABLES for file in files)
    with progress("Reading", len(files)) as bar:
        for file in files:
            name = _shown(file.name if path.is_file() else file.relative_to(path).as_posix())
            try:
                if _kind(file) in _TABLES:
                    _read_table(file, name, found, text=tuple(text), id_column=id_column)
                else:
                    _read_file(file, name, found)
            except HoneError as error:
                found.set_aside.append(SetAside(path=name, reason=_shown(str(error))))
            except OSError as error:
                found.set_aside.append(SetAside(path=name, reason=f"cannot be read: {error.strerror or error}"))
            bar.advance()
    if not has_table and (text or id_column is not None):
        raise Usage(
            f"--text and --id name columns of a table, and {source} holds none ({', '.join(sorted(_TABLES))}). Leave them out."
        )
    if not found.documents:
        reasons = "\n".join(f"  {each.path}: {each.reason}" for each in found.set_aside[:20])
        more = f"\n  and {len(found.set_aside) - 20:,} more" if len(found.set_aside) > 20 else ""
        raise BadData(
            f"{source} holds nothing that can be indexed. hone reads {_KNOWN}."
            + (f" Set aside:\n{reasons}{more}" if reasons else "")
        )
    return found


def _shown(name: str) -> str:
    r"""A name that can be written: of one that is not UTF-8 each byte that is none stands as \xe9, so that names stay apart."""
    return _ESCAPED_BYTE.sub(lambda found: f"\\x{ord(found.group()) - 0xDC00:02x}", name)


def _files(root: Path, leave_out: Path | None, found: Documents) -> Iterator[Path]:
    """All files below a folder in the order of their names; what is not entered is set aside, hidden names apart."""
    left = leave_out.resolve() if leave_out is not None else None
    for folder, inside, files in os.walk(root, onerror=lambda error: _not_entered(error, root, found)):
        here = Path(folder)
        kept = []
        for name in sorted(inside):
            child = here / name
            if name.startswith(".") or child.resolve() == left or _is_index(child):
                continue
            if child.is_symlink():
                found.set_aside.append(
                    SetAside(
                        path=_shown(child.relative_to(root).as_posix()), reason="a link to a folder: name that folder to index it"
                    )
                )
                continue
            kept.append(name)
        inside[:] = kept
        for name in sorted(files):
            child = here / name
            if name.startswith("."):
                continue
            if not child.is_file():
                reason = "a link that leads nowhere" if child.is_symlink() else "no ordinary file"
                found.set_aside.append(SetAside(path=_shown(child.relative_to(root).as_posix()), reason=reason))
                continue
            yield child


def _not_entered(error: OSError, root: Path, found: Documents) -> None:
    path = Path(error.filename)
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    found.set_aside.append(SetAside(path=_shown(name), reason=f"cannot be entered: {error.strerror or error}"))


def _is_index(folder: Path) -> bool:
    mark = folder / _MARK
    return mark.is_file() and any(folder.glob("passages-*.lance"))


def _kind(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if len(suffixes) > 1 and suffixes[-1] == ".gz" and suffixes[-2] in _TABLES:
        return suffixes[-2]
    return suffixes[-1] if suffixes else ""


def _read_file(file: Path, name: str, found: Documents) -> None:
    kind = _kind(file)
    if kind not in _READERS:
        raise BadData(f"hone does not read files that end in {kind}. It reads {_KNOWN}.")
    page: Page = _READERS[kind](file)
    if not page.text.strip():
        raise BadData("it is empty")
    found.documents.append(Document(name, page.text, page.title, page.headings))
    found.set_aside.extend(SetAside(path=name, reason=remark) for remark in page.remarks)


def _read_table(file: Path, name: str, found: Documents, *, text: tuple[str, ...], id_column: str | None) -> None:
    """Every row as a document; rows that cannot be read, or have no text, are set aside by their line."""
    reader = open_rows(str(file))
    columns = text or _longest_column(reader, name, found, id_column)
    for column in (*columns, *((id_column,) if id_column is not None else ())):
        if column not in reader.headers:
            raise BadData(f"there is no column '{column}'. {did_you_mean(column, [each for each in reader.headers if each])}")
    wanted = (*columns, *((id_column,) if id_column is not None and id_column not in columns else ()))
    narrow = Reader(wanted, reader.rows, reader.class_names, reader.file)
    rows: list[Document] = []
    aside: list[SetAside] = []
    lines: dict[str, int] = {}
    for row in reader.rows(wanted):
        if isinstance(row, Broken):
            aside.append(SetAside(path=f"{name} line {row.line}", reason=_shown(row.reason)))
            continue
        line, cells = row
        try:
            values, joined = read_row(narrow, cells, columns)
            key = str(line) if id_column is None else _identity(values[id_column], id_column)
        except BadData as error:
            aside.append(SetAside(path=f"{name} line {line}", reason=_shown(str(error))))
            continue
        if not joined:
            aside.append(SetAside(path=f"{name} line {line}", reason="empty text"))
            continue
        if key in lines:
            raise BadData(
                f"column '{id_column}' holds '{key}' on lines {lines[key]} and {line}, and an id names one row. "
                "Name another column with --id, or leave it out: rows are then named by their line."
            )
        lines[key] = line
        rows.append(Document(f"{name}#{key}", joined))
    found.documents.extend(rows)
    found.set_aside.extend(aside)
    if not rows and not aside:
        raise BadData("there are column names but no rows")


def _identity(cell: object, column: str) -> str:
    if cell is None or isinstance(cell, list | dict | tuple) or not str(cell).strip():
        raise BadData(f"column '{column}': no id")
    return str(cell).strip()


def _longest_column(reader: Reader, name: str, found: Documents, id_column: str | None) -> tuple[str, ...]:
    """The column whose cells are the longest on average, and a note that says so."""
    sample = sample_rows(reader)
    profiles = [
        profile_column(header, [row[at] for row in sample])
        for at, header in enumerate(reader.headers)
        if header and header != id_column
    ]
    usable = [profile for profile in profiles if profile.filled and not profile.is_ignored and profile.number_share < 0.5]
    if not usable:
        seen = ", ".join(reader.headers) or "none"
        raise BadData(f"no column looks like text (columns: {seen}). Name it with --text.")
    best = max(usable, key=lambda profile: profile.mean_length)
    others = [profile.name for profile in usable if profile is not best and profile.mean_length >= 20]
    also = f" Other texts: {', '.join(others[:3])} (to add: --text {','.join([best.name, *others[:3]])})." if others else ""
    found.notes.append(
        f"{name}: the text is '{best.name}', whose cells are the longest ({best.mean_length:.0f} characters on average).{also}"
    )
    return (best.name,)
