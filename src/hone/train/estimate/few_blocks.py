"""A deep network is tried with few of its blocks: they are alike, or come in turns that are, so one turn stands for those that are left out."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from hone.core.errors import BadModel
from hone.model import Network, cut_depth, outline
from hone.train.estimate.ledger import Ledger
from hone.train.estimate.records import DryRun

__all__ = ["Shortened", "StandIn", "few_blocks", "repeat_passes", "stand_ins"]

_FIRST = (
    1  # the turn that stands for others begins behind the first block, which may differ; behind it one more reads what it answers
)
_LONGEST = 8  # blocks of a turn; of six there are: five of a sliding window, one that sees all
_NUMBER = re.compile(r"layer_?(id|idx|index|number)")  # attributes that say which block it is


class StandIn(NamedTuple):
    """A turn of blocks, and how many others it stands for."""

    blocks: Sequence[nn.Module]
    after: nn.Module
    """The block that reads what they answer."""
    times: int


class Shortened(NamedTuple):
    """A configuration with fewer blocks."""

    config: Any
    turn: int
    """Blocks after which their kinds come again."""
    left_out: dict[str, int]
    """By the name of each stack, how many turns."""


def few_blocks(config: Any, asked: DryRun) -> Shortened:
    """With two turns of blocks a stack and what is left of the last behind them, a block at least.

    The first of all blocks may differ, and its turn makes what later ones find made (masks, for one); the second turn stands for those left
    out. Nothing is left out where no turn is found (blocks are told apart by size, kind and every setting), or where the method counts blocks.
    """
    untouched = Shortened(config, 1, {})
    if asked.method == "top" or "layers" in asked.options:
        return untouched
    try:
        whole, flat = (dict(_stacks(outline(one, asked.head))) for one in (config, cut_depth(config, lambda _: 1)))
        deep = {
            name: [_kind(block) for block in blocks]
            for name, blocks in whole.items()
            if len(flat.get(name, blocks)) < len(blocks)
        }
        turn = next(turn for turn in range(1, _LONGEST + 1) if all(_comes_again(kinds, turn) for kinds in deep.values()))
        short = cut_depth(config, lambda layers: layers - turn * _turns_too_many(layers, turn))
        tried = dict(_stacks(outline(short, asked.head)))
    except (BadModel, StopIteration):  # some configurations list their layers one by one
        return untouched
    left_out = {name: turns for name, kinds in deep.items() if (turns := _turns_too_many(len(kinds), turn))}
    if not left_out or any(len(tried[name]) != len(whole[name]) - turn * turns for name, turns in left_out.items()):
        return untouched
    return Shortened(short, turn, left_out)


def _turns_too_many(layers: int, turn: int) -> int:
    return max(0, (layers - 2 * turn - 1) // turn)


def _comes_again(kinds: Sequence[Any], turn: int) -> bool:
    """Whether each block is like that of the turn before; the first of all may differ."""
    return all(kind == before for kind, before in zip(kinds[1 + turn :], kinds[1:], strict=False))


def _stacks(net: nn.Module) -> Iterator[tuple[str, nn.ModuleList]]:
    return ((name, module) for name, module in net.named_modules() if isinstance(module, nn.ModuleList))


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


def stand_ins(net: Network, short: Shortened) -> list[StandIn]:
    """The blocks that stand for those that `few_blocks` left out."""
    second, end = short.turn, 2 * short.turn
    stacks = [(list(net.base.get_submodule(name).children()), times) for name, times in short.left_out.items()]
    return [StandIn(blocks[second:end], blocks[end], times) for blocks, times in stacks]


def repeat_passes(ledger: Ledger, standing: StandIn) -> None:
    """Repeat in the ledger what the blocks do, there and back."""
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

    standing.blocks[0].register_forward_pre_hook(around(ledger.begin, ended), with_kwargs=True)
    standing.after.register_forward_pre_hook(around(ended, ledger.begin), with_kwargs=True)
