"""Answer a whole file, in its own format.

The file is read twice: once to see that every row can be read, and then in parts that are answered, written and forgotten, so that memory
holds few rows of however large a file.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from hone.compare.bundle import Bundle
from hone.core.console import Bar, note, progress
from hone.core.errors import BadData, Usage, did_you_mean
from hone.core.store import digest_file, digest_text, open_atomic, refuse_place
from hone.serve.answering import Answering, Said, answering_of
from hone.serve.kept import KeptAnswers
from hone.serve.lines import Write, csv_writer, json_lines
from hone.task import Broken, Reader, offered_columns, open_rows
from hone.tune import TunedRun

__all__ = ["predict_file"]

BATCH = 512  # rows at a time, at most
_FIRST = 32
_QUICK, _SLOW = 2.0, 10.0  # seconds for a part, below which parts grow, and above which they shrink: no more than that is lost
_TOLD = 20  # rows that cannot be read


@dataclass(frozen=True)
class _Job:
    """What is read of which rows, and what answers them."""

    answering: Answering
    reader: Reader
    source: Path
    text: tuple[str, ...]
    among: tuple[str, ...]
    """The columns of the choices, where rows bring some."""
    added: tuple[str, ...]
    """The columns that answers take."""

    def rows(self) -> Iterator[tuple[dict[str, object], Any] | str]:
        """Each row by column with what is asked, or why it cannot be read."""
        for found in self.reader.rows(self.reader.headers):
            if isinstance(found, Broken):
                yield f"{self.source} line {found.line}: {found.reason}"
                continue
            line, cells = found
            try:
                yield self.answering.read(self.reader, cells, self.text, self.among, line)
            except BadData as error:
                yield f"{self.source} line {line}: {error}"


def predict_file(
    ready: Bundle | TunedRun, source: Path, target: Path, *, text: Sequence[str] = (), choices: Sequence[str] = ()
) -> int:
    """Answer every row of a file and write the rows with the columns `predicted` and `confidence` beside them.

    Of multiple choice `predicted` is the letter, and `predicted_text` the text of the choice. A CSV keeps the semicolons or bars between
    its cells, and the mark before its first line by which Excel knows UTF-8. Stopped on the way, the same call goes on from there.

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
    job = _job(ready, source, tuple(text), tuple(choices))
    count = _check_rows(job)
    made_by = (ready.folder / "hone.json").read_text(encoding="utf-8") if (ready.folder / "hone.json").is_file() else ""
    kept = KeptAnswers(target, key=digest_text(digest_file(source), made_by, *job.text, "among", *job.among))
    if kept.answers:
        note(f"{len(kept.answers):,} of {count:,} rows were answered before this was stopped, and are kept.")
    write, head = _writer(job, target)
    with open_atomic(target) as file, progress("Answering", count) as bar:
        file.write(head.encode("utf-8"))
        _answer_rows(job, kept, file, write, bar)
    kept.drop()
    return count


def _job(ready: Bundle | TunedRun, source: Path, text: tuple[str, ...], choices: tuple[str, ...]) -> _Job:
    """The columns, checked, and the model, loaded: what is missing there is told before the rows are read."""
    answering = answering_of(ready)
    wanted = text or answering.columns
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
    added = ("predicted", "predicted_text", "confidence") if answering.chooses else ("predicted", "confidence")
    for name in added:
        if name in reader.headers:
            raise BadData(f"{source} already has a column '{name}', where the answer goes. Rename or remove it, and run again.")
    ready.load()
    return _Job(answering, reader, source, wanted, choices or _offered(reader, source, wanted, answering), added)


def _offered(reader: Reader, source: Path, wanted: Sequence[str], answering: Answering) -> tuple[str, ...]:
    """The columns of the choices, where rows bring some."""
    if not answering.chooses:
        return ()
    try:
        return offered_columns(reader, wanted, trained=answering.choice_columns)
    except BadData as error:
        raise BadData(f"{source}: {error}") from None


def _check_rows(job: _Job) -> int:
    """How many rows there are; every row that cannot be read is told at once."""
    count, broken = 0, list[str]()
    for row in job.rows():
        if isinstance(row, str):
            broken.append(row)
        else:
            count += 1
    if broken:
        raise BadData(
            "\n".join(broken[:_TOLD]) + f"\n{len(broken)} rows cannot be read. Nothing was written. Mend them and run again."
        )
    return count


def _writer(job: _Job, target: Path) -> tuple[Write, str]:
    """What turns rows into lines, and what stands before the first of them."""
    if target.suffix == ".jsonl":
        return json_lines, ""
    delimiter = job.reader.delimiter if job.reader.delimiter != "\t" else ","
    columns = (*job.reader.headers, *job.added)
    write = csv_writer(columns, delimiter)
    mark = "\ufeff" if job.reader.file is not None and job.reader.file.encoding == "utf-8-sig" else ""
    return write, mark + write([dict(zip(columns, columns, strict=True))])


def _answer_rows(job: _Job, kept: KeptAnswers, file: BinaryIO, write: Write, bar: Bar) -> None:
    """Rows in parts, as large as are answered in some seconds; those that were answered before are written alone."""
    rows, size, at = job.rows(), min(_FIRST, BATCH), 0
    while part := [row for row in islice(rows, size) if not isinstance(row, str)]:
        started = time.perf_counter()
        missing = part[max(0, len(kept.answers) - at) :]
        if missing:
            given = iter(job.answering.answer([asked for _, asked in missing if asked]))
            kept.add([next(given) if asked else None for _, asked in missing])
        told = kept.answers[at : at + len(part)]
        lines = write([{**row, **_told(answer, job.added)} for (row, _), answer in zip(part, told, strict=True)])
        file.write(lines.encode("utf-8", errors="backslashreplace"))  # half a character, inside a list, stands in JSON so
        at += len(part)
        bar.advance(len(part))
        took = time.perf_counter() - started
        size = min(2 * size, BATCH) if took < _QUICK else max(1, size // 2) if took > _SLOW else size


def _told(answer: Said | None, added: Sequence[str]) -> dict[str, object]:
    """What stands in our columns; a class or choice alone has a confidence."""
    if answer is None:
        return dict.fromkeys(added, "")
    sure = "" if answer.confidence is None else round(answer.confidence, 4)
    told = {"predicted": answer.predicted, "predicted_text": answer.text, "confidence": sure}
    return {name: told[name] for name in added}
