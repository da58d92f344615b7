"""Bottleneck adapters: after each transformer block a small network down, through a GELU and up again, added to the block's output.

Source: Houlsby 2019, https://arxiv.org/abs/1902.00751; one adapter a block as in Pfeiffer 2021, https://aclanthology.org/2021.eacl-main.39.
The one surprise: the adapter hangs on the block as a submodule and works through a forward hook, so that any
architecture with a list of blocks takes it, and its parameters are named `...layer.N.adapter.down.weight`.
"""

from typing import Any

import torch
from torch import nn

from hone.model import Network
from hone.train.trainable.layers import blocks, freeze
from hone.train.trainable.saved import KeptAsParameters

__all__ = ["Bottleneck"]


class _Adapter(nn.Module):
    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)  # up starts at 0: the network answers as before
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.up(nn.functional.gelu(self.down(hidden))).to(hidden.dtype)  # type: ignore[no-any-return]


def _hook(block: nn.Module, _inputs: Any, output: Any) -> Any:
    adapter = block.get_submodule("adapter")
    if isinstance(output, tuple):
        return (adapter(output[0]), *output[1:])
    return adapter(output)


class Bottleneck(KeptAsParameters):
    """One adapter after each block, and a new head."""

    name = "adapter"

    def __init__(self, *, reduction: int = 8) -> None:
        self._reduction = reduction

    def prepare(self, net: Network) -> Network:
        """Freeze the base and insert the adapters."""
        freeze(net)
        width = int(net.base.config.hidden_size)
        for stack in blocks(net):
            for block in stack:
                block.adapter = _Adapter(width, max(1, width // self._reduction)).to(net.device)
                block.register_forward_hook(_hook)
        return net
