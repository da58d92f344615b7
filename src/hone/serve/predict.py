"""Answer with a bundle: a text or a whole file, in the file's own format."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import StringIO
from pathlib import Path

from hone.compare.bundle import Answer, Bundle
from hone.core.console import progress
from hone.core.errors import BadData, did_you_mean
from hone.core.store import refuse_place, write_atomic
from hone.task import Broken, Reader, open_rows, read_dialogue, read_row

__all__ = ["predict_file"]

BATCH = 512
ADDED = ("predicted", "confidence")
_Read = Callable[[Reader, Sequence[object], Sequence[str]], tuple[dict[str, object], str]]


def predict_file(bundle: Bundle, source: Path, target: Path, *, text: Sequence[str] = ()) -> int:
    """Answer every row of a file and write the rows with the columns `predicted` and `confidence` beside them.

    Args:
        source: CSV, TSV, JSON, JSONL or Parquet. target: `.csv` or `.jsonl`. text: columns; none means those of the training rows.
    Returns:
        The number of rows answered. Rows with an empty text are kept, with an empty answer.
    Raises:
        BadData: the text columns are missing, a column of ours is there already, a row cannot be read, or the target's
            ending is not known. Usage: the target is a folder. Nothing is written then.
    """
    if target.suffix not in (".csv", ".jsonl"):
        raise BadData(f"{target}: the answer is written as .csv or .jsonl. Name such a file with --out.")
    refuse_place(target)
    wanted = tuple(text) or bundle.provenance.columns.text
    reader = open_rows(str(source))
    missing = [name for name in wanted if name not in reader.headers]
    if missing:
        raise BadData(
            f"{source} has no column '{missing[0]}'. {did_you_mean(missing[0], reader.headers)} Name the column with --text."
        )
    for name in ADDED:
        if name in reader.headers:
            raise BadData(f"{source} already has a column '{name}', where the answer goes. Rename or remove it, and run again.")
    between = "\n" if bundle.provenance.kind == "text-classification" else "\n\n"  # as training joined them
    # Of written answers dialogues alone have no column for them; they are asked as they were compared.
    is_dialogue = bundle.provenance.kind == "text-generation" and not bundle.provenance.columns.label
    read = read_dialogue if is_dialogue else partial(read_row, between=between)
    rows, texts = _read(reader, source, wanted, read)
    answers: list[Answer | None] = []
    with progress("Answering", len(texts)) as bar:
        for at in range(0, len(texts), BATCH):
            part = [one for one in texts[at : at + BATCH] if one]
            given = iter(bundle.predict(part))
            answers += [next(given) if one else None for one in texts[at : at + BATCH]]
            bar.advance(len(texts[at : at + BATCH]))
    write_atomic(target, "".join(_lines(reader.headers, rows, answers, is_csv=target.suffix == ".csv")))
    return len(rows)


def _read(reader: Reader, source: Path, wanted: Sequence[str], read: _Read) -> tuple[list[dict[str, object]], list[str]]:
    """All rows by column, and their texts; every row that cannot be read is told at once."""
    rows, texts, broken = [], [], []
    for found in reader.rows(reader.headers):
        if isinstance(found, Broken):
            broken.append(f"{source} line {found.line}: {found.reason}")
            continue
        try:
            row, text = read(reader, found[1], wanted)
        except BadData as error:
            broken.append(f"{source} line {found[0]}: {error}")
            continue
        rows.append(row)
        texts.append(text)
    if broken:
        raise BadData(
            "\n".join(broken[:20]) + f"\n{len(broken)} rows cannot be read. Nothing was written. Mend them and run again."
        )
    return rows, texts


def _sure(answer: Answer | None) -> float | str:
    """A written text has no confidence."""
    return round(answer.confidence, 4) if answer and answer.confidence is not None else ""


def _lines(
    headers: Sequence[str], rows: Sequence[dict[str, object]], answers: Sequence[Answer | None], *, is_csv: bool
) -> Iterator[str]:
    names = [*headers, *ADDED]
    if is_csv:
        buffer = StringIO()
        writer = csv.DictWriter(buffer, names, lineterminator="\n")
        writer.writeheader()
        yield buffer.getvalue()
    for row, answer in zip(rows, answers, strict=True):
        full = {**row, "predicted": answer.label if answer else "", "confidence": _sure(answer)}
        if not is_csv:
            yield json.dumps(full, ensure_ascii=False, default=str) + "\n"
            continue
        buffer = StringIO()
        csv.DictWriter(buffer, names, lineterminator="\n").writerow(full)
        yield buffer.getvalue()
