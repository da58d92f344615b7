"""Everything a killed run needs to go on with the same bits: parameters, optimiser, generators, stream, counters,
and in a file of their own the parameters of the best score. Processes that divide a network each write their part.

Written atomically. Read with `weights_only=True`, which runs no code.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from hone.core.console import note
from hone.core.store import open_atomic
from hone.train.contracts import Mixture, Regulariser
from hone.train.optimiser import trained_parameters
from hone.train.plan import StepLog
from hone.train.processes import Processes
from hone.train.sharded import Part, local_part, local_state, shared_state

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

    def __init__(self, checkpoint: Path | None, part: Part | None = None) -> None:
        self._checkpoint = checkpoint
        self._suffix = "" if part is None else f"-{part.rank}"
        self._copy: dict[str, torch.Tensor] = {}

    def keep(self, net: nn.Module, step: int) -> None:
        """Copy what moves. The last checkpoint may still point at an older copy, which stays until `tidy`."""
        self._copy = {}  # before the copy is made: two of them would stand in memory
        trained = {name: local_part(parameter) for name, parameter in trained_parameters(net).items()}
        if self._checkpoint is None:
            self._copy = {name: value.clone() for name, value in trained.items()}
            return
        with open_atomic(self._file(self._checkpoint, step)) as file:
            torch.save(trained, file)

    def put_back(self, net: nn.Module, step: int) -> None:
        """Give the network the parameters kept at that step."""
        copy = self._copy
        if self._checkpoint is not None:
            copy = torch.load(self._file(self._checkpoint, step), weights_only=True, mmap=True)
        _fill(net, copy)

    def tidy(self, step: int) -> None:
        """Remove all copies but that of the step, which a checkpoint now points at."""
        if self._checkpoint is not None:
            _leave_only(self._file(self._checkpoint, step), self._checkpoint, f"best-*{self._suffix}")

    def _file(self, checkpoint: Path, step: int) -> Path:
        return checkpoint.with_name(f"{checkpoint.name}-best-{step}{self._suffix}")


def _leave_only(kept: Path, checkpoint: Path, pattern: str) -> None:
    for path in checkpoint.parent.glob(f"{checkpoint.name}-{pattern}"):
        if path != kept:
            path.unlink()


def _fill(net: nn.Module, values: dict[str, torch.Tensor]) -> None:
    trained = trained_parameters(net)
    with torch.no_grad():
        for name, value in values.items():
            local_part(trained[name]).copy_(value)


def remove_checkpoint(checkpoint: Path) -> None:
    """Remove what a finished run kept for going on."""
    for path in (checkpoint, *checkpoint.parent.glob(f"{checkpoint.name}-*")):
        path.unlink(missing_ok=True)


def save_checkpoint(path: Path, run: Moving, processes: Processes) -> None:
    """Write the state of a run; a kill while writing leaves the last checkpoint whole.

    Where the network is divided each process writes a file of its own, and only when all are there the checkpoint names them.
    """
    part = processes.part
    state = _state(run, part)
    if part is None:
        _write(path, state)
        return
    mine = _part_file(path, run.progress.step, part)
    _write(mine, state)
    processes.wait()
    if processes.is_first:
        _write(path, {"parts": part.world, "step": run.progress.step})
    processes.wait()
    _leave_only(mine, path, f"part-*-{part.rank}")


def _part_file(checkpoint: Path, step: int, part: Part) -> Path:
    return checkpoint.with_name(f"{checkpoint.name}-part-{step}-{part.rank}")


def _write(path: Path, state: dict[str, Any]) -> None:
    with open_atomic(path) as file:
        torch.save(state, file)


def _state(run: Moving, part: Part | None) -> dict[str, Any]:
    version, internal, gauss = run.rng.getstate()
    return {
        "parameters": {name: local_part(parameter) for name, parameter in trained_parameters(run.net).items()},
        "optimiser": run.optimiser.state_dict() if part is None else local_state(run.optimiser),
        "mixture": list(run.mixture.state()),
        "regulariser": run.regulariser.state() if run.regulariser else [],
        "random": [version, list(internal), gauss],
        "torch_random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "counters": {name: getattr(run.progress, name) for name in _COUNTERS},
        "log": [entry.model_dump() for entry in run.progress.log],
    }


def _read(path: Path, device: torch.device, part: Part | None) -> dict[str, Any] | None:
    """The state that this process wrote; None where there is none that it can go on from."""
    is_mine = part is None
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
        if "parts" in state:
            is_mine = part is not None and state["parts"] == part.world
            if part is not None and is_mine:
                state = torch.load(_part_file(path, state["step"], part), weights_only=True, map_location=device)
    except Exception:  # torch and zip raise many kinds for a file that is cut or overwritten
        note(f"{path} is damaged or no checkpoint; this training starts over.")
        return None
    if not is_mine:
        note(
            f"{path} was written by {state.get('parts', 1)} processes, which others cannot go on from; this training starts over."
        )
        return None
    return state


def load_checkpoint(path: Path, run: Moving, processes: Processes) -> None:
    """Bring a run that was just set up to the state that `save_checkpoint` wrote; a damaged file is told of and left alone."""
    state = _read(path, next(run.net.parameters()).device, processes.part)
    if processes.part is not None and processes.sum(float(state is not None))[0] < processes.world:
        return  # all start over, or none
    if state is None:
        return
    assert state["parameters"].keys() == trained_parameters(run.net).keys(), "the checkpoint is of another network"
    _fill(run.net, state["parameters"])
    moments = state["optimiser"]
    run.optimiser.load_state_dict(moments if processes.part is None else shared_state(moments, run.optimiser))
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
