"""Everything a killed run needs to go on with the same bits: parameters, optimiser, generators, stream, counters,
and in a file of their own the parameters of the best score.

Written atomically. Read with `weights_only=True`, which runs no code.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from hone.core.console import note
from hone.core.store import open_atomic
from hone.train.contracts import Mixture, Regulariser
from hone.train.optimiser import trained_parameters
from hone.train.plan import StepLog

__all__ = ["BestParameters", "Moving", "Progress", "load_checkpoint", "remove_checkpoint", "save_checkpoint"]


@dataclass
class Progress:
    """The counters of a run under way."""

    step: int = 0
    examples: int = 0
    tokens: int = 0
    positions: int = 0
    terms: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    highest: float | None = None
    """The best validation score so far."""
    best_score: float | None = None
    """That of the parameters that are kept: the highest, or a later one that ties with it."""
    best_step: int = 0
    misses: int = 0
    is_over: bool = False
    mean_loss: float | None = None
    spikes: int = 0
    waiting: list[list[int]] = field(default_factory=list)
    log: list[StepLog] = field(default_factory=list)


class Moving(NamedTuple):
    """What a run changes as it goes."""

    net: nn.Module
    optimiser: torch.optim.Optimizer
    mixture: Mixture
    rng: random.Random
    progress: Progress
    regulariser: Regulariser | None = None


_COUNTERS = tuple(name for name in Progress.__dataclass_fields__ if name != "log")


class BestParameters:
    """The parameters of the best score so far: in a file beside the checkpoint, or in memory where no checkpoint is kept."""

    def __init__(self, checkpoint: Path | None) -> None:
        self._checkpoint = checkpoint
        self._copy: dict[str, torch.Tensor] = {}

    def keep(self, net: nn.Module, step: int) -> None:
        """Copy what moves. The last checkpoint may still point at an older copy, which stays until `tidy`."""
        self._copy = {}  # before the copy is made: two of them would stand in memory
        trained = {name: parameter.detach() for name, parameter in trained_parameters(net).items()}
        if self._checkpoint is None:
            self._copy = {name: value.clone() for name, value in trained.items()}
            return
        with open_atomic(_best_file(self._checkpoint, step)) as file:
            torch.save(trained, file)

    def put_back(self, net: nn.Module, step: int) -> None:
        """Give the network the parameters kept at that step."""
        copy = self._copy
        if self._checkpoint is not None:
            copy = torch.load(_best_file(self._checkpoint, step), weights_only=True, mmap=True)
        trained = trained_parameters(net)
        with torch.no_grad():
            for name, value in copy.items():
                trained[name].copy_(value)

    def tidy(self, step: int) -> None:
        """Remove all copies but that of the step, which a checkpoint now points at."""
        if self._checkpoint is not None:
            for path in _best_files(self._checkpoint):
                if path != _best_file(self._checkpoint, step):
                    path.unlink()


def _best_file(checkpoint: Path, step: int) -> Path:
    return checkpoint.with_name(f"{checkpoint.name}-best-{step}")


def _best_files(checkpoint: Path) -> list[Path]:
    return list(checkpoint.parent.glob(f"{checkpoint.name}-best-*"))


def remove_checkpoint(checkpoint: Path) -> None:
    """Remove what a finished run kept for going on."""
    for path in (checkpoint, *_best_files(checkpoint)):
        path.unlink(missing_ok=True)


def save_checkpoint(path: Path, run: Moving) -> None:
    """Write the state of a run; a kill while writing leaves the last checkpoint whole."""
    version, internal, gauss = run.rng.getstate()
    state = {
        "parameters": {name: parameter.detach() for name, parameter in trained_parameters(run.net).items()},
        "optimiser": run.optimiser.state_dict(),
        "mixture": list(run.mixture.state()),
        "regulariser": run.regulariser.state() if run.regulariser else [],
        "random": [version, list(internal), gauss],
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "counters": {name: getattr(run.progress, name) for name in _COUNTERS},
        "log": [entry.model_dump() for entry in run.progress.log],
    }
    with open_atomic(path) as file:
        torch.save(state, file)


def load_checkpoint(path: Path, run: Moving) -> None:
    """Bring a run that was just set up to the state that `save_checkpoint` wrote; a damaged file is told of and left alone."""
    try:
        state = torch.load(path, weights_only=True, map_location=next(run.net.parameters()).device)
    except Exception:  # torch and zip raise many kinds for a file that is cut or overwritten
        note(f"{path} is damaged or no checkpoint; this training starts over.")
        return
    trained = trained_parameters(run.net)
    assert state["parameters"].keys() == trained.keys(), "the checkpoint is of another network"
    with torch.no_grad():
        for name, value in state["parameters"].items():
            trained[name].copy_(value)
    run.optimiser.load_state_dict(state["optimiser"])
    run.mixture.restore(state["mixture"])
    if run.regulariser and state.get("regulariser"):
        run.regulariser.restore(state["regulariser"])
    version, internal, gauss = state["random"]
    run.rng.setstate((version, tuple(internal), gauss))
    torch.set_rng_state(state["torch_random"].cpu())
    if torch.cuda.is_available() and state["cuda_random"]:
        torch.cuda.set_rng_state_all([generator.cpu() for generator in state["cuda_random"]])
    for name, value in state["counters"].items():
        setattr(run.progress, name, value)
    run.progress.log = [StepLog(**entry) for entry in state["log"]]
