"""From answers on the test rows to rows of the table and one recommendation, with the evidence for each word.

The rule: among the strategies that are not distinguishably worse than the best, the cheapest, where cost is the seconds to train it and
then answer 10,000 rows on this machine. Here each is held against the best alone (paired test, 5%, not adjusted): Holm's adjustment
guards the table against calling too much "worse", and would excuse real losses if it chose the winner.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hone.compare.race import Finished
from hone.compare.records import ANSWERED_ROWS, Cost, Difference, Estimate, Forgetting, LearningCurve, Recommendation, Row
from hone.core.errors import NotEnough
from hone.core.seeds import derive_seed
from hone.evaluate import Answers, Speed, metrics_of, per_class
from hone.measure import (
    cost_seconds,
    holm,
    human_seconds,
    mcnemar_exact,
    minimal_detectable_difference,
    paired_bootstrap_p,
    paired_confusion_interval,
    pareto_front,
    probability_best,
    probability_best_label,
)

__all__ = ["Tested", "judge", "recommend"]

LEVEL = 0.05
_NO_FORGETTING = (
    "not measured: only the classification head answers here, and there is no earlier task with the same head to compare with"
)


@dataclass(frozen=True)
class Tested:
    """A finished strategy with its answers to the test rows and its speed."""

    finished: Finished
    answers: Answers
    speed: Speed
    bytes_on_disk: int
    estimate: Estimate | None

    @property
    def cost(self) -> float:
        """Seconds to train and then answer 10,000 rows."""
        return cost_seconds(self.finished.outcome.seconds, self.speed.rows_per_second, rows=ANSWERED_ROWS)


def judge(tested: Sequence[Tested], *, labels: Sequence[str], metric: str, seed: int) -> list[Row]:
    """Rows of the table, best first; strategies that were stopped early stand last and compete for nothing."""
    scores = [metrics_of(one.answers, seed=derive_seed(seed, "metrics")) for one in tested]
    order = sorted(range(len(tested)), key=lambda i: (_is_stopped(tested[i]), -scores[i][metric].value, tested[i].cost))
    racing = [i for i in order if not _is_stopped(tested[i])] or order
    best = tested[racing[0]].answers
    p_values = [_p_value(tested[i].answers, best, metric, len(labels), seed) for i in order[1:]]
    adjusted = dict(zip(order[1:], zip(p_values, holm(p_values), strict=True), strict=True))
    p_best = dict(zip(racing, _p_best([tested[i].answers for i in racing], metric, len(labels), seed), strict=True))
    front = dict(
        zip(racing, pareto_front([scores[i][metric].value for i in racing], [tested[i].cost for i in racing]), strict=True)
    )
    rows = []
    for i in order:
        one = tested[i]
        classes, confusion = per_class(one.answers, labels)
        difference = None
        if i in adjusted:
            gap = paired_confusion_interval(
                best.truth,
                one.answers.predicted,
                best.predicted,
                classes=len(labels),
                metric=metric,
                seed=derive_seed(seed, "paired"),
            )
            difference = Difference(
                value=gap.mid,
                low=gap.low,
                high=gap.high,
                p_value=adjusted[i][0],
                p_holm=adjusted[i][1],
                test="mcnemar_exact" if metric == "accuracy" else "paired_bootstrap",
            )
        rows.append(
            Row(
                strategy=one.finished.strategy.name,
                title=one.finished.strategy.title,
                metrics=scores[i],
                validation=one.finished.outcome.chosen.score,
                per_class=classes,
                confusion=confusion,
                difference=difference,
                p_best=float(p_best.get(i, 0.0)),
                is_pareto=front.get(i, False),
                cost=_cost(one),
                forgetting=Forgetting(not_measured=_NO_FORGETTING),
                settings=one.finished.outcome.chosen.settings,
                stopped_early=one.finished.outcome.stopped_early,
            )
        )
    return rows


def _cost(one: Tested) -> Cost:
    outcome = one.finished.outcome
    return Cost(
        train_seconds=outcome.seconds,
        peak_bytes=outcome.peak_bytes,
        trainable_parameters=outcome.chosen.trainable_parameters,
        bytes_on_disk=one.bytes_on_disk,
        latency_ms_median=one.speed.latency_ms_median,
        latency_ms_p95=one.speed.latency_ms_p95,
        rows_per_second=one.speed.rows_per_second,
        estimate=one.estimate,
    )


def recommend(rows: Sequence[Row], *, metric: str, curve: LearningCurve | None) -> Recommendation:
    """The cheapest strategy that is not distinguishably worse than the best."""
    racing = [row for row in rows if row.stopped_early is None] or list(rows)
    best = racing[0]
    tied = [row for row in racing if row.difference is None or row.difference.p_value >= LEVEL]
    chosen = min(tied, key=lambda row: row.cost.seconds)
    smallest = _smallest_visible(best, racing)
    return Recommendation(
        strategy=chosen.strategy,
        best=best.strategy,
        because=tuple(_because(chosen, best, tied, racing, metric)),
        would_change=tuple(_would_change(chosen, best, metric, smallest, curve)),
        minimal_detectable_difference=smallest,
    )


def _because(chosen: Row, best: Row, tied: Sequence[Row], racing: Sequence[Row], metric: str) -> list[str]:
    name = metric.replace("_", " ")
    found = chosen.metrics[metric]
    lines = [
        f"{_cap(chosen.title)} reaches {found.value:.1%} {name} on {found.n} test rows "
        f"(95% interval {found.low:.1%} to {found.high:.1%})."
    ]
    if chosen is best:
        lines.append(f"No strategy has a higher {name} on these rows; it is the best of all with probability {best.p_best:.0%}.")
    else:
        assert chosen.difference is not None
        gap = chosen.difference
        lines.append(
            f"The highest {name} is that of {best.title}, {best.metrics[metric].value:.1%}; the difference of {_points(gap.value)} "
            f"(95% interval {_points(gap.low)} to {_points(gap.high)}) could be chance (paired test, p = {gap.p_value:.2f})."
        )
    cheaper = [row for row in racing if row.cost.seconds < chosen.cost.seconds]
    cost = f"{human_seconds(chosen.cost.seconds)} to train it and answer {ANSWERED_ROWS:,} rows here"
    if len(tied) == 1:
        lines.append(f"Every other strategy is distinguishably worse. It takes {cost}.")
    elif chosen is not best:
        lines.append(
            f"It is the cheapest of the {len(tied)} that are not distinguishably worse than the best: {cost}, "
            f"against {human_seconds(best.cost.seconds)}."
        )
    else:
        lines.append(f"It is also the cheapest of the {len(tied)} that are not distinguishably worse: {cost}.")
    if cheaper:
        names = ", ".join(f"{row.title} ({_points(row.difference.value)})" for row in cheaper if row.difference is not None)
        lines.append(f"Cheaper, but worse than the best beyond chance when held against it alone: {names}.")
    return lines


def _would_change(chosen: Row, best: Row, metric: str, smallest: float, curve: LearningCurve | None) -> list[str]:
    found = chosen.metrics[metric]
    lines = [
        f"More test rows: with {found.n}, a difference below {100 * smallest:.1f} points is missed at least one time in five."
    ]
    if chosen is not best:
        lines.append(
            f"If {_points(chosen.metrics[metric].value - best.metrics[metric].value)} matter more to you than cost, take {best.title}."
        )
    if curve is not None and curve.still_rises is not None and curve.gain_low is not None and curve.gain_high is not None:
        span = (
            f"all training rows against half of them: {_points(curve.gain_low)} to {_points(curve.gain_high)} on validation rows"
        )
        if curve.still_rises:
            ahead = (
                f"; at {curve.forecast_rows:,} rows about {curve.forecast:.1%} is to be expected"
                if curve.forecast is not None and curve.forecast_rows
                else ""
            )
            lines.append(f"More labelled rows would help, with 95% confidence: the learning curve still rises ({span}){ahead}.")
        else:
            lines.append(
                f"Whether more labelled rows would help cannot be told: the learning curve is flat within its interval ({span})."
            )
    return lines


def _smallest_visible(best: Row, racing: Sequence[Row]) -> float:
    """Minimal detectable difference between the best and its nearest rival, from how often exactly one of the two is right."""
    n = best.metrics["accuracy"].n
    gaps = [row.difference for row in racing if row.difference is not None]
    width = max((gap.high - gap.low) / 2 for gap in gaps[:1]) if gaps else 1.0
    discordant = min(1.0, max((width / 1.96) ** 2 * n, 1 / n))
    try:
        return minimal_detectable_difference(n=n, discordant_rate=discordant)
    except NotEnough:
        return 1.0


def _p_value(one: Answers, best: Answers, metric: str, classes: int, seed: int) -> float:
    if metric == "accuracy":
        return mcnemar_exact(one.correct, best.correct)
    return paired_bootstrap_p(
        best.truth, one.predicted, best.predicted, classes=classes, metric=metric, seed=derive_seed(seed, "p")
    )


def _p_best(answers: Sequence[Answers], metric: str, classes: int, seed: int) -> list[float]:
    if metric == "accuracy":
        values = probability_best(np.stack([one.correct for one in answers]).astype(float), seed=derive_seed(seed, "best"))
    else:
        predictions = np.stack([one.predicted for one in answers])
        values = probability_best_label(
            answers[0].truth, predictions, classes=classes, metric=metric, seed=derive_seed(seed, "best")
        )
    return [float(value) for value in values]


def _is_stopped(one: Tested) -> bool:
    return one.finished.outcome.stopped_early is not None


def _points(value: float) -> str:
    return f"{100 * value:+.1f} points"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
