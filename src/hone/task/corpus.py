"""Texts to learn a language from: files and folders of any size, one text at a time, never all in memory.

A .txt, .md or .text file is one text; a row file (CSV, JSON lines, Parquet, Hub data set) holds a text per row; a folder holds any of these.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hone.core.errors import BadData
from hone.task.decode import bad_character, open_text
from hone.task.kinds import Plain
from hone.task.layout import Wish
from hone.task.makers import row_maker
from hone.task.material import recognised
from hone.task.reader import Broken
from hone.task.rejects import Unusable

__all__ = ["ROW_FILES", "WHOLE_TEXTS", "Source", "file_kind", "files_below", "find_sources", "read_texts"]

WHOLE_TEXTS = frozenset({".txt", ".text", ".md", ".markdown", ".rst", ""})
"""Endings of files that are one text each."""
ROW_FILES = frozenset({".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet"})
"""Endings of files with a text per row."""


@dataclass(frozen=True)
class Source:
    """One file, or a Hub data set."""

    name: str
    path: Path | None
    """None for a Hub data set."""


def find_sources(names: Sequence[str]) -> list[Source]:
    """The files that names stand for, in order; those of a folder and of its folders by name, hidden ones left out.

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
        inside = [file for file in files_below(path) if file_kind(file) in WHOLE_TEXTS | ROW_FILES]
        if not inside:
            known = ", ".join(sorted(filter(None, WHOLE_TEXTS | ROW_FILES)))
            raise BadData(f"{name} holds no file of texts. Known: {known}, each also with .gz.")
        found += [Source(str(file), file) for file in inside]
    return found


def read_texts(source: Source, *, text: Sequence[str] = ()) -> Iterator[str]:
    """The texts of a source, in its order; rows without a text are passed over.

    Args:
        text: columns, joined by a line break; the one that is named like a text where left out.
    Raises:
        BadData: it cannot be read, or no column holds texts.
    """
    if source.path is not None and file_kind(source.path) in WHOLE_TEXTS:
        whole = "".join(open_text(source.path).lines())
        if bad_character(whole, None) is None and whole.strip():
            yield whole
        return
    reader, _, layout, name = recognised(source.name, Wish("plain", None, None, tuple(text), None))
    make = row_maker(reader, layout, [])
    for row in reader.rows(layout.columns):
        if isinstance(row, Broken):
            continue
        line, cells = row
        try:
            made = make(cells, name, line)
        except Unusable:
            continue
        assert isinstance(made, Plain)
        yield made.text


def files_below(folder: Path, *, leave_out: Path | None = None) -> Iterator[Path]:
    """All files of a folder and of its folders, by name; hidden ones, and what lies in `leave_out`, are passed over."""
    left = leave_out.resolve() if leave_out is not None else None
    for here, inside, files in os.walk(folder):
        inside[:] = sorted(name for name in inside if not name.startswith(".") and (Path(here) / name).resolve() != left)
        for name in sorted(files):
            file = Path(here) / name
            if not name.startswith(".") and file.is_file():
                yield file


def file_kind(file: Path) -> str:
    """A file's ending in small letters; that before `.gz` where it is compressed; nothing where it has none."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if len(suffixes) > 1 and suffixes[-1] == ".gz":
        return suffixes[-2]
    return suffixes[-1] if suffixes else ""
