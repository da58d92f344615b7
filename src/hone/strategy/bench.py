"""What every strategy is given: rows, classes, the encoder, and the one score by which settings are chosen.

The test rows are not here: no strategy can see them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hone.core.seeds import derive_seed
from hone.core.store import digest_text
from hone.measure import confusion_table, metric_from_confusion
from hone.model import Encoder
from hone.task import Example

__all__ = ["Bench", "Effort"]

Targets = NDArray[np.int64]


@dataclass(frozen=True)
class Effort:
    """How long the strategies that train may train."""

    epochs: float
    """Passes over the training rows in a full run."""
    arms: int
    """Learning rates tried."""
    batch_rows: int


@dataclass(frozen=True)
class Bench:
    """Training and validation rows of a task, with the encoder that reads them."""

    labels: tuple[str, ...]
    descriptions: dict[str, str]
    train: list[Example]
    validation: list[Example]
    encoder: Encoder
    metric: str
    seed: int
    effort: Effort
    work: Path
    """Folder for checkpoints of runs under way."""

    @cached_property
    def train_targets(self) -> Targets:
        """Class index per training row, [n]."""
        return self._targets(self.train)

    @cached_property
    def validation_targets(self) -> Targets:
        """Class index per validation row, [n]."""
        return self._targets(self.validation)

    def _targets(self, examples: Sequence[Example]) -> Targets:
        index = {label: position for position, label in enumerate(self.labels)}
        return np.array([index[example.label] for example in examples], dtype=np.int64)

    @cached_property
    def rows_digest(self) -> str:
        """Identifies the training rows and their order."""
        return digest_text(*(f"{example.label}\x1e{example.text}" for example in self.train))

    def train_vectors(self) -> NDArray[np.float32]:
        """Sentence vectors of the training rows, [n, D]; computed once for all strategies."""
        return self.encoder.embed([example.text for example in self.train])

    def validation_vectors(self) -> NDArray[np.float32]:
        """Sentence vectors of the validation rows, [n, D]."""
        return self.encoder.embed([example.text for example in self.validation])

    def score(self, probabilities: NDArray[np.float64]) -> float:
        """The task's metric of these answers to the validation rows."""
        table = confusion_table(self.validation_targets, probabilities.argmax(axis=1), classes=len(self.labels))
        return float(metric_from_confusion(table, self.metric))

    def is_right(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each validation row is answered rightly, [n]."""
        return np.asarray(probabilities.argmax(axis=1) == self.validation_targets)

    def seed_for(self, *names: object) -> int:
        """A seed of the asker's own."""
        return derive_seed(self.seed, *names)

    def with_train(self, examples: list[Example]) -> "Bench":
        """The same bench with other training rows: for learning curves."""
        return replace(self, train=examples)

    def draw_per_class(self, k: int, *, seed: int) -> list[int]:
        """Indices of up to `k` random training rows of each class, classes in order."""
        rng = np.random.default_rng(seed)
        drawn: list[int] = []
        for target in range(len(self.labels)):
            mine = np.flatnonzero(self.train_targets == target)
            drawn += rng.permutation(mine)[:k].tolist()
        return drawn
