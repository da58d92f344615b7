"""Trained tokens: a prompt of embeddings before the input, or keys and values before every layer's own.

Prompt tuning: Lester 2021, https://arxiv.org/abs/2104.08691. Prefix tuning: Li 2021, https://arxiv.org/abs/2101.00190, without the network that
its authors compute the prefix from, which they drop after training.
"""

import torch
from torch import nn

from hone.core.errors import Usage
from hone.model import Network
from hone.train.contracts import Trainable
from hone.train.trainable.layers import attention_layers, freeze
from hone.train.trainable.saved import KeptAsParameters

__all__ = ["Prefix", "Prompt", "virtual_tokens"]


class Prompt(KeptAsParameters):
    """Embeddings of virtual tokens before every input, and a new head."""

    name = "prompt"

    def __init__(self, tokens: int = 20) -> None:
        assert tokens > 0, "a prompt has at least one token"
        self.tokens = tokens

    def prepare(self, net: Network) -> Network:
        """Freeze the base and add the virtual tokens."""
        freeze(net)
        net.add_prompt(self.tokens)
        return net


class Prefix(KeptAsParameters):
    """Keys and values before those of every self-attention layer, and a new head."""

    name = "prefix"

    def __init__(self, tokens: int = 20) -> None:
        assert tokens > 0, "a prefix has at least one token"
        self._tokens = tokens

    def prepare(self, net: Network) -> Network:
        """Freeze the base and add the prefixes.

        Raises:
            Usage: the architecture's attention cannot be reached.
        """
        if not net.packs:
            raise Usage(
                f"{type(net.base).__name__} computes its attention by itself, where hone cannot put keys and values before it. "
                "Choose prompt or lora."
            )
        freeze(net)
        for layer in attention_layers(net):
            heads, width = layer.reads
            layer.prefix = nn.Parameter(0.02 * torch.randn(2, heads, self._tokens, width, device=net.device))
        return net


def virtual_tokens(trainable: Trainable) -> int:
    """Tokens that stand before every text, by which it must be cut shorter."""
    return trainable.tokens if isinstance(trainable, Prompt) else 0
