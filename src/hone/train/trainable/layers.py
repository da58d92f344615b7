"""Where in a network the methods take hold: its blocks, its linear layers, its attention, its output layer."""

from typing import Any

from torch import nn

from hone.core.errors import Usage
from hone.model import HeadedNetwork, LanguageModel, Network, Seq2SeqModel

__all__ = ["attention_layers", "blocks", "freeze", "is_linear", "last_blocks", "linear_layers", "output_names"]


def freeze(net: Network) -> None:
    """Nothing moves but a new head."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad = isinstance(net, HeadedNetwork) and name.startswith("classifier.")


def is_linear(module: nn.Module) -> bool:
    """A linear layer, or GPT-2's `Conv1D`, which is one with its weight turned."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _output_layer(net: Network) -> nn.Module | None:
    return net.output_layer if isinstance(net, LanguageModel | Seq2SeqModel) else None


def linear_layers(net: Network, *, last: int | None = None) -> list[str]:
    """Names, within the transformers network, of all linear layers of its blocks, or of the last; heads and poolers are left out."""
    output = _output_layer(net)
    chosen = [block for stack in blocks(net) for block in (stack if last is None else last_blocks(stack, last))]
    inside = {id(module) for block in chosen for module in block.modules()}
    return [
        name for name, module in net.base.named_modules() if is_linear(module) and module is not output and id(module) in inside
    ]


def last_blocks(stack: nn.ModuleList, count: int) -> list[nn.Module]:
    """The last of a list of blocks.

    Raises:
        Usage: there are fewer.
    """
    if count > len(stack):
        raise Usage(f"The model has {len(stack)} blocks, so the last {count} cannot be trained. Choose fewer, or full.")
    return list(stack)[-count:]


def blocks(net: Network) -> list[nn.ModuleList]:
    """The lists of transformer blocks: one, or an encoder's and a decoder's.

    Raises:
        Usage: the network has none that hone recognises.
    """
    found: list[nn.ModuleList] = []
    inside: set[int] = set()
    for module in net.base.modules():
        if isinstance(module, nn.ModuleList) and id(module) not in inside and any(is_linear(part) for part in module.modules()):
            found.append(module)
            inside |= {id(part) for part in module.modules()}
    if not found:
        raise Usage(f"hone finds no list of transformer blocks in {type(net.base).__name__}. Choose full fine-tuning.")
    return found


def attention_layers(net: Network) -> list[Any]:
    """The self-attention modules, in the network's order, each with `reads`: heads of its keys and their width."""
    return [module for module in net.base.modules() if hasattr(module, "reads") and module._role != "cross"]


def output_names(net: Network) -> set[str]:
    """Names of the parameters of the output layer over the vocabulary; with tied weights the embedding is among them."""
    output = _output_layer(net)
    if output is None:
        return set()
    mine = {id(parameter) for parameter in output.parameters()}
    return {name for name, parameter in net.named_parameters() if id(parameter) in mine}
