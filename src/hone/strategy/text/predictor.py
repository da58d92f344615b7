"""A model with a way to ask it, as a predictor: labels come from its likelihoods, texts from its pen. Saved and read back whole."""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from hone.catalogue import locate_model
from hone.core.errors import BadModel
from hone.core.record import Record
from hone.core.store import write_atomic, write_lines
from hone.measure import Answers
from hone.model import Backend, LanguageModel, Likelihood, RemoteBackend, RemoteSettings, Sampling, Seq2SeqModel, load_encoder
from hone.retrieve import Passage
from hone.strategy.label_words import described, label_words
from hone.strategy.text.answering import MARGIN, Asked, OptionScores, Rule, probabilities, score_options, write_texts
from hone.strategy.text.base import TextBase, backend_of
from hone.strategy.text.form import Form, Shot
from hone.strategy.text.retrieval import LookUp, LookUpRecord, behind, looks_nothing_up, open_look_up
from hone.task import Example, TaskKind, Template
from hone.train import make_trainable

__all__ = ["TEXT_FILE", "Asker", "Reading", "TextPredictor", "TextRecord", "Tuned", "load_text_predictor", "options_of"]

TEXT_FILE = "text.json"
SHOTS = "shots.jsonl"
_BESIDE = 2  # tokens that an answer shares the context with, at least: its end, and one of a prompt


class Reading(Record):
    """How an answer is read from the model."""

    kind: TaskKind
    labels: tuple[str, ...]
    descriptions: dict[str, str]
    rule: Rule
    content_free: tuple[float, ...] | None
    """Log-probabilities of the labels where the question says nothing; for the rule 'calibrated' alone."""
    temperature: float
    """By which scores are divided before the softmax; set on validation rows."""
    sampling: Sampling
    """For texts."""

    @property
    def intro(self) -> str:
        """What the labels mean, for those that were described."""
        words = label_words(self.labels)
        return "\n".join(described(words[label], text) for label, text in self.descriptions.items())


class TextRecord(Record):
    """`text.json`: how to put a predictor together again."""

    template: Template
    joins: bool
    reading: Reading
    base: str
    base_sha256: str | None
    """None for a model behind a server."""
    base_url: str | None
    server: RemoteSettings | None
    trainable: str | None
    nearest: int | None
    """So many of the saved rows, those most like the question, stand before it; None: all of them, always."""
    encoder: str | None
    """By which likeness is measured."""
    look_up: LookUpRecord | None
    """Which passages stand before the question."""


class Shots(Protocol):
    """Which solved examples stand before a question."""

    def of(self, examples: Sequence[Example]) -> list[tuple[Shot, ...]]:
        """One set per example."""
        ...


@dataclass(frozen=True)
class Fixed:
    """The same for every question."""

    shots: tuple[Shot, ...] = ()

    def of(self, examples: Sequence[Example]) -> list[tuple[Shot, ...]]:
        """The same for every question."""
        return [self.shots] * len(examples)


@dataclass(frozen=True)
class Closest:
    """The training rows most like the question, the most alike last (Liu 2022, https://arxiv.org/abs/2101.06804)."""

    pool: tuple[Shot, ...]
    encoder: str
    count: int
    embed: Callable[[Sequence[str]], Any] = field(repr=False)
    """Texts to unit vectors, [n, D]."""

    def of(self, examples: Sequence[Example]) -> list[tuple[Shot, ...]]:
        """One set per example."""
        if not examples:
            return []
        rows = self.embed([shot.text for shot in self.pool])
        asked = self.embed([example.text for example in examples])
        nearest = np.argsort(asked @ rows.T, axis=1, kind="stable")[:, -self.count :]
        return [tuple(self.pool[index] for index in mine) for mine in nearest]


@dataclass(frozen=True)
class Tuned:
    """What was trained, as it was saved before the network was put to use."""

    trainable: str
    folder: Path


def options_of(example: Example, labels: Sequence[str]) -> tuple[str, ...]:
    """What may be answered to a row: its own choices, the labels in words, or anything."""
    return example.choices or tuple(label_words(labels).values())


