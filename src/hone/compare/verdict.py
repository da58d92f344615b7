"""From answers on the test rows to rows of the table and one recommendation, with the evidence for each word.

The rule: among the strategies that are not distinguishably worse than the best, the cheapest, where cost is the seconds to train it and
then answer 10,000 rows on this machine; where a server is paid, what that costs comes first, for how fast it answers is chance.
Here each is held against the best alone (paired test, 5%, not adjusted): the adjustment
for having picked the best guards the table against calling too much "worse", and would excuse real losses if it chose the winner.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hone.compare.baseline import LEVEL, Baseline, unbeaten_baseline
from hone.compare.money import sum_tokens
from hone.compare.race import Finished
from hone.compare.records import (
    ANSWERED_ROWS,
    Cost,
    Difference,
    Estimate,
    Forgetting,
    LearningCurve,
    Recommendation,
    Row,
    Spread,
    Tried,
)
from hone.compare.report.words import metric_phrase, plainest
from hone.core.errors import NotEnough
from hone.core.seeds import derive_seed
from hone.evaluate import Metric, Speed, metrics_of, per_class
from hone.measure import (
    AnswerKey,
    LabelMarks,
    Marks,
    Tokens,
    cost_seconds,
    human_seconds,
    minimal_detectable_difference,
    minimal_detectable_mean,
    pareto_front,
    worse_than_best,
)

__all__ = ["Tested", "judge", "recommend"]

_FLOOR = 0.05  # a metric below which strategies can hardly be told apart
_NOT_ASKED = Forgetting(not_measured="no task but this one was asked before and after")


@dataclass(frozen=True)
class Tested:
    """A finished strategy with its answers to the test rows and its speed."""

    finished: Finished
    marks: Marks
    """Of its answers to the test rows."""
    speed: Speed
    bytes_on_disk: int
    estimate: Estimate | None
    answered: Tokens | None = None
    """Of a server's answers to the test rows, whoever had asked the same before."""
    paid: Tokens | None = None
    """What of that was paid for this strategy: each answer is paid once."""
    perplexity: Metric | None = None
    forgetting: Forgetting = _NOT_ASKED

    @property
    def cost(self) -> float:
        """Seconds to train and then answer 10,000 rows."""
        return cost_seconds(self.finished.outcome.seconds, self.speed.rows_per_second, rows=ANSWERED_ROWS)


def judge(tested: Sequence[Tested], key: AnswerKey, *, labels: Sequence[str], seed: int) -> list[Row]:
    """Rows of the table, best first; strategies that were stopped early stand last and compete for nothing.

    Args:
        key: what is right for the test rows. labels: empty where answers are written.
    """
    metric = key.metric
    scores = [metrics_of(one.marks, seed=derive_seed(seed, "metrics")) for one in tested]
    order = sorted(range(len(tested)), key=lambda i: (_is_stopped(tested[i]), -scores[i][metric].value, tested[i].cost))
    racing = [i for i in order if not _is_stopped(tested[i])] or order
    best = tested[racing[0]].marks
    p_values = [tested[i].marks.p_value(best, seed=derive_seed(seed, "p")) for i in order[1:]]
    adjusted = dict(zip(order[1:], zip(p_values, worse_than_best(p_values), strict=True), strict=True))
    chances = key.probability_best([tested[i].marks for i in racing], seed=derive_seed(seed, "best"))
    p_best = dict(zip(racing, chances, strict=True))
    front = dict(
        zip(racing, pareto_front([scores[i][metric].value for i in racing], [tested[i].cost for i in racing]), strict=True)
    )
    rows = []
    for i in order:
        difference = None
        if i in adjusted:
            gap = tested[i].marks.minus(best, seed=derive_seed(seed, "paired"))
            p_value, p_holm = adjusted[i]
            difference = Difference(
                value=gap.mid, low=gap.low, high=gap.high, p_value=p_value, p_holm=p_holm, test=tested[i].marks.test
            )
        row = _row(tested[i], scores[i], labels=labels, metric=metric)
        rows.append(
            row.model_copy(
                update={"difference": difference, "p_best": p_best.get(i, 0.0), "is_pareto": front.get(i, False)},
            )
        )
    return rows


def _row(one: Tested, scores: Mapping[str, Metric], *, labels: Sequence[str], metric: str) -> Row:
    """A strategy's row, by itself: not yet held against the others."""
    entrant, outcome = one.finished.entrant, one.finished.outcome
    classes, confusion = per_class(one.marks, labels) if isinstance(one.marks, LabelMarks) else ((), ())
    spread = outcome.spread
    return Row(
        strategy=entrant.key,
        title=entrant.title,
        model=entrant.model,
        metrics={**scores, metric: _widened(scores[metric], spread)},
        validation=outcome.chosen.score,
        per_class=classes,
        confusion=confusion,
        difference=None,
        p_best=0.0,
        is_pareto=False,
        cost=_cost(one),
        forgetting=one.forgetting,
        perplexity=one.perplexity,
        settings=outcome.chosen.settings,
        tried=tuple(Tried(settings=trial.settings, share=trial.share, score=trial.score) for trial in outcome.trials),
        spread=spread,
        note=outcome.chosen.note,
        stopped_early=outcome.stopped_early,
    )


