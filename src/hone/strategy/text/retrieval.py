"""Retrieval: passages that fit a question stand before it, so that the model answers from documents it was never trained on.

Source: Lewis 2020, https://arxiv.org/abs/2005.11401. How well the passages fit is told apart from how good the answers are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hone.core.console import warn
from hone.core.errors import BadData, BadModel, Usage
from hone.core.record import Record
from hone.measure import score_rankings
from hone.model import Backend
from hone.retrieve import Index, Passage, holding, numbered, open_index
from hone.task import Example

__all__ = ["LookUp", "LookUpRecord", "behind", "fits_at", "looks_nothing_up", "open_look_up"]

_DEPTH = 20  # passages by which the retriever is judged
_FILLED = 0.75  # of the context that passages and question may fill


class LookUpRecord(Record):
    """Which passages stand before a question."""

    index: str
    """Folder of the index."""
    built: str
    """When, so that another index in its place is noticed."""
    k: int
    mode: Literal["hybrid", "vector", "text"]
    model: str | None = None
    """Its embedding model; None in records of before 2026-12, as is the digest of its weights."""
    model_sha256: str | None = None


@dataclass(frozen=True)
class LookUp:
    """Finds passages for questions; the same question is looked up once."""

    index: Index
    k: int
    mode: Literal["hybrid", "vector", "text"]
    _known: dict[str, list[Passage]] = field(default_factory=dict, repr=False, compare=False)

    def passages(self, texts: Sequence[str]) -> list[list[Passage]]:
        """The passages found for each text, best first."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for text, found in zip(new, self.index.search(new, k=max(self.k, _DEPTH), mode=self.mode), strict=True):
            self._known[text] = found
        return [self._known[text][: self.k] for text in texts]

    def ranked(self, text: str) -> list[Passage]:
        """More than are shown: what the retriever is judged by."""
        self.passages([text])
        return self._known[text]

    def shown(self, examples: Sequence[Example], backend: Backend, *, room: int) -> list[list[Passage]]:
        """The passages that stand before each question; those that do not fit the context are left out from the end.

        Args:
            room: tokens that passages and question may fill.
        """
        limit = min(_FILLED * backend.context_length, room)
        made = []
        for example, found in zip(examples, self.passages([example.text for example in examples]), strict=True):
            kept = list(found)
            while kept and backend.count_tokens([behind(kept, example.text)])[0] > limit:
                kept.pop()
            made.append(kept)
        return made

    def record(self) -> LookUpRecord:
        """What `open_look_up` reads."""
        found = self.index.record
        return LookUpRecord(
            index=str(self.index.folder.resolve()),
            built=found.built,
            k=self.k,
            mode=self.mode,
            model=found.model,
            model_sha256=found.model_sha256,
        )


def behind(passages: Sequence[Passage], text: str) -> str:
    """A question behind its passages."""
    return f"{numbered(passages)}\n\n{text}" if passages else text


def open_look_up(record: LookUpRecord, predictor: Path, *, named: Path | None = None) -> LookUp:
    """
    Args:
        predictor: its folder; the index of a run that was moved is found in the run folder above it. named: where the index lies now.
    Raises:
        BadModel: another index lies there, or the named one has another embedding model. BadData: none does, or one without passages.
    """
    above = (parent / "index" for parent in predictor.resolve().parents)
    places = (named,) if named is not None else (Path(record.index), *above)
    folder = next((place for place in places if (place / "index.json").is_file()), None)
    if folder is None and named is None:
        raise BadData(
            f"{predictor} looks up passages in an index that lay in {record.index}, and lies there no more. Say where it lies now: "
            "--index DIR, from Python hone.load(FOLDER, index=DIR). Where it is lost, build it again from the same documents: "
            "hone index DOCUMENTS --out DIR."
        )
    index = open_index(folder or places[0])
    if not index.record.passages:
        raise BadData(f"{index.folder} holds no passages, so there is nothing to look up. Name another with --index DIR.")
    if named is not None:
        _check_named(record, index)
    elif index.record.built != record.built:
        raise BadModel(
            f"The index {index.folder} was built anew ({index.record.built}, before {record.built}), so answers would differ. "
            "Put the old one back or name it with --index DIR, compare again, or name this one so, to ask it all the same."
        )
    return LookUp(index, record.k, record.mode)


def looks_nothing_up(folder: Path) -> Usage:
    """An index was named for what answers without one."""
    return Usage(f"{folder} looks nothing up, so --index would do nothing. Leave it out.")


def _check_named(record: LookUpRecord, index: Index) -> None:
    """Raises BadModel where it was built with another embedding model; says so where it is not the one that was compared."""
    found = index.record
    if record.model_sha256 not in (None, found.model_sha256):
        raise BadModel(
            f"{index.folder} was built with the embedding model '{found.model}' (weights {found.model_sha256[:12]}), and the index that was "
            f"compared with '{record.model}' ({(record.model_sha256 or '')[:12]}): it finds other passages. Name an index of that model: "
            f"hone index DOCUMENTS --encoder {record.model} --out DIR."
        )
    if found.built != record.built:
        warn(
            f"{index.folder} is not the index that was compared (built {found.built}, before {record.built}): where its documents or passages "
            "differ, so do the answers, and what was measured no longer holds for them."
        )


def fits_at(
    look_up: LookUp, examples: Sequence[Example], answers: Sequence[Sequence[str]], names: Sequence[str]
) -> dict[str, float]:
    """How often passages hold a right answer: recall@k and mrr@k over the examples."""
    rankings = [holding(look_up.ranked(row.text), right) for row, right in zip(examples, answers, strict=True)]
    return {name: score.value for name, score in score_rankings(rankings, [1] * len(rankings), names).items()}
