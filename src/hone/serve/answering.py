"""What answers rows: the winner of a comparison, or a run of `hone tune`. Both read files and texts in their own way and answer alike."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from hone.compare.bundle import Bundle
from hone.core.errors import BadData
from hone.strategy import looks_nothing_up
from hone.task import Choice, Reader, Tagged, read_asked, read_dialogue, read_row
from hone.tune import TunedRun

__all__ = ["Answering", "Said", "answering_of", "load_answering"]


class Said(NamedTuple):
    """An answer as it stands in a file."""

    predicted: str | float | tuple[str, ...]
    confidence: float | None
    """Probability of a class or choice; None of all else."""
    text: str | None = None
    """Of multiple choice: that of the choice whose letter is predicted."""


class Answering(Protocol):
    """Reads rows and answers them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a file, those that are read where none are named."""
        ...

    @property
    def width(self) -> int | None:
        """How many columns must be named; None where any number is joined to one text."""
        ...

    @property
    def chooses(self) -> bool:
        """Whether each row brings the choices among which it is answered."""
        ...

    @property
    def choice_columns(self) -> tuple[str, ...]:
        """Those of training."""
        ...

    def read(
        self, reader: Reader, cells: Sequence[object], columns: Sequence[str], among: Sequence[str], line: int
    ) -> tuple[dict[str, object], Any]:
        """A row of a file by column, and what is asked, None or '' for nothing; raises BadData where it cannot be read.

        Args:
            among: the columns of the choices, where a row brings some.
        """
        ...

    def answer(self, asked: Sequence[Any]) -> list[Said]:
        """One answer for each, in order."""
        ...


class _BundleAnswering:
    """The folder `best` of a comparison."""

    def __init__(self, bundle: Bundle) -> None:
        found = bundle.provenance
        self._bundle, self.width = bundle, None
        self.columns, self.choice_columns = found.columns.text, found.columns.choices
        self.chooses = found.kind == "multiple-choice"
        # Of written answers dialogues alone have no column for them; they are asked as they were compared.
        is_dialogue = found.kind == "text-generation" and not found.columns.label
        between = "\n\n" if found.kind == "text-generation" else "\n"  # as training joined them
        self._read = read_dialogue if is_dialogue else partial(read_row, between=between)
        self._is_tagged = found.kind == "token-classification"

    def read(
        self, reader: Reader, cells: Sequence[object], columns: Sequence[str], among: Sequence[str], line: int
    ) -> tuple[dict[str, object], Any]:
        """The row and its text, or its question with the choices."""
        if self.chooses:
            row, asked = read_asked(reader, cells, columns, kind="choice", line=line, among=among)
            if isinstance(asked, Choice) and len(asked.choices) > len(self._bundle.labels):
                raise BadData(f"{len(asked.choices)} choices, and the rows of training had {len(self._bundle.labels)} at most")
            return row, asked
        if self._is_tagged:
            row, asked = read_asked(reader, cells, columns, kind="tag", line=line)
            return row, " ".join(asked.tokens) if isinstance(asked, Tagged) else None
        return self._read(reader, cells, columns)

    def answer(self, asked: Sequence[Any]) -> list[Said]:
        """The likeliest label or choice of each text, or what is written."""
        if self.chooses:
            found = self._bundle.predict([one.question for one in asked], choices=[one.choices for one in asked])
        else:
            found = self._bundle.predict(list(asked))
        return [Said(one.label, one.confidence, one.choice) for one in found]


class _RunAnswering:
    """The folder of a run of `hone tune`."""

    def __init__(self, run: TunedRun) -> None:
        self._run = run
        self.columns, self.choice_columns = run.columns, run.record.choice_columns
        self.width = {"tag": 1, "answers": 2}.get(run.kind)
        self.chooses = run.kind == "choice"

    def read(
        self, reader: Reader, cells: Sequence[object], columns: Sequence[str], among: Sequence[str], line: int
    ) -> tuple[dict[str, object], Any]:
        """The row and what the run reads of it."""
        return read_asked(reader, cells, columns, kind=self._run.kind, line=line, among=among)

    def answer(self, asked: Sequence[Any]) -> list[Said]:
        """What the run answers to each row."""
        return [Said(one.answer, one.confidence, one.choice) for one in self._run.answer(asked)]


def load_answering(folder: str | Path, *, index: str | Path | None = None) -> Bundle | TunedRun:
    """What answers in a folder: the winner of a comparison, or a run of `hone tune`.

    Args:
        index: where the index lies in which the winner looks up passages, if not where it lay when it was compared.
    Raises:
        BadModel: nothing does. Usage: the run answers no rows, or an index is named for it.
    """
    try:
        record = json.loads((Path(folder) / "hone.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    is_run = isinstance(record, dict) and {"objective", "training", "effective_epochs"} <= record.keys()
    if is_run and index is not None:
        raise looks_nothing_up(Path(folder))
    return TunedRun(folder) if is_run else Bundle(folder, index=index)


def answering_of(ready: Bundle | TunedRun) -> Answering:
    """How it reads and answers rows."""
    return _RunAnswering(ready) if isinstance(ready, TunedRun) else _BundleAnswering(ready)
