"""Penalties on how far parameters move: L2-SP, the same for all of them, and EWC, more for those the base relied on.

L2-SP: Li 2018, https://arxiv.org/abs/1802.01483, strength / 2 x sum (w - w0)^2. EWC: Kirkpatrick 2017,
https://arxiv.org/abs/1612.00796, the same weighted by the Fisher diagonal; it is estimated per example, on answers drawn from the model
itself, not on the labels (Kunstner 2019, https://arxiv.org/abs/1905.12558, shows how the labels mislead).
A new head has no starting point and is left free. The gradient is added once per optimiser step, outside autograd.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hone.core.errors import Usage
from hone.train.contracts import LogitObjective, Objective, Stateless
from hone.train.optimiser import trained_parameters
from hone.train.start import StartingPoint

__all__ = ["EWC", "L2SP"]

FISHER_EXAMPLES = 128


class L2SP(Stateless):
    """Strength / 2 x the squared distance to the starting point."""

    name = "l2sp"
    needs_logits = False

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._start: StartingPoint | None = None

    def start(self, net: nn.Module, objective: Objective, encoded: Sequence[Any]) -> None:
        """Copy what moves."""
        self._start = StartingPoint(net)

    def on_batch(self, net: nn.Module, objective: Objective, batch: Any, logits: torch.Tensor | None) -> None:
        """Nothing: the penalty does not depend on the batch."""

    @torch.no_grad()
    def on_step(self, net: nn.Module) -> float:
        """Add strength x weight x (w - w0) to the gradients."""
        assert self._start is not None, "start comes first"
        trained, total = trained_parameters(net), 0.0
        for name, origin in self._start.values.items():
            parameter = trained[name]
            pull = self._weigh(name, parameter - origin) * self._strength
            total += 0.5 * float((pull * (parameter - origin)).sum())
            parameter.grad = pull if parameter.grad is None else parameter.grad.add_(pull)
        return total

    def _weigh(self, name: str, moved: torch.Tensor) -> torch.Tensor:
        return moved

    @property
    def bytes(self) -> int:
        """The copy of what moves."""
        return self._start.bytes if self._start else 0


class EWC(L2SP):
    """The distance weighted by the Fisher diagonal at the starting point."""

    name = "ewc"

    def __init__(self, strength: float) -> None:
        super().__init__(strength)
        self._fisher: dict[str, torch.Tensor] = {}

    def start(self, net: nn.Module, objective: Objective, encoded: Sequence[Any]) -> None:
        """Estimate the Fisher diagonal: mean over examples of the squared gradient of the log-likelihood of a drawn answer."""
        super().start(net, objective, encoded)
        assert self._start is not None
        if not isinstance(objective, LogitObjective):
            raise Usage(
                f"The regulariser 'ewc' draws answers from the model, which the objective '{objective.name}' has none of."
            )
        trained = trained_parameters(net)
        self._fisher = {name: torch.zeros_like(value) for name, value in self._start.values.items()}
        was_training = net.training
        net.eval()
        stride = max(1, len(encoded) // FISHER_EXAMPLES)
        examples = list(encoded[::stride])[:FISHER_EXAMPLES]
        for item in examples:
            batch = objective.collate([item])
            objective.drawn(objective.logits(net, batch), batch).backward()  # type: ignore[no-untyped-call]
            for name, fisher in self._fisher.items():
                gradient = trained[name].grad
                if gradient is not None:
                    fisher.add_(gradient.square(), alpha=1 / len(examples))
            net.zero_grad(set_to_none=True)
        net.train(was_training)

    def _weigh(self, name: str, moved: torch.Tensor) -> torch.Tensor:
        return self._fisher[name] * moved

    @property
    def bytes(self) -> int:
        """The copy and the Fisher diagonal."""
        return 2 * super().bytes
