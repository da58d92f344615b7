"""Trainables that move a part of what is there: the head, the last blocks, or every bias (BitFit).

Source of `Bias`: Ben Zaken 2022, https://aclanthology.org/2022.acl-short.1
"""

from hone.core.errors import Usage
from hone.model import HeadedNetwork, Network
from hone.train.trainable.layers import blocks, freeze, last_blocks, output_names
from hone.train.trainable.saved import KeptAsParameters

__all__ = ["Bias", "Head", "TopLayers"]


class Head(KeptAsParameters):
    """Only the head: the new one of a classifier, or the output layer over the vocabulary."""

    name = "head"

    def prepare(self, net: Network) -> Network:
        """Freeze the rest. A language model whose output layer is tied trains its embedding with it."""
        freeze(net)
        names = output_names(net)
        for name, parameter in net.named_parameters():
            parameter.requires_grad = parameter.requires_grad or name in names
        return net


class TopLayers(KeptAsParameters):
    """The last blocks, of encoder and decoder where there are both, and a new head."""

    name = "top"

    def __init__(self, count: int = 2) -> None:
        assert count > 0, "top trains at least one block"
        self._count = count

    def prepare(self, net: Network) -> Network:
        """Freeze the lower blocks, embeddings and output layer.

        Raises:
            Usage: the network has fewer blocks.
        """
        freeze(net)
        for stack in blocks(net):
            for block in last_blocks(stack, self._count):
                block.requires_grad_(True)
        return net


class Bias(KeptAsParameters):
    """Every bias, and a new head: about 0.1% of an encoder."""

    name = "bias"

    def prepare(self, net: Network) -> Network:
        """Freeze all that is neither a bias nor a new head.

        Raises:
            Usage: the architecture has no biases, as Llama and T5 have none.
        """
        freeze(net)
        moved = 0
        for name, parameter in net.named_parameters():
            if name.startswith("backbone.") and name.endswith("bias") and "pooler." not in name and parameter.ndim == 1:
                parameter.requires_grad = True
                moved += 1
        if not moved and not isinstance(net, HeadedNetwork):
            raise Usage(f"{type(net.base).__name__} has no biases, so there is nothing for 'bias' to train. Choose lora or ia3.")
        return net
