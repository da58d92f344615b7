"""What a model lost, seen in its loss: the same texts before and after the training, in nats per token.

A rise is after minus before: positive is forgotten. It shows what right and wrong cannot yet show, and also what is no loss of
ability: another tone or format raises it too. Drops of accuracy are in `forgetting`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hone.core.errors import BadData
from hone.core.record import Record
from hone.measure.forgetting import mean_and_worst, require_distinct
from hone.measure.intervals import Interval, is_constant
from hone.measure.paired import wider_interval
from hone.measure.resample import require_rows, score_draws
from hone.measure.significance import holm, minimal_detectable_mean, permutation_p

__all__ = ["Rises", "TaskRise", "TextLosses", "measure_rise", "measure_rises"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TextLosses:
    """The texts of one task, scored before and after the training, in the same order."""

    task: str
    before: npt.ArrayLike
    """Mean per token of each text, in nats, [n]."""
    after: npt.ArrayLike
    tokens: npt.ArrayLike | None = None
    """How many tokens of each text were scored, [n], above 0; none given: every text counts alike."""
    kind: Literal["cross_entropy", "log_likelihood"] = "cross_entropy"
    """`log_likelihood`: higher is better; it is turned into a loss."""


class TaskRise(Record):
    """How much the loss rose on one task. Intervals are at 95% and cover the sampling of texts only."""

    task: str
    texts: int
    tokens: float | None
    """Sum over the texts; None where every text counts alike."""
    before: float
    """Mean loss, nats per token, texts weighted by their tokens."""
    after: float
    rise: float
    """after - before."""
    rise_interval: Interval | None
    perplexity_rise: float
    """exp(rise) - 1: 0.1 is a perplexity 10% higher."""
    perplexity_interval: Interval | None
    interval_missing: str | None
    """Why there are no intervals."""
    p_value: float
    """Of the paired permutation test, two-sided."""
    p_holm: float
    """The same, adjusted for all tasks measured together."""
    detectable_rise: float | None
    """The smallest rise that these texts find in 4 cases of 5; None where their spread is unknown."""


class Rises(Record):
    """How much the loss rose on several tasks. Every task counts alike, whatever its number of texts."""

    tasks: tuple[TaskRise, ...]
    mean: float
    mean_interval: Interval | None
    worst: float
    worst_interval: Interval | None
    """Its low end allows for the choice among the tasks."""
    worst_task: str
    interval_missing: str | None
    """Why there are no intervals."""


def _numbers(values: npt.ArrayLike, task: str) -> FloatArray:
    given = np.asarray(values, dtype=np.float64)
    assert given.ndim == 1, f"expected one number per text, got shape {given.shape}"
    odd = np.flatnonzero(~np.isfinite(given))
    if odd.size:
        place = int(odd[0])
        raise BadData(
            f"Task {task}: text {place + 1} has {given[place]}, which is no finite number. Leave out texts without a token."
        )
    return given


def _checked(losses: TextLosses) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Loss before, loss after, weight of mean 1: each [n]."""
    before, after = _numbers(losses.before, losses.task), _numbers(losses.after, losses.task)
    tokens = np.ones(before.size) if losses.tokens is None else _numbers(losses.tokens, losses.task)
    assert before.shape == after.shape == tokens.shape, f"shapes differ: {before.shape}, {after.shape}, {tokens.shape}"
    require_rows(before.size, f"The rise of the loss on task {losses.task}")
    empty = np.flatnonzero(tokens <= 0)
    if empty.size:
        raise BadData(
            f"Task {losses.task}: text {int(empty[0]) + 1} has {tokens[empty[0]]:g} tokens. Leave out texts without a token."
        )
    sign = -1.0 if losses.kind == "log_likelihood" else 1.0
    return sign * before, sign * after, tokens / tokens.mean()


