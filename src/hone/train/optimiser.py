"""AdamW with its parameter groups, Muon for a model's first training, and the learning rate as a share of its peak."""

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from hone.core.device import has_fast_bf16
from hone.train.muon import Muon32
from hone.train.plan import TrainPlan

__all__ = ["is_head", "make_optimiser", "rate_share", "trained_parameters"]

_NO_MATRICES = ("prompt", ".prefix")  # nor are IA3's vectors: decay would pull them to 0, which is not where the base is
_TABLE = 0.1  # root mean square of a word table up to which the rates serve
_DECAY = 0.2  # of the steps: Hu 2024, https://arxiv.org/abs/2404.06395, found a tenth to suffice, a fifth to be safe


def trained_parameters(net: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that move, by name, in the network's order."""
    return {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}


def is_head(name: str) -> bool:
    """Whether a parameter belongs to the classification head of a `PooledClassifier`."""
    return name.startswith("classifier.")


def make_optimiser(net: nn.Module, plan: TrainPlan) -> torch.optim.Optimizer:
    """Fused AdamW: two learning rates (head and rest) by two decays (matrices, and biases and norms, which do not decay).

    With `muon` all matrices but the words' tables, embeddings and output layer, step by Muon instead, at the same rates (Jordan 2024, https://kellerjordan.github.io/posts/muon,
    scaled as in Liu 2025, https://arxiv.org/abs/2502.16982, so that AdamW's rates serve). What begins much larger or smaller than is usual then
    steps in proportion, as with Adafactor (Shazeer 2018, https://arxiv.org/abs/1804.04235, section 8), by which T5 was made: its word table begins
    at 1, and its queries at an eighth of the other matrices, for no other scale keeps its attention from becoming all or nothing.
    """
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    tables = _word_tables(net)
    by_muon = plan.optimiser == "muon"
    usual = _usual_size(net, tables) if by_muon else 1.0
    for name, parameter in trained_parameters(net).items():
        peak = plan.head_learning_rate if is_head(name) else plan.learning_rate
        if ".lora_B." in name:
            peak *= plan.lora_plus
        decay = plan.weight_decay if parameter.ndim >= 2 and not name.endswith(_NO_MATRICES) and ".ia3_l." not in name else 0.0
        is_inner = by_muon and parameter.ndim == 2 and id(parameter) not in tables and not is_head(name)
        if is_inner:
            peak *= _share(_size(parameter) / usual)
        elif by_muon and id(parameter) in tables:
            peak *= max(1.0, _size(parameter) / _TABLE)
        groups.setdefault((peak, decay, is_inner), []).append(parameter)
    assert groups, "no parameter moves"
    made: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for (peak, decay, is_inner), parameters in groups.items():
        made[is_inner].append({"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay})
    adamw = torch.optim.AdamW(made[False], fused=True, betas=(0.9, plan.beta2)) if made[False] else None
    if not made[True]:
        assert adamw is not None
        return adamw
    kind = torch.optim.Muon if has_fast_bf16(made[True][0]["params"][0].device) else Muon32
    muon = kind(made[True], adjust_lr_fn="match_rms_adamw")
    return muon if adamw is None else _Joint(muon, adamw)


def _word_tables(net: nn.Module) -> set[int]:
    """Ids of the matrices with a row for each word: embeddings, and an output layer over the vocabulary, tied or not."""
    found = {id(module.weight) for module in net.modules() if isinstance(module, nn.Embedding)}
    output = getattr(getattr(net, "base", None), "get_output_embeddings", lambda: None)()
    return found if output is None else found | {id(output.weight)}


def _size(parameter: nn.Parameter) -> float:
    """Root mean square."""
    return float(parameter.detach().float().square().mean().sqrt())


def _usual_size(net: nn.Module, tables: set[int]) -> float:
    """The median over matrices that are no word tables."""
    sizes = [_size(one) for one in trained_parameters(net).values() if one.ndim == 2 and id(one) not in tables]
    return float(np.median(sizes)) if sizes else 1.0


def _share(size: float) -> float:
    """Of the rate that a matrix gets which is so many times as large as the others: all, unless it is less than half as large."""
    return size if 0.0 < size < 0.5 else 1.0


class _Joint(torch.optim.Optimizer):
    """Two optimisers, each with parameters of its own, as one."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self._parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.param_groups = [
            group for part in parts for group in part.param_groups
        ]  # the parts' own, so that a rate set here counts

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Each its own parameters."""
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Of all parts."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


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
