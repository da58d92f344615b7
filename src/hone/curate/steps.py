"""The steps as datatrove's executors run them: read, judge, count, write. One document is in memory at a time.

Each judging step counts what it keeps and why it removes, in datatrove's own statistics, which are written per task when the task is done;
`run` adds them up. datatrove's filters are held, not inherited from, so that all steps count alike.
"""

import gzip
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from hone.core.store import open_atomic, write_lines
from hone.curate.pii import mask_personal
from hone.curate.sources import SourceFile, Unread, read_texts

__all__ = ["Judge", "Judged", "Quiet", "ReadShard", "ReadSources", "Tally", "WriteShard", "shard_path"]

_SHOWN = 200
_UNREAD_SHOWN = 20
_SOURCE = "hone_source"


class Judge(ABC):
    """One rule or family of rules."""

    @abstractmethod
    def __call__(self, document: Any, count: Any) -> str | None:
        """Why the document is removed, or None; may shorten its text, and counts parts with `count(label, number)`."""


class Quiet:
    """First in each pipeline: keeps datatrove's log off the terminal, also in the processes it starts. Errors are raised all the same."""

    def __init__(self) -> None:
        _hush()

    def __setstate__(self, state: dict[str, Any]) -> None:
        _hush()

    def __getstate__(self) -> dict[str, Any]:
        return {"is_quiet": True}

    def __call__(self, data: Any, rank: int, world_size: int) -> Any:
        """Pass on what comes."""
        return data


def _hush() -> None:
    from loguru import logger

    logger.disable("datatrove")


class Counting(PipelineStep, ABC):  # type: ignore[misc]
    """A step that counts what it passes on, and remembers a few documents that went."""

    type = "hone"

    def __init__(self, step: str, folder: Path, examples: int) -> None:
        self.name = step
        super().__init__()
        self._folder = folder
        self._examples = examples
        self._removed: list[dict[str, object]] = []

    def count(self, label: str, number: int = 1) -> None:
        """Add to a statistic."""
        self.stat_update(label, value=number)

    def count_text(self, text: str, label: str) -> None:
        """Add a document, its words and its characters."""
        self.count(f"{label}_documents")
        self.count(f"{label}_words", len(text.split()))
        self.count(f"{label}_characters", len(text))

    def remember(self, document: Document, text: str, reason: str) -> None:
        """Count a document that goes; show the first of each reason."""
        self.count(f"removed:{reason}")
        if sum(each["reason"] == reason for each in self._removed) < self._examples:
            row = {"name": document.id, "reason": reason, "characters": len(text), "beginning": mask_personal(text[:_SHOWN])[0]}
            self._removed.append(row)

    def close_examples(self, rank: int) -> None:
        """Write the examples of this task."""
        write_lines(self._folder / f"{self.name}-{rank:05d}.jsonl", self._removed)


class Judged(Counting):
    """Puts each document before a judge."""

    def __init__(self, step: str, judge: Judge, folder: Path, examples: int) -> None:
        super().__init__(step, folder, examples)
        self._judge = judge

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Pass on what the judge keeps."""
        for document in data:
            before = document.text
            with self.track_time():
                reason = self._judge(document, self.count)
                if reason is None and not document.text.strip():
                    reason = "nothing left"
            if reason is not None:
                self.remember(document, before, reason)
                continue
            if document.text != before:
                self.count("changed")
            self.count_text(document.text, "kept")
            yield document
        self.close_examples(rank)


class Tally(Counting):
    """Counts what one of datatrove's filters passes on, and is that filter's writer of what it removes."""

    def __init__(self, step: str, reason: str, folder: Path, examples: int) -> None:
        super().__init__(step, folder, examples)
        self._reason = reason

    def __enter__(self) -> "Tally":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def write(self, document: Document, rank: int = 0) -> None:
        """A document that the filter removed."""
        self.remember(document, document.text, self._reason)

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Count and pass on."""
        for document in data:
            self.count_text(document.text, "kept")
            yield document
        self.close_examples(rank)


class ReadSources(Counting):
    """The documents of the files of one task."""

    def __init__(self, parts: Sequence[Sequence[SourceFile]], folder: Path, *, text: str | None, keep: Sequence[str]) -> None:
        super().__init__("raw", folder, _UNREAD_SHOWN)
        self._parts = [list(part) for part in parts]
        self._text = text
        self._keep = tuple(keep)

    def run(self, data: None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Read the files of part `rank`."""
        for file in self._parts[rank]:
            for found in read_texts(file, text=self._text, keep=self._keep):
                if isinstance(found, Unread):
                    self.count("unread")
                    if len(self._removed) < _UNREAD_SHOWN:
                        self._removed.append({"path": found.name, "reason": found.reason})
                    continue
                self.count_text(found.text, "kept")
                self.count_text(found.text, f"source_{file.source}")
                yield Document(text=found.text, id=found.name, metadata={**found.columns, _SOURCE: file.source})
        self.close_examples(rank)


class ReadShard(PipelineStep):  # type: ignore[misc]
    """The documents that `WriteShard` wrote for the same task."""

    type = "hone"
    name = "read"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def run(self, data: None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Read shard `rank`."""
        with gzip.open(shard_path(self._folder, rank), "rt", encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield Document(text=row["text"], id=row["id"], metadata=row["metadata"])


class WriteShard(Counting):
    """Writes the documents of a task to one file, which is there when it is whole.

    Args:
        is_final: whether the rows are those of the corpus (text and the columns kept), not those for the next stage.
    """

    def __init__(self, folder: Path, *, is_final: bool) -> None:
        super().__init__("written", folder, 0)
        self._is_final = is_final

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> None:
        """Write all that comes."""
        # No name and no time in the header, so that equal texts are equal bytes.
        with (
            open_atomic(shard_path(self._folder, rank)) as raw,
            gzip.GzipFile("", "wb", 6 if self._is_final else 2, raw, 0) as file,
        ):
            for document in data:
                row: dict[str, object] = {"text": document.text, "id": document.id, "metadata": document.metadata}
                if self._is_final:
                    self.count_text(document.text, f"source_{document.metadata[_SOURCE]}")
                    self.count_text(document.text, "kept")
                    row = {"text": document.text, **_columns(document.metadata)}
                file.write(json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n")


def shard_path(folder: Path, rank: int) -> Path:
    """Where the documents of a task stand."""
    return folder / f"{rank:05d}.jsonl.gz"


def _columns(metadata: dict[str, Any]) -> dict[str, object]:
    """What the user's rows brought; what hone and datatrove noted on the way stays out."""
    return {name: value for name, value in metadata.items() if name not in (_SOURCE, "duplicate_count")}
