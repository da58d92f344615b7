"""Contrast: texts of the same class move together, texts of other classes apart.

The idea is SetFit's (Tunstall 2022, https://arxiv.org/abs/2209.11055): a few labelled rows give many pairs.
Pairs are drawn when a batch is formed, never listed, so memory does not grow with the square of the rows. The loss is the
supervised contrastive one (Khosla 2020, https://arxiv.org/abs/2004.11362, eq. 2): every other row of the batch is used.
"""

from collections.abc import Sequence

import torch
from torch import nn

from hone.model import Pooling, TextReader, pool
from hone.task import Example
from hone.train.contracts import HeadKind
from hone.train.objective.items import ClassIndex, Labelled

__all__ = ["Contrast"]

_PART = 8  # rows of like length that share a forward pass


class Contrast:
    """Supervised contrastive loss on unit sentence vectors; the network is a backbone without a head.

    Each row of a batch is joined by a partner of its class, drawn at that moment; a class with a single row is its own partner
    (dropout makes the two views differ).
    """

    name = "contrast"
    head: HeadKind = "none"
    is_divisible = False  # every row of a batch is held against every other

    def __init__(self, labels: Sequence[str], reader: TextReader, *, pooling: Pooling, temperature: float = 0.1) -> None:
        self._classes = ClassIndex(labels)
        self._reader = reader
        self._pooling = pooling
        self._temperature = temperature
        self._by_class: dict[object, list[Labelled]] = {}

    def encode(self, examples: Sequence[Example]) -> list[Labelled]:
        """Token ids and class index per example; partners are later drawn from these."""
        tokens = self._reader.tokenize([example.text for example in examples])
        encoded = [
            Labelled(ids, self._classes.of(example.label, example.place)) for ids, example in zip(tokens, examples, strict=True)
        ]
        self._by_class = {}
        for item in encoded:
            self._by_class.setdefault(item.target, []).append(item)
        return encoded

    def collate(self, items: Sequence[Labelled]) -> list[Labelled]:
        """The items, each joined by a partner; sorted, for the loss has no order and parts of like length waste no padding."""
        return sorted([*items, *(self._partner(item) for item in items)], key=lambda item: item.length)

    def words(self, items: Sequence[Labelled]) -> set[int]:
        """Those of the items, which are each other's partners."""
        return {token for item in items for token in item.ids}

    def loss(self, net: nn.Module, batch: Sequence[Labelled]) -> tuple[torch.Tensor, int]:
        """Summed loss in fp32 over the rows, and their number."""
        rows = list(batch)
        vectors = torch.cat([self._vectors(net, rows[at : at + _PART]) for at in range(0, len(rows), _PART)])  # [N, D]
        targets = torch.tensor([item.target for item in rows], device=vectors.device)
        itself = torch.eye(len(rows), dtype=torch.bool, device=vectors.device)
        likeness = (vectors @ vectors.T).float() / self._temperature  # [N, N]
        log_share = likeness - likeness.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
        same = (targets[:, None] == targets[None, :]) & ~itself
        per_row = -(log_share * same).sum(dim=1) / same.sum(dim=1)
        return per_row.sum(), len(rows)

    def _vectors(self, net: nn.Module, rows: Sequence[Labelled]) -> torch.Tensor:
        ids, mask = self._reader.pad([item.ids for item in rows])
        return pool(net, ids, mask, how=self._pooling)

    def _partner(self, item: Labelled) -> Labelled:
        mates = self._by_class[item.target]
        at = int(torch.randint(len(mates), (1,)))  # torch's generator, which checkpoints keep
        if mates[at] is item:
            at = (at + 1) % len(mates)
        return mates[at]
