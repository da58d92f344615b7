"""The two nouns of this stage: a `Strategy` fits on a `Bench` and gives a `Predictor`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hone.core.console import Bar
from hone.strategy.bench import Bench

__all__ = ["Fitted", "Pace", "Predictor", "Probabilities", "Settings", "Strategy"]

Settings = Mapping[str, str | int | float]
"""What a strategy was told: {'k': 8} or {'learning_rate': 1e-4, 'epochs': 6}; stored with the result."""

Probabilities = NDArray[np.float64]
"""Class probabilities, shape [n, C], rows sum to 1, classes in the order of the task's labels."""


class Predictor(Protocol):
    """Texts in, class probabilities out; it can be saved, and read back by `load_predictor`."""

    labels: tuple[str, ...]

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, shape [n, C]; the answer to a text does not depend on its neighbours."""
        ...

    def computed_afresh(self) -> AbstractContextManager[None]:
        """Inside this context nothing that was computed before is reused: for timing."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that the base model does not hold."""
        ...


@dataclass(frozen=True)
class Fitted:
    """A predictor, with how it did on validation rows and what it moved."""

    predictor: Predictor
    settings: Settings
    validation: Probabilities
    """On the validation rows, [n_validation, C]."""
    score: float
    """The task's metric on the validation rows."""
    trainable_parameters: int
    note: str = ""
    """What is worth telling: 'best at epoch 3 of 6'."""


@dataclass(frozen=True)
class Pace:
    """What a rehearsal showed."""

    seconds_per_step: float
    peak_bytes: int
    trainable_parameters: int


class Strategy(Protocol):
    """A way to get a predictor."""

    name: str
    title: str
    moves_weights: bool
    """Whether it trains the network: such strategies are raced on short runs before they get a full one."""
    reads_train_vectors: bool
    """Whether it needs the sentence vectors of all training rows, whose time is then part of its cost."""

    def candidates(self, bench: Bench) -> list[Settings]:
        """The settings among which validation data choose; at least one."""
        ...

    def fit(self, bench: Bench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Fit with these settings.

        Args:
            share: of the full training length, in (0, 1]; strategies that do not train ignore it.
            bar: advanced in optimiser steps, as `steps` counts them.
        """
        ...

    def rehearse(self, bench: Bench) -> Pace | None:
        """Train a few steps and throw them away, to see what a full run will take; None where nothing is trained."""
        ...

    def steps(self, bench: Bench, settings: Settings, *, share: float = 1.0) -> int:
        """Optimiser steps that `fit` will take at most; 0 where nothing is trained."""
        ...
