"""What an index is made of and was asked to be: `index.json`, and the passages that it gives."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from hone.core.errors import did_you_mean
from hone.core.record import Record
from hone.model import Pooling
from hone.retrieve.chunk import ChunkSettings
from hone.retrieve.documents import SetAside
from hone.retrieve.store import LANGUAGES

__all__ = ["MODES", "Changes", "IndexRecord", "IndexSettings", "Mode", "Passage"]

Mode = Literal["hybrid", "vector", "text"]
MODES: tuple[Mode, ...] = ("hybrid", "vector", "text")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that was found: `text` is its document's characters from start to end."""

    text: str
    document: str
    title: str
    """The document's title and the headings above the passage."""
    start: int
    end: int
    score: float
    """Higher is better. vector: cosine; text: BM25; hybrid: the sum of 1 / (60 + rank) in both rankings."""


class IndexSettings(Record):
    """How an index is built."""

    chunks: ChunkSettings = ChunkSettings()
    language: str | None = "English"
    """Whose stems and frequent words word search knows; none searches words as they stand."""
    approximate_from: int = Field(default=20_000, ge=256)
    """Passages from which vectors are searched approximately (HNSW); below, every search is exact."""

    @field_validator("language")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in LANGUAGES:
            raise ValueError(f"language '{value}' is not known. {did_you_mean(value, LANGUAGES)}")
        return value


class Changes(Record):
    """What a build found, against the index that was there before."""

    added: int
    changed: int
    unchanged: int
    removed: int
    """Documents."""
    embedded: int
    reused: int
    """Passages whose vectors were computed, and those whose vectors were there."""


class IndexRecord(Record):
    """`index.json`: the one file that says what the index is. It is replaced last, so it always names a finished table."""

    format: Literal["hone-index.v1"] = "hone-index.v1"
    hone_version: str
    source: str
    built: str
    """When its passages were written, in UTC; building again without a change leaves it."""
    seconds: float
    model: str
    model_sha256: str
    pooling: Pooling
    width: int
    """Numbers in a vector."""
    settings: IndexSettings
    table: str
    documents: int
    passages: int
    is_approximate: bool
    changes: Changes
    set_aside: tuple[SetAside, ...]
    notes: tuple[str, ...]
