"""From several ways to one sentence: which lie on the front, which keep what is to be kept, and which of those learns most."""

from collections.abc import Sequence

from hone.measure import pareto_front
from hone.remember.records import WayResult

__all__ = ["advise", "judge", "lost_text"]


def judge(ways: Sequence[WayResult], *, budget: float | None) -> tuple[WayResult, ...]:
    """Mark the front, and the ways that keep the budget; without one those of which no loss is told from none.

    Args:
        budget: share of accuracy.
    """
    front = pareto_front([way.gain for way in ways], [way.lost for way in ways])
    return tuple(
        way.model_copy(update={"is_front": is_front, "keeps": _keeps(way, budget)})
        for way, is_front in zip(ways, front, strict=True)
    )


def _keeps(way: WayResult, budget: float | None) -> bool:
    if budget is not None:
        return way.lost_high <= budget
    return (way.lost_interval.low if way.lost_interval else way.lost) <= 0


def lost_text(value: float, unit: str) -> str:
    """What was lost, with its sign: '+1.2%' of accuracy, '+0.031' nats or of a score."""
    return f"{value:+.1%}" if unit == "accuracy" else f"{value:+.3f}"


def advise(ways: Sequence[WayResult], *, budget: float | None, unit: str) -> tuple[str | None, str]:
    """The way that gains most of those that keep what is to be kept, and a sentence that says why; None where there is none.

    Args:
        ways: judged, at least one.
    """
    what = "mean rise of the loss" if unit == "nats" else "mean drop"
    asked = f"a {what} that may be none" if budget is None else f"a {what} of at most {budget:.1%} by its interval"
    keeping = [way for way in ways if way.keeps]
    if not keeping:
        least = min(ways, key=lambda way: way.lost_high)
        return None, (
            f"No way has {asked}. With {least.way} the least may be lost: up to {lost_text(least.lost_high, unit)}. "
            f"More retained items narrow the intervals ({'--retain FILE' if unit == 'score' else '--retain-items'})."
        )
    best = max(keeping, key=lambda way: way.gain)
    if best.gain <= 0:
        return None, f"No way with {asked} learnt anything: of none did the validation loss fall. Train longer, or faster."
    most = max(ways, key=lambda way: way.gain)
    other = "" if most.way == best.way else f" (with {most.way} by {most.gain:.3f}, the most of all)"
    return best.way, (
        f"Advised: {best.way}. {len(keeping)} of {len(ways)} ways have {asked}, and of these it learns most: the validation loss falls by "
        f"{best.gain:.3f}{other}. Lost: {_lost_with_interval(best, unit)}."
    )


def _lost_with_interval(way: WayResult, unit: str) -> str:
    said = lost_text(way.lost, unit) + (" nats" if unit == "nats" else "")
    if way.lost_interval is None:
        return said
    return f"{said} ({lost_text(way.lost_interval.low, unit)} to {lost_text(way.lost_interval.high, unit)})"
