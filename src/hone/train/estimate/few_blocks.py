"""A deep network is tried with few of its blocks: they are alike, so one of them stands for those that are left out."""

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from hone.core.errors import BadModel
from hone.model import Network, cut_depth, outline
from hone.train.estimate.ledger import Ledger
from hone.train.estimate.records import DryRun

__all__ = ["StandIn", "few_blocks", "repeat_passes", "stand_ins"]

_TRIED = 3
_STANDS = 1  # by number: behind the first, which may differ, and before the last, whose answer others read
_NUMBER = re.compile(r"layer_?(id|idx|index|number)")  # attributes that say which block it is


class StandIn(NamedTuple):
    """A block, and how many others it stands for."""

    block: nn.Module
    after: nn.Module
    """The block that reads what it answers."""
    times: int


def few_blocks(config: Any, asked: DryRun) -> tuple[Any, dict[str, int]]:
    """A configuration with three blocks a stack, and by the name of each stack how many are left out.

    Nothing is left out where blocks differ (in size, kind or any setting; the first may), or where the method counts them.
    """
    if asked.method == "top" or "layers" in asked.options:
        return config, {}
    short = cut_depth(config, lambda layers: min(layers, _TRIED))
    try:
        whole, tried = (dict(_stacks(outline(one, asked.head))) for one in (config, short))
    except BadModel:  # some configurations list their layers one by one
        return config, {}
    left_out = {
        name: len(blocks) - len(tried[name]) for name, blocks in whole.items() if len(blocks) > len(tried.get(name, blocks))
    }
    if not left_out or not all(_are_alike(whole[name]) for name in left_out):
        return config, {}
    return short, left_out


def _stacks(net: nn.Module) -> Iterator[tuple[str, nn.ModuleList]]:
    return ((name, module) for name, module in net.named_modules() if isinstance(module, nn.ModuleList))


def _are_alike(blocks: nn.ModuleList) -> bool:
    kinds = [_kind(block) for block in blocks][1:]
    return all(kind == kinds[0] for kind in kinds)


def _kind(block: nn.Module) -> list[Any]:
    """All that tells one block from another, but for its number and its numbers."""
    return [
        (
            name,
            type(module),
            {
                said: value
                for said, value in vars(module).items()
                if isinstance(value, int | float | str) and not _NUMBER.search(said)
            },
            [parameter.shape for parameter in module.parameters(recurse=False)],
        )
        for name, module in block.named_modules()
    ]


def stand_ins(net: Network, left_out: dict[str, int]) -> list[StandIn]:
    """The blocks that stand for those that `few_blocks` left out."""
    stacks = [(net.base.get_submodule(name), times) for name, times in left_out.items()]
    return [StandIn(stack[_STANDS], stack[_STANDS + 1], times) for stack, times in stacks]


def repeat_passes(ledger: Ledger, standing: StandIn) -> None:
    """Repeat in the ledger what the block does, there and back."""
    ended = functools.partial(ledger.repeat, standing.times)

    def around(there: Callable[[], None], back: Callable[[], None]) -> Callable[..., None]:
        def hook(_: nn.Module, given: Any, named: dict[str, Any]) -> None:
            if ledger.phase == "backward":  # computed again
                return
            there()
            read: Any = next(one for one in (*given, *named.values()) if isinstance(one, torch.Tensor))
            if read.requires_grad:
                read.register_hook(lambda _: back())

        return hook

    standing.block.register_forward_pre_hook(around(ledger.begin, ended), with_kwargs=True)
    standing.after.register_forward_pre_hook(around(ended, ledger.begin), with_kwargs=True)
