"""An index of passages: built from documents, opened from its folder, searched by meaning, by words, or by both.

Stands between `chunk` and whoever asks. The one surprise: a build writes a table of its own and `index.json` names it only when
it is finished, so a build that is killed leaves the old index as it was, and the next one takes over the vectors it had computed.
"""

import datetime
import secrets
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from hone.catalogue import ModelFolder, locate_model
from hone.core.claim import LOCK
from hone.core.console import note, progress
from hone.core.errors import BadData, BadModel, Usage
from hone.core.store import digest_text, write_atomic
from hone.model import Encoder, Vectors, load_encoder
from hone.model.encoder import read_pooling
from hone.retrieve.chunk import Chunk, Chunker
from hone.retrieve.documents import Document, Documents
from hone.retrieve.records import Changes, IndexRecord, IndexSettings, Mode, Passage
from hone.retrieve.store import Hit, PassageRow, PassageTable, Store, only_one

__all__ = ["Index", "fused", "open_index"]

RRF_K = 60  # Cormack, Clarke, Büttcher 2009, https://doi.org/10.1145/1571941.1572114
_FILE = "index.json"
_BLOCK = 4096  # passages written at a time: what a killed build loses at most


class Index:
    """A finished index, open for questions. Made by `Index.build` or `open_index`."""

    def __init__(
        self, folder: Path, record: IndexRecord, table: PassageTable, *, model: ModelFolder, encoder: Encoder | None
    ) -> None:
        self.folder = folder
        self.record = record
        self._table = table
        self._model = model
        self._encoder = encoder

    @property
    def encoder(self) -> Encoder:
        """The embedding model; loaded when it is first needed, since word search needs none."""
        if self._encoder is None:
            self._encoder = load_encoder(self._model)
        return self._encoder

    def search(self, queries: Sequence[str], *, k: int, mode: Mode = "hybrid", is_exact: bool = False) -> list[list[Passage]]:
        """The k best passages for each query, best first; fewer where fewer fit.

        Args:
            mode: vector compares meanings, text looks for words, hybrid fuses both rankings by reciprocal rank.
            is_exact: compare with every vector, also where the index has an approximate one.
        Raises:
            Usage: a query is blank.
        """
        assert k >= 1, f"k counts passages, got {k}"
        for number, query in enumerate(queries, 1):
            if not query.strip():
                raise Usage(f"Question {number} of {len(queries)} is empty. Write what you look for.")
        if not queries:
            return []
        found = self._found(queries, k, mode, is_exact=is_exact)
        rows = self._table.rows([hit.number for hits in found for hit in hits])
        return [[_passage(rows[hit.number], hit.score) for hit in hits] for hits in found]

    def passages(self) -> list[Passage]:
        """All passages in order, with score 0."""
        return [_passage(row, 0.0) for _, row in sorted(self._table.rows(range(len(self._table))).items())]

    def document_names(self) -> set[str]:
        """Names of the documents that have passages."""
        return set(self._table.documents())

    def _found(self, queries: Sequence[str], k: int, mode: Mode, *, is_exact: bool) -> list[list[Hit]]:
        depth = k if mode != "hybrid" else max(50, 4 * k)  # a passage far down in both rankings cannot come first
        rankings = []
        if mode in ("hybrid", "vector"):
            exact = is_exact or not self.record.is_approximate
            with self.encoder.computed_afresh():
                vectors = self.encoder.embed(queries)
            rankings.append(self._table.near(vectors, depth=depth, is_exact=exact))
        if mode in ("hybrid", "text"):
            rankings.append(self._table.matching(queries, depth=depth))
        if len(rankings) == 1:
            return rankings[0]
        return [fused(both)[:k] for both in zip(*rankings, strict=True)]

    @classmethod
    def build(cls, documents: Documents, out: Path, *, encoder: Encoder, settings: IndexSettings | None = None) -> "Index":
        """Write an index of documents, or bring the one in the folder up to date: only what is new to it is embedded.

        Args:
            out: a new or empty folder, or one that holds an index.
        Raises:
            Usage: the folder holds other files, or the settings do not fit the model. Failed: the disk is full, or another
                build is running there. BadData: no passage could be cut.
        """
        settings = settings or IndexSettings()
        is_index = (out / _FILE).exists() or any(out.glob("passages-*.lance"))
        if out.exists() and not is_index and any(path.name != LOCK for path in out.iterdir()):
            raise Usage(f"{out} is not empty and holds no index. Name another folder with --out.")
        started = time.perf_counter()
        with only_one(out):
            record, table = _build(documents, Store(out), encoder, settings, started)
        return cls(out, record, table, model=encoder.folder, encoder=encoder)


