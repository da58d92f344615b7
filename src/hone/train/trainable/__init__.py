"""Trainables: what moves. One file each; `make_trainable` finds one by name.

`full` moves everything; `head`, `bias` and `top` a part of what is there; the others leave the base's weights as they are and
insert a few per cent. A new head is trained with each of them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hone.core.errors import Usage, did_you_mean
from hone.train.contracts import Trainable
from hone.train.trainable.bottleneck import Bottleneck
from hone.train.trainable.full import Full
from hone.train.trainable.peft_methods import IA3, Lora
from hone.train.trainable.subset import Bias, Head, TopLayers
from hone.train.trainable.virtual import Prefix, Prompt, virtual_tokens

__all__ = [
    "IA3",
    "TRAINABLES",
    "Bias",
    "Bottleneck",
    "Full",
    "Head",
    "Lora",
    "Prefix",
    "Prompt",
    "TopLayers",
    "make_trainable",
    "size_options",
    "virtual_tokens",
]

TRAINABLES: dict[str, Callable[..., Trainable]] = {
    "full": Full,
    "head": Head,
    "bias": Bias,
    "top": TopLayers,
    "lora": Lora,
    "ia3": IA3,
    "adapter": Bottleneck,
    "prompt": Prompt,
    "prefix": Prefix,
}


def size_options(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a trainable that decide how much it puts on a base and that its files do not say, from the settings of `hone tune`."""
    told = {"top": ("count", "layers"), "prompt": ("tokens", "tokens"), "prefix": ("tokens", "tokens")}.get(name)
    return {told[0]: settings[told[1]]} if told and told[1] in settings else {}


def make_trainable(name: str, **options: Any) -> Trainable:
    """A trainable by name, with its defaults where no option is given.

    Raises:
        Usage: the name is not known.
    """
    if name not in TRAINABLES:
        raise Usage(f"trainable '{name}' is not known. {did_you_mean(name, TRAINABLES)}")
    return TRAINABLES[name](**options)
