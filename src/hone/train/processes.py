"""Several processes that train one network: the door to accelerate.

Started by `torchrun` or `accelerate launch`, each process draws the same batch and takes its share of the rows; gradients are added up by
accelerate's wrapper, so that the step is that of one process with the whole batch. `Alone` is the same for one process; `sharded.py` divides
the network too.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import nn

from hone.core.errors import Usage
from hone.core.seeds import derive_seed
from hone.train.sharded import Part, Sharded, deal_rows

__all__ = ["Alone", "Processes", "join_processes"]


class Processes(Protocol):
    """What the loop asks of the others."""

    is_first: bool
    is_alone: bool
    world: int
    """How many they are."""
    part: Part | None
    """Which part of the network this one holds, where it is divided."""

    def shard(self, net: nn.Module) -> None:
        """Divide the network, where that was asked for; until `gather` it answers only where all processes call it."""
        ...

    def gather(self, net: nn.Module) -> None:
        """The whole network in each process, once training is over."""
        ...

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """The module that is called, and the optimiser that steps, from then on."""
        ...

    def in_turn(self) -> AbstractContextManager[None]:
        """Around what the first process must have done before the others do it."""
        ...

    def share(self, indices: list[int]) -> list[int]:
        """This process's rows of a batch."""
        ...

    def level(self, parts: list[list[int]]) -> list[list[int]]:
        """The parts of this process's rows, as many as all others have where that matters."""
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

    def part_chance(self, seed: int, step: int) -> None:
        """Before a step: from here on chance falls otherwise in each process, and after a kill as it would have without."""
        ...

    def alike(self, seed: int) -> AbstractContextManager[None]:
        """Around what all processes compute on the same inputs: chance falls alike in each, and goes on behind it as if nothing had been drawn."""
        ...

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make the gradients the mean of those in all processes, where each has added some of its own."""
        ...

    def clip(self, parameters: Sequence[nn.Parameter], largest: float, *, terms: int) -> float:
        """Divide the gradients by `terms` as `divide` does, unless that is 1, then clip their norm; the norm before."""
        ...

    def saves(self, *, is_due: bool) -> bool:
        """Whether this process now writes a checkpoint."""
        ...

    def wait(self) -> None:
        """Until all have come here."""
        ...


class Alone:
    """One process."""

    is_first = True
    is_alone = True
    world = 1
    part: Part | None = None

    def shard(self, net: nn.Module) -> None:
        """There is nobody to divide it with."""

    def gather(self, net: nn.Module) -> None:
        """It is whole."""

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

    def level(self, parts: list[list[int]]) -> list[list[int]]:
        """As they are."""
        return parts

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

    def part_chance(self, seed: int, step: int) -> None:
        """Chance goes its way, and checkpoints keep its state."""

    @contextlib.contextmanager
    def alike(self, seed: int) -> Iterator[None]:
        """Chance goes its way."""
        yield

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """They are."""

    def clip(self, parameters: Sequence[nn.Parameter], largest: float, *, terms: int) -> float:
        """Both in one pass over the gradients, or none where nothing changes."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients)) / terms
        factor = min(1.0, largest / (norm + 1e-6)) / terms
        if factor != 1.0:
            torch._foreach_mul_(gradients, factor)
        return norm

    def saves(self, *, is_due: bool) -> bool:
        """When it is due."""
        return is_due

    def wait(self) -> None:
        """For nobody."""


class Together:
    """Several processes under accelerate, each with the whole network: data-parallel."""

    is_alone = False
    part: Part | None = None

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self._rank, self.world = accelerator.process_index, accelerator.num_processes
        self.is_first = accelerator.is_main_process

    def shard(self, net: nn.Module) -> None:
        """Each keeps the whole."""

    def gather(self, net: nn.Module) -> None:
        """It is whole."""

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """DistributedDataParallel around them."""
        wrapped, stepped = self._accelerator.prepare(module, optimiser)
        return wrapped, stepped

    def in_turn(self) -> AbstractContextManager[None]:
        """accelerate's barrier."""
        turn: AbstractContextManager[None] = self._accelerator.main_process_first()
        return turn

    def share(self, indices: list[int]) -> list[int]:
        """Every n-th row."""
        return deal_rows(indices, self._rank, self.world)

    def level(self, parts: list[list[int]]) -> list[list[int]]:
        """As they are: gradients are exchanged once, with the last part."""
        return parts

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
            parameter.grad.mul_(self.world / count)

    def part_chance(self, seed: int, step: int) -> None:
        """Torch's generators, begun anew: the first process alone writes checkpoints, which hold the state of its own."""
        torch.manual_seed(derive_seed(seed, "process", self._rank, step))

    @contextlib.contextmanager
    def alike(self, seed: int) -> Iterator[None]:
        """Torch's generators, begun anew: where there is dropout they have gone apart, for each process has other rows."""
        device = self._accelerator.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """One all-reduce each: rounding alone would let the networks drift apart."""
        for parameter in parameters:
            torch.distributed.all_reduce(parameter.grad)
            assert parameter.grad is not None
            parameter.grad.div_(self.world)

    def clip(self, parameters: Sequence[nn.Parameter], largest: float, *, terms: int) -> float:
        """accelerate's."""
        if terms != 1:
            self.divide(parameters, terms)
        return float(self._accelerator.clip_grad_norm_(parameters, largest))

    def saves(self, *, is_due: bool) -> bool:
        """The first, for all hold the same."""
        return is_due and self.is_first

    def wait(self) -> None:
        """accelerate's barrier."""
        self._accelerator.wait_for_everyone()


def join_processes(*, shard: bool = False) -> Processes:
    """The other processes where this one was started by torchrun or accelerate; else none.

    accelerate reads its configuration of FSDP on a GPU only and trains data-parallel on a CPU without a word, so it joins the processes, and
    the network is divided here on both.

    Args:
        shard: divide the network over them; so does `accelerate launch --use_fsdp`.
    Raises:
        Usage: there is one process to divide over, or the environment says that there are others and accelerate finds none.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        if shard:
            raise Usage(
                "--shard divides the network over several processes, and this is one alone. "
                "Start it with torchrun --nproc-per-node 2 -m hone, or leave --shard out."
            )
        return Alone()
    from accelerate import Accelerator, PartialState

    on_cpu = not torch.cuda.is_available()
    is_sharded = shard or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    state = PartialState(cpu=on_cpu)
    if state.num_processes < 2:
        raise Usage(
            "WORLD_SIZE says that several processes train, and accelerate sees one. Start with torchrun or accelerate launch."
        )
    # Arithmetic is hone's: what accelerate's own configuration names would stand around the loop's, or scale gradients that nobody scales back.
    return Sharded(state) if is_sharded else Together(Accelerator(cpu=on_cpu, mixed_precision="no"))