def open_index(folder: Path, *, encoder: Encoder | None = None, model: str | None = None) -> Index:
    """Open an index that `Index.build` wrote.

    Args:
        encoder: one that is loaded already. model: where its embedding model lies now, if not where it lay when it was built.
    Raises:
        BadData: there is no index, or it is damaged. BadModel: the embedding model is not the one it was built with.
    """
    record = _read_record(folder)
    if record is None:
        raise BadData(f"{folder} holds no index. Build one with: hone index DOCUMENTS --out {folder}")
    located = encoder.folder if encoder is not None else locate_model(model or record.model)
    pooling = encoder.pooling if encoder is not None else read_pooling(located.path)
    if located.sha256 != record.model_sha256 or pooling != record.pooling:
        raise BadModel(
            f"{folder} was built with '{record.model}' (weights {record.model_sha256[:12]}, {record.pooling} pooling), and '{located.name}' "
            f"is {located.sha256[:12]} with {pooling} pooling: its vectors mean something else. Name the same model with --encoder, "
            "or build the index again."
        )
    return Index(folder, record, Store(folder).open(record.table), model=located, encoder=encoder)


def fused(rankings: Iterable[Sequence[Hit]], *, constant: int = RRF_K) -> list[Hit]:
    """One ranking of several by reciprocal rank: a passage's score is the sum of 1 / (constant + its rank) where it occurs."""
    scores: dict[int, float] = {}
    for hits in rankings:
        for rank, hit in enumerate(hits, 1):
            scores[hit.number] = scores.get(hit.number, 0.0) + 1 / (constant + rank)
    return [
        Hit(number, score) for number, score in sorted(scores.items(), key=lambda pair: -pair[1])
    ]  # ties: the first ranking's order


def _passage(row: PassageRow, score: float) -> Passage:
    return Passage(row.text, row.document, row.title, row.start, row.end, score)


def _read_record(folder: Path) -> IndexRecord | None:
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        return IndexRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadData(
            f"{path} is no index of this version of hone ({str(error).splitlines()[0]}). Remove the folder and build it again."
        ) from error


def _build(
    documents: Documents, store: Store, encoder: Encoder, settings: IndexSettings, started: float
) -> tuple[IndexRecord, PassageTable]:
    before = _read_record(store.folder)
    vectors_of = f"passages-{digest_text(encoder.folder.sha256, encoder.pooling)[:12]}-"
    digests = {document.name: document.digest for document in documents.documents}
    known = _known_documents(store, before)
    is_same_kind = before is not None and before.table.startswith(vectors_of) and before.settings == settings
    built = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if before is not None and is_same_kind and known == digests:
        table, embedded, name, built = store.open(before.table), 0, before.table, before.built
    else:
        rows = _cut(documents.documents, digests, Chunker(encoder.reader, settings.chunks))
        name = f"{vectors_of}{secrets.token_hex(4)}"
        table, embedded = _write(rows, store, name, encoder, known_from=store.names(vectors_of))
        is_approximate = len(rows) >= settings.approximate_from
        with progress("Indexing words" + (" and vectors" if is_approximate else ""), 1) as bar:
            table.prepare(language=settings.language, is_approximate=is_approximate)
            bar.advance()
    count = len(table)
    record = IndexRecord(
        hone_version=version("hone-lm"),
        source=documents.source,
        built=built,
        seconds=round(time.perf_counter() - started, 3),
        model=encoder.folder.name,
        model_sha256=encoder.folder.sha256,
        pooling=encoder.pooling,
        width=encoder.width,
        settings=settings,
        table=name,
        documents=len(digests),
        passages=count,
        is_approximate=count >= settings.approximate_from,
        changes=_changes(known, digests, embedded=embedded, passages=count),
        set_aside=tuple(documents.set_aside),
        notes=tuple(documents.notes),
    )
    write_atomic(store.folder / _FILE, record.to_json())  # from here on the new table is the index
    for other in store.names("passages-"):
        if other != name:
            store.drop(other)
    return record, table


