"""Muon in fp32, for processors that only emulate bf16, in which torch's own computes its directions: there it took half of a training's time.

The direction of a matrix is its momentum with all singular values near 1, by five steps of X <- aX + (bXX' + c(XX')^2)X (Jordan 2024,
https://kellerjordan.github.io/posts/muon). Small matrices of one shape step together.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["Muon32"]

_TOGETHER = 2**18  # numbers: larger matrices fill the processor alone


class Muon32(torch.optim.Muon):
    """As torch's with `adjust_lr_fn="match_rms_adamw"`, but for its directions, which torch rounds to bf16."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Each matrix that has a gradient."""
        for group in self.param_groups:
            momentum, decay = group["momentum"], 1 - group["lr"] * group["weight_decay"]
            for parameters in _together([one for one in group["params"] if one.grad is not None]):
                moved = torch.stack([self._moved(one, momentum, nesterov=group["nesterov"]) for one in parameters])
                directions = _orthogonal(moved, group["ns_coefficients"], steps=group["ns_steps"], eps=group["eps"])
                rate = (
                    group["lr"] * 0.2 * math.sqrt(max(moved.shape[1:]))
                )  # of AdamW's size (Liu 2025, https://arxiv.org/abs/2502.16982)
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.mul_(decay).add_(direction, alpha=-rate)

    def _moved(self, parameter: torch.Tensor, momentum: float, *, nesterov: bool) -> torch.Tensor:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        buffer: torch.Tensor = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum) if nesterov else buffer


def _together(parameters: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Those of one shape, as many as are small together."""
    by_shape: dict[torch.Size, list[torch.Tensor]] = {}
    for parameter in parameters:
        by_shape.setdefault(parameter.shape, []).append(parameter)
    for shape, alike in by_shape.items():
        count = max(1, _TOGETHER // shape.numel())
        for first in range(0, len(alike), count):
            yield alike[first : first + count]


def _orthogonal(matrices: torch.Tensor, coefficients: tuple[float, float, float], *, steps: int, eps: float) -> torch.Tensor:
    """[N, A, B] with singular values near 1, the vectors as they were."""
    a, b, c = coefficients
    is_tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if is_tall else matrices
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if is_tall else found
