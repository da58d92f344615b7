"""The door to LanceDB: tables of passages in a folder, found by vector or by words.

Serves `index`, which says which table counts. The one surprise: a passage's number is its place in the table, so that a search
carries numbers alone and the texts are fetched for what is shown. Tables are written once and never changed afterwards.
"""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hone.core.claim import only_process
from hone.core.errors import BadData, need
from hone.core.store import disk_errors
from hone.model import Vectors

__all__ = ["LANGUAGES", "Hit", "PassageRow", "PassageTable", "Store", "need_database", "only_one"]

LANGUAGES = (
    *("Arabic", "Danish", "Dutch", "English", "Finnish", "French", "German", "Greek", "Hungarian", "Italian", "Norwegian"),
    *("Portuguese", "Romanian", "Russian", "Spanish", "Swedish", "Tamil", "Turkish"),
)
"""Whose words can be reduced to their stems, and whose most frequent words are left out of word search."""

_ENDING = ".lance"
_CANDIDATES = 4  # of the approximate index, times what is asked for, are scored again with the whole vectors


class Hit(NamedTuple):
    """A passage that was found, best first among its like; higher scores are better."""

    number: int
    score: float


class PassageRow(NamedTuple):
    """A passage as it lies in the table."""

    document: str
    document_digest: str
    title: str
    text: str
    start: int
    end: int
    searched: str
    """What word search and the encoder read: title and text."""
    key: str
    """Digest of `searched`: passages with equal keys have equal vectors."""


def need_database() -> Any:
    """The package lancedb.

    Raises:
        MissingPackage: it is not installed.
    """
    return need("lancedb", extra="retrieve")


class Store:
    """A folder of tables. Only `index.json` beside them says which one is the index."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            MissingPackage: lancedb is not installed.
        """
        self.folder = folder
        self._database = need_database().connect(str(folder))

    def names(self, prefix: str = "") -> list[str]:
        """Tables whose names begin so."""
        return sorted(path.name.removesuffix(_ENDING) for path in self.folder.glob(f"{prefix}*{_ENDING}"))

    def create(self, name: str, *, width: int) -> "PassageTable":
        """An empty table for vectors of some width."""
        import pyarrow as pa

        text = [pa.field(column, pa.string(), nullable=False) for column in ("document", "document_digest", "title", "text")]
        places = [pa.field(column, pa.int64(), nullable=False) for column in ("start", "end")]
        more = [pa.field(column, pa.string(), nullable=False) for column in ("searched", "key")]
        number = pa.field("number", pa.int64(), nullable=False)
        vector: Any = pa.field("vector", pa.list_(pa.float32(), width))
        with disk_errors(self.folder):
            return PassageTable(
                self._database.create_table(name, schema=pa.schema([number, *text, *places, *more, vector])), self.folder
            )

    def open(self, name: str) -> "PassageTable":
        """A table that was written before.

        Raises:
            BadData: it is missing or damaged.
        """
        with _readable(self.folder, name):
            return PassageTable(self._database.open_table(name), self.folder)

    def drop(self, name: str) -> None:
        """Remove a table, also one that was left in part."""
        shutil.rmtree(self.folder / f"{name}{_ENDING}", ignore_errors=True)


