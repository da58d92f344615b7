"""The bundle: the recommended predictor in a folder of its own, with all that is needed to use it and to trace it.

Layout: what the predictor saves (`adapter_model.safetensors`, `model.safetensors` or `scorer.safetensors`, the tokenizer, `predictor.json`),
a model card `README.md`, and `hone.json`, which other loaders ignore.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path

import numpy as np

from hone.compare.card import write_card
from hone.compare.records import Comparison, Cost, Metric, ModelInfo
from hone.core.errors import BadModel, Usage
from hone.core.record import Record
from hone.core.store import replace_folder, write_atomic
from hone.measure import LIKELY, Answers
from hone.strategy import Predictor, VectorPredictor, load_predictor
from hone.task import Columns, Example, TaskKind, refuse_other_than_choices, refuse_other_than_texts

__all__ = ["Answer", "Bundle", "Provenance", "write_bundle"]


_OTHERS = (
    (
        {"corpus_tokens", "sources"},
        "the model of a `hone pretrain` run. `hone tune YOUR.jsonl --model FOLDER` trains it on, `hone eval FOLDER` asks it, "
        "and transformers loads it.",
    ),
    (
        {"objective", "training"},
        "the folder of a `hone tune` run. `hone eval FOLDER` asks it, `hone predict FOLDER` and hone.load answer with it, and transformers or "
        "peft load it.",
    ),
)
"""By keys of their records, the first that fits: what else has a `hone.json`, and what reads it."""


class Provenance(Record):
    """`hone.json`: where a bundle comes from and what was measured of it."""

    hone_version: str
    strategy: str
    kind: TaskKind = "text-classification"
    labels: tuple[str, ...]
    columns: Columns
    model: ModelInfo
    source: str
    split_digest: str
    seed: int
    settings: dict[str, str | float | int]
    metrics: dict[str, Metric]
    cost: Cost


class Answer(Record):
    """One prediction: the likeliest label, its probability, and all of them; or what has neither: a written text, a number, several labels
    or a tag for every word."""

    label: str | float | tuple[str, ...]
    confidence: float | None
    probabilities: dict[str, float]
    choice: str | None = None
    """Of multiple choice: the text of the likeliest, whose letter is the label."""

    @property
    def told(self) -> str:
        """As it is shown."""
        if self.choice is not None:
            return f"{self.label}\t{self.choice}"
        return ", ".join(self.label) if isinstance(self.label, tuple) else str(self.label)


def write_bundle(comparison: Comparison, strategies: Path, target: Path) -> None:
    """Copy the recommended strategy's predictor, and say where it comes from."""
    row = comparison.recommended_row
    provenance = Provenance(
        hone_version=comparison.hone_version,
        strategy=row.strategy,
        kind=comparison.task.kind,
        labels=comparison.task.labels,
        columns=comparison.data.columns,
        model=comparison.model_of(row),
        source=comparison.data.source,
        split_digest=comparison.data.split_digest,
        seed=comparison.seed,
        settings=row.settings,
        metrics=row.metrics,
        cost=row.cost,
    )
    with replace_folder(target) as new:
        shutil.copytree(strategies / row.strategy / "predictor", new, dirs_exist_ok=True)
        write_atomic(new / "hone.json", provenance.to_json())
        write_atomic(new / "README.md", write_card(comparison, row))