def _known_documents(store: Store, before: IndexRecord | None) -> dict[str, str]:
    """Digests by name of what the index holds; none where it is damaged, since it is written anew anyway."""
    if before is None:
        return {}
    try:
        return store.open(before.table).documents()
    except BadData as error:
        note(f"The old index is not used: {error}")
        return {}


def _changes(before: dict[str, str], now: dict[str, str], *, embedded: int, passages: int) -> Changes:
    both = before.keys() & now.keys()
    unchanged = sum(before[name] == now[name] for name in both)
    return Changes(
        added=len(now.keys() - before.keys()),
        changed=len(both) - unchanged,
        unchanged=unchanged,
        removed=len(before.keys() - now.keys()),
        embedded=embedded,
        reused=passages - embedded,
    )


def _cut(documents: Sequence[Document], digests: dict[str, str], chunker: Chunker) -> list[PassageRow]:
    rows: list[PassageRow] = []
    with progress("Cutting documents", len(documents)) as bar:
        for document in documents:
            chunks = chunker.cut(document)
            rows += [
                _row(chunk, digests[document.name], searched)
                for chunk, searched in zip(chunks, chunker.embedded_texts(chunks), strict=True)
            ]
            bar.advance()
    if not rows:
        raise BadData("The documents hold no words, so there is no passage to index.")
    return rows


def _row(chunk: Chunk, digest: str, searched: str) -> PassageRow:
    return PassageRow(
        document=chunk.document,
        document_digest=digest,
        title=chunk.title,
        text=chunk.text,
        start=chunk.start,
        end=chunk.end,
        searched=searched,
        key=digest_text(searched),
    )


def _write(
    rows: Sequence[PassageRow], store: Store, name: str, encoder: Encoder, *, known_from: Sequence[str]
) -> tuple[PassageTable, int]:
    """A new table of all passages, and how many of their vectors had to be computed.

    Args:
        known_from: tables of the same model's vectors: the index so far, and what killed builds left.
    """
    known = _Known(store, known_from)
    table = store.create(name, width=encoder.width)
    missing = len({row.key for row in rows if row.key not in known})
    embedded = 0
    with progress("Embedding", missing) as bar, encoder.computed_afresh():
        for first in range(0, len(rows), _BLOCK):
            block = rows[first : first + _BLOCK]
            new = [row for row in block if row.key not in known]
            vectors = np.empty((len(block), encoder.width), dtype=np.float32)
            computed = iter(encoder.embed([row.searched for row in new], advance=bar.advance))
            for at, row in enumerate(block):
                vectors[at] = known[row.key] if row.key in known else next(computed)
            embedded += len(new)
            table.add(first, block, vectors)
    return table, embedded


class _Known:
    """Vectors that need not be computed again, by key."""

    def __init__(self, store: Store, tables: Sequence[str]) -> None:
        self._parts: list[Vectors] = []
        self._place: dict[str, tuple[int, int]] = {}
        for name in tables:
            try:
                keys, vectors = store.open(name).vectors()
            except BadData:  # what a killed build left may be in part
                continue
            self._place |= {key: (len(self._parts), row) for row, key in enumerate(keys)}
            self._parts.append(vectors)

    def __contains__(self, key: str) -> bool:
        return key in self._place

    def __getitem__(self, key: str) -> Vectors:
        part, row = self._place[key]
        vector: Vectors = self._parts[part][row]
        return vector
