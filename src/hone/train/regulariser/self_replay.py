"""Self-replay: on texts of its own the network keeps to the base model's distribution. It needs no data and no second network.

Strength x KL(base || tuned) per token of the samples, in the direction that keeps all the base found likely (https://arxiv.org/abs/2512.22337). What
the base found likely, its 64 likeliest tokens at each place and the share of all others together, is taken down once before the first step.
With a target the strength is no constant: it rises while the divergence is above the target and falls while it is below (a primal-dual
controller), so that what may be lost is named rather than how hard to hold.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from hone.core.errors import Usage
from hone.model import TextReader, token_batches
from hone.train.contracts import LogitObjective, Objective

__all__ = ["OwnDistribution", "SelfReplay", "divergence", "take_down"]

_TOP = 64
_TOKENS = 2048  # of samples in one pass
_LEAST = 1e-6  # share of the tokens that are not among the likeliest: below it they do not count
_GAIN, _MEMORY = 0.1, 0.9  # of the controller, per step; of its running mean
# With 100 for the strongest AdamW saw little but the penalty: LoRA learnt 8 to 18% of a task at a budget of 1% (docs/log.md).
_WEAKEST, _STRONGEST = 0.01, 10.0


class OwnDistribution(NamedTuple):
    """What the base expected at the N places of one sample."""

    words: torch.Tensor
    """[N, 64] int32: the likeliest."""
    log_shares: torch.Tensor
    """[N, 64] fp32."""


def take_down(net: nn.Module, objective: LogitObjective[Any], items: Sequence[Any], reader: TextReader) -> list[OwnDistribution]:
    """The network's distribution at all places of some samples, one entry per item."""
    was_training = net.training
    net.eval()
    found: list[OwnDistribution | None] = [None] * len(items)
    for part in token_batches([item.length for item in items], max_tokens=_TOKENS, is_packed=True):
        batch = [items[index] for index in part]
        with torch.no_grad(), reader.autocast():
            shares = objective.logits(net, batch).float().log_softmax(dim=-1)
        top = shares.topk(min(_TOP, shares.shape[1] - 1), dim=-1)
        counts = [_places(item) for item in batch]
        for index, words, values in zip(part, torch.split(top.indices, counts), torch.split(top.values, counts), strict=True):
            found[index] = OwnDistribution(words.to(torch.int32).clone(), values.clone())
    net.train(was_training)
    assert all(one is not None for one in found)
    return [one for one in found if one is not None]


def _places(item: Any) -> int:
    return len(item.places) if hasattr(item, "places") else len(item.target)


def divergence(logits: torch.Tensor, base: Sequence[OwnDistribution]) -> torch.Tensor:
    """KL(base || tuned) [N] from logits [N, V]; tokens that were not among the likeliest count as one."""
    words = torch.cat([one.words for one in base]).long()
    wanted = torch.cat([one.log_shares for one in base])
    tuned = logits.float().log_softmax(dim=-1).gather(1, words)
    rest = (1 - wanted.exp().sum(dim=1)).clamp(min=_LEAST)
    tuned_rest = (1 - tuned.exp().sum(dim=1)).clamp(min=_LEAST)
    return (wanted.exp() * (wanted - tuned)).sum(dim=1) + rest * (rest.log() - tuned_rest.log())


class SelfReplay:
    """Holds the network to the base on samples of the base; in each step on some of them."""

    name = "self"
    needs_logits = False

    def __init__(
        self,
        objective: LogitObjective[Any],
        items: Sequence[Any],
        reader: TextReader,
        *,
        rows: int,
        strength: float = 1.0,
        target: float | None = None,
    ) -> None:
        """
        Args:
            objective: gives the logits of the items. items: `draw_own_samples`. rows: items per optimiser step.
            strength: at the first step; throughout where there is no target. target: divergence in nats per token to keep to.
        """
        assert items and rows > 0, "self-replay needs a sample"
        self._objective, self._items, self._reader = objective, list(items), reader
        self._rows, self._target = min(rows, len(items)), target
        self.strength = strength
        self.divergence: float | None = None
        """Running mean over the last steps, nats per token."""
        self._base: list[OwnDistribution] = []

    def start(self, net: nn.Module, objective: Objective, encoded: Sequence[Any]) -> None:
        """Take down what the base expects.

        Raises:
            Usage: a new head is trained, which the base has not.
        """
        if objective.head not in ("causal", "seq2seq"):
            raise Usage(
                f"Self-replay holds what a model writes, and the objective '{objective.name}' trains one that writes nothing. Use --hold l2sp there."
            )
        self._base = take_down(net, self._objective, self._items, self._reader)

    def on_batch(self, net: nn.Module, objective: Objective, batch: Any, logits: torch.Tensor | None) -> None:
        """Nothing: the samples are its own."""

    def on_step(self, net: nn.Module) -> float:
        """Add the gradient of strength x mean divergence on the next samples."""
        chosen = torch.randint(len(self._items), (self._rows,)).tolist()
        with self._reader.autocast():
            logits = self._objective.logits(net, [self._items[index] for index in chosen])
        mean = divergence(logits, [self._base[index] for index in chosen]).mean()
        (self.strength * mean).backward()  # type: ignore[no-untyped-call]
        penalty = self.strength * mean.item()
        self._steer(mean.item())
        return penalty

    def _steer(self, found: float) -> None:
        before = found if self.divergence is None else self.divergence
        self.divergence = _MEMORY * before + (1 - _MEMORY) * found
        if self._target is not None:
            excess = min(1.0, max(-1.0, self.divergence / self._target - 1))
            self.strength = min(_STRONGEST, max(_WEAKEST, self.strength * math.exp(_GAIN * excess)))

    def words(self) -> set[int]:
        """Those of the samples."""
        return self._objective.words(self._items) or set()

    def state(self) -> list[float]:
        """Strength and running divergence."""
        return [self.strength, *([] if self.divergence is None else [self.divergence])]

    def restore(self, state: Sequence[float]) -> None:
        """Go on from there."""
        self.strength = state[0]
        self.divergence = state[1] if len(state) > 1 else None

    @property
    def bytes(self) -> int:
        """What was taken down."""
        return sum(tensor.numel() * tensor.element_size() for one in self._base for tensor in one)
