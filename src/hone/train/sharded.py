"""Several processes that hold one network between them: each keeps its part of every weight, gradient and moment (FSDP2).

torch's `fully_shard` gathers the weights of a block when it is computed and lets them go after it (Rajbhandari 2020,
https://arxiv.org/abs/1910.02054; Zhao 2023, https://arxiv.org/abs/2304.11277). The one surprise: `gather` puts every module back as it was
before `shard`, so that whatever measures, answers and saves afterwards sees an ordinary network.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from hone.core.seeds import derive_seed
from hone.model import Network
from hone.train.trainable.layers import blocks

__all__ = ["Part", "Sharded", "deal_rows", "local_part", "local_state", "shared_state"]

_KEPT = ("_parameters", "_hook")  # what `fully_shard` changes of a module, beside its class and what it adds


def deal_rows(indices: list[int], rank: int, world: int) -> list[int]:
    """Every n-th row of a batch, so that all processes get rows of all lengths; a batch smaller than their number is dealt twice."""
    if len(indices) < world:
        indices = [indices[at % len(indices)] for at in range(world)]
    return indices[rank::world]


class Part:
    """Which part of the network a process holds, for the names of its files."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world


class Sharded:
    """Processes that each hold a part. What needs the whole network must stand before `shard` or after `gather`."""

    is_alone = False

    def __init__(self, state: Any) -> None:
        """`state`: accelerate's `PartialState`, which has joined the processes."""
        from torch.distributed.device_mesh import init_device_mesh

        self._state = state
        self.is_first = bool(state.is_main_process)
        self.part: Part | None = Part(state.process_index, state.num_processes)
        self.world = int(state.num_processes)
        self._mesh = init_device_mesh(state.device.type, (self.world,))
        self._before: dict[nn.Module, _Before] = {}
        self._whole: dict[str, nn.Parameter] = {}

    def shard(self, net: nn.Module) -> None:
        """Keep this process's part of each parameter and let the rest go."""
        from torch.distributed.fsdp import fully_shard

        assert isinstance(net, Network) and not self._before
        # T5's blocks return views, which nothing changes in place.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        self._before = {module: _Before(module) for module in net.modules()}
        self._whole = dict(net.named_parameters())
        for stack in blocks(net):
            for block in stack:
                fully_shard(block, mesh=self._mesh, reshard_after_forward=True)
        fully_shard(net, mesh=self._mesh, reshard_after_forward=True)
        for module, before in self._before.items():
            before.look(module)
        for parameter in self._whole.values():
            parameter.data = parameter.data.new_empty(0)

    def gather(self, net: nn.Module) -> None:
        """The whole network in every process, as it was but for what training moved."""
        parts: dict[str, Any] = dict(net.named_parameters())
        for name, parameter in self._whole.items():
            parameter.data = parts.pop(name).detach().full_tensor().contiguous()
        for module, before in self._before.items():
            before.put_back(module)
        self._before, self._whole = {}, {}

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """As they are: `shard` has put its hooks into the network."""
        return module, optimiser

    def in_turn(self) -> AbstractContextManager[None]:
        """accelerate's barrier."""
        turn: AbstractContextManager[None] = self._state.main_process_first()
        return turn

    def share(self, indices: list[int]) -> list[int]:
        """Every n-th row."""
        assert self.part is not None
        return deal_rows(indices, self.part.rank, self.world)

    def level(self, parts: list[list[int]]) -> list[list[int]]:
        """As many parts in each process, for every pass gathers weights from all: as the process with most needs, as far as rows reach."""
        found = self._reduced([len(parts), -sum(map(len, parts))], torch.distributed.ReduceOp.MAX)
        return _in_parts(parts, int(min(found[0], -found[1])))

    def accumulate(self, module: nn.Module, *, is_last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged with each part: kept until the last one they would be those of the whole network."""
        return contextlib.nullcontext()

    def sum(self, *numbers: float) -> list[float]:
        """One all-reduce."""
        return self._reduced(numbers, torch.distributed.ReduceOp.SUM)

    def _reduced(self, numbers: Sequence[float], how: Any) -> list[float]:
        mine = torch.tensor(numbers, dtype=torch.float64, device=self._state.device)
        torch.distributed.all_reduce(mine, op=how)
        found: list[float] = mine.tolist()
        return found

    def divide(self, parameters: Sequence[nn.Parameter], count: int) -> None:
        """torch has taken the mean over processes of their sums: undo that, then divide by the terms of all."""
        torch._foreach_mul_(_gradients(parameters), self.world / count)

    def part_chance(self, seed: int, step: int) -> None:
        """Torch's generators, begun anew."""
        torch.manual_seed(derive_seed(seed, "process", self._state.process_index, step))

    @contextlib.contextmanager
    def alike(self, seed: int) -> Iterator[None]:
        """Chance goes its way: what would draw in all processes alike is refused with a divided network."""
        yield

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """torch has."""

    def clip(self, parameters: Sequence[nn.Parameter], largest: float, *, terms: int) -> float:
        """By the norm over the parts of all processes."""
        gradients = _gradients(parameters)
        squares = sum(float(norm) ** 2 for norm in torch._foreach_norm(gradients))
        scale = self.world / terms if terms != 1 else 1.0
        norm: float = scale * self.sum(squares)[0] ** 0.5
        factor = min(1.0, largest / (norm + 1e-6)) * scale
        if factor != 1.0:
            torch._foreach_mul_(gradients, factor)
        return norm

    def saves(self, *, is_due: bool) -> bool:
        """The first process says when; then each saves its part."""
        return self.sum(float(is_due and self.is_first))[0] > 0

    def wait(self) -> None:
        """Until all have come here."""
        self._state.wait_for_everyone()


class _Before:
    """A module before it was divided."""

    def __init__(self, module: nn.Module) -> None:
        self._kind = type(module)
        self._names = set(vars(module))
        self._kept = {name: value.copy() for name, value in vars(module).items() if _is_kept(name, value)}

    def look(self, module: nn.Module) -> None:
        """What dividing has added, as long as nothing else has."""
        self._names = set(vars(module)) - self._names

    def put_back(self, module: nn.Module) -> None:
        """Undo it; torch, which has no call for that, also remembers by itself which modules it has divided."""
        from torch.distributed._composable_state import _module_state_mapping

        _module_state_mapping.pop(module, None)
        module.__class__ = self._kind
        for name in self._names:
            del module.__dict__[name]
        module.__dict__.update(self._kept)


def _is_kept(name: str, value: Any) -> bool:
    return isinstance(value, dict) and any(part in name for part in _KEPT)


def _in_parts(parts: list[list[int]], count: int) -> list[list[int]]:
    """The same rows in so many parts: the smallest put together, or the largest divided."""
    made = sorted(parts, key=len)
    while len(made) > count:
        made = sorted([made[0] + made[1], *made[2:]], key=len)
    while len(made) < count:
        largest = made.pop()
        made = sorted([*made, largest[::2], largest[1::2]], key=len)
    return made


def _gradients(parameters: Sequence[nn.Parameter]) -> list[torch.Tensor]:
    """This process's part of each."""
    return [local_part(parameter.grad) for parameter in parameters if parameter.grad is not None]


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a divided tensor, in the same memory; another tensor as it is."""
    own: Any = tensor.detach()
    held: torch.Tensor = own.to_local() if hasattr(own, "to_local") else own  # a DTensor, whose module takes a while to import
    return held


def local_state(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """`optimiser.state_dict()` with this process's part of each moment."""
    state = optimiser.state_dict()
    moments = {
        at: {name: local_part(value) if isinstance(value, torch.Tensor) else value for name, value in held.items()}
        for at, held in state["state"].items()
    }
    return {**state, "state": moments}


def shared_state(state: dict[str, Any], optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """What `optimiser.load_state_dict` takes, from what `local_state` gave."""
    from torch.distributed.tensor import DTensor

    parameters: list[Any] = [parameter for group in optimiser.param_groups for parameter in group["params"]]

    def shared(value: Any, like: Any) -> Any:
        if not isinstance(like, DTensor) or not isinstance(value, torch.Tensor) or value.ndim != like.ndim:
            return value
        return DTensor.from_local(
            value, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
        )

    moments = {
        at: {name: value if name == "step" else shared(value, parameters[at]) for name, value in held.items()}
        for at, held in state["state"].items()
    }
    return {**state, "state": moments}
