"""Answer a whole file, in its own format."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from hone.compare.bundle import Bundle
from hone.core.console import progress
from hone.core.errors import BadData, Usage, did_you_mean
from hone.core.store import refuse_place, write_atomic
from hone.serve.answering import Answering, Said, answering_of
from hone.task import Broken, Reader, offered_columns, open_rows
from hone.tune import TunedRun

__all__ = ["predict_file"]

BATCH = 512


def predict_file(
    ready: Bundle | TunedRun, source: Path, target: Path, *, text: Sequence[str] = (), choices: Sequence[str] = ()
) -> int:
    """Answer every row of a file and write the rows with the columns `predicted` and `confidence` beside them.

    Of multiple choice `predicted` is the letter, and `predicted_text` the text of the choice. A CSV keeps the semicolons or bars between
    its cells, and the mark before its first line by which Excel knows UTF-8.

    Args:
        source: CSV, TSV, JSON, JSONL or Parquet. target: `.csv` or `.jsonl`. text: columns; none means those of the training rows.
        choices: columns of the choices, for multiple choice alone; none means those of the training rows, or what the file has like them.
    Returns:
        The number of rows answered. Rows with an empty text are kept, with an empty answer.
    Raises:
        BadData: the text columns are missing or not known, a column of ours is there already, a row cannot be read, or the target's
            ending is not known. Usage: the target is a folder, or columns of choices are named where there are none. Nothing is written then.
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
    if choices and not answering.chooses:
        raise Usage(f"--choice names columns of choices, and {ready.folder} answers without any. Leave it out.")
    reader = open_rows(str(source))
    for name, option in (*((name, "--text") for name in wanted), *((name, "--choice") for name in choices)):
        if name not in reader.headers:
            raise BadData(f"{source} has no column '{name}'. {did_you_mean(name, reader.headers)} Name the column with {option}.")
    added = _added(answering)
    for name in added:
        if name in reader.headers:
            raise BadData(f"{source} already has a column '{name}', where the answer goes. Rename or remove it, and run again.")
    ready.load()  # before the rows are read: what is missing there is told at once
    among = tuple(choices) or _offered(reader, source, wanted, answering)
    rows, asked = _read(reader, source, wanted, among, answering)
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
    told = [_told(answer, added) for answer in answers]
    lines = _table((*reader.headers, *added), rows, told, delimiter=delimiter) if is_csv else _json_lines(rows, told)
    write_atomic(target, mark + "".join(lines))
    return len(rows)


def _added(answering: Answering) -> tuple[str, ...]:
    """The columns that answers take."""
    return ("predicted", "predicted_text", "confidence") if answering.chooses else ("predicted", "confidence")


def _offered(reader: Reader, source: Path, wanted: Sequence[str], answering: Answering) -> tuple[str, ...]:
    """The columns of the choices, where rows bring some."""
    if not answering.chooses:
        return ()
    try:
        return offered_columns(reader, wanted, trained=answering.choice_columns)
    except BadData as error:
        raise BadData(f"{source}: {error}") from None


def _read(
    reader: Reader, source: Path, wanted: Sequence[str], among: Sequence[str], answering: Answering
) -> tuple[list[dict[str, object]], list[Any]]:
    """All rows by column, and what is asked; every row that cannot be read is told at once."""
    rows, asked, broken = [], [], []
    for found in reader.rows(reader.headers):
        if isinstance(found, Broken):
            broken.append(f"{source} line {found.line}: {found.reason}")
            continue
        try:
            row, one = answering.read(reader, found[1], wanted, among, found[0])
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


def _told(answer: Said | None, added: Sequence[str]) -> dict[str, object]:
    """What stands in our columns; a class or choice alone has a confidence."""
    if answer is None:
        return dict.fromkeys(added, "")
    sure = "" if answer.confidence is None else round(answer.confidence, 4)
    told = {"predicted": answer.predicted, "predicted_text": answer.text, "confidence": sure}
    return {name: told[name] for name in added}


def _table(
    columns: Sequence[str], rows: Sequence[dict[str, object]], told: Sequence[dict[str, object]], *, delimiter: str
) -> Iterator[str]:
    """The lines of a CSV; several labels or tags are a list, which a cell holds as JSON."""
    buffer = StringIO()
    writer = csv.DictWriter(buffer, columns, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    for row, answer in zip(rows, told, strict=True):
        said = answer["predicted"]
        cell = json.dumps(said, ensure_ascii=False) if isinstance(said, tuple) else said
        writer.writerow({**row, **answer, "predicted": cell})
    yield buffer.getvalue()


def _json_lines(rows: Sequence[dict[str, object]], told: Sequence[dict[str, object]]) -> Iterator[str]:
    for row, answer in zip(rows, told, strict=True):
        yield json.dumps({**row, **answer}, ensure_ascii=False, default=str) + "\n"
