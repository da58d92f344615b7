"""KL to the base: the tuned network's answers may not stray from the base model's, on the task's own inputs.

KL(base || tuned) per trained term, in fp32: the direction of distillation (Hinton 2015, https://arxiv.org/abs/1503.02531), which keeps all
that the base found likely.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hone.core.errors import Usage
from hone.train.contracts import LogitObjective, Objective, Stateless
from hone.train.start import StartingPoint

__all__ = ["KLToBase"]


class KLToBase(Stateless):
    """Strength x KL(base || tuned), summed over the trained terms."""

    name = "kl"
    needs_logits = True

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._start: StartingPoint | None = None

    def start(self, net: nn.Module, objective: Objective, encoded: Sequence[Any]) -> None:
        """Copy what moves.

        Raises:
            Usage: the objective puts a new head on the network, whose answers the base cannot give.
        """
        if objective.head not in ("causal", "masked", "seq2seq") or not isinstance(objective, LogitObjective):
            raise Usage(
                f"The regulariser 'kl' holds answers to the base model's, and the objective '{objective.name}' trains a head that "
                "the base model has not. Use l2sp or ewc there."
            )
        self._start = StartingPoint(net)

    def on_batch(self, net: nn.Module, objective: Objective, batch: Any, logits: torch.Tensor | None) -> torch.Tensor | None:
        """The divergence on this batch; the base answers without gradient."""
        assert self._start is not None and logits is not None and isinstance(objective, LogitObjective)
        was_training = net.training
        net.eval()
        with self._start.put_back(net):
            base = objective.logits(net, batch).float().log_softmax(dim=-1)
        net.train(was_training)
        tuned = logits.float().log_softmax(dim=-1)
        return self._strength * nn.functional.kl_div(tuned, base, log_target=True, reduction="sum")

    def on_step(self, net: nn.Module) -> float:
        """Nothing: the penalty is on answers."""
        return 0.0

    @property
    def bytes(self) -> int:
        """The copy of what moves."""
        return self._start.bytes if self._start else 0
