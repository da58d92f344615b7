"""What a curation found: `curation.json`, the one file that says the corpus is whole. It is written last."""

from typing import Literal

from hone.core.record import Record
from hone.curate.settings import CurateSettings

__all__ = ["Amount", "CurationRecord", "Removed", "SetOverlap", "SourceRecord", "StepRecord", "UnreadText"]


class Amount(Record):
    """How much text."""

    documents: int
    words: int
    """What stands between blanks."""
    characters: int


class Removed(Record):
    """One example of what a step removed."""

    name: str
    """File and line."""
    reason: str
    characters: int
    beginning: str
    """The first 200 characters, masked."""


class StepRecord(Record):
    """What one step left."""

    name: str
    kept: Amount
    removed: dict[str, int]
    """Documents by the rule that removed them."""
    changed: int
    """Documents of which a part was removed or masked."""
    parts: dict[str, int]
    """What was removed or masked inside documents, by rule: lines, paragraphs, numbers."""
    examples: tuple[Removed, ...]


class SourceRecord(Record):
    """What became of one of the sources."""

    path: str
    files: int
    bytes: int
    raw: Amount
    kept: Amount


class SetOverlap(Record):
    """An evaluation set that the texts were held against."""

    path: str
    texts: int
    too_short: int
    """Texts with fewer words than a sequence: they were not looked for."""
    unread: int = 0
    """Rows of it that could not be read, so that they or parts of them were not looked for; 0 also in records from before they were counted."""
    paragraphs: int
    """Paragraphs of the corpus that held a sequence of it."""
    documents: int
    """Documents in which they stood."""


class UnreadText(Record):
    """A file or row that could not be read."""

    path: str
    reason: str


class CurationRecord(Record):
    """`curation.json`."""

    format: Literal["hone-curation.v1"] = "hone-curation.v1"
    hone_version: str
    datatrove_version: str
    built: str
    """When it was finished, in UTC."""
    seconds: float
    """Of the run that finished it; an earlier one that was interrupted is not counted."""
    settings: CurateSettings
    raw: Amount
    kept: Amount
    steps: tuple[StepRecord, ...]
    sources: tuple[SourceRecord, ...]
    overlap: tuple[SetOverlap, ...]
    unread: int
    """Files and rows that could not be read."""
    unread_examples: tuple[UnreadText, ...]
    texts: str
    """The corpus, in the run folder."""
    texts_sha256: str

    @property
    def kept_share(self) -> float:
        """Characters kept of the raw ones, in [0, 1]; of no text, 0."""
        return self.kept.characters / self.raw.characters if self.raw.characters else 0.0
