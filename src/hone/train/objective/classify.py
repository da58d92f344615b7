"""One answer per text: a class (cross-entropy), several labels (binary cross-entropy each), or a number (squared error)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hone.model import HeadedNetwork, TextReader
from hone.task import Example, MultiLabelled, Scored
from hone.train.contracts import HeadKind, LogitObjective
from hone.train.objective.items import UNSEEN, ClassIndex, Labelled

__all__ = ["Classify", "MultiLabel", "Regress"]


class _PerText(LogitObjective[Labelled]):
    head: HeadKind = "pooled"

    def logits(self, net: nn.Module, batch: Sequence[Labelled]) -> torch.Tensor:
        """[B, C]."""
        found: torch.Tensor = net([item.ids for item in batch])
        return found


class Classify(_PerText):
    """Cross-entropy over the classes, summed over the batch."""

    name = "classify"

    def __init__(self, labels: Sequence[str], reader: TextReader) -> None:
        self._classes = ClassIndex(labels)
        self._reader = reader

    def encode(self, examples: Sequence[Example], *, judges: bool = False) -> list[Labelled]:
        """Token ids and class index per example. `judges`: whether nothing is learnt from them, so that other classes may come."""
        tokens = self._reader.tokenize([example.text for example in examples])
        return [
            Labelled(ids, self._classes.of(example.label, example.place, judges=judges))
            for ids, example in zip(tokens, examples, strict=True)
        ]

    def loss_from(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> tuple[torch.Tensor, int]:
        """Summed cross-entropy in fp32 and the number of rows whose class the head answers."""
        targets = torch.tensor([item.target for item in batch], device=logits.device)
        return nn.functional.cross_entropy(logits.float(), targets, reduction="sum"), len(batch) - self.unseen(batch)

    def unseen(self, batch: Sequence[Labelled]) -> int:
        """Rows of a class that the head does not answer."""
        return sum(item.target == UNSEEN for item in batch)

    def answers(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> list[Any]:
        """The probability of each class, [C] per text."""
        return list(logits.double().softmax(dim=1).cpu().numpy())

    def right(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> int:
        """Rows whose likeliest class is theirs."""
        return int((logits.argmax(dim=1) == torch.tensor([item.target for item in batch], device=logits.device)).sum())


class MultiLabel(_PerText):
    """Each label is a yes or no of its own; the loss of a text is the mean over the labels."""

    name = "multi_label"

    def __init__(self, labels: Sequence[str], reader: TextReader) -> None:
        self._labels, self._classes = tuple(labels), ClassIndex(labels)
        self._reader = reader

    def encode(self, examples: Sequence[MultiLabelled], *, judges: bool = False) -> list[Labelled]:
        """Token ids, and 0 or 1 per label. `judges`: whether nothing is learnt from them, so that other labels may come."""
        for example in examples:
            for label in example.labels:
                self._classes.of(label, example.place, judges=judges)
        tokens = self._reader.tokenize([example.text for example in examples])
        return [
            Labelled(ids, tuple(float(label in example.labels) for label in self._labels))
            for ids, example in zip(tokens, examples, strict=True)
        ]

    def loss_from(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> tuple[torch.Tensor, int]:
        """Binary cross-entropy in fp32, mean over labels, summed over rows."""
        targets = torch.tensor([item.target for item in batch], device=logits.device)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
        return loss.mean(dim=1).sum(), len(batch)

    def answers(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> list[Any]:
        """Whether each label is likelier there than not, [C] per text."""
        return list((logits > 0).cpu().numpy())

    def drawn(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> torch.Tensor:
        """Of a yes or no for each label."""
        answers = torch.bernoulli(logits.detach().float().sigmoid())
        return -nn.functional.binary_cross_entropy_with_logits(logits.float(), answers, reduction="sum")


class Regress(_PerText):
    """Half the squared error of one number, which `encode` scales to mean 0 and variance 1 over the first examples it sees."""

    name = "regression"

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self.mean = 0.0
        self.deviation = 0.0

    def encode(self, examples: Sequence[Scored]) -> list[Labelled]:
        """Token ids and the scaled number."""
        if not self.deviation:
            scores = torch.tensor([example.score for example in examples], dtype=torch.float64)
            self.mean, self.deviation = float(scores.mean()), float(scores.std(correction=0)) or 1.0
        tokens = self._reader.tokenize([example.text for example in examples])
        return [
            Labelled(ids, (example.score - self.mean) / self.deviation) for ids, example in zip(tokens, examples, strict=True)
        ]

    def loss_from(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> tuple[torch.Tensor, int]:
        """Half the squared error in fp32, and the number of rows."""
        targets = torch.tensor([item.target for item in batch], device=logits.device)
        return 0.5 * (logits.float()[:, 0] - targets).square().sum(), len(batch)

    def answers(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> list[Any]:
        """The number of each text, in the rows' own unit."""
        return list((logits.double()[:, 0] * self.deviation + self.mean).tolist())

    def drawn(self, logits: torch.Tensor, batch: Sequence[Labelled]) -> torch.Tensor:
        """Of a number that lies about the answer as the squared error says: normally, with variance 1."""
        answers = logits.float()[:, 0]
        return -0.5 * (answers - torch.normal(answers.detach(), 1.0)).square().sum()

    @torch.no_grad()
    def unscale(self, net: HeadedNetwork) -> None:
        """Give the trained head the mean and the deviation, so that it answers in the rows' own units: for whoever loads it."""
        net.classifier.weight.mul_(self.deviation)
        net.classifier.bias.mul_(self.deviation).add_(self.mean)
