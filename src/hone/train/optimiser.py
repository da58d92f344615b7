"""AdamW with its parameter groups, and the learning rate as a share of its peak."""

import math

import torch
from torch import nn

from hone.train.plan import TrainPlan

__all__ = ["is_head", "make_optimiser", "rate_share", "trained_parameters"]

_NO_MATRICES = ("prompt", ".prefix")  # nor are IA3's vectors: decay would pull them to 0, which is not where the base is
_DECAY = 0.2  # of the steps: Hu 2024, https://arxiv.org/abs/2404.06395, found a tenth to suffice, a fifth to be safe


def trained_parameters(net: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that move, by name, in the network's order."""
    return {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}


def is_head(name: str) -> bool:
    """Whether a parameter belongs to the classification head of a `PooledClassifier`."""
    return name.startswith("classifier.")


def make_optimiser(net: nn.Module, plan: TrainPlan) -> torch.optim.Optimizer:
    """Fused AdamW: two learning rates (head and rest) by two decays (matrices, and biases and norms, which do not decay)."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trained_parameters(net).items():
        peak = plan.head_learning_rate if is_head(name) else plan.learning_rate
        if ".lora_B." in name:
            peak *= plan.lora_plus
        decay = plan.weight_decay if parameter.ndim >= 2 and not name.endswith(_NO_MATRICES) and ".ia3_l." not in name else 0.0
        groups.setdefault((peak, decay), []).append(parameter)
    assert groups, "no parameter moves"
    return torch.optim.AdamW(
        [{"params": list_, "lr": peak, "peak": peak, "weight_decay": decay} for (peak, decay), list_ in groups.items()],
        fused=True,
    )


def rate_share(step: int, plan: TrainPlan) -> float:
    """Learning rate of the step after `step` done ones, as a share of the peak: a straight rise, then the plan's schedule."""
    warm = max(1, round(plan.warmup * plan.steps))
    if step < warm:
        return (step + 1) / warm
    left = max(0.0, (plan.steps - step) / max(1, plan.steps - warm))
    if plan.schedule == "constant":
        return 1.0
    if plan.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (1 - left)))
    if plan.schedule == "wsd":
        return min(1.0, (plan.steps - step) / max(1.0, _DECAY * plan.steps))
    return left
