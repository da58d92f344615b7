"""The two kinds of predictor, and how each is saved: a scorer on sentence vectors, or a tuned classifier.

A saved folder holds `predictor.json` and what the base model does not; the base is named with the digest of its weights
and refused when it differs.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hone.catalogue import ModelFolder, locate_model
from hone.core.errors import BadModel
from hone.core.record import Record
from hone.core.store import write_atomic
from hone.measure import Answers
from hone.model import (
    Encoder,
    HeadedNetwork,
    Network,
    Precision,
    TextReader,
    load_classifier,
    load_encoder,
    load_reader,
)
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Fitted, Predictor, Probabilities, Settings
from hone.strategy.heads import make_head
from hone.strategy.scorers import Scorer, load_scorer, save_scorer
from hone.task import Example, TaskKind
from hone.train import make_trainable

__all__ = ["NetPredictor", "PredictorRecord", "VectorPredictor", "fitted_scorer", "load_label_predictor"]

FILE = "predictor.json"
ENCODER = "encoder"


class PredictorRecord(Record):
    """`predictor.json`: how to put a predictor together again."""

    kind: Literal["vectors", "net"]
    labels: tuple[str, ...]
    base: str
    base_sha256: str
    trainable: str | None = None
    """For a net: which trainable saved it."""
    answers: TaskKind = "text-classification"
    """To what kind of rows."""
    has_own_encoder: bool = False
    """For vectors: the encoder was tuned, and lies in the folder `encoder/`."""


class VectorPredictor:
    """A scorer on an encoder's sentence vectors."""

    def __init__(self, encoder: Encoder, scorer: Scorer, labels: tuple[str, ...], *, is_own: bool = False) -> None:
        """`is_own`: the encoder was tuned for this predictor and is saved with it."""
        self.encoder = encoder
        self.scorer = scorer
        self.labels = labels
        self._is_own = is_own

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, [n, C]; of other kinds of rows what the scorer answers."""
        return self.scorer.probabilities(self.encoder.embed(texts))

    def answer(self, examples: Sequence[Example]) -> Probabilities:
        """Those of their texts."""
        return self.probabilities([example.text for example in examples])

    def sentence_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Of the encoder that answers, tuned or not, [n, D]."""
        return self.encoder.embed(texts)

    def computed_afresh(self) -> AbstractContextManager[None]:
        """Vectors are computed anew."""
        return self.encoder.computed_afresh()

    def save(self, folder: Path) -> None:
        """The scorer, and the encoder where it was tuned."""
        save_scorer(self.scorer, folder)
        if self._is_own:
            self.encoder.save(folder / ENCODER)
        record = PredictorRecord(
            kind="vectors",
            labels=self.labels,
            has_own_encoder=self._is_own,
            base=self.encoder.folder.name,
            base_sha256=self.encoder.folder.sha256,
        )
        _write(folder, record)


def fitted_scorer(bench: EncoderBench, scorer: Scorer, settings: Settings, *, moved: int = 0) -> Fitted:
    """A scorer on the bench's sentence vectors, with its answers to the validation rows. `moved`: its fitted numbers."""
    answers = scorer.probabilities(bench.validation_vectors())
    return Fitted(VectorPredictor(bench.encoder, scorer, bench.labels), settings, answers, bench.score(answers), moved)


class NetPredictor:
    """A tuned network with a head of its own."""

    def __init__(
        self, net: Network, reader: TextReader, labels: tuple[str, ...], *, trainable: str, base: ModelFolder, kind: TaskKind
    ) -> None:
        """`labels`: empty for numbers. `kind`: of the rows that it answers."""
        self.net = net
        self.labels = labels
        self.kind: TaskKind = kind
        self._head = make_head(kind, labels, reader)
        self._reader = reader
        self._trainable = trainable
        self._base = base

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, [n, C]."""
        found = self.answer([Example(text, "", "", at) for at, text in enumerate(texts, start=1)])
        assert isinstance(found, np.ndarray)
        return found

    def answer(self, examples: Sequence[Example]) -> Answers:
        """By its head."""
        return self._head.asked(examples)(self.net)

    def sentence_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Of the tuned network below its head, pooled as the base pools, [n, D]."""
        assert isinstance(self.net, HeadedNetwork)
        return self.net.embed(self._reader.tokenize(texts), self._reader)

    def computed_afresh(self) -> AbstractContextManager[None]:
        """Nothing is kept between calls."""
        return nullcontext()

    def save(self, folder: Path) -> None:
        """What was trained, in the trainable's own layout, and the tokenizer, so that the folder loads elsewhere."""
        folder.mkdir(parents=True, exist_ok=True)
        make_trainable(self._trainable).save(self.net, folder)
        self._reader.save(folder)
        _write(
            folder,
            PredictorRecord(
                kind="net",
                labels=self.labels,
                trainable=self._trainable,
                answers=self.kind,
                base=self._base.name,
                base_sha256=self._base.sha256,
            ),
        )


def load_label_predictor(folder: Path, *, precision: Precision = "auto") -> Predictor:
    """Put a saved predictor together again.

    Raises:
        BadModel: the folder holds none, or the base model is missing or has other weights than those it was made with.
    """
    path = folder / FILE
    if not path.is_file():
        raise BadModel(
            f"{folder} holds no predictor: {FILE} is missing. Name the folder `best` of a finished `hone compare` run."
        )
    record = PredictorRecord.model_validate_json(path.read_text(encoding="utf-8"))
    if record.kind == "vectors":
        encoder = load_encoder(_located(folder / ENCODER if record.has_own_encoder else folder, record), precision=precision)
        return VectorPredictor(encoder, load_scorer(folder), record.labels, is_own=record.has_own_encoder)
    assert record.trainable is not None
    base = _located(folder, record)
    reader = load_reader(base, precision=precision)
    head = make_head(record.answers, record.labels, reader)
    fresh = load_classifier(base, head.outputs, per_token=head.per_token)
    net = make_trainable(record.trainable).load(fresh, folder).to(reader.device)
    reader = reader.leaving_room(net.virtual)
    return NetPredictor(net, reader, record.labels, trainable=record.trainable, base=base, kind=record.answers)


def _located(folder: Path, record: PredictorRecord) -> ModelFolder:
    """The model to load: the folder itself where it holds a whole one, else the base, whose digest must agree."""
    if (folder / "config.json").is_file():
        return replace(locate_model(str(folder)), name=record.base, sha256=record.base_sha256)
    base = locate_model(record.base)
    if base.sha256 != record.base_sha256:
        raise BadModel(
            f"{folder} was made with '{record.base}' whose weights had sha256 {record.base_sha256[:12]}..., and the one found has "
            f"{base.sha256[:12]}.... Answers would differ, so it is refused. Put the same model in place, or compare again."
        )
    return base


def _write(folder: Path, record: PredictorRecord) -> None:
    write_atomic(folder / FILE, record.to_json())