@dataclass(frozen=True)
class Asker:
    """Puts rows to a model by one form, and reads its answers."""

    backend: Backend
    template: Template
    joins: bool
    reading: Reading
    shots: Shots
    look_up: LookUp | None = None
    """Finds passages that stand before the question."""

    def asked(self, examples: Sequence[Example]) -> list[Asked]:
        """The rows as they are put."""
        texts = [behind(found, row.text) for found, row in zip(self.passages(examples), examples, strict=True)]
        reading = self.reading
        forms: dict[tuple[Shot, ...], Form] = {}
        made = []
        for example, text, shots in zip(examples, texts, self.shots.of(examples), strict=True):
            form = forms.setdefault(shots, Form(self.template, self.joins, shots, reading.intro))
            made.append(Asked(form, text, options_of(example, reading.labels)))
        return made

    def passages(self, examples: Sequence[Example]) -> list[list[Passage]]:
        """Those that stand before each row: as many of what is found as fit beside the words of the form and an answer."""
        if self.look_up is None or not examples:
            return [[] for _ in examples]
        backend, reading = self.backend, self.reading
        options = max((options_of(example, reading.labels) for example in examples), key=lambda some: len(" ".join(some)))
        form = backend.count_tokens([Form(self.template, self.joins, (), reading.intro).prompt("", options)])[0]
        answer = reading.sampling.max_new_tokens if reading.kind == "text-generation" else max(backend.count_tokens(options))
        return self.look_up.shown(examples, backend, room=backend.context_length - MARGIN - form - answer)

    def scores(self, examples: Sequence[Example], rules: Sequence[Rule]) -> OptionScores:
        """What the model makes of every option, as far as these rules ask."""
        known, longest = self.reading.content_free, self.reading.sampling.max_new_tokens
        if known is None:
            return score_options(self.backend, self.asked(examples), rules=rules, longest=longest)
        others = [rule for rule in rules if rule != "calibrated"]
        found = score_options(self.backend, self.asked(examples), rules=others, longest=longest)
        return replace(found, content_free=np.array(known))

    def answer(self, examples: Sequence[Example]) -> Answers:
        """Class probabilities [n, C], or n texts."""
        reading = self.reading
        if reading.kind == "text-generation":
            return write_texts(self.backend, self.asked(examples), reading.sampling, finish=str.strip) if examples else ()
        if not examples:
            return np.zeros((0, len(reading.labels)))
        weighed = self.scores(examples, [reading.rule]).weighed(reading.rule)
        return probabilities(weighed, reading.temperature, classes=len(reading.labels))


