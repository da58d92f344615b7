"""What objectives make of examples: token ids, with what is to be learnt at which of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hone.core.errors import BadData
from hone.train.contracts import LogitObjective

__all__ = ["UNSEEN", "ClassIndex", "Labelled", "Placed", "PlacedLabels", "SourceTarget", "spread"]

UNSEEN = -100
"""Number of a class that the head does not answer, of a row that only judges; torch's cross-entropy passes over it."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Token ids of one text and what it is: a class index, a number, or 0 and 1 per class."""

    ids: list[int]
    target: int | float | tuple[float, ...]

    @property
    def length(self) -> int:
        """Tokens, special ones included."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Placed:
    """Token ids of one sequence, and a label at some of its places."""

    ids: list[int]
    places: list[int]
    labels: list[int]
    is_cut: bool = False
    answer: tuple[int, int] | None = None
    """Where the last answer begins and ends in the ids, also where more than answers is learnt; None for what is no answer."""

    @property
    def length(self) -> int:
        """Tokens, special ones included."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class SourceTarget:
    """Token ids that the encoder reads, and those that the decoder is to write."""

    source: list[int]
    target: list[int]
    is_cut: bool = False

    @property
    def length(self) -> int:
        """Tokens of both."""
        return len(self.source) + len(self.target)


class ClassIndex:
    """The classes that a head answers, by number."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._index = {label: index for index, label in enumerate(labels)}

    def of(self, label: str, row: str, *, judges: bool = False) -> int:
        """Number of a class. `row`: where it stands. `judges`: whether nothing is learnt from it; `UNSEEN` where there is no such class.

        Raises:
            BadData: there is no such class in a row that trains.
        """
        if label not in self._index and judges:
            return UNSEEN
        if label not in self._index:
            shown = ", ".join(list(self._index)[:20]) + (", ..." if len(self._index) > 20 else "")
            raise BadData(
                f"{row}: label '{label}' is none of those that the training data has: {shown}. "
                "Correct or leave out the row, or add rows with this label to the training data."
            )
        return self._index[label]


def spread(batch: Sequence[Placed], device: torch.device) -> tuple[list[list[int]], list[int], torch.Tensor]:
    """Rows, places among the tokens of all rows, and labels [N], for sequences with labels at places."""
    places, start = [], 0
    for item in batch:
        places += [start + place for place in item.places]
        start += len(item.ids)
    labels = torch.tensor([label for item in batch for label in item.labels], device=device)
    return [item.ids for item in batch], places, labels


class PlacedLabels(LogitObjective[Placed]):
    """Cross-entropy of the labels at places of a sequence: words of the vocabulary, or tags."""

    def logits(self, net: nn.Module, batch: Sequence[Placed]) -> torch.Tensor:
        """[N, V] with N the places of all items."""
        rows, places, _ = spread(batch, next(net.parameters()).device)
        found: torch.Tensor = net(rows, places)
        return found

    def loss_from(self, logits: torch.Tensor, batch: Sequence[Placed]) -> tuple[torch.Tensor, int]:
        """Summed cross-entropy and the number of places."""
        labels = spread(batch, logits.device)[2]
        return nn.functional.cross_entropy(logits.float(), labels, reduction="sum"), len(labels)

    def right(self, logits: torch.Tensor, batch: Sequence[Placed]) -> int:
        """Places whose likeliest label is theirs."""
        return int((logits.argmax(dim=1) == spread(batch, logits.device)[2]).sum())
