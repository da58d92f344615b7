"""Strategies that fit in no time and are as good as a test says; their predictors are real and can be saved."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hone.model import Encoder
from hone.strategy import Effort, EncoderBench, Entrant, Fitted
from hone.strategy.contracts import Pace, Settings
from hone.strategy.predictors import VectorPredictor
from hone.strategy.scorers import LinearHead
from hone.task import Example

LABELS = ("late", "lost", "refund")
Quality = Callable[[EncoderBench, Settings, float], float]


def rows(per_class: int, name: str, labels: Sequence[str] = LABELS) -> list[Example]:
    """So many rows of each class, in turns; the texts differ, and mean nothing."""
    return [
        Example(f"{label} parcel {name} {at}", label, "rows.csv", 2 + at * len(labels) + index)
        for at in range(per_class)
        for index, label in enumerate(labels)
    ]


def make_bench(encoder: Encoder, work: Path, *, train: int = 20, validation: int = 40, metric: str = "accuracy") -> EncoderBench:
    """Three classes with so many training and validation rows each; twice as many of the first in validation where the metric is not accuracy."""
    return EncoderBench(
        labels=LABELS,
        descriptions={},
        train=rows(train, "train"),
        validation=rows(validation, "validation") + (rows(validation, "more", LABELS[:1]) if metric != "accuracy" else []),
        encoder=encoder,
        metric=metric,
        seed=0,
        effort=Effort(epochs=4.0, arms=3, batch_rows=16),
        work=work,
    )


def entrants(bench: EncoderBench, strategies: Sequence["Stub"]) -> list[Entrant]:
    """Strategies on one bench."""
    return [Entrant(stub.name, stub.title, stub, bench, "tiny") for stub in strategies]


def right_answers(targets: np.ndarray, accuracy: float, *, classes: int = 3) -> np.ndarray:
    """Probabilities that are right on the first rows: two sets differ on as few rows as they can."""
    given = np.where(np.arange(len(targets)) < round(accuracy * len(targets)), targets, (targets + 1) % classes)
    return np.asarray(0.7 * np.eye(classes)[given] + 0.1)


@dataclass
class Stub:
    """Keeps the contract of a `Strategy`."""

    name: str
    quality: Quality | float = 0.8
    moves_weights: bool = False
    by_default: bool = True
    learns_from_rows: bool = True
    reads_train_vectors: bool = False
    reads_model: bool = True
    values: tuple[float, ...] = (1.0,)
    pace: Pace = field(default_factory=lambda: Pace(seconds_per_step=0.1, peak_bytes=1000, trainable_parameters=10))
    fits: list[tuple[float, float]] = field(default_factory=list)
    """(setting, share) of every fit, in their order."""
    breaks: BaseException | None = None

    @property
    def title(self) -> str:
        return f"the {self.name}"

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        values = self.values[: bench.effort.arms] if self.moves_weights else self.values
        return [{"value": value} for value in values]

    def rehearse(self, bench: EncoderBench) -> Pace | None:
        return self.pace if self.moves_weights else None

    def steps(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0) -> int:
        if not self.moves_weights:
            return 0
        return max(1, round(-(-len(bench.train) // bench.effort.batch_rows) * bench.effort.epochs * share))

    def fit(self, bench: EncoderBench, settings: Mapping[str, object], *, share: float = 1.0, bar: object = None) -> Fitted:
        self.fits.append((float(settings["value"]), share))  # type: ignore[arg-type]
        if self.breaks is not None:
            raise self.breaks
        quality = self.quality if isinstance(self.quality, (int, float)) else self.quality(bench, settings, share)  # type: ignore[arg-type]
        answers = right_answers(bench.validation_targets, quality)
        head = LinearHead(np.zeros((3, bench.encoder.width)), np.array([float(settings["value"]), share, 0.0]))  # type: ignore[arg-type]
        predictor = VectorPredictor(bench.encoder, head, bench.labels)
        return Fitted(predictor, settings, answers, bench.score(answers), trainable_parameters=10, note="Fitted.")  # type: ignore[arg-type]