class TextPredictor:
    """An asker that can be saved."""

    def __init__(self, asker: Asker, base: TextBase, *, tuned: Tuned | None = None) -> None:
        self.asker = asker
        self.base = base
        self._tuned = tuned

    @property
    def labels(self) -> tuple[str, ...]:
        """Of class probabilities; empty where answers are texts."""
        return self.asker.reading.labels

    def answer(self, examples: Sequence[Example]) -> Answers:
        """Class probabilities [n, C], or n texts."""
        return self.asker.answer(examples)

    def passages(self, examples: Sequence[Example]) -> list[list[Passage]]:
        """What stood before each row that was looked up; nothing where nothing is."""
        return self.asker.passages(examples)

    def likelihoods(self, examples: Sequence[Example]) -> list[Likelihood] | None:
        """How likely the model finds each row's right answer, put as it is put; None where likelihoods are not told, or cost money.

        Answers that fill the model's context by themselves are left out: they could stand behind no prompt.
        """
        asker = self.asker
        if self.base.is_billed or not asker.backend.can_score or asker.reading.kind != "text-generation":
            return None
        prompts, answers = [], []
        for one, example in zip(asker.asked(examples), examples, strict=True):
            prompts.append(one.form.prompt(one.text))
            answers.append(one.form.written(example.label))
        counts = asker.backend.count_tokens(answers)
        fitting = [at for at, count in enumerate(counts) if count + _BESIDE <= asker.backend.context_length]
        return asker.backend.score([prompts[at] for at in fitting], [answers[at] for at in fitting])

    def computed_afresh(self) -> AbstractContextManager[None]:
        """What is computed here is computed anew each time; a server is asked again, though its answers are remembered."""
        backend = self.asker.backend
        return backend.afresh() if isinstance(backend, RemoteBackend) else nullcontext()

    def save(self, folder: Path) -> None:
        """The form, the examples, and what was trained."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._tuned is not None:
            shutil.copytree(self._tuned.folder, folder, dirs_exist_ok=True)
            self.base.reader.save(folder)
        shots = self.asker.shots
        closest = shots if isinstance(shots, Closest) else None
        kept = closest.pool if closest else shots.shots if isinstance(shots, Fixed) else ()
        write_lines(folder / SHOTS, (shot.model_dump() for shot in kept))
        record = TextRecord(
            template=self.asker.template,
            joins=self.asker.joins,
            reading=self.asker.reading,
            base=self.base.name,
            base_sha256=self.base.folder.sha256 if self.base.is_local else None,
            base_url=self.base.base_url,
            server=self.base.server,
            trainable=self._tuned.trainable if self._tuned else None,
            nearest=closest.count if closest else None,
            encoder=closest.encoder if closest else None,
            look_up=self.asker.look_up.record() if self.asker.look_up else None,
        )
        write_atomic(folder / TEXT_FILE, record.to_json())


def load_text_predictor(
    folder: Path, *, precision: Literal["auto", "bf16", "fp32"] = "auto", index: Path | None = None
) -> TextPredictor:
    """Put a saved predictor together again.

    Args:
        index: where the index lies in which it looks up passages, if not where it lay.
    Raises:
        BadModel: the base model is missing or has other weights than those it was made with, or the index is another.
        BadData: the index is missing. Usage: one is named, and nothing is looked up.
    """
    record = TextRecord.model_validate_json((folder / TEXT_FILE).read_text(encoding="utf-8"))
    if index is not None and record.look_up is None:
        raise looks_nothing_up(folder)
    look_up = open_look_up(record.look_up, folder, named=index) if record.look_up else None
    is_whole = (folder / "config.json").is_file()
    server = _remembering(record.server)
    base = TextBase(str(folder) if is_whole else record.base, precision=precision, base_url=record.base_url, server=server)
    if base.is_local and not is_whole and base.folder.sha256 != record.base_sha256:
        raise BadModel(
            f"{folder} was made with '{record.base}' whose weights had sha256 {(record.base_sha256 or '')[:12]}..., and the one found "
            f"has {base.folder.sha256[:12]}.... Answers would differ, so it is refused. Put the same model in place, or compare again."
        )
    shots = tuple(Shot.model_validate(json.loads(line)) for line in (folder / SHOTS).read_text(encoding="utf-8").splitlines())
    chosen: Shots = Fixed(shots)
    if record.nearest is not None:
        assert record.encoder is not None
        encoder = load_encoder(locate_model(record.encoder), precision=precision)
        chosen = Closest(shots, record.encoder, record.nearest, encoder.embed)
    tuned = Tuned(record.trainable, folder) if record.trainable else None
    if tuned is not None:
        net = make_trainable(tuned.trainable).load(base.load(), folder).to(base.device)
        assert isinstance(net, LanguageModel | Seq2SeqModel)
        backend: Backend = backend_of(net, base.reader.leaving_room(net.virtual), is_tuned=True)
    else:
        backend = base.backend
    return TextPredictor(Asker(backend, record.template, record.joins, record.reading, chosen, look_up), base, tuned=tuned)


def _remembering(server: RemoteSettings | None) -> RemoteSettings | None:
    """Answers are kept in the folder of the run where that is in sight; elsewhere in none, so that no folder appears there."""
    if server is None or server.cache is None or server.cache.is_dir():
        return server
    return server.model_copy(update={"cache": None})
