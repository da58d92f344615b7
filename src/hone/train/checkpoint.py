"""Everything a killed run needs to go on with the same bits: parameters, optimiser, generators, stream and counters.

Written atomically. Read with `weights_only=True`, which runs no code.
"""

import random
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import torch
from torch import nn

from hone.core.store import write_atomic
from hone.train.contracts import Mixture
from hone.train.optimiser import trained_parameters
from hone.train.plan import StepLog

__all__ = ["Progress", "load_checkpoint", "save_checkpoint"]


@dataclass
class Progress:
    """The counters of a run under way."""

    step: int = 0
    examples: int = 0
    tokens: int = 0
    positions: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    best_score: float | None = None
    best_step: int = 0
    misses: int = 0
    is_over: bool = False
    waiting: list[list[int]] = field(default_factory=list)
    log: list[StepLog] = field(default_factory=list)
    best: dict[str, torch.Tensor] | None = None


_COUNTERS = tuple(name for name in Progress.__dataclass_fields__ if name not in ("log", "best"))


def save_checkpoint(
    path: Path, net: nn.Module, optimiser: torch.optim.Optimizer, mixture: Mixture, rng: random.Random, progress: Progress
) -> None:
    """Write the state of a run; a kill while writing leaves the last checkpoint whole."""
    version, internal, gauss = rng.getstate()
    state = {
        "parameters": {name: parameter.detach() for name, parameter in trained_parameters(net).items()},
        "optimiser": optimiser.state_dict(),
        "mixture": list(mixture.state()),
        "random": [version, list(internal), gauss],
        "torch_random": torch.get_rng_state(),
        "counters": {name: getattr(progress, name) for name in _COUNTERS},
        "log": [entry.model_dump() for entry in progress.log],
        "best": progress.best,
    }
    buffer = BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(
    path: Path, net: nn.Module, optimiser: torch.optim.Optimizer, mixture: Mixture, rng: random.Random, progress: Progress
) -> None:
    """Bring a run that was just set up to the state that `save_checkpoint` wrote."""
    state = torch.load(path, weights_only=True, map_location=next(net.parameters()).device)
    trained = trained_parameters(net)
    assert state["parameters"].keys() == trained.keys(), "the checkpoint is of another network"
    with torch.no_grad():
        for name, value in state["parameters"].items():
            trained[name].copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    mixture.restore(state["mixture"])
    version, internal, gauss = state["random"]
    rng.setstate((version, tuple(internal), gauss))
    torch.set_rng_state(state["torch_random"].cpu())
    for name, value in state["counters"].items():
        setattr(progress, name, value)
    progress.log = [StepLog(**entry) for entry in state["log"]]
    progress.best = state["best"]
