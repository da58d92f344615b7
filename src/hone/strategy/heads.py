"""What a head on an encoder answers, a class for each kind of rows: a class, a number, several labels, a tag for every word,
a stretch of a passage."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hone.measure import Answers
from hone.model import EVALUATION_TOKENS, HeadedNetwork, TextReader, token_batches
from hone.task import Example, Passage, Tagged, TaskKind
from hone.train import Answers as ToAnswer
from hone.train import Classify, Labelled, LogitObjective, MultiLabel, Placed, Regress, Tag, passage_answers, tell_answers

__all__ = ["Answering", "Head", "make_head", "net_probabilities", "words_of"]

Answering = Callable[[nn.Module], Answers]
"""What a network answers to rows that were read once."""


class Head(ABC):
    """How a head is trained to answer, and how its answers are read."""

    per_token = False
    """Whether it answers every token, or the text as a whole."""
    outputs: tuple[str, ...]
    """What its numbers stand for."""
    objective: LogitObjective[Any]

    @abstractmethod
    def encode(self, examples: Sequence[Example]) -> list[Any]:
        """What it is trained on."""

    @abstractmethod
    def asked(self, examples: Sequence[Example]) -> Answering:
        """Rows made ready to be answered, by a network in any state."""

    def finish(self, net: nn.Module) -> None:
        """After training: what the network needs to answer without the training rows is written into it; here nothing."""
        return


class _ClassHead(Head):
    def __init__(self, labels: Sequence[str], reader: TextReader) -> None:
        self.outputs, self._reader = tuple(labels), reader
        self.objective: Classify = Classify(labels, reader)

    def encode(self, examples: Sequence[Example]) -> list[Any]:
        return list(self.objective.encode(examples))

    def asked(self, examples: Sequence[Example]) -> Answering:
        ids = self._reader.tokenize([example.text for example in examples])

        def answers(net: nn.Module) -> Answers:
            return net_probabilities(net, self._reader, ids, classes=len(self.outputs))

        return answers


class _PerText(Head):
    """Answers that `LogitObjective.answers` tells of a text."""

    objective: MultiLabel | Regress
    _reader: TextReader

    def encode(self, examples: Sequence[Example]) -> list[Any]:
        return list(self.objective.encode([example.row for example in examples]))

    def asked(self, examples: Sequence[Example]) -> Answering:
        items = [Labelled(ids, 0) for ids in self._reader.tokenize([example.text for example in examples])]
        shape = (len(items), len(self.outputs)) if isinstance(self.objective, MultiLabel) else (len(items),)

        def answers(net: nn.Module) -> Answers:
            return np.array(tell_answers(net, self.objective, items, self._reader), dtype=np.float64).reshape(shape)

        return answers


class _NumberHead(_PerText):
    def __init__(self, reader: TextReader) -> None:
        self.outputs, self._reader = ("score",), reader
        self.objective: Regress = Regress(reader)

    def asked(self, examples: Sequence[Example]) -> Answering:
        """A network that is read back answers in the rows' own unit."""
        self.objective.deviation = self.objective.deviation or 1.0
        return super().asked(examples)

    def finish(self, net: nn.Module) -> None:
        assert isinstance(net, HeadedNetwork)
        self.objective.unscale(net)
        self.objective.mean, self.objective.deviation = 0.0, 1.0


class _LabelSetHead(_PerText):
    def __init__(self, labels: Sequence[str], reader: TextReader) -> None:
        self.outputs, self._reader = tuple(labels), reader
        self.objective: MultiLabel = MultiLabel(labels, reader)


class _TagHead(Head):
    """Words that the model never reads, behind its context or of no token, are outside of everything."""

    per_token = True

    def __init__(self, labels: Sequence[str], reader: TextReader) -> None:
        self.outputs, self._reader = tuple(labels), reader
        self.objective: Tag = Tag(labels, reader)
        self._outside = "O" if "O" in self.outputs else self.outputs[0]

    def encode(self, examples: Sequence[Example]) -> list[Any]:
        return [item for item in self.objective.encode([example.row for example in examples]) if item.places]

    def asked(self, examples: Sequence[Example]) -> Answering:
        rows = [words_of(example) for example in examples]
        placed = [self.objective.place(words) for words in rows]
        items = [Placed(ids, list(first.values()), [0] * len(first)) for ids, first in placed if first]

        def answers(net: nn.Module) -> Answers:
            told, said = iter(tell_answers(net, self.objective, items, self._reader)), []
            for words, (_, first) in zip(rows, placed, strict=True):
                known = dict(zip(first, next(told), strict=True)) if first else {}
                said.append(" ".join(self.outputs[known[at]] if at in known else self._outside for at in range(len(words))))
            return tuple(said)

        return answers


class _StretchHead(Head):
    """Every question has an answer in its passage."""

    per_token = True

    def __init__(self, reader: TextReader) -> None:
        self.outputs, self._reader = ("first", "last"), reader
        self.objective: ToAnswer = ToAnswer(reader)
        self.objective.always = True

    def encode(self, examples: Sequence[Example]) -> list[Any]:
        return list(self.objective.encode([_passage(example) for example in examples]))

    def asked(self, examples: Sequence[Example]) -> Answering:
        rows = [_passage(example) for example in examples]
        items = self.objective.encode(rows)

        def answers(net: nn.Module) -> Answers:
            told = tell_answers(net, self.objective, items, self._reader)
            return tuple(passage_answers(items, rows, told, always=True))

        return answers


def _passage(example: Example) -> Passage:
    """As it was read, or from a text in which the question stands behind its passage."""
    if isinstance(example.row, Passage):
        return example.row
    context, _, question = example.text.rpartition("\n\n")
    return Passage(question, context, (), (), example.file, example.line)


def words_of(example: Example) -> Sequence[str]:
    """Those that are tagged: as they were read, or between the blanks of a text."""
    return example.row.tokens if isinstance(example.row, Tagged) else example.text.split()


def make_head(kind: TaskKind, labels: Sequence[str], reader: TextReader) -> Head:
    """The head that answers rows of this kind. `labels`: in the order of its outputs."""
    if kind == "regression":
        return _NumberHead(reader)
    if kind == "multi-label-classification":
        return _LabelSetHead(labels, reader)
    if kind == "question-answering":
        return _StretchHead(reader)
    return _TagHead(labels, reader) if kind == "token-classification" else _ClassHead(labels, reader)


def net_probabilities(net: nn.Module, reader: TextReader, ids: list[list[int]], *, classes: int) -> NDArray[np.float64]:
    """Softmax of a classifier's logits, taken in float64, [n, C]; rows of like length share a batch."""
    answers = np.zeros((len(ids), classes))
    net.eval()
    for batch in token_batches([len(row) for row in ids], max_tokens=EVALUATION_TOKENS):
        with torch.no_grad(), reader.autocast():
            logits = net([ids[index] for index in batch])
        answers[batch] = logits.double().softmax(dim=-1).cpu().numpy()
    return answers
