"""The two nouns of this stage: a `Strategy` fits on a `Bench` and gives a `Predictor`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hone.core.console import Bar
from hone.measure import Answers
from hone.strategy.bench import Bench
from hone.task import Example

__all__ = ["Entrant", "Fitted", "Pace", "Predictor", "Probabilities", "Settings", "Strategy"]

Settings = Mapping[str, str | int | float]
"""What a strategy was told: {'k': 8} or {'learning_rate': 1e-4, 'epochs': 6}; stored with the result."""

Probabilities = NDArray[np.float64]
"""Class probabilities, shape [n, C], rows sum to 1, classes in the order of the task's labels."""


B_contra = TypeVar("B_contra", bound=Bench, contravariant=True)


class Predictor(Protocol):
    """Rows in, answers out; it can be saved, and read back by `load_predictor`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of class probabilities; empty where answers are texts."""
        ...

    def answer(self, examples: Sequence[Example]) -> Answers:
        """Class probabilities [n, C], or n texts; the answer to a row does not depend on its neighbours, nor on its label."""
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
    validation: Answers
    """To the validation rows."""
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


class Strategy(Protocol[B_contra]):
    """A way to get a predictor from benches of one kind."""

    name: str
    title: str
    moves_weights: bool
    """Whether it trains the network: such strategies are raced on short runs before they get a full one."""
    by_default: bool
    """Whether it runs without being named."""
    learns_from_rows: bool
    """Whether other training rows would give another predictor: only then is there a learning curve."""
    reads_train_vectors: bool
    """Whether it needs the sentence vectors of all training rows, whose time is then part of its cost."""
    reads_model: bool
    """Whether its answers take a pass of the model; those of the plainest take none."""

    def candidates(self, bench: B_contra) -> list[Settings]:
        """The settings among which validation data choose; at least one."""
        ...

    def fit(self, bench: B_contra, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Fit with these settings.

        Args:
            share: of the full training length, in (0, 1]; strategies that do not train ignore it.
            bar: advanced in optimiser steps, as `steps` counts them.
        """
        ...

    def rehearse(self, bench: B_contra) -> Pace | None:
        """Train a few steps and throw them away, to see what a full run will take; None where nothing is trained."""
        ...

    def steps(self, bench: B_contra, settings: Settings, *, share: float = 1.0) -> int:
        """Optimiser steps that `fit` will take at most; 0 where nothing is trained."""
        ...


@dataclass(frozen=True)
class Entrant:
    """A strategy with the bench it runs on: one row of the table."""

    key: str
    """Its name, with the model behind an @ where several models are compared; a folder's name too."""
    title: str
    strategy: Strategy[Any]
    bench: Bench
    model: str
    """The base model, as the user named it."""
