"""What every strategy is given: training and validation rows, a model, and the one key by which settings are chosen.

The test rows are not here: no strategy can see them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from hone.core.seeds import derive_seed
from hone.core.store import digest_text
from hone.measure import AnswerKey, Answers, Groups, LabelKey, LabelSetKey, Marks, NumberKey, TagKey, TextKey, Tokens
from hone.model import Encoder, without_thoughts
from hone.task import Example, TaskKind, other_labels

__all__ = ["Bench", "Effort", "EncoderBench", "answer_key", "class_indices", "right_labels"]

Targets = NDArray[np.int64]

_EVALUATIONS = 6  # validation scores in a full run
_FULL = 3.0  # passes after which a run is scored as often as any


@dataclass(frozen=True)
class Effort:
    """How long the strategies that train may train, and how widely the others may search."""

    epochs: float
    """Passes over the training rows in a full run."""
    arms: int
    """Learning rates tried; 1 to 3."""
    batch_rows: int

    def evaluations(self, share: float = 1.0) -> int:
        """Validation scores on the way of a run: six in one of three passes or more, fewer in a part of it and in shorter ones.

        Over a few hundred rows six scores take as long as a whole pass of training.
        """
        return max(1, round(_EVALUATIONS * share * min(1.0, self.epochs / _FULL)))


@dataclass(frozen=True)
class Bench(ABC):
    """Training and validation rows of a task, with what reads them."""

    labels: tuple[str, ...]
    """What answers are made of: classes, letters, several labels or tags; empty for numbers and texts."""
    train: list[Example]
    validation: list[Example]
    metric: str
    seed: int
    effort: Effort
    work: Path
    """Folder for checkpoints of runs under way."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where networks of this bench compute."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """Arithmetic of the forward pass, bf16 or fp32."""

    @property
    def is_billed(self) -> bool:
        """Whether answers may cost money."""
        return False

    def charge(self, payer: str) -> None:
        """Let answers be paid for by someone from now on, where they cost money."""
        return

    def paid(self, payer: str) -> Tokens | None:
        """What was read and written for someone's answers, each answer once; None where they cost nothing."""
        return None

    def spared_seconds(self) -> float:
        """That answers would have taken which were known already: what is timed took so much longer."""
        return 0.0

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels of which each row has exactly one; empty where answers are of another kind."""
        return self.labels

    @cached_property
    def key(self) -> AnswerKey:
        """What is right for the validation rows."""
        return answer_key(self.validation, self.labels, metric=self.metric)

    def mark(self, answers: Answers) -> Marks:
        """Answers to the validation rows, held against what is right."""
        return self.key.mark(answers)

    def score(self, answers: Answers) -> float:
        """The task's metric of these answers to the validation rows."""
        return self.mark(answers).value

    @cached_property
    def train_targets(self) -> Targets:
        """Class index per training row, [n]; all 0 where there are no classes."""
        return class_indices(self.classes, self.train)

    @cached_property
    def validation_targets(self) -> Targets:
        """Class index per validation row, [n]; all 0 where there are no classes, and -1 of a label that no training row has."""
        found = class_indices(right_labels(self.validation, self.classes), self.validation)
        return np.where(found < max(1, len(self.classes)), found, -1)

    @cached_property
    def rows_digest(self) -> str:
        """Identifies the training rows and their order."""
        return digest_text(*(f"{example.label}\x1e{example.text}" for example in self.train))

    def seed_for(self, *names: object) -> int:
        """A seed of the asker's own."""
        return derive_seed(self.seed, *names)

    def with_train(self, examples: list[Example]) -> Self:
        """The same bench with other training rows: for learning curves."""
        return replace(self, train=examples)

    def draw_per_class(self, k: int, *, seed: int) -> list[int]:
        """Indices of up to `k` random training rows of each class, classes in order."""
        rng = np.random.default_rng(seed)
        drawn: list[int] = []
        for target in range(max(1, len(self.classes))):
            mine = np.flatnonzero(self.train_targets == target)
            drawn += rng.permutation(mine)[:k].tolist()
        return drawn


@dataclass(frozen=True)
class EncoderBench(Bench):
    """Texts that are answered by a head, and an encoder."""

    descriptions: dict[str, str]
    encoder: Encoder
    kind: TaskKind = "text-classification"

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, where each row has exactly one."""
        return self.labels if self.kind == "text-classification" else ()

    @cached_property
    def key(self) -> AnswerKey:
        """What is right for the validation rows."""
        return answer_key(self.validation, self.labels, metric=self.metric, kind=self.kind)

    @property
    def device(self) -> torch.device:
        """The encoder's."""
        return self.encoder.reader.device

    @property
    def precision(self) -> str:
        """The encoder's."""
        return self.encoder.reader.precision

    @cached_property
    def train_values(self) -> NDArray[np.float64]:
        """What is right for the training rows: numbers [n], or whether each of several labels is there [n, C]."""
        return right_values(self.train, self.labels)

    def train_vectors(self) -> NDArray[np.float32]:
        """Sentence vectors of the training rows, [n, D]; computed once for all strategies."""
        return self.encoder.embed([example.text for example in self.train])

    def validation_vectors(self) -> NDArray[np.float32]:
        """Sentence vectors of the validation rows, [n, D]."""
        return self.encoder.embed([example.text for example in self.validation])


def answer_key(
    examples: Sequence[Example],
    labels: Sequence[str],
    *,
    metric: str,
    others: tuple[str, ...] = (),
    kind: TaskKind | None = None,
) -> AnswerKey:
    """What is right for some rows; a label that is none of `labels` is right too, and no strategy answers it.

    Args:
        others: metrics of texts that are reported beside the one that ranks. kind: where answers are neither texts nor one label each.
    """
    groups = Groups.named([row.group for row in examples])
    if kind == "regression":
        return NumberKey(right_values(examples), metric, groups)
    if kind == "multi-label-classification":
        every = right_labels(examples, labels)
        return LabelSetKey(right_values(examples, every).astype(bool), every, metric, groups)
    if kind == "token-classification":
        return TagKey(tuple(row.label for row in examples), tuple(labels), metric, groups)
    if labels:
        every = right_labels(examples, labels)
        return LabelKey(class_indices(every, examples), metric, groups, len(every))
    right = tuple(tuple(map(without_thoughts, (row.label, *row.more))) for row in examples)
    return TextKey(right, metric, others, groups)


def right_labels(examples: Sequence[Example], labels: Sequence[str]) -> tuple[str, ...]:
    """The labels that are answered, and behind them those that only these rows have; none where there are none to answer."""
    return (*labels, *other_labels(examples, labels)) if labels else ()


def right_values(examples: Sequence[Example], labels: Sequence[str] = ()) -> NDArray[np.float64]:
    """What is right for rows with numbers, [n], or with several labels, whether each is there, [n, C]."""
    right = [[label in example.row.labels for label in labels] if labels else example.row.score for example in examples]
    return np.array(right, dtype=np.float64)


def class_indices(labels: Sequence[str], examples: Sequence[Example]) -> Targets:
    """The index of each example's label, [n]; all 0 without labels."""
    index = {label: position for position, label in enumerate(labels)}
    return np.array([index[example.label] if labels else 0 for example in examples], dtype=np.int64)
