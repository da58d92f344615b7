"""Gain against what was lost, as SVG text: one point per way, its interval, the front, and the budget where there is one."""

from collections.abc import Sequence
from itertools import pairwise

from hone.core.scales import Box, Scale, linear_ticks, place_labels, text_width
from hone.core.svg import draw_label, draw_line, draw_text, frame
from hone.remember.conclude import lost_text
from hone.remember.records import RememberRecord, WayResult

__all__ = ["ways_figure"]

_FONT = 12.0
_LEFT, _TOP = 52.0, 40.0


def ways_figure(found: RememberRecord, *, name: str, width: int, height: int) -> str:
    """The gain upwards, what was lost to the right: the better ways lie left and high.

    Args:
        name: makes ids unique within the page. width, height: in CSS pixels.
    """
    right, bottom = width - 12.0, height - 46.0
    across, up = _scales(found, right=right, bottom=bottom)
    parts = [_axes(across, up, found.unit, right=right, bottom=bottom)]
    parts.append(draw_text(0, 11, "Gain: fall of the validation loss, nats", "axis-name"))
    parts.append(draw_text(right, height - 6, _across_name(found, is_narrow=width < 500), "axis-name", "end"))
    busy = []
    budget = found.settings.may_lose
    if budget is not None:
        x, said = across(budget), f"budget {budget:.1%}"
        is_left = x + 5 + text_width(said, size=_FONT) > right
        parts.append(draw_line(x, _TOP - 8, x, bottom, "budget"))
        parts.append(draw_text(x - 5 if is_left else x + 5, _TOP - 9, said, "budget-name", "end" if is_left else "start"))
        busy.append(Box(x - 1, _TOP, 2, bottom - _TOP))
    marks = [(across(way.lost), up(way.gain)) for way in found.ways]
    steps = _steps(found.ways, marks, right=right)
    parts.append(f'<path class="front" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in steps)}"/>')
    busy += [Box(min(a[0], b[0]), min(a[1], b[1]) - 1, abs(a[0] - b[0]), abs(a[1] - b[1]) + 2) for a, b in pairwise(steps)]
    for way, (_, y) in zip(found.ways, marks, strict=True):
        if way.lost_interval is not None:
            low, high = across(way.lost_interval.low), across(way.lost_interval.high)
            parts.append(draw_line(low, y, high, y, "whisker"))
            busy.append(Box(low, y - 2, high - low, 4))
    parts += _points(found, marks, area=Box(_LEFT + 2, _TOP - 8, right - _LEFT - 4, bottom - _TOP + 4), busy=busy)
    words = "; ".join(f"{way.way}: gain {way.gain:.3f}, lost {lost_text(way.lost, found.unit)}" for way in found.ways)
    title = "What each way gained against what it lost"
    return frame("".join(parts), width=width, height=height, name=name, title=title, description=words + ".", kind="plot")


def _points(found: RememberRecord, marks: Sequence[tuple[float, float]], *, area: Box, busy: Sequence[Box]) -> list[str]:
    """A point with its name per way."""
    names = [way.way for way in found.ways]
    boxes = place_labels(marks, names, area=area, size=_FONT, avoid=busy)
    parts = []
    for way, (x, y), box in zip(found.ways, marks, boxes, strict=True):
        is_marked = way.way == found.advised
        parts.append(draw_label((x, y), way.way, box, is_marked=is_marked))
        style = "dot marked" if is_marked else "dot" if way.is_front else "dot hollow"
        parts.append(f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{7 if is_marked else 5}"/>')
    return parts


def _scales(found: RememberRecord, *, right: float, bottom: float) -> tuple[Scale, Scale]:
    """Across holds 0, all intervals and the budget; up holds all gains, and 0 where it is near, so that ways that gain alike stay apart."""
    lost = [0.0, *([found.settings.may_lose] if found.settings.may_lose is not None else [])]
    for way in found.ways:
        lost += [way.lost, *((way.lost_interval.low, way.lost_interval.high) if way.lost_interval else ())]
    gains = [way.gain for way in found.ways]
    if min(gains) <= max(gains) - min(gains):
        gains.append(0.0)
    low, high = _with_air(lost)
    least, most = _with_air(gains)
    return Scale(low, high, _LEFT, right), Scale(least, most, bottom, _TOP)


def _with_air(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    air = 0.08 * (high - low) or 0.01
    return low - air, high + air


def _axes(across: Scale, up: Scale, unit: str, *, right: float, bottom: float) -> str:
    """Rules at round values, the line of no loss, and the names of the ticks."""
    parts = [draw_line(_LEFT, bottom, right, bottom, "axis")]
    for tick in linear_ticks(up.low, up.high, count=6):
        y = up(tick)
        parts.append(draw_line(_LEFT, y, right, y, "grid") + draw_text(_LEFT - 8, y + 4, f"{tick:g}", "tick", "end"))
    factor = 100 if unit == "accuracy" else 1
    for tick in linear_ticks(factor * across.low, factor * across.high, count=5):
        x = across(tick / factor)
        parts.append(draw_line(x, bottom, x, bottom + 5, "axis") + draw_text(x, bottom + 18, f"{tick:g}", "tick", "middle"))
    parts.append(draw_line(across(0), _TOP - 8, across(0), bottom, "axis"))
    return "".join(parts)


def _across_name(found: RememberRecord, *, is_narrow: bool) -> str:
    if found.unit == "nats":
        return "Lost: mean rise of the texts' loss, nats"
    if found.unit == "score":
        return "Lost: mean drop of sentence vectors' scores"
    return (
        "Lost: mean drop in accuracy, points"
        if is_narrow
        else "Lost: mean drop in accuracy on the retained tasks, percentage points"
    )


def _steps(ways: Sequence[WayResult], marks: Sequence[tuple[float, float]], *, right: float) -> list[tuple[float, float]]:
    """The corners of the front, from the way that loses least, on to the next and up to it, and to the right edge."""
    corners: list[tuple[float, float]] = []
    for x, y in sorted(mark for way, mark in zip(ways, marks, strict=True) if way.is_front):
        corners += [(x, corners[-1][1]), (x, y)] if corners else [(x, y)]
    return [*corners, (right, corners[-1][1])]
