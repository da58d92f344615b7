"""Read a user's rows: CSV, TSV, JSON, JSON lines, Parquet, any text one gzipped, or a Hub data set.

Stage 1 begins here. Rows that cannot be used are set aside with line and reason, all of them; the reading stops
only when little is left. The one surprise: a file is opened two or three times, first for a sample from which the
columns are chosen, then for the chosen columns alone, so that memory holds the kept examples and nothing else.
"""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from hone.core.console import warn
from hone.core.errors import BadData
from hone.task.cells import keep_rows
from hone.task.decode import TextFile, open_text
from hone.task.delimited import read_delimited
from hone.task.hub import looks_like_hub_id, read_hub
from hone.task.infer import infer_columns
from hone.task.json_rows import read_json
from hone.task.labels import check_label_column, tidy_labels
from hone.task.parquet import read_parquet
from hone.task.reader import Reader
from hone.task.records import Columns, Table
from hone.task.rejects import check_any_row, check_enough_kept
from hone.task.sample import sample_rows

__all__ = ["check_source", "load_table", "open_rows"]

_KNOWN = ".csv, .tsv, .txt, .json, .jsonl, .ndjson (each also with .gz), .parquet"
_DELIMITED = frozenset({".csv", ".tsv", ".tab", ".txt"})
_OPTIONS = "--text and --label"
_JSON = frozenset({".json", ".jsonl", ".ndjson"})


def load_table(
    source: str, *, text: Sequence[str] = (), label: str | None = None, group: str | None = None, is_held_out: bool = False
) -> Table:
    """Read one file or Hub data set into examples.

    Args:
        source: a path, or org/name, org/name/config, org/name:split. text, label, group: column names; chosen by
            `infer_columns` where left out. Several text columns are joined by a line break.
        is_held_out: whether its labels are held against those of training rows later: a few rows of many classes are fine then.
    Returns:
        The usable examples in file order, and every row set aside. Memory grows with the kept examples only.
    Raises:
        BadData: nothing to read there, no such column, over half of the rows unusable, or labels that are no classes.
    """
    reader, file, name = _open(source)
    _check_unique(name, reader.headers)
    _check_several(name, reader.headers)
    try:
        columns = _columns(reader, name, text=tuple(text), label=label, group=group)
    except BadData as error:
        raise (error if str(error).startswith(name) else BadData(f"{name}: {error}")) from None
    examples, rejected = keep_rows(reader, columns, name=name, file=file)
    check_enough_kept(name, kept=len(examples), rejected=rejected, options=_OPTIONS)
    examples = tidy_labels(examples)
    if not is_held_out:
        check_label_column(examples, name=name, column=columns.label)
    return Table(source=source, columns=columns, examples=examples, rejected=rejected)


def open_rows(source: str) -> Reader:
    """The columns and rows of a source as they stand there, before any choice of columns; a single column is enough.

    Raises:
        BadData: nothing to read there, or a column name stands there twice.
    """
    reader, file, name = _open(source)
    _check_unique(name, reader.headers)
    return replace(reader, file=file)


def check_source(source: str) -> None:
    """Refuse what cannot be rows, without reading it: no such file, a folder, an unknown file type. A Hub data set is not asked for.

    Raises:
        BadData: as said.
    """
    _file_of(source)


def _open(source: str) -> tuple[Reader, TextFile | None, str]:
    """The reader for a source, the text file under it where there is one, and its short name for messages."""
    found = _file_of(source)
    if found is None:
        return read_hub(source), None, source
    path, kind = found
    if kind == ".parquet":
        return read_parquet(path), None, path.name
    file = open_text(path)
    if (western := file.as_western()) is not None:
        file = western
        _tell_western(path)
    if kind in _JSON:
        return read_json(file, is_lines=kind != ".json"), file, path.name
    return read_delimited(file, delimiter="\t" if kind in (".tsv", ".tab") else None), file, path.name


@lru_cache
def _tell_western(path: Path) -> None:
    """Once for each file, however often it is opened."""
    warn(f"{path.name} is not UTF-8: read as Windows-1252. If letters look wrong, save it as UTF-8.")


def _file_of(source: str) -> tuple[Path, str] | None:
    """The file and its type, the suffix before .gz; None for a Hub data set."""
    path = Path(source).expanduser()
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else suffixes[-1] if suffixes else ""
    if path.is_dir():
        inside = sorted(
            child.name for child in path.iterdir() if child.suffix.lower() in _DELIMITED | _JSON | {".parquet", ".gz"}
        )
        seen = f"It holds {', '.join(inside[:5])}" if inside else "It holds no data file"
        raise BadData(f"{source or path} is a folder, not a data file. {seen}. Name one file.")
    if not path.exists():
        if kind not in _DELIMITED | _JSON | {".parquet", ".gz"} and looks_like_hub_id(source):
            return None
        raise _no_file(source, path)
    if not path.is_file():
        raise BadData(
            f"{source} is no ordinary file (a pipe or device). hone reads its data more than once. Save it as a file first."
        )
    is_plain_parquet = kind == ".parquet" and suffixes[-1] == ".parquet"
    if kind not in _DELIMITED | _JSON and not is_plain_parquet:
        cure = (
            "Save the sheet as CSV (UTF-8)."
            if kind in (".xlsx", ".xls", ".ods")
            else "Write the rows in one of these, or rename the file."
        )
        raise BadData(
            f"{path.name}: hone does not know the file type '{kind or 'without an extension'}'. Known: {_KNOWN}. {cure}"
        )
    return path, kind


def _no_file(source: str, path: Path) -> BadData:
    folder = path.parent
    if not folder.is_dir():
        return BadData(f"{source} does not exist, nor does its folder {folder}. Check the path.")
    near = difflib.get_close_matches(path.name, [child.name for child in folder.iterdir()], n=1)
    question = f"Did you mean '{folder / near[0]}'? " if near else ""
    return BadData(f"{source} does not exist. {question}Give a file ({_KNOWN}) or a Hugging Face Hub id such as org/name.")


def _check_unique(name: str, headers: tuple[str, ...]) -> None:
    twice = [header for header, count in Counter(headers).items() if header and count > 1]
    if twice:
        raise BadData(
            f"{name}: the column name '{twice[0]}' stands {headers.count(twice[0])} times in the header. Rename all but one."
        )


def _check_several(name: str, headers: tuple[str, ...]) -> None:
    if len(headers) == 1:
        raise BadData(
            f"{name} has one column only, '{headers[0][:60]}'. A text and a label are needed, each in a column of its own. "
            "Check the delimiter (comma, semicolon, tab or bar) and that the first line holds the column names."
        )


def _columns(reader: Reader, name: str, *, text: tuple[str, ...], label: str | None, group: str | None) -> Columns:
    is_open = not text or label is None or not reader.headers
    sample = sample_rows(reader) if is_open else []
    if is_open and not sample:
        check_any_row(reader, name=name, options=_OPTIONS)
    return infer_columns(reader.headers, sample, text=text, label=label, group=group)
