"""How good a head's answers are: what is common to all kinds of rows. A kind is a class of `head_kinds`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

from hone.core.seeds import derive_seed
from hone.measure import Interval, ResampledScore, score_interval
from hone.model import TextReader
from hone.tune.records import HeadScore

__all__ = ["HeadKey", "HeadMetric", "resampled"]


class HeadMetric(NamedTuple):
    """A metric of some answers."""

    signature: str
    value: float
    interval: Callable[[int], Interval | None]
    """From a seed; None where the rows do not tell one."""


class HeadKey(ABC):
    """Rows that a head answers, with what is right."""

    shown: ClassVar[tuple[str, ...]]
    """Metrics that are told where no other is asked for."""
    right: list[Any]
    """What should be said to each row."""

    @abstractmethod
    def read(self, answers: Sequence[Any]) -> list[Any]:
        """What is said to each row, from what `LogitObjective.answers` tells of each item."""

    @abstractmethod
    def plain(self) -> list[Any] | None:
        """The plainest thing to say to each row: always the commonest, or the mean; None where there is none."""

    @abstractmethod
    def measure(self, said: Sequence[Any], names: Sequence[str]) -> dict[str, HeadMetric]:
        """Metrics of what is said to each row."""

    @abstractmethod
    def texts(self, reader: TextReader) -> list[str]:
        """What is read of each row."""

    def name(self, one: Any) -> object:
        """What is said to a row, or is right of it, by the names that users know."""
        return one

    def value(self, answers: Sequence[Any], metric: str) -> float:
        """A metric of answers as `LogitObjective.answers` tells them, in the order of the items."""
        return self.measure(self.read(answers), [metric])[metric].value

    def score(self, answers: Sequence[Any], *, metric: str, seed: int) -> tuple[HeadScore, ...]:
        """The metrics that are shown, and the one by which the checkpoint was chosen, with intervals and the plainest answer's."""
        names = self.shown if metric in ("loss", "accuracy", *self.shown) else (*self.shown, metric)
        names = tuple(name for name in names if self.can_tell(name))
        found, plain = self.measure(self.read(answers), names), self.plain()
        least = self.measure(plain, names) if plain is not None else {}
        rows, draw = len(self.right), derive_seed(seed, "heads")
        made = []
        for name in names:
            interval = found[name].interval(draw) if rows > 1 else None
            made.append(
                HeadScore(
                    metric=name,
                    signature=found[name].signature,
                    n=rows,
                    value=found[name].value,
                    low=None if interval is None else interval.low,
                    high=None if interval is None else interval.high,
                    plain=least[name].value if least else None,
                )
            )
        return tuple(made)

    def can_tell(self, metric: str) -> bool:
        """Whether so many rows have a number in this metric."""
        return True

    def told(self, answers: Sequence[Any], reader: TextReader) -> list[dict[str, object]]:
        """A line for each row: what was read, what is right, what is answered."""
        rows = zip(self.texts(reader), self.right, self.read(answers), strict=True)
        return [{"read": text, "right": self.name(right), "tuned": self.name(said)} for text, right, said in rows]


def resampled(scores: dict[str, ResampledScore]) -> dict[str, HeadMetric]:
    """Of metrics that can be resampled."""
    return {name: HeadMetric(one.signature, one.value, partial(_interval, one)) for name, one in scores.items()}


def _interval(score: ResampledScore, seed: int) -> Interval:
    return score_interval(score, seed=seed)
