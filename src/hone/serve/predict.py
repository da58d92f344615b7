"""Answer a whole file, in its own format."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from hone.compare.bundle import Bundle
from hone.core.console import progress
from hone.core.errors import BadData, did_you_mean
from hone.core.store import refuse_place, write_atomic
from hone.serve.answering import Answering, Said, answering_of
from hone.task import Broken, Reader, open_rows
from hone.tune import TunedRun

__all__ = ["predict_file"]

BATCH = 512
ADDED = ("predicted", "confidence")


def predict_file(ready: Bundle | TunedRun, source: Path, target: Path, *, text: Sequence[str] = ()) -> int:
    """Answer every row of a file and write the rows with the columns `predicted` and `confidence` beside them.

    A CSV keeps the semicolons or bars between its cells, and the mark before its first line by which Excel knows UTF-8.

    Args:
        source: CSV, TSV, JSON, JSONL or Parquet. target: `.csv` or `.jsonl`. text: columns; none means those of the training rows.
    Returns:
        The number of rows answered. Rows with an empty text are kept, with an empty answer.
    Raises:
        BadData: the text columns are missing or not known, a column of ours is there already, a row cannot be read, or the target's
            ending is not known. Usage: the target is a folder. Nothing is written then.
    """
    if target.suffix not in (".csv", ".jsonl"):
        raise BadData(f"{target}: the answer is written as .csv or .jsonl. Name such a file with --out.")
    refuse_place(target)
    answering = answering_of(ready)
    wanted = tuple(text) or answering.columns
    if not wanted:
        raise BadData("The run does not say which columns it read. Name them in the order of training: --text COLUMN[,COLUMN].")
    if answering.width not in (None, len(wanted)):
        usual = f": {', '.join(answering.columns)}" if answering.columns else ""
        raise BadData(
            f"--text names {', '.join(wanted)}, where the run reads {answering.width}{usual}. Name as many, in that order."
        )
    reader = open_rows(str(source))
    missing = [name for name in wanted if name not in reader.headers]
    if missing:
        raise BadData(
            f"{source} has no column '{missing[0]}'. {did_you_mean(missing[0], reader.headers)} Name the column with --text."
        )
    for name in ADDED:
        if name in reader.headers:
            raise BadData(f"{source} already has a column '{name}', where the answer goes. Rename or remove it, and run again.")
    rows, asked = _read(reader, source, wanted, answering)
    answers: list[Said | None] = []
    with progress("Answering", len(asked)) as bar:
        for at in range(0, len(asked), BATCH):
            part = [one for one in asked[at : at + BATCH] if one]
            given = iter(answering.answer(part))
            answers += [next(given) if one else None for one in asked[at : at + BATCH]]
            bar.advance(len(asked[at : at + BATCH]))
    is_csv = target.suffix == ".csv"
    mark = "\ufeff" if is_csv and reader.file is not None and reader.file.encoding == "utf-8-sig" else ""
    delimiter = reader.delimiter if reader.delimiter != "\t" else ","
    lines = _table(reader.headers, rows, answers, delimiter=delimiter) if is_csv else _json_lines(rows, answers)
    write_atomic(target, mark + "".join(lines))
    return len(rows)


def _read(reader: Reader, source: Path, wanted: Sequence[str], answering: Answering) -> tuple[list[dict[str, object]], list[Any]]:
    """All rows by column, and what is asked; every row that cannot be read is told at once."""
    rows, asked, broken = [], [], []
    for found in reader.rows(reader.headers):
        if isinstance(found, Broken):
            broken.append(f"{source} line {found.line}: {found.reason}")
            continue
        try:
            row, one = answering.read(reader, found[1], wanted, found[0])
        except BadData as error:
            broken.append(f"{source} line {found[0]}: {error}")
            continue
        rows.append(row)
        asked.append(one)
    if broken:
        raise BadData(
            "\n".join(broken[:20]) + f"\n{len(broken)} rows cannot be read. Nothing was written. Mend them and run again."
        )
    return rows, asked


def _sure(answer: Said | None) -> float | str:
    """A class alone has a confidence."""
    return round(answer.confidence, 4) if answer and answer.confidence is not None else ""


def _table(
    headers: Sequence[str], rows: Sequence[dict[str, object]], answers: Sequence[Said | None], *, delimiter: str
) -> Iterator[str]:
    """The lines of a CSV; several labels or tags are a list, which a cell holds as JSON."""
    buffer = StringIO()
    writer = csv.DictWriter(buffer, [*headers, *ADDED], delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    for row, answer in zip(rows, answers, strict=True):
        said = answer.predicted if answer else ""
        cell = json.dumps(said, ensure_ascii=False) if isinstance(said, tuple) else said
        writer.writerow({**row, "predicted": cell, "confidence": _sure(answer)})
    yield buffer.getvalue()


def _json_lines(rows: Sequence[dict[str, object]], answers: Sequence[Said | None]) -> Iterator[str]:
    for row, answer in zip(rows, answers, strict=True):
        full = {**row, "predicted": answer.predicted if answer else "", "confidence": _sure(answer)}
        yield json.dumps(full, ensure_ascii=False, default=str) + "\n"
