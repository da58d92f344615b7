"""The plainest thing that would do as well, such as one answer to every row or the first sentences of what is asked; and whether any strategy
beats it.

Serves `verdict`. Where none does beyond chance, no strategy is worth its price, however they rank among themselves.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hone.compare.records import Row
from hone.compare.report.words import metric_phrase, plainest

__all__ = ["LEVEL", "Baseline", "unbeaten_baseline"]

LEVEL = 0.05
"""Of the test that tells a strategy from the best."""


class Baseline(NamedTuple):
    """What no strategy beats beyond chance in the metric that ranks."""

    doing: str
    """In words: "answering 'late' always"."""
    value: float
    label: str | None
    """The class that is always answered; None of what stands in the table itself."""
    is_beaten_in_f1: bool
    """Whether a strategy is better than chance in macro F1 none the less."""

    def headline(self, racing: Sequence[Row], metric: str) -> str:
        """One sentence, to stand before everything else."""
        said = f"No strategy beats {self.doing} ({self.value:.1%} {metric_phrase(metric)}) beyond chance"
        if self.is_beaten_in_f1:
            return f"{said}; in macro F1 there is one that does better than guessing: rank by it (--metric macro_f1)."
        tunes = any(row.cost.trainable_parameters for row in racing)
        return f"{said}: {'tuning brings nothing here yet' if tunes else 'none is of use here yet'}."


def unbeaten_baseline(racing: Sequence[Row], metric: str, unseen: Collection[str] = ()) -> Baseline | None:
    """The baseline that none of these strategies beats, best first; None where one does or none is known.

    Args:
        unseen: labels that nobody could know of, so that none of them is answered always.
    """
    best = racing[0]
    if best.per_class:
        return _one_answer(best, racing, metric, unseen)
    found = next((row for row in racing if plainest(row)), None)
    if found is None or len(racing) == 1 or not _is_level(found):
        return None
    return Baseline(plainest(found), found.metrics[metric].value, None, False)


def _is_level(plain: Row) -> bool:
    """Whether a baseline is the best, or not distinguishably worse than it."""
    return plain.difference is None or plain.difference.p_value >= LEVEL


def _one_answer(best: Row, racing: Sequence[Row], metric: str, unseen: Collection[str]) -> Baseline | None:
    """The most frequent class of the test rows, given always, where it would do as well as any strategy."""
    answered = [one for one in best.per_class if one.label not in unseen]
    usual = max(answered, key=lambda one: one.support)
    rows, classes = sum(one.support for one in best.per_class), len(best.per_class)
    shares = [one.support / rows for one in answered]
    share = max(shares)
    f1 = 2 * share / (1 + share)
    floor = {"macro_f1": f1 / classes, "weighted_f1": f1 * share}.get(metric, share)
    if any(row.metrics[metric].low > floor for row in racing):
        return None
    guessed = sum(2 * one / (one * classes + 1) for one in shares) / classes  # macro F1 of a throw of dice
    finds = metric == "accuracy" and any(row.metrics["macro_f1"].low > max(guessed, f1 / classes) for row in racing)
    return Baseline(f"answering '{usual.label}' always", floor, usual.label, finds)
