"""The rows that the benchmarks read: AG News, banking77 and DialogSum, from a folder of JSON Lines files that is not part of this repository.

The folder is `--data`, else HONE_BENCH_DATA, else `../shared/data` beside the repository where that exists.
"""

import csv
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hone.task import Completion, Example

__all__ = ["NoData", "TaskFiles", "ag_news", "banking77", "dialogsum", "find_data", "write_rows"]

_ROOT = Path(__file__).resolve().parent.parent


class NoData(Exception):
    """The rows are not there; the message says where they were looked for."""


class TaskFiles(NamedTuple):
    """Arguments of `hone compare` for one task; `validation` None lets hone hold rows of `train` back itself."""

    train: Path
    validation: Path | None
    test: Path


def find_data(asked: str | None, *, needs: Sequence[str]) -> Path:
    """The folder with the files that a benchmark needs, such as `ag_news/test.jsonl`.

    Raises:
        NoData: no such folder, or the files are not in it.
    """
    named = asked or os.environ.get("HONE_BENCH_DATA")
    folder = Path(named) if named else _ROOT.parent / "shared" / "data"
    missing = [name for name in needs if not (folder / name).is_file()]
    if missing:
        because = "--data" if asked else "HONE_BENCH_DATA" if named else "no --data and no HONE_BENCH_DATA was given"
        raise NoData(
            f"{folder} ({because}) lacks {', '.join(missing)}. Put the data sets there as JSON Lines "
            "(AG News: title, description, class_name; banking77: text, category; DialogSum: dialogue, summary), "
            "or name their folder with --data."
        )
    return folder


def _read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def ag_news(folder: Path) -> list[Example]:
    """Its 7,600 rows in one fixed random order: title, line break and description; topic by name."""
    rows = _read(folder / "ag_news" / "test.jsonl")
    random.Random(0).shuffle(rows)
    return [
        Example(f"{row['title']}\n{row['description']}", row["class_name"], "ag_news", line)
        for line, row in enumerate(rows, start=1)
    ]


def banking77(folder: Path, part: str) -> list[Example]:
    """The official `train` or `test` rows in their order: query and intent."""
    rows = _read(folder / "banking77" / f"{part}.jsonl")
    return [Example(row["text"], row["category"], f"banking77-{part}", line) for line, row in enumerate(rows, start=1)]


def dialogsum(folder: Path) -> list[Completion]:
    """Its 500 `dev` and 500 `test` rows in one fixed random order: the dialogue is the prompt, the summary the completion."""
    found = [
        Completion(row["dialogue"], row["summary"] if "summary" in row else row["summary1"], f"dialogsum-{part}", line)
        for part in ("dev", "test")
        for line, row in enumerate(_read(folder / "dialogsum" / f"{part}.jsonl"), start=1)
    ]
    random.Random(0).shuffle(found)
    return found


def write_rows(path: Path, examples: list[Example]) -> Path:
    """A CSV file with columns text and label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([example.text, example.label] for example in examples)
    return path
