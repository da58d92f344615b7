"""What a comparison of ways to remember found: `remember.json`."""

from typing import Literal, get_args

from hone.core.record import Record
from hone.measure import Interval
from hone.remember.settings import RememberSettings
from hone.tune import AnswerScore

__all__ = ["UNITS", "RememberRecord", "Unit", "WayResult"]

Unit = Literal["score", "accuracy", "nats"]
UNITS: tuple[Unit, ...] = get_args(Unit)
"""In which losses are told; the first that a retained task has counts."""


class WayResult(Record):
    """One way: what was learnt, what was forgotten, what it cost."""

    way: str
    said: str
    """What it does, in words."""
    folder: str
    """Its run folder, from the comparison's."""
    learning_rate: float
    steps: int
    base_loss: float
    """Validation loss before the first step, nats per trained term."""
    loss: float
    """Of what was kept."""
    answer: AnswerScore | None
    """The first metric of the written answers, where there is one."""
    lost: float
    """Mean over the retained tasks, in the record's unit; positive is forgotten."""
    lost_interval: Interval | None
    """At 95%, over items; None where all are alike."""
    worst: float
    """The largest drop of a single task."""
    worst_interval: Interval | None
    worst_task: str
    perplexity_rise: float | None
    """On the retained texts: 0.1 is 10% higher; None without such texts."""
    divergence: float | None
    """KL from the base on the base's own texts, nats per token."""
    seconds: float
    """Of the training, validation scores included."""
    peak_bytes: int | None
    is_front: bool = False
    """No other way gains at least as much and loses at most as much, and is better in one of the two."""
    keeps: bool = False
    """With a budget: the interval of what was lost does not exceed it. Without: what was lost is not told from nothing."""

    @property
    def gain(self) -> float:
        """By how much the validation loss fell."""
        return self.base_loss - self.loss

    @property
    def lost_high(self) -> float:
        """The most that may have been lost."""
        return self.lost_interval.high if self.lost_interval else self.lost


class RememberRecord(Record):
    """Several ways to learn the same rows, by what was learnt and what was forgotten."""

    settings: RememberSettings
    base: str
    base_sha256: str
    rows: int
    """Trained on."""
    validation: int
    """On which the gain is measured."""
    retained: tuple[str, ...]
    """Tasks on which `lost` is measured."""
    items: int
    """Of them together."""
    floor_tasks: tuple[str, ...]
    """Those of them on which the base is not told from guessing, so that nothing can be seen to be lost there."""
    unit: Unit
    """Of `lost`: a drop of accuracy; where no retained task has right answers, a rise of the texts' loss in nats per token; of an encoder a
    drop of the scores of its sentence vectors (recall at 1, Spearman's correlation)."""
    ways: tuple[WayResult, ...]
    failed: dict[str, str]
    """Why a way has no result."""
    advised: str | None
    """A way, where one gains and keeps what is to be kept."""
    advice: str
    versions: dict[str, str]
