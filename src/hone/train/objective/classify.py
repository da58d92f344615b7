"""Classification: cross-entropy of one class per text."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hone.model import TextReader
from hone.task import Example

__all__ = ["Classify", "Labelled"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Token ids of one text and the index of its class."""

    ids: list[int]
    target: int

    @property
    def length(self) -> int:
        """Tokens, special ones included."""
        return len(self.ids)


class Classify:
    """Cross-entropy over the classes, summed over the batch; the network returns logits [B, C]."""

    name = "classify"
    is_divisible = True

    def __init__(self, labels: Sequence[str], reader: TextReader) -> None:
        self._index = {label: index for index, label in enumerate(labels)}
        self._reader = reader

    def encode(self, examples: Sequence[Example]) -> list[Labelled]:
        """Token ids and class index per example."""
        tokens = self._reader.tokenize([example.text for example in examples])
        return [Labelled(ids, self._index[example.label]) for ids, example in zip(tokens, examples, strict=True)]

    def loss(self, net: nn.Module, batch: Sequence[Labelled]) -> tuple[torch.Tensor, int]:
        """Summed cross-entropy in fp32 and the number of rows."""
        ids, mask = self._reader.pad([item.ids for item in batch])
        targets = torch.tensor([item.target for item in batch], device=ids.device)
        logits = net(ids, mask).float()  # [B, C]
        return nn.functional.cross_entropy(logits, targets, reduction="sum"), len(batch)
