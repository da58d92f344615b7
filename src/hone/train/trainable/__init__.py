"""Trainables: what moves. One file each; `make_trainable` finds one by name.

`full` moves everything; `head` only the new head; the others leave the base's weights as they are, move or
insert a few per cent, and train the head with them.
"""

from collections.abc import Callable

from hone.core.errors import Usage, did_you_mean
from hone.train.contracts import Trainable
from hone.train.trainable.bottleneck import Bottleneck
from hone.train.trainable.full import Full
from hone.train.trainable.lora import Lora
from hone.train.trainable.subset import Bias, Head

__all__ = ["TRAINABLES", "Bias", "Bottleneck", "Full", "Head", "Lora", "make_trainable"]

TRAINABLES: dict[str, Callable[[], Trainable]] = {"full": Full, "head": Head, "bias": Bias, "lora": Lora, "adapter": Bottleneck}


def make_trainable(name: str) -> Trainable:
    """A trainable with its defaults.

    Raises:
        Usage: the name is not known.
    """
    if name not in TRAINABLES:
        raise Usage(f"trainable '{name}' is not known. {did_you_mean(name, TRAINABLES)}")
    return TRAINABLES[name]()
