"""Answer with a bundle: a text or a whole file, in the file's own format."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

from hone.compare.bundle import Answer, Bundle
from hone.core.console import progress
from hone.core.errors import BadData, did_you_mean
from hone.core.store import write_atomic
from hone.task import Broken, open_rows

__all__ = ["predict_file"]

BATCH = 512


def predict_file(bundle: Bundle, source: Path, target: Path, *, text: Sequence[str] = ()) -> int:
    """Answer every row of a file and write the rows with the columns `predicted` and `confidence` beside them.

    Args:
        source: CSV, TSV, JSON, JSONL or Parquet. target: `.csv` or `.jsonl`. text: columns; none means those of the training rows.
    Returns:
        The number of rows answered. Rows with an empty text are kept, with an empty answer.
    Raises:
        BadData: the text columns are missing, or the target's ending is not known.
    """
    if target.suffix not in (".csv", ".jsonl"):
        raise BadData(f"{target}: the answer is written as .csv or .jsonl. Name such a file with --out.")
    wanted = tuple(text) or bundle.provenance.columns.text
    reader = open_rows(str(source))
    missing = [name for name in wanted if name not in reader.headers]
    if missing:
        raise BadData(
            f"{source} has no column '{missing[0]}'. {did_you_mean(missing[0], reader.headers)} Name the column with --text."
        )
    found = list(reader.rows(reader.headers))
    broken = [f"{source} line {row.line}: {row.reason}" for row in found if isinstance(row, Broken)]
    if broken:
        raise BadData(
            "\n".join(broken[:20]) + f"\n{len(broken)} rows cannot be read. Nothing was written. Mend them and run again."
        )
    rows = [dict(zip(reader.headers, row[1], strict=True)) for row in found if not isinstance(row, Broken)]
    texts = ["\n".join(str(row[name]) for name in wanted if str(row[name] or "").strip()) for row in rows]
    answers: list[Answer | None] = []
    with progress("Answering", len(texts)) as bar:
        for at in range(0, len(texts), BATCH):
            part = [one for one in texts[at : at + BATCH] if one]
            given = iter(bundle.predict(part))
            answers += [next(given) if one else None for one in texts[at : at + BATCH]]
            bar.advance(len(texts[at : at + BATCH]))
    write_atomic(target, "".join(_lines(reader.headers, rows, answers, is_csv=target.suffix == ".csv")))
    return len(rows)


def _lines(
    headers: Sequence[str], rows: Sequence[dict[str, object]], answers: Sequence[Answer | None], *, is_csv: bool
) -> Iterator[str]:
    names = [*headers, "predicted", "confidence"]
    if is_csv:
        buffer = StringIO()
        writer = csv.DictWriter(buffer, names, lineterminator="\n")
        writer.writeheader()
        yield buffer.getvalue()
    for row, answer in zip(rows, answers, strict=True):
        full = {**row, "predicted": answer.label if answer else "", "confidence": round(answer.confidence, 4) if answer else ""}
        if not is_csv:
            yield json.dumps(full, ensure_ascii=False, default=str) + "\n"
            continue
        buffer = StringIO()
        csv.DictWriter(buffer, names, lineterminator="\n").writerow(full)
        yield buffer.getvalue()
