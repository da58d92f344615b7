"""A comparison of ways to remember as text: the tables on the terminal, and `README.md`."""

from typing import Literal

from hone.core.console import render_table
from hone.measure import Interval, human_bytes, human_seconds
from hone.remember.conclude import lost_text
from hone.remember.records import RememberRecord, Unit, WayResult

__all__ = ["divergence", "interval_text", "marks", "reading", "tell_ways", "told_limits", "write_readme"]

_LOST: dict[Unit, str] = {
    "accuracy": "accuracy before minus after",
    "nats": "the texts' loss after minus before, in nats per token,",
    "score": "the score of the sentence vectors before minus after",
}
_READING = (
    "Gain is by how much the validation loss fell, in nats per trained term. Lost is {what} on the same items, mean over the retained tasks; its 95% "
    "interval covers the items, not other seeds. On the front: no other way gains as much and loses as little."
)


def tell_ways(found: RememberRecord) -> str:
    """What each way gained and lost, what that cost, and what is advised; at most 100 columns."""
    metric = next((way.answer.metric for way in found.ways if way.answer), None)
    shown = metric is not None
    headers = ["way", "gain", *([f"{metric}, 95%"] if shown else []), "lost, 95%", "worst", ""]
    rows = [
        [
            way.way,
            f"{way.gain:+.3f}",
            *([_answer(way)] if shown else []),
            f"{lost_text(way.lost, found.unit)} {interval_text(way.lost_interval, found.unit)}",
            lost_text(way.worst, found.unit),
            ", ".join(marks(way, found)),
        ]
        for way in found.ways
    ]
    costs = [
        (
            way.way,
            way.worst_task,
            "-" if way.perplexity_rise is None else f"{way.perplexity_rise:+.1%}",
            divergence(way),
            f"{way.learning_rate:.1e}",
            human_seconds(way.seconds),
            "-" if way.peak_bytes is None else human_bytes(way.peak_bytes),
        )
        for way in found.ways
    ]
    right: Literal["right"] = "right"
    sides: list[Literal["left", "right"]] = ["left", *([right] * (len(headers) - 2)), "left"]
    cost_headers = ("way", "worst on", "texts", "own texts", "rate", "time", "memory")
    told = [
        render_table(headers, rows, align=sides),
        "",
        render_table(cost_headers, costs, align=("left", "left", "right", "right", "right", "right", "right")),
        "",
        *(f"{name} has no result: {why}" for name, why in found.failed.items()),
        *told_limits(found),
        found.advice,
    ]
    return "\n".join(told)


def _answer(way: WayResult) -> str:
    """The gain in the first metric of the written answers."""
    score = way.answer
    if score is None:
        return "-"
    if score.gain_low is None or score.gain_high is None:
        return f"{score.value - score.base:+.3f}"
    return f"{score.gain_low:+.3f} to {score.gain_high:+.3f}"


def interval_text(interval: Interval | None, unit: str) -> str:
    """Both ends in brackets; nothing where there is no interval."""
    return "" if interval is None else f"({lost_text(interval.low, unit)} to {lost_text(interval.high, unit)})"


def divergence(way: WayResult) -> str:
    """From the base on its own texts, in nats per token."""
    return "-" if way.divergence is None else f"{way.divergence:.4f}"


def marks(way: WayResult, found: RememberRecord) -> list[str]:
    """What is to be said of a way beside its numbers."""
    said = ["advised"] if way.way == found.advised else []
    if way.is_front:
        said.append("front")
    if found.settings.may_lose is not None and not way.keeps:
        said.append("over")
    return said


def told_limits(found: RememberRecord) -> list[str]:
    """What these numbers cannot show."""
    lines = []
    if found.floor_tasks:
        lines.append(
            f"The base is not above guessing on {', '.join(found.floor_tasks)}: nothing can be lost there, and it pulls the means towards 0."
        )
    if len(found.ways) > 1:
        lines.append(
            f"{len(found.ways)} ways were judged on the same {found.items} items, one seed each, which flatters the best; "
            "hone tune --may-lose proves a budget on items held back."
        )
    return lines


def reading(found: RememberRecord) -> str:
    """What the columns mean."""
    return _READING.format(what=_LOST[found.unit])


def write_readme(found: RememberRecord) -> str:
    """`README.md` of the comparison's folder."""
    unit = found.unit
    budget = found.settings.may_lose
    lines = [
        "# Ways to remember",
        "",
        f"{found.base} learnt {found.rows:,} rows of {found.settings.data} once per way; {found.validation:,} other rows say what was gained, "
        f"{found.items:,} items of {', '.join(found.retained)} what was forgotten.",
        "",
        f"**{found.advice}**",
        "",
        "| way | what it does | gain | lost, 95% | worst | time | memory | |",
        "|---|---|--:|--:|--:|--:|--:|---|",
        *(
            f"| [{way.way}]({way.folder}) | {way.said} | {way.gain:+.3f} | {lost_text(way.lost, unit)} {interval_text(way.lost_interval, unit)} | "
            f"{lost_text(way.worst, unit)} {way.worst_task} | {human_seconds(way.seconds)} | "
            f"{'-' if way.peak_bytes is None else human_bytes(way.peak_bytes)} | {', '.join(marks(way, found))} |"
            for way in found.ways
        ),
        "",
        reading(found),
        *([f"Over: the interval of what was lost exceeds the budget of {budget:.1%}."] if budget is not None else []),
        *told_limits(found),
        *(f"{name} has no result: {why}" for name, why in found.failed.items()),
        "",
        "`report.html` draws it, `remember.json` holds all numbers, `config.yaml` repeats it.",
    ]
    return "\n".join(lines) + "\n"
