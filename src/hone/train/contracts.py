"""The contracts of the training axes. The loop knows these and the name of no choice.

What moves (`Trainable`) x on what (`Mixture`) x toward what (`Objective`) x one loop. A new choice is a new file
that keeps one contract.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from hone.model import PooledClassifier
from hone.task import Example

__all__ = ["Encoded", "Mixture", "Objective", "Trainable"]


class Encoded(Protocol):
    """An example as an objective has prepared it; the loop reads only its length."""

    @property
    def length(self) -> int:
        """Tokens, special ones included."""
        ...


class Objective(Protocol):
    """Toward what: turns examples into tokens, and a network's answer into a loss."""

    name: str
    is_divisible: bool
    """Whether the loss of a batch is the sum over its parts; if not, a batch is never divided."""

    def encode(self, examples: Sequence[Example]) -> list[Any]:
        """Prepare examples; the results have a `length`."""
        ...

    def loss(self, net: nn.Module, batch: Sequence[Any]) -> tuple[torch.Tensor, int]:
        """Sum of the loss over a batch, fp32 scalar, and how many terms it sums.

        The loop divides once by the count of a whole accumulation window, which gives the gradient of the big batch.
        """
        ...


class Trainable(Protocol):
    """What moves: which parameters of a network are trained, and how they are kept.

    `prepare` may wrap or extend the network; it returns the one to use from then on. Whatever is new
    (a head, an adapter) is trained too, and saved with the rest.
    """

    name: str

    def prepare(self, net: PooledClassifier) -> PooledClassifier:
        """Freeze what does not move, insert what is new."""
        ...

    def save(self, net: PooledClassifier, folder: Path) -> None:
        """Write what was trained, in the layout that other loaders expect where there is one."""
        ...

    def load(self, net: PooledClassifier, folder: Path) -> PooledClassifier:
        """From an untouched base network and a saved folder to the tuned network."""
        ...


class Mixture(Protocol):
    """On what: a stream of examples, which can be stopped and continued."""

    def draw(self, rng: random.Random) -> int:
        """Index of the next example."""
        ...

    def state(self) -> list[int]:
        """What `restore` needs to continue the stream."""
        ...

    def restore(self, state: Sequence[int]) -> None:
        """Continue where `state` was taken."""
        ...

    @property
    def epoch(self) -> int:
        """Draws in one pass over the data."""
        ...