class Bundle:
    """A saved bundle, ready to answer; the model is loaded at the first question."""

    def __init__(self, folder: str | Path, *, index: str | Path | None = None) -> None:
        """
        Args:
            index: where the index lies in which it looks up passages, if not where it lay when it was compared.
        Raises:
            BadModel: the folder holds no bundle, another run's files or a damaged record.
        """
        self.folder = Path(folder)
        self._index = None if index is None else Path(index)
        path = self.folder / "hone.json"
        if not path.is_file():
            inside = self.folder / "best"
            meant = f"Did you mean {inside}? " if (inside / "hone.json").is_file() else ""
            raise BadModel(
                f"{folder} is no bundle: hone.json is missing. {meant}Name the folder `best` of a finished `hone compare` run, or a finished "
                "run of `hone tune`."
            )
        self.provenance = _read_provenance(path)

    @cached_property
    def predictor(self) -> Predictor:
        """The predictor, loaded once."""
        return load_predictor(self.folder, index=self._index)

    def load(self) -> None:
        """Load the model now instead of at the first question; raises what that raises."""
        _ = self.predictor

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order of the probabilities."""
        return self.provenance.labels

    def predict(self, texts: Sequence[str], *, choices: Sequence[Sequence[str]] = ()) -> list[Answer]:
        """One answer per text, in order.

        Args:
            texts: any number; a single text must stand in a list. choices: those of each text, for a multiple choice alone.
        Raises:
            Usage: `texts` is no list of texts, or choices are missing, or given where there are none.
        """
        refuse_other_than_texts(texts)
        chooses = self.provenance.kind == "multiple-choice"
        refuse_other_than_choices(choices, len(texts), chooses=chooses, folder=self.folder)
        most = max(map(len, choices), default=0)
        if most > len(self.labels):
            raise Usage(
                f"A text has {most} choices, and {self.folder} knows the letters {', '.join(self.labels)}. Ask with fewer."
            )
        given = choices or [()] * len(texts)
        asked = [
            Example(text, "", "", at, choices=tuple(mine)) for at, (text, mine) in enumerate(zip(texts, given, strict=True), 1)
        ]
        with self._keeping_nothing():
            answers = self.predictor.answer(asked)
        if self.provenance.kind == "text-classification" or choices:
            shares = np.round(np.asarray(answers), 6)
            return [self._answer(row, mine) for row, mine in zip(shares, given, strict=True)]
        return [Answer(label=said, confidence=None, probabilities={}) for said in self._said(answers)]

    def _keeping_nothing(self) -> AbstractContextManager[None]:
        """Vectors of texts that are answered once would fill the memory of whatever goes on answering."""
        predictor = self.predictor
        return predictor.computed_afresh() if isinstance(predictor, VectorPredictor) else nullcontext()

    def _said(self, answers: Answers) -> Sequence[str | float | tuple[str, ...]]:
        """Texts, numbers, labels or tags."""
        if isinstance(answers, tuple):
            return [tuple(row.split()) for row in answers] if self.provenance.kind == "token-classification" else answers
        if answers.ndim == 1:
            return [float(value) for value in answers]
        return [tuple(label for label, share in zip(self.labels, row, strict=True) if share > LIKELY) for row in answers]

    def _answer(self, row: "np.ndarray[tuple[int], np.dtype[np.float64]]", choices: Sequence[str]) -> Answer:
        best = int(row.argmax())
        probabilities = {label: float(value) for label, value in zip(self.labels, row, strict=True)}
        choice = choices[best] if choices else None
        return Answer(label=self.labels[best], confidence=float(row[best]), probabilities=probabilities, choice=choice)


def _read_provenance(path: Path) -> Provenance:
    """What `hone.json` says, which the folders of other commands hold too.

    Raises:
        BadModel: it is another command's, or damaged.
    """
    try:
        said = path.read_text(encoding="utf-8")
        keys = set(json.loads(said))
        if not {"strategy", "split_digest"} & keys and (other := next((one for mark, one in _OTHERS if mark <= keys), None)):
            raise BadModel(f"{path.parent} is no bundle of a comparison but {other}")
        return Provenance.model_validate_json(said)
    except (ValueError, TypeError) as error:  # no UTF-8, no JSON, or other fields
        first = str(error).strip().splitlines()[0]
        raise BadModel(
            f"{path} cannot be read as a bundle's record: {first.rstrip('.:')}. It is damaged, foreign or of another version of hone. "
            "Name the folder `best` of a finished `hone compare` run."
        ) from None
