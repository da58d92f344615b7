"""What there is to read: files of the named sources, divided into parts, and the documents of a file one by one.

A text or Markdown file is one document; of a table each row is one. The one surprise: a part is a run of whole files, so one large file
keeps one worker busy however many there are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hone.core.errors import BadData, Usage, did_you_mean
from hone.task import ROW_FILES, WHOLE_TEXTS, Broken, Reader, Unread, file_kind, files_below, open_rows, read_row
from hone.task.decode import open_text

__all__ = ["RawText", "SourceFile", "Unread", "divide", "find_files", "read_texts"]

_KNOWN = ".txt, .md, .rst, .jsonl, .json, .csv, .tsv (each also with .gz) and .parquet"
_BYTES = re.compile("[\udc80-\udcff]")  # what is not UTF-8 travels as these (PEP 383)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file, its place in messages, which of the sources it belongs to, its size in bytes, and whether that source is a folder."""

    path: str
    name: str
    source: int
    size: int
    is_inside: bool = False


@dataclass(frozen=True, slots=True)
class RawText:
    """A document as it stands in its file."""

    name: str
    text: str
    columns: dict[str, str]


def find_files(sources: Sequence[str], *, leave_out: Path | None = None) -> tuple[list[SourceFile], list[Unread]]:
    """All files of the sources in the order given, folders by name; hidden files and files of other kinds are not read.

    Args:
        leave_out: a folder below a source that is no source, such as the run's own.
    Returns:
        The files, and those below a folder that are of a kind hone does not read.
    Raises:
        BadData: a source does not exist, holds nothing to read, or is named twice.
    """
    found: list[SourceFile] = []
    other: list[Unread] = []
    for index, source in enumerate(sources):
        path = Path(source).expanduser()
        if not path.exists():
            raise BadData(f"{source} does not exist. Give a file ({_KNOWN}) or a folder of them.")
        before = len(found)
        for file in [path] if path.is_file() else files_below(path, leave_out=leave_out):
            name = file.name if path.is_file() else f"{path.name}/{file.relative_to(path).as_posix()}"
            if file_kind(file) not in WHOLE_TEXTS | ROW_FILES:
                other.append(Unread(name, f"hone reads {_KNOWN}"))
                continue
            found.append(SourceFile(str(file.resolve()), name, index, file.stat().st_size, path.is_dir()))
        if len(found) == before:
            raise BadData(f"{source} holds nothing that can be read. hone reads {_KNOWN}.")
    seen: dict[str, str] = {}
    for each in found:
        if each.path in seen:
            raise BadData(f"{each.name} belongs to two of the sources: its texts would count as duplicates. Name it once.")
        seen[each.path] = each.name
    return found, other


def divide(files: Sequence[SourceFile], tasks: int) -> list[list[SourceFile]]:
    """Cut the list of files into `tasks` runs of about equal size; their order stays. A run may be empty."""
    total = sum(file.size for file in files) or 1
    parts: list[list[SourceFile]] = [[] for _ in range(tasks)]
    done = 0
    for file in files:
        # By the middle of the file, so that a large one does not push its whole weight into the next part.
        parts[min(tasks - 1, int(tasks * (done + file.size / 2) / total))].append(file)
        done += file.size
    return parts


def read_texts(file: SourceFile, *, text: str | None, keep: Sequence[str]) -> Iterator[RawText | Unread]:
    """The documents of a file; what cannot be read comes as `Unread`, and the rest goes on.

    Args:
        text: column of the text in tables. keep: columns that go along where they are there and filled.
    Raises:
        Usage: a table that was named itself has no such text column, or several columns of which none is `text`; below a
            folder it comes as `Unread`.
    """
    path = Path(file.path)
    if file_kind(path) in WHOLE_TEXTS:
        yield _plain(path, file.name)
        return
    try:
        reader = open_rows(file.path)
    except BadData as error:
        yield Unread(file.name, str(error))
        return
    if not reader.headers:
        yield Unread(file.name, "no row is an object with columns")
        return
    try:
        column = _text_column(reader.headers, text, file.name)
    except Usage as error:
        if not file.is_inside:
            raise
        yield Unread(file.name, str(error).removeprefix(f"{file.name}: "))
        return
    wanted = (column, *(name for name in keep if name in reader.headers and name != column))
    yield from _rows(reader, file.name, column, wanted)


def _rows(reader: Reader, name: str, column: str, wanted: tuple[str, ...]) -> Iterator[RawText | Unread]:
    narrow = Reader(wanted, reader.rows, reader.class_names, reader.file)
    try:
        for row in reader.rows(wanted):
            if isinstance(row, Broken):
                yield Unread(f"{name} line {row.line}", row.reason)
                continue
            line, cells = row
            try:
                values, _ = read_row(narrow, cells, (column,))
            except BadData as error:
                yield Unread(f"{name} line {line}", str(error))
                continue
            body = values[column]
            if not isinstance(body, str) or not body.strip():
                yield Unread(
                    f"{name} line {line}", "no text" if body is None or isinstance(body, str) else "the text is no string"
                )
                continue
            columns = {key: str(values[key]) for key in wanted[1:] if values[key] is not None and str(values[key]).strip()}
            yield RawText(f"{name}:{line}", body, columns)
    except BadData as error:  # the file ends in the middle: what stood before it is kept
        yield Unread(name, str(error))


def _plain(path: Path, name: str) -> RawText | Unread:
    try:
        opened = open_text(path)
        text = "".join(opened.chunks(1 << 20))
    except BadData as error:
        return Unread(name, str(error))
    if "\0" in text:
        return Unread(name, "it holds bytes that no text has")
    if _BYTES.search(text):
        return Unread(name, f"not UTF-8. {opened.cure}")
    return RawText(name, text.replace("\r\n", "\n").replace("\r", "\n"), {"source": name})


def _text_column(headers: Sequence[str], asked: str | None, name: str) -> str:
    if asked is not None:
        if asked not in headers:
            raise Usage(f"{name}: there is no column '{asked}'. {did_you_mean(asked, [each for each in headers if each])}")
        return asked
    if "text" in headers:
        return "text"
    if len(headers) == 1:
        return headers[0]
    raise Usage(f"{name}: no column is named 'text' (columns: {', '.join(headers)}). Say which holds the text with --text.")