def _rise_draws(difference: FloatArray, weight: FloatArray, *, draws: int, seed: int) -> FloatArray:
    """The weighted mean difference in each resample of the texts, [draws]."""
    drawn = score_draws(np.stack([weight * difference, weight]), draws=draws, seed=seed)  # [2, draws]
    return np.asarray(drawn[0] / drawn[1])


def _relative(rise: float) -> float:
    with np.errstate(over="ignore"):  # beyond 709 nats the perplexity is infinite, and JSON says so
        return float(np.expm1(rise))


def measure_rise(losses: TextLosses, *, draws: int = 2000, seed: int) -> TaskRise:
    """How much the loss of one task rose between two evaluations of the same texts.

    The interval is the wider of a BCa bootstrap of the texts, each with its tokens, and Student's t; the p value a sign-flip
    permutation of each text's share.
    The detectable rise is (z(0.975) + z(0.8)) * s / sqrt(n), s the standard deviation of the texts' weighted differences.

    Raises:
        NotEnough: n < 2. BadData: a number that is not finite, or a text without tokens.
    Source: Efron 1987, https://doi.org/10.1080/01621459.1987.10478410; Miller 2024, https://arxiv.org/abs/2411.00640
    """
    before, after, weight = _checked(losses)
    difference = after - before
    rise = float((weight * difference).mean())
    interval = detectable = missing = None
    if is_constant(difference):
        missing = f"All {before.size} differences are {difference[0]:g}: their spread cannot be told."
    else:
        influence = weight * (difference - rise)
        interval = wider_interval(rise + influence, _rise_draws(difference, weight, draws=draws, seed=seed), 0.95)
        detectable = minimal_detectable_mean(n=before.size, sd=float(influence.std(ddof=1)))
    p_value = permutation_p(weight * difference, np.zeros(before.size), seed=seed)
    return TaskRise(
        task=losses.task,
        texts=before.size,
        tokens=None if losses.tokens is None else float(np.asarray(losses.tokens, dtype=np.float64).sum()),
        before=float((weight * before).mean()),
        after=float((weight * after).mean()),
        rise=rise,
        rise_interval=interval,
        perplexity_rise=_relative(rise),
        perplexity_interval=interval
        and Interval(low=_relative(interval.low), mid=_relative(interval.mid), high=_relative(interval.high)),
        interval_missing=missing,
        p_value=p_value,
        p_holm=p_value,
        detectable_rise=detectable,
    )


def measure_rises(tasks: Sequence[TextLosses], *, draws: int = 2000, seed: int) -> Rises:
    """How much the loss rose on several tasks: each alone with Holm's p values, their mean, and the worst.

    Raises:
        NotEnough: no task, or one with fewer than 2 texts. BadData: as `measure_rise`, or a name that occurs twice.
    Source: Holm 1979, https://www.jstor.org/stable/4615733
    """
    require_distinct([each.task for each in tasks])
    found = [measure_rise(each, draws=draws, seed=seed) for each in tasks]
    adjusted = holm([each.p_value for each in found])
    mids = np.asarray([each.rise for each in found])
    unknown = [each for each in found if each.interval_missing]
    mean = worst = None
    if not unknown:
        streams = np.random.SeedSequence(seed).generate_state(len(tasks))
        checked = [_checked(each) for each in tasks]
        drawn = np.stack(
            [
                _rise_draws(after - before, weight, draws=draws, seed=int(stream))
                for (before, after, weight), stream in zip(checked, streams, strict=True)
            ]
        )  # [J, draws]
        mean, worst = mean_and_worst(mids, drawn, bounds=(-np.inf, np.inf))
    return Rises(
        tasks=tuple(each.model_copy(update={"p_holm": p}) for each, p in zip(found, adjusted, strict=True)),
        mean=float(mids.mean()),
        mean_interval=mean,
        worst=float(mids.max()),
        worst_interval=worst,
        worst_task=found[int(mids.argmax())].task,
        interval_missing=f"Task {unknown[0].task}: {unknown[0].interval_missing}" if unknown else None,
    )
