"""Texts to learn a language from: files and folders of any size, one text at a time, never all in memory.

A .txt, .md or .text file is one text; a row file (CSV, JSON lines, Parquet, Hub data set) holds a text per row; a folder holds any of these.
The one surprise: a file below a folder that cannot be read is told of and passed over; a table that is named itself is refused.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hone.core.claim import RUN_STAMP
from hone.core.console import note
from hone.core.errors import BadData
from hone.task.decode import bad_character, open_text
from hone.task.kinds import Plain
from hone.task.layout import Wish
from hone.task.makers import row_maker
from hone.task.material import recognised
from hone.task.reader import Broken
from hone.task.rejects import Unusable

__all__ = ["ROW_FILES", "WHOLE_TEXTS", "Source", "Unread", "file_kind", "files_below", "find_sources", "read_texts"]

WHOLE_TEXTS = frozenset({".txt", ".text", ".md", ".markdown", ".rst", ""})
"""Endings of files that are one text each."""
ROW_FILES = frozenset({".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet"})
"""Endings of files with a text per row."""


_KNOWN = ", ".join(sorted(filter(None, WHOLE_TEXTS | ROW_FILES))) + ", each also with .gz"


@dataclass(frozen=True)
class Source:
    """One file, or a Hub data set."""

    name: str
    path: Path | None
    """None for a Hub data set."""
    is_inside: bool = False
    """Whether it was found below a folder rather than named."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A file or row that cannot be read, and why."""

    name: str
    reason: str

    @property
    def told(self) -> str:
        """Both, for messages."""
        return f"{self.name}: {self.reason}"


Tell = Callable[[Unread], object]
"""Hears of each file and row that cannot be read."""


def find_sources(names: Sequence[str], *, unread: Tell | None = None) -> list[Source]:
    """The files that names stand for, in order; those of a folder and of its folders by name, hidden ones left out.

    Args:
        unread: hears of the files below a folder whose type is not known.
    Raises:
        BadData: nothing named, no such file, or a folder without a file of a known type.
    """
    if not names:
        raise BadData("No text is named. Give files, folders or Hub data sets.")
    found: list[Source] = []
    for name in names:
        path = Path(name).expanduser()
        if not path.is_dir():
            found.append(Source(name, path if path.exists() else None))
            continue
        before = len(found)
        for file in files_below(path):
            if file_kind(file) in WHOLE_TEXTS | ROW_FILES:
                found.append(Source(str(file), file, is_inside=True))
            elif unread is not None:
                unread(Unread(str(file), f"hone reads {_KNOWN}"))
        if len(found) == before:
            raise BadData(f"{name} holds no file of texts. Known: {_KNOWN}.")
    return found


def read_texts(source: Source, *, text: Sequence[str] = (), unread: Tell | None = None) -> Iterator[str]:
    """The texts of a source, in its order; what cannot be read is passed over, and the rest goes on.

    Args:
        text: columns, joined by a line break; the one that is named like a text where left out.
        unread: hears of what is passed over: rows without a usable text, files that are empty or no text, tables below a folder
            in which no column holds texts.
    Raises:
        BadData: a source that was named itself cannot be read, or no column of it holds texts.
    """
    tell = unread or (lambda _: None)
    if source.path is not None and file_kind(source.path) in WHOLE_TEXTS:
        found = _whole(source.path, source.name)
        if isinstance(found, Unread):
            tell(found)
        else:
            yield found
        return
    try:
        if source.path is not None and source.path.is_file() and file_kind(source.path) != ".parquet":
            open_text(source.path)
    except BadData as error:  # empty, or not what its name says
        tell(Unread(source.name, str(error)))
        return
    try:
        yield from _rows(source, text, tell)
    except BadData as error:
        if not source.is_inside:
            raise
        tell(Unread(source.name, str(error)))


def _whole(path: Path, name: str) -> str | Unread:
    try:
        opened = open_text(path)
        whole = "".join(opened.lines())
    except BadData as error:
        return Unread(name, str(error))
    if reason := bad_character(whole, opened):
        return Unread(name, reason)
    return whole if whole.strip() else Unread(name, "it is empty")


def _rows(source: Source, text: Sequence[str], tell: Tell) -> Iterator[str]:
    reader, _, layout, name = recognised(source.name, Wish("plain", None, None, tuple(text), None))
    make = row_maker(reader, layout, [])
    for row in reader.rows(layout.columns):
        if isinstance(row, Broken):
            tell(Unread(f"{source.name} line {row.line}", row.reason))
            continue
        line, cells = row
        try:
            made = make(cells, name, line)
        except Unusable as unusable:
            tell(Unread(f"{source.name} line {line}", unusable.reason))
            continue
        assert isinstance(made, Plain)
        yield made.text


def files_below(folder: Path, *, leave_out: Path | None = None) -> Iterator[Path]:
    """All files of a folder and of its folders, by name; hidden ones, and what lies in `leave_out`, are passed over.

    Of hone's own run folders inside nothing is read, and a note says so: what one run wrote is no source of the next.
    """
    left = leave_out.resolve() if leave_out is not None else None
    for here, inside, files in os.walk(folder):
        at = Path(here)
        inside[:] = sorted(name for name in inside if not name.startswith(".") and (at / name).resolve() != left)
        for name in [name for name in inside if (at / name / RUN_STAMP).is_file()]:
            note(f"{at / name} is a run folder of hone's and is not read. To read what it holds, name it.")
            inside.remove(name)
        for name in sorted(files):
            file = at / name
            if not name.startswith(".") and file.is_file():
                yield file


def file_kind(file: Path) -> str:
    """A file's ending in small letters; that before `.gz` where it is compressed; nothing where it has none."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if len(suffixes) > 1 and suffixes[-1] == ".gz":
        return suffixes[-2]
    return suffixes[-1] if suffixes else ""
