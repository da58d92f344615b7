"""Several processes that train one network: the door to accelerate.

Started by `torchrun` or `accelerate launch`, each process draws the same batch and takes its share of the rows; gradients are added up by
accelerate's wrapper, so that the step is that of one process with the whole batch. `Alone` is the same for one process.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import nn

from hone.core.errors import Usage

__all__ = ["Alone", "Processes", "join_processes"]


class Processes(Protocol):
    """What the loop asks of the others."""

    is_first: bool
    is_alone: bool

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """The module that is called, and the optimiser that steps, from then on."""
        ...

    def in_turn(self) -> AbstractContextManager[None]:
        """Around what the first process must have done before the others do it."""
        ...

    def share(self, indices: list[int]) -> list[int]:
        """This process's rows of a batch."""
        ...

    def accumulate(self, module: nn.Module, *, is_last: bool) -> AbstractContextManager[Any]:
        """Around the forward and backward pass of a part of a batch."""
        ...

    def sum(self, *numbers: float) -> list[float]:
        """Each added up over all processes."""
        ...

    def divide(self, parameters: Sequence[nn.Parameter], count: int) -> None:
        """Make the gradients those of the mean over the whole batch."""
        ...

    def clip(self, parameters: Sequence[nn.Parameter], largest: float, *, terms: int) -> float:
        """Divide the gradients by `terms` as `divide` does, unless that is 1, then clip their norm; the norm before."""
        ...


class Alone:
    """One process."""

    is_first = True
    is_alone = True

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """As they are."""
        return module, optimiser

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """Nobody to wait for."""
        yield

    def share(self, indices: list[int]) -> list[int]:
        """All of them."""
        return indices

    @contextlib.contextmanager
    def accumulate(self, module: nn.Module, *, is_last: bool) -> Iterator[None]:
        """Nothing to do."""
        yield

    def sum(self, *numbers: float) -> list[float]:
        """As they are."""
        return list(numbers)

    def divide(self, parameters: Sequence[nn.Parameter], count: int) -> None:
        """By the number of terms."""
        torch._foreach_div_([parameter.grad for parameter in parameters if parameter.grad is not None], count)

    def clip(self, parameters: Sequence[nn.Parameter], largest: float, *, terms: int) -> float:
        """Both in one pass over the gradients, or none where nothing changes."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients)) / terms
        factor = min(1.0, largest / (norm + 1e-6)) / terms
        if factor != 1.0:
            torch._foreach_mul_(gradients, factor)
        return norm


class Together:
    """Several processes under accelerate: data-parallel, or fully sharded where accelerate's configuration says so."""

    is_alone = False

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self._rank, self._world = accelerator.process_index, accelerator.num_processes
        self.is_first = accelerator.is_main_process

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """DistributedDataParallel or FSDP around them."""
        wrapped, stepped = self._accelerator.prepare(module, optimiser)
        return wrapped, stepped

    def in_turn(self) -> AbstractContextManager[None]:
        """accelerate's barrier."""
        turn: AbstractContextManager[None] = self._accelerator.main_process_first()
        return turn

    def share(self, indices: list[int]) -> list[int]:
        """Every n-th row: all processes get rows of all lengths."""
        if len(indices) < self._world:
            indices = [indices[at % len(indices)] for at in range(self._world)]
        return indices[self._rank :: self._world]

    def accumulate(self, module: nn.Module, *, is_last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged with the last part only."""
        return contextlib.nullcontext() if is_last else self._accelerator.no_sync(module)

    def sum(self, *numbers: float) -> list[float]:
        """One all-reduce."""
        mine = torch.tensor(numbers, dtype=torch.float64, device=self._accelerator.device)
        summed: list[float] = self._accelerator.reduce(mine, reduction="sum").tolist()
        return summed

    def divide(self, parameters: Sequence[nn.Parameter], count: int) -> None:
        """The wrapper has taken the mean over processes of their sums: undo that, then divide by the terms of all."""
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.mul_(self._world / count)

    def clip(self, parameters: Sequence[nn.Parameter], largest: float, *, terms: int) -> float:
        """accelerate's, which knows sharded gradients."""
        if terms != 1:
            self.divide(parameters, terms)
        return float(self._accelerator.clip_grad_norm_(parameters, largest))


def join_processes() -> Processes:
    """The other processes where this one was started by torchrun or accelerate; else none.

    Raises:
        Usage: the environment says that there are others, and accelerate finds none.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Alone()
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    if accelerator.num_processes < 2:
        raise Usage(
            "WORLD_SIZE says that several processes train, and accelerate sees one. Start with torchrun or accelerate launch."
        )
    return Together(accelerator)
