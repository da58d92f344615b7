"""Regularisers: what holds training back from the base model. One file each; `make_regulariser` finds one by name."""

from collections.abc import Callable

from hone.core.errors import Usage, did_you_mean
from hone.train.contracts import Regulariser
from hone.train.regulariser.divergence import KLToBase
from hone.train.regulariser.own_vectors import OwnVectors
from hone.train.regulariser.penalty import EWC, L2SP
from hone.train.regulariser.self_replay import OwnDistribution, SelfReplay, divergence, take_down

__all__ = [
    "EWC",
    "L2SP",
    "REGULARISERS",
    "KLToBase",
    "OwnDistribution",
    "OwnVectors",
    "SelfReplay",
    "divergence",
    "make_regulariser",
    "take_down",
]

REGULARISERS: dict[str, Callable[[float], Regulariser]] = {"l2sp": L2SP, "ewc": EWC, "kl": KLToBase}


def make_regulariser(name: str, strength: float) -> Regulariser | None:
    """A regulariser of some strength; None for 'none'.

    Raises:
        Usage: the name is not known.
    """
    if name == "none":
        return None
    if name not in REGULARISERS:
        raise Usage(f"regulariser '{name}' is not known. {did_you_mean(name, ('none', *REGULARISERS))}")
    return REGULARISERS[name](strength)
