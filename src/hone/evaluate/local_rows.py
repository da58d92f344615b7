"""Rows of a benchmark's files, whatever kind of file holds them, and what has to be true of one before it is asked."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hone.core.errors import BadData
from hone.task import Broken, open_rows

__all__ = ["KINDS", "Row", "benchmark_files", "checked", "place_of", "read_rows"]

KINDS = (".jsonl", ".json", ".parquet")
"""Endings of files of rows; of the same rows in several kinds the first counts."""
Row = dict[str, Any]


def benchmark_files(folder: Path, pattern: str) -> list[Path]:
    """Files whose names without their ending fit a pattern, one for each such name."""
    found: dict[str, Path] = {}
    for kind in KINDS:
        for path in sorted(folder.glob(f"{pattern}{kind}")):
            found.setdefault(path.stem, path)
    return list(found.values())


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Rows with their lines; what is null in one counts as left out.

    Raises:
        BadData: the file cannot be read, or a row of it is no object.
    """
    reader = open_rows(str(path))
    for found in reader.rows(reader.headers):
        if isinstance(found, Broken):
            raise BadData(f"{path}, line {found.line}: {found.reason}.")
        line, cells = found
        yield line, {name: cell for name, cell in zip(reader.headers, cells, strict=True) if cell is not None}


def place_of(answer: object, names: Sequence[str]) -> int:
    """Which of the names is the right answer.

    Raises:
        ValueError: none of them.
    """
    known, said = list(names), str(answer).strip()
    if said not in known:
        raise ValueError(f"the answer is {answer!r}, not one of {', '.join(known)}")
    return known.index(said)


def checked(row: Row, form: str) -> Row:
    """A converted row whose choices are texts, and whose right answer is one of them.

    Raises:
        ValueError: they are not. A right answer out of place would count as wrong, whatever a model answers.
    """
    if form == "blank":
        return row
    if not isinstance(row["query"], str):
        raise ValueError(f"the question is {row['query']!r}, and a text is needed")
    if form != "choices":
        return row
    listed, gold = row["choices"], row["gold"]
    if not isinstance(listed, list | tuple) or len(listed) < 2:
        raise ValueError(f"the choices are {listed!r}, and a list of at least two is needed")
    choices = [one if isinstance(one, str) else str(one) if isinstance(one, int | float) else "" for one in listed]
    empty = next((at for at, one in enumerate(choices) if not one.strip()), None)
    if empty is not None:
        raise ValueError(f"choice {empty} is {listed[empty]!r}, and a text is needed")
    gold = int(gold) if isinstance(gold, float) and gold.is_integer() else gold  # of a column with gaps
    if str(gold) not in map(str, range(len(choices))):
        raise ValueError(f"the right choice is {gold!r}, and a number from 0 to {len(choices) - 1} is needed")
    return {**row, "choices": choices, "gold": int(gold)}
