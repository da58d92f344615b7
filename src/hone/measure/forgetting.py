"""What a model lost on tasks that it was not trained on: the same items, answered before and after the training.

A drop is before minus after: positive is forgotten. Items are right, wrong, or no answer at all (a broken format), so that
forgetting how to answer is told from forgetting what. Losses per text are in `rises`, sequences of tasks in `sequences`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hone.core.errors import BadData, NotEnough
from hone.core.record import Record
from hone.measure.intervals import Interval, shifted_interval, wilson_interval
from hone.measure.paired import paired_accuracy_interval
from hone.measure.resample import require_rows, resampled_counts
from hone.measure.significance import holm, mcnemar_exact, minimal_detectable_difference

__all__ = [
    "AnswerCounts",
    "Drops",
    "NoiseFloor",
    "TaskAnswers",
    "TaskDrop",
    "drop_draws",
    "mean_and_worst",
    "measure_drop",
    "measure_drops",
    "noise_floor",
    "require_distinct",
]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

CEILING = 0.99
"""A base whose interval reaches this may have every item right: no gain can be seen there, a drop can."""


@dataclass(frozen=True, eq=False)
class TaskAnswers:
    """The items of one task, answered before and after the training, in the same order."""

    task: str
    before: npt.ArrayLike
    """Whether each item is right, [n]."""
    after: npt.ArrayLike
    chance: float = 0.0
    """The accuracy of guessing, in [0, 1)."""
    before_is_answer: npt.ArrayLike | None = None
    """Whether each output is an answer at all, [n]; none given: all are. An output that is no answer is not right."""
    after_is_answer: npt.ArrayLike | None = None


class AnswerCounts(Record):
    """The items of one evaluation by what became of them."""

    right: int
    wrong: int
    no_answer: int
    """Outputs that are no answer to the question, such as a choice that is not offered."""


class TaskDrop(Record):
    """What was lost on one task. Intervals are at 95% and cover the sampling of items only, not training seeds."""

    task: str
    items: int
    chance: float
    before: Interval
    """Accuracy, by Wilson; no answer counts as not right."""
    after: Interval
    drop: Interval
    """Accuracy before minus after, paired by item; positive is forgotten."""
    right_to_wrong: int
    """Items that were right and no longer are, for whatever reason: the mean drop hides them behind the gains."""
    right_to_no_answer: int
    """Those of them whose output is no answer any more: a lost format rather than a lost ability."""
    wrong_to_right: int
    p_value: float
    """Of the exact McNemar test, two-sided."""
    p_holm: float
    """The same, adjusted for all tasks measured together."""
    detectable_drop: float | None
    """The smallest drop that these items find in 4 cases of 5; None below 4 items, which find nothing."""
    is_floor: bool
    """The base is not told from guessing: there is nothing that this task could show as forgotten."""
    is_ceiling: bool
    """99% or more may be right before training: no gain can be seen."""
    retention: Interval | None
    """(after - chance) / (before - chance): 1 is all kept, 0 is back to guessing."""
    retention_missing: str | None
    """Why there is no retention."""
    answers_before: AnswerCounts
    answers_after: AnswerCounts


class Drops(Record):
    """What was lost on several tasks. Every task counts alike, whatever its number of items."""

    tasks: tuple[TaskDrop, ...]
    mean: Interval
    worst: Interval
    """The largest drop. Picking the largest flatters the alarm: the low end allows for the choice among the tasks."""
    worst_task: str
    floor_tasks: tuple[str, ...]
    """Tasks that cannot show forgetting and yet pull the mean towards 0."""


class NoiseFloor(Record):
    """How much two evaluations of one and the same model differ."""

    items: int
    right_to_wrong: int
    wrong_to_right: int
    flip_rate: Interval
    """Share of items on which the two differ, in either direction."""
    explained_drop: float
    """A net drop of this size or less is no more than as many random flips give in 95% of cases; 0 when nothing flips."""

    @property
    def flips(self) -> int:
        """Items on which the two evaluations differ."""
        return self.right_to_wrong + self.wrong_to_right

    def explains(self, drop: float) -> bool:
        """Whether a drop measured on as many items could be noise alone."""
        return drop <= self.explained_drop + 1e-12


def _flags(values: npt.ArrayLike, what: str) -> BoolArray:
    """Yes or no per item; a score of 0.7 is neither."""
    given = np.asarray(values)
    assert given.ndim == 1, f"expected one value per item, got shape {given.shape}"
    is_known = (given == 0) | (given == 1)
    if not bool(is_known.all()):
        place = int(np.flatnonzero(~is_known)[0])
        raise BadData(f"{what}: item {place + 1} is {given[place]}, but items are right (1) or wrong (0). Mark each item so.")
    return given.astype(bool)


def _counts(right: BoolArray, is_answer: npt.ArrayLike | None, what: str) -> tuple[BoolArray, AnswerCounts]:
    """Which outputs are answers, and how many of each state."""
    given = np.ones(right.size, dtype=bool) if is_answer is None else _flags(is_answer, what)
    assert given.shape == right.shape, f"shapes differ: {given.shape} and {right.shape}"
    odd = np.flatnonzero(right & ~given)
    if odd.size:
        raise BadData(
            f"{what}: item {int(odd[0]) + 1} is marked right and no answer at once. An output that is no answer is wrong."
        )
    return given, AnswerCounts(right=int(right.sum()), wrong=int((given & ~right).sum()), no_answer=int((~given).sum()))


def _paired(answers: TaskAnswers) -> tuple[BoolArray, BoolArray]:
    before, after = (_flags(values, f"Task {answers.task}") for values in (answers.before, answers.after))
    assert before.shape == after.shape, f"{answers.task}: shapes differ: {before.shape} and {after.shape}"
    require_rows(before.size, f"The drop on task {answers.task}")
    return before, after


def _cell_draws(before: BoolArray, after: BoolArray, *, draws: int, rng: np.random.Generator) -> FloatArray:
    """Shares of (both right, only before, only after, neither) in each resample of the items, [draws, 4].

    Half an imaginary item in each cell, as in `paired_accuracy_interval`: no seen loss is not a certainty of none.
    """
    seen = [(before & after).sum(), (before & ~after).sum(), (~before & after).sum(), (~before & ~after).sum()]
    weights = np.asarray(seen, dtype=np.float64) + 0.5
    size = before.size + 2
    return np.concatenate(list(resampled_counts(weights, size=size, draws=draws, rng=rng))) / size


def drop_draws(before: npt.ArrayLike, after: npt.ArrayLike, *, draws: int, rng: np.random.Generator) -> FloatArray:
    """The drop of one task in each resample of its items, [draws]; right or wrong before and after, [n] each."""
    shares = _cell_draws(*_paired(TaskAnswers("resampled", before, after)), draws=draws, rng=rng)
    return np.asarray(shares[:, 1] - shares[:, 2])


def _retention(
    before: BoolArray, after: BoolArray, *, chance: float, is_floor: bool, draws: int, seed: int
) -> tuple[Interval | None, str | None]:
    """The share of what the base could beyond chance that is still there, by a bootstrap of the items; or why there is none."""
    if is_floor:
        return None, "The base is not above chance by its interval, so there is nothing to retain."
    cells = _cell_draws(before, after, draws=draws, rng=np.random.default_rng(seed))
    above_before, above_after = cells[:, 0] + cells[:, 1] - chance, cells[:, 0] + cells[:, 2] - chance
    is_defined = above_before > 1e-12
    ratios = np.divide(above_after, above_before, out=np.zeros_like(above_after), where=is_defined)
    # A resample whose base is at chance could retain anything: it counts beyond both ends.
    low = float(np.quantile(np.where(is_defined, ratios, -np.inf), 0.025, method="lower"))
    high = float(np.quantile(np.where(is_defined, ratios, np.inf), 0.975, method="higher"))
    if not np.isfinite([low, high]).all():
        return None, "The base is so close to chance that the share retained has no bounds. Add items."
    mid = float((after.mean() - chance) / (before.mean() - chance))
    return Interval(low=min(low, mid), mid=mid, high=max(high, mid)), None


def measure_drop(answers: TaskAnswers, *, draws: int = 2000, seed: int) -> TaskDrop:
    """What one task lost between two evaluations of the same items.

    The detectable drop d solves d * sqrt(n) = z(0.975) * sqrt(D) + z(0.8) * sqrt(D - d^2): 80% power of McNemar's test at 5% with n
    items, of which the share D changed between right and wrong as observed here. The p value is not adjusted for other tasks:
    see `measure_drops`.

    Raises:
        NotEnough: n < 2. BadData: an item that is neither right nor wrong, or right and no answer at once.
    Source: Connor 1987, https://doi.org/10.2307/2531961; the drop's interval Agresti and Min 2005, https://doi.org/10.1002/sim.1781
    """
    assert 0 <= answers.chance < 1, f"chance is an accuracy in [0, 1), got {answers.chance}"
    before, after = _paired(answers)
    _, counts_before = _counts(before, answers.before_is_answer, f"Task {answers.task}, before")
    is_answer, counts_after = _counts(after, answers.after_is_answer, f"Task {answers.task}, after")
    lost, gained = before & ~after, ~before & after
    base = wilson_interval(counts_before.right, before.size)
    is_floor = base.low <= answers.chance
    retention, missing = _retention(before, after, chance=answers.chance, is_floor=is_floor, draws=draws, seed=seed)
    try:
        rate = float((lost | gained).mean())
        detectable: float | None = minimal_detectable_difference(n=before.size, discordant_rate=rate)
    except NotEnough:
        detectable = None
    p_value = mcnemar_exact(before, after)
    return TaskDrop(
        task=answers.task,
        items=before.size,
        chance=answers.chance,
        before=base,
        after=wilson_interval(counts_after.right, after.size),
        drop=paired_accuracy_interval(before, after),
        right_to_wrong=int(lost.sum()),
        right_to_no_answer=int((lost & ~is_answer).sum()),
        wrong_to_right=int(gained.sum()),
        p_value=p_value,
        p_holm=p_value,
        detectable_drop=detectable,
        is_floor=is_floor,
        is_ceiling=base.high >= CEILING,
        retention=retention,
        retention_missing=missing,
        answers_before=counts_before,
        answers_after=counts_after,
    )


def require_distinct(tasks: Sequence[str]) -> None:
    """Stop when there is no task, or the same one twice.

    Raises:
        NotEnough: none. BadData: a name that occurs twice.
    """
    if not tasks:
        raise NotEnough("Forgetting needs at least 1 task, 0 given. Name tasks that the model could do before.")
    twice = sorted({task for task in tasks if tasks.count(task) > 1})
    if twice:
        raise BadData(f"Task {twice[0]} is given twice. Each task counts once: join its items, or give it another name.")


def mean_and_worst(mids: FloatArray, drawn: FloatArray, *, bounds: tuple[float, float]) -> tuple[Interval, Interval]:
    """Intervals at 95% for the mean and for the largest of several drops, from resamples of each task's own items.

    The largest of several noisy numbers is too large. Its high end is the highest of the tasks' own high ends; its low end is
    the observed largest less the 97.5% point of the largest excess among all tasks, so it holds for whichever task is picked.

    Args:
        mids: as observed, [J]. drawn: in each resample, [J, B]. bounds: lowest and highest possible value.
    """
    centred = drawn - drawn.mean(axis=1, keepdims=True)  # [J, B]
    mean = shifted_interval(drawn.mean(axis=0), float(mids.mean()), level=0.95, bounds=bounds)
    largest = float(mids.max())
    low = largest - float(np.quantile(centred.max(axis=0), 0.975))
    high = float((mids + np.quantile(centred, 0.975, axis=1)).max())
    return mean, Interval(low=max(bounds[0], min(low, largest)), mid=largest, high=min(bounds[1], max(high, largest)))


def measure_drops(tasks: Sequence[TaskAnswers], *, draws: int = 2000, seed: int) -> Drops:
    """What several tasks lost: each alone with Holm's p values, their mean, and the worst.

    Raises:
        NotEnough: no task, or one with fewer than 2 items. BadData: as `measure_drop`, or a name that occurs twice.
    Source: Holm 1979, https://www.jstor.org/stable/4615733
    """
    require_distinct([each.task for each in tasks])
    found = [measure_drop(each, draws=draws, seed=seed) for each in tasks]
    adjusted = holm([each.p_value for each in found])
    streams = np.random.default_rng(seed).spawn(len(tasks))
    drawn = np.stack(
        [drop_draws(each.before, each.after, draws=draws, rng=rng) for each, rng in zip(tasks, streams, strict=True)]
    )  # [J, draws]
    mids = np.asarray([each.drop.mid for each in found])
    mean, worst = mean_and_worst(mids, drawn, bounds=(-1.0, 1.0))
    return Drops(
        tasks=tuple(each.model_copy(update={"p_holm": p}) for each, p in zip(found, adjusted, strict=True)),
        mean=mean,
        worst=worst,
        worst_task=found[int(mids.argmax())].task,
        floor_tasks=tuple(each.task for each in found if each.is_floor),
    )


def noise_floor(first: npt.ArrayLike, second: npt.ArrayLike) -> NoiseFloor:
    """How many items flip between two evaluations of the same model, and the drop that such flips explain without any training.

    With m flips, each as likely to lose as to gain, the net loss is 2 * Binomial(m, 1/2) - m; `explained_drop` is its two-sided
    95% point over n. Batch sizes, sampling and half precision all flip items.

    Args:
        first, second: whether each item is right, [n], same order.
    Raises:
        NotEnough: n < 2. BadData: an item that is neither right nor wrong.
    """
    a, b = _paired(TaskAnswers("the base, twice", first, second))
    lost, gained = int((a & ~b).sum()), int((~a & b).sum())
    from scipy.stats import binom

    flips = lost + gained
    net = 2 * int(binom.ppf(0.975, flips, 0.5)) - flips if flips else 0
    return NoiseFloor(
        items=a.size,
        right_to_wrong=lost,
        wrong_to_right=gained,
        flip_rate=wilson_interval(flips, a.size),
        explained_drop=net / a.size,
    )
