"""The plainest answers, which every model has to beat and which cost nothing: always the same, and of a word its commonest tag."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from hone.core.console import Bar
from hone.core.record import Record
from hone.core.store import write_atomic
from hone.measure import Answers
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.heads import words_of
from hone.strategy.untrained import Untrained
from hone.task import Example

__all__ = ["PLAIN_FILE", "AlwaysSame", "CommonestTag", "PlainPredictor", "load_plain"]

PLAIN_FILE = "plain.json"


class PlainRecord(Record):
    """`plain.json`."""

    labels: tuple[str, ...]
    """Empty for numbers."""
    number: float | None = None
    """Said of every text."""
    likely: tuple[float, ...] | None = None
    """Of each label, said of every text."""
    tags: dict[str, str] | None = None
    """Of words."""
    tag: str = ""
    """Of all other words."""


class PlainPredictor:
    """Says what `plain.json` says."""

    def __init__(self, record: PlainRecord) -> None:
        self._record = record
        self.labels = record.labels

    def answer(self, examples: Sequence[Example]) -> Answers:
        """The same to every text, or the tag of every word."""
        said = self._record
        if said.tags is not None:
            return tuple(" ".join(said.tags.get(word, said.tag) for word in words_of(example)) for example in examples)
        if said.number is not None:
            return np.full(len(examples), said.number)
        return np.tile(np.array(said.likely), (len(examples), 1))

    def computed_afresh(self) -> AbstractContextManager[None]:
        """Nothing is kept."""
        return nullcontext()

    def save(self, folder: Path) -> None:
        """What is said."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / PLAIN_FILE, self._record.to_json())


class AlwaysSame(Untrained):
    """The mean of the numbers, or the commonest label."""

    name = "constant"
    title = "always the same"
    learns_from_rows = True
    reads_model = False

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """Nothing is chosen of numbers; of labels how many of the commonest are said."""
        if bench.kind == "regression":
            return [{"says": "the mean"}]
        return [{"labels": count} for count in (1, 2, 3) if count <= len(bench.labels)]

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Look at the answers alone."""
        mean = bench.train_values.mean(axis=0)
        if bench.kind == "regression":
            record = PlainRecord(labels=bench.labels, number=float(mean))
        else:
            said = np.argsort(-mean, kind="stable")[: int(settings["labels"])]
            record = PlainRecord(labels=bench.labels, likely=tuple(float(at in said) for at in range(len(bench.labels))))
        return _fitted(bench, settings, record)


class CommonestTag(Untrained):
    """Of each word the tag that it has most often; of words never seen the commonest of all."""

    name = "lookup"
    title = "each word's commonest tag"
    learns_from_rows = True
    reads_model = False

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """How often a word must have been seen."""
        return [{"seen": count} for count in (1, 2)]

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Count."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for example in bench.train:
            for word, tag in zip(example.row.tokens, example.row.tags, strict=True):
                counts[word][tag] += 1
        every: Counter[str] = Counter()
        for mine in counts.values():
            every.update(mine)
        tags = {word: _commonest(mine) for word, mine in counts.items() if mine.total() >= int(settings["seen"])}
        return _fitted(bench, settings, PlainRecord(labels=bench.labels, tags=tags, tag=_commonest(every)))


def _commonest(counts: Counter[str]) -> str:
    """The first by name of those that are as common."""
    return min(counts, key=lambda tag: (-counts[tag], tag))


def _fitted(bench: EncoderBench, settings: Settings, record: PlainRecord) -> Fitted:
    predictor = PlainPredictor(record)
    answers = predictor.answer(bench.validation)
    return Fitted(predictor, settings, answers, bench.score(answers), 0)


def load_plain(folder: Path) -> PlainPredictor:
    """Read a saved one back."""
    return PlainPredictor(PlainRecord.model_validate_json((folder / PLAIN_FILE).read_text(encoding="utf-8")))
