"""What objectives make of examples: token ids, with what is to be learnt at which of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

__all__ = ["Labelled", "Placed", "SourceTarget", "spread"]


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


def spread(batch: Sequence[Placed], device: torch.device) -> tuple[list[list[int]], list[int], torch.Tensor]:
    """Rows, places among the tokens of all rows, and labels [N], for sequences with labels at places."""
    places, start = [], 0
    for item in batch:
        places += [start + place for place in item.places]
        start += len(item.ids)
    labels = torch.tensor([label for item in batch for label in item.labels], device=device)
    return [item.ids for item in batch], places, labels