class PassageTable:
    """Passages with their vectors."""

    def __init__(self, table: Any, folder: Path) -> None:
        """
        Args:
            folder: named where the disk is full.
        """
        self._table = table
        self._folder = folder

    def _reading(self) -> contextlib.AbstractContextManager[None]:
        return _readable(self._folder, str(self._table.name))

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def add(self, first: int, rows: Sequence[PassageRow], vectors: Vectors) -> None:
        """Append passages numbered from `first`; whole or not at all.

        Args:
            vectors: unit vectors [n, D].
        """
        import pyarrow as pa

        columns: dict[str, Any] = {"number": pa.array(range(first, first + len(rows)), pa.int64())}
        columns |= {name: [getattr(row, name) for row in rows] for name in PassageRow._fields}
        columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])
        with disk_errors(self._folder):
            self._table.add(pa.table(columns, schema=self._table.schema))

    def prepare(self, *, language: str | None, is_approximate: bool) -> None:
        """Index the words, and the vectors where there are many. Words are parted as Unicode does, so that scripts without spaces work.

        Args:
            language: whose stems and frequent words; None for words as they stand.
        """
        from lancedb.index import FTS, HnswSq

        is_known = language is not None
        words = FTS(base_tokenizer="icu/split", language=language or "English", stem=is_known, remove_stop_words=is_known)
        with disk_errors(self._folder):
            self._table.create_index("searched", config=words)
            if is_approximate:
                self._table.create_index("vector", config=HnswSq(distance_type="dot"))

    def near(self, vectors: Vectors, *, depth: int, is_exact: bool) -> list[list[Hit]]:
        """Passages whose vectors are most alike, by cosine, for each of some unit vectors [Q, D]."""
        found: list[list[Hit]] = [[] for _ in vectors]
        for at in range(0, len(vectors), 256):
            with self._reading():
                query = self._table.search(vectors[at : at + 256], vector_column_name="vector").distance_type("dot")
                query = query.bypass_vector_index() if is_exact else query.refine_factor(_CANDIDATES)
                table = query.select(["number", "_distance"]).limit(depth).to_arrow()
            numbers, distances = table["number"].to_pylist(), table["_distance"].to_pylist()
            owners = table["query_index"].to_pylist() if "query_index" in table.column_names else [0] * len(numbers)
            for owner, number, distance in zip(owners, numbers, distances, strict=True):
                found[at + owner].append(Hit(number, 1 - distance))  # Lance's dot distance is 1 - cosine for unit vectors
        return [_sorted(hits) for hits in found]

    def matching(self, queries: Sequence[str], *, depth: int) -> list[list[Hit]]:
        """Passages with the words of each query, by BM25; none where a query holds no word that is searched for."""
        from lancedb.query import MatchQuery

        found = []
        for query in queries:
            with self._reading():
                table = self._table.search(MatchQuery(query, "searched")).select(["number", "_score"]).limit(depth).to_arrow()
            numbers, scores = table["number"].to_pylist(), table["_score"].to_pylist()
            found.append(_sorted([Hit(number, score) for number, score in zip(numbers, scores, strict=True)]))
        return found

    def rows(self, numbers: Sequence[int]) -> dict[int, PassageRow]:
        """Passages by number."""
        if not numbers:
            return {}
        wanted = sorted(set(numbers))
        with self._reading():
            table = self._table.take_offsets(wanted).select(["number", *PassageRow._fields]).to_arrow()
        return {row.pop("number"): PassageRow(**row) for row in table.to_pylist()}

    def documents(self) -> dict[str, str]:
        """The digest of each document that has passages, by name."""
        with self._reading():
            table = self._table.search().select(["document", "document_digest"]).to_arrow()
        return dict(zip(table["document"].to_pylist(), table["document_digest"].to_pylist(), strict=True))

    def vectors(self) -> tuple[list[str], Vectors]:
        """The key of each passage, and the vectors in that order [n, D]."""
        with self._reading():
            table = self._table.search().select(["key", "vector"]).to_arrow()
        column = table["vector"].combine_chunks()
        flat = np.asarray(column.flatten(), dtype=np.float32)
        return table["key"].to_pylist(), flat.reshape(len(table), -1) if len(table) else np.zeros((0, 0), np.float32)


def _sorted(hits: list[Hit]) -> list[Hit]:
    """Best first; of equal ones the one that stands first in the index."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.number))


@contextlib.contextmanager
def _readable(folder: Path, table: str) -> Iterator[None]:
    """Turn what LanceDB says of files that are missing or damaged into one line with the cure.

    Raises:
        BadData: a table cannot be read.
    """
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        said = (str(error).splitlines() or [""])[0][:200]
        raise BadData(
            f"{folder} lacks its table {table}, or it is damaged ({said}). Where it was just built anew, open it again; "
            f"else build it again: hone index DOCUMENTS --out {folder}"
        ) from error


def only_one(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Inside this block no other process builds in the folder; a killed process leaves no lock behind.

    Raises:
        Failed: another one is building there now. Usage: the folder is a file.
    """
    return only_process(folder, doing="building the index in")