def _widened(metric: Metric, spread: Spread | None) -> Metric:
    """The interval with the prompts' variance added to that of the rows, which is independent of it."""
    if spread is None:
        return metric
    below, above = (np.hypot(side, 1.96 * spread.sd) for side in (metric.value - metric.low, metric.high - metric.value))
    return metric.model_copy(update={"low": max(0.0, metric.value - below), "high": min(1.0, metric.value + above)})


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
        paid=None if one.paid is None else sum_tokens([outcome.paid or Tokens(), one.paid]),
        further=None if one.answered is None else sum_tokens([one.answered], times=ANSWERED_ROWS / len(one.marks.per_row)),
        estimate=one.estimate,
    )


def recommend(
    rows: Sequence[Row], *, metric: str, curve: LearningCurve | None, may_lose: float | None = None, unseen: Collection[str] = ()
) -> Recommendation:
    """The cheapest strategy that is not distinguishably worse than the best.

    Args:
        may_lose: share that may be forgotten on average. Who lost more stands aside; where all who remain are worse than the best, the
            best of them is taken, and where nobody remains, whoever would have been without it.
        unseen: labels that no training row has, and which so nobody answers.
    """
    racing = [row for row in rows if row.stopped_early is None] or list(rows)
    best = racing[0]
    tied = [row for row in racing if row.difference is None or row.difference.p_value >= LEVEL]
    usual = chosen = min(tied, key=_costs)
    if may_lose is not None:
        within = [row for row in racing if row.forgetting.is_within(may_lose)]
        cheapest = min((row for row in tied if row in within), key=_costs, default=None)
        chosen = cheapest or (within[0] if within else usual)
    smallest = _smallest_visible(best, racing, metric)
    baseline = unbeaten_baseline(racing, metric, unseen)
    because = _because(chosen, best, tied, racing, metric, baseline)
    if may_lose is not None:
        because[1:1] = _on_budget(chosen, usual, racing, may_lose)
    return Recommendation(
        strategy=chosen.strategy,
        best=best.strategy,
        unbeaten=None if baseline is None else baseline.headline(racing, metric),
        because=tuple(because),
        would_change=tuple(_would_change(chosen, best, usual, tied, metric, smallest, curve)),
        keeps_budget=None if may_lose is None else chosen.forgetting.is_within(may_lose),
        minimal_detectable_difference=smallest,
    )


def _costs(row: Row) -> tuple[float, float]:
    """By which the cheapest of equals is found: US dollars for further answers, none where no server is paid; then seconds."""
    return row.cost.usd_per_answers or 0.0, row.cost.seconds


def _is_paid(rows: Sequence[Row]) -> bool:
    """Whether the answers of some cost money."""
    return any(row.cost.usd_per_answers for row in rows)


def _fastest(rows: Sequence[Row]) -> Row:
    return min(rows, key=lambda row: row.cost.seconds)


def _because(
    chosen: Row, best: Row, tied: Sequence[Row], racing: Sequence[Row], metric: str, baseline: Baseline | None
) -> list[str]:
    name = metric_phrase(metric)
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
        verdict = "could be chance" if chosen in tied else "is more than chance"
        lines.append(
            f"The highest {name} is that of {best.title}, {best.metrics[metric].value:.1%}; the difference of {_points(gap.value)} "
            f"(95% interval {_points(gap.low)} to {_points(gap.high)}) {verdict} (paired test, p = {gap.p_value:.2f})."
        )
    if _is_paid([chosen, *tied]):
        lines.append(_paid(chosen, tied))
    if doubt := _doubt(best, metric, baseline):
        lines.append(doubt)
    return lines + _cheapness(chosen, best, tied, racing)


def _cheapness(chosen: Row, best: Row, tied: Sequence[Row], racing: Sequence[Row]) -> list[str]:
    """What it takes, against what its equals take; and what would be cheaper still, and is worse."""
    lines = []
    cheaper = [row for row in racing if _costs(row) < _costs(chosen)]
    cost = f"{human_seconds(chosen.cost.seconds)} to train it and answer {ANSWERED_ROWS:,} rows here"
    if chosen not in tied or _costs(chosen) > min(map(_costs, tied)):  # a budget of forgetting decided
        return [f"It takes {cost}, against {human_seconds(best.cost.seconds)} for {best.title}."]
    if len(tied) == 1:
        lines.append(f"Every other strategy is distinguishably worse. It takes {cost}.")
    elif _is_paid(tied):
        fastest = _fastest(tied)
        against = "" if fastest is chosen else f", against {human_seconds(fastest.cost.seconds)} for {fastest.title}"
        lines.append(f"It takes {cost}{against}.")
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


def _paid(chosen: Row, tied: Sequence[Row]) -> str:
    """What its answers cost in money, against its equals'."""
    usd = chosen.cost.usd_per_answers
    told = "It costs no server's money" if usd is None else f"Its server would be paid ${usd:,.2f} for {ANSWERED_ROWS:,} answers"
    others = [row for row in tied if row is not chosen]
    if not others:
        return f"{told}."
    least = min(others, key=_costs)
    price = f"${least.cost.usd_per_answers:,.2f}" if least.cost.usd_per_answers is not None else "nothing"
    return f"{told}; of the others not distinguishably worse than the best, {least.title} would cost least: {price}."


def _on_budget(chosen: Row, usual: Row, racing: Sequence[Row], may_lose: float) -> list[str]:
    """What the budget of forgetting ruled out, and how sure that what is recommended keeps it."""
    out = [row for row in racing if not row.forgetting.is_within(may_lose)]
    if len(out) == len(racing):
        return [
            f"No strategy keeps the budget of at most {may_lose:.1%} forgotten ({_lost(out)}); the recommendation is made as if there were none."
        ]
    found = chosen.forgetting
    if found.unchanged:
        lines = [f"It forgets nothing, for {found.unchanged}, so it keeps the budget of at most {may_lose:.1%}."]
    else:
        assert found.mean is not None and found.low is not None and found.high is not None
        sure = "" if -found.low <= may_lose else ": more than the budget is not ruled out"
        lines = [
            f"It forgot {-found.mean:.1%} of what was retained (95% interval {-found.high:+.1%} to {-found.low:+.1%}), within the budget "
            f"of {may_lose:.1%}{sure}."
        ]
    if out:
        lines.append(f"Ruled out by that budget: {_lost(out)}.")
    if chosen is not usual:
        lines.append(f"Without it, {usual.title} would be recommended.")
    return lines


def _lost(rows: Sequence[Row]) -> str:
    """Titles with what each forgot."""
    return ", ".join(
        f"{row.title} (not measured)" if row.forgetting.drop is None else f"{row.title} (forgot {row.forgetting.drop:.1%})"
        for row in rows
    )


def _doubt(best: Row, metric: str, baseline: Baseline | None) -> str:
    """Where the winner is no reason to be glad: it copies, or nothing is right, or one answer to all rows would do as well."""
    if doing := plainest(best):
        return f"No model does better than {doing}: a larger model, or more training, is needed before any is of use."
    if best.metrics[metric].value < _FLOOR:
        return "Nearly nothing is right whatever the strategy: this model is not up to the task, and the ranking means little."
    if baseline is None:
        return ""
    if baseline.label is None:
        return f"No model does better than {baseline.doing} beyond chance: a larger model, or more training, is needed before any is of use."
    said = f"To answer '{baseline.label}' whatever is asked would reach {baseline.value:.1%}, and no strategy is better than that beyond chance"
    if baseline.is_beaten_in_f1:
        return f"{said}, though in macro F1 there is: to find the rare classes, rank by it (--metric macro_f1)."
    return f"{said}: the ranking means little. A larger model, or more rows, is needed before any is of use."


def _would_change(
    chosen: Row, best: Row, usual: Row, tied: Sequence[Row], metric: str, smallest: float, curve: LearningCurve | None
) -> list[str]:
    found = chosen.metrics[metric]
    lines = [
        f"More test rows: with {found.n}, a difference below {100 * smallest:.1f} points is missed at least one time in five."
    ]
    if chosen is not usual:
        lines.append(f"A larger --may-lose: without any, {usual.title} would be recommended.")
    elif chosen is not best:
        lines.append(
            f"If {100 * abs(best.metrics[metric].value - found.value):.1f} points matter more to you than cost, take {best.title}."
        )
    fastest = _fastest(tied)
    if chosen is usual and _is_paid(tied) and fastest is not chosen:
        lines.append(
            f"If time matters more to you than money, take {fastest.title}: {human_seconds(fastest.cost.seconds)} against "
            f"{human_seconds(chosen.cost.seconds)}."
        )
    if curve is not None and curve.still_rises is not None and curve.gain_low is not None and curve.gain_high is not None:
        span = (
            f"all training rows against half of them: {_points(curve.gain_low)} to {_points(curve.gain_high)} on validation rows"
        )
        if curve.is_at_the_top:
            lines.append(curve.TOP)
        elif curve.still_rises:
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


def _smallest_visible(best: Row, racing: Sequence[Row], metric: str) -> float:
    """Minimal detectable difference between the best and its nearest rival, from the width of their interval."""
    n = best.metrics[metric].n
    gaps = [row.difference for row in racing if row.difference is not None]
    width, gap = ((gaps[0].high - gaps[0].low) / 2, gaps[0].value) if gaps else (1.0, 0.0)
    sd = width / 1.96 * n**0.5
    try:
        if metric not in ("accuracy", "exact_match"):
            return min(1.0, minimal_detectable_mean(n=n, sd=sd))
        # Of differences that are -1, 0 or 1 the mean square is the share of rows that only one of the two answers rightly.
        return minimal_detectable_difference(n=n, discordant_rate=min(1.0, max(sd**2 + gap**2, 1 / n)), seen=abs(gap))
    except NotEnough:
        return 1.0


def _is_stopped(one: Tested) -> bool:
    return one.finished.outcome.stopped_early is not None


def _points(value: float) -> str:
    return f"{100 * value:+.1f} points"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
