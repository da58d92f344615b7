"""The report's figures as SVG text: pure functions from records to strings.

Colours and fonts come from classes in report.css, so that a figure follows light, dark and print by itself.
Every figure carries a title and a description; `name` makes their ids unique within the page.
"""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from hone.compare.records import ANSWERED_ROWS, Comparison, LearningCurve, Metric, Row
from hone.compare.report.words import is_above, metric_name, percent, points
from hone.core.scales import Box, Scale, cut, linear_ticks, place_labels, text_width, time_ticks
from hone.core.svg import draw_label, draw_line, draw_text, frame
from hone.measure.cost import human_seconds

__all__ = [
    "confusion_figure",
    "curve_figure",
    "forgetting_figure",
    "interval_axis",
    "interval_figure",
    "metric_domain",
    "pareto_figure",
]

_INTERVAL = (150, 24)
_FONT = 12.0


# ---- the interval in the table ----


def metric_domain(rows: Sequence[Row], metric: str, *, span: float = 1.0) -> tuple[float, float]:
    """The range that holds all intervals of the metric, with a little air; from 0 on where no value is below it, as those of R2 may be.

    `span`: it reaches at most so far below the highest value, that near rows stay apart when one row is far off.
    """
    values = [row.metrics[metric] for row in rows]
    high = max(value.high for value in values)
    low = max(min(value.low for value in values), max(value.value for value in values) - span)
    air = max(0.02, 0.06 * (high - low))
    return _bottom(low - air, [value.value for value in values]), min(1.0, high + air)


def _bottom(low: float, values: Sequence[float]) -> float:
    return low if min(values) < 0 else max(0.0, low)


def interval_figure(metric: Metric, domain: tuple[float, float], *, best: float, name: str, is_marked: bool) -> str:
    """A dot with its 95% interval on the table's common scale; a dotted line marks the best value.

    A value below the scale becomes an arrow at its left edge.
    """
    width, height = _INTERVAL
    scale, middle = Scale(*domain, 6, width - 6), height / 2
    low, high, at = (scale(max(value, domain[0])) for value in (metric.low, metric.high, metric.value))
    body = draw_line(scale(best), 0, scale(best), height, "best-line")
    if metric.high > domain[0]:
        body += draw_line(low, middle, high, middle, "whisker") + draw_line(high, middle - 4, high, middle + 4, "whisker")
    if metric.low > domain[0]:
        body += draw_line(low, middle - 4, low, middle + 4, "whisker")
    if metric.value >= domain[0]:
        style, radius = ("dot marked", 4.5) if is_marked else ("dot", 3.5)
        body += f'<circle class="{style}" cx="{at:.1f}" cy="{middle:g}" r="{radius}"/>'
    else:
        body += f'<path class="arrow" d="M1 {middle:g}l7 -5v10z"/>'
    words = f"{percent(metric.value)}, 95% interval {percent(metric.low)} to {percent(metric.high)}"
    return frame(body, width=width, height=height, name=name, title=words, description=f"{metric.n} test rows.", kind="interval")


def interval_axis(domain: tuple[float, float], *, name: str) -> str:
    """The scale of the table's intervals, for the header."""
    width, height = _INTERVAL[0], 16
    scale = Scale(*domain, 6, width - 6)
    ticks = linear_ticks(100 * domain[0], 100 * domain[1], count=4)
    body = "".join(draw_text(min(max(scale(tick / 100), 9), width - 9), 11, f"{tick:g}", "tick", "middle") for tick in ticks)
    words = f"Scale from {percent(domain[0])} to {percent(domain[1])}"
    return frame(body, width=width, height=height, name=name, title=words, description="Axis.", kind="interval")


# ---- quality against cost ----


def pareto_figure(comparison: Comparison, *, name: str, width: int = 760, height: int = 440) -> str:
    """The primary metric against time to train and to answer (logarithmic), with intervals, the front and direct labels."""
    rows, metric = comparison.rows, comparison.task.metric
    costs = {row.strategy: row.cost.seconds for row in rows}
    left, top, bottom = 46.0, 26.0, height - 44.0
    across = Scale(min(costs.values()) / 1.7, max(costs.values()) * 1.7, left, width - 12.0, is_log=True)
    domain = metric_domain(rows, metric)
    up = Scale(*domain, bottom, top, is_held=True)

    def place(row: Row) -> tuple[float, float]:
        return across(costs[row.strategy]), up(row.metrics[metric].value)

    parts = [_axes(up, left=left, right=width - 12.0, bottom=bottom)]
    parts.append(_ticks_below(time_ticks(across.low, across.high), across, bottom))
    parts.append(draw_text(0, 11, f"{metric_name(metric)} in %", "axis-name"))
    parts.append(
        draw_text(width - 12, height - 4, f"Time to train and answer {ANSWERED_ROWS:,} rows (log scale)", "axis-name", "end")
    )
    steps = _steps([place(row) for row in rows if row.is_pareto], right=width - 12.0)
    parts.append(f'<path class="front" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in steps)}"/>' if steps else "")
    busy = [Box(min(a[0], b[0]), min(a[1], b[1]) - 1, abs(a[0] - b[0]), abs(a[1] - b[1]) + 2) for a, b in pairwise(steps)]
    for row in rows:
        x, _ = place(row)
        value = row.metrics[metric]
        high, low = up(value.high), up(value.low)
        busy.append(Box(x - 2, high, 4, low - high))
        parts.append(draw_line(x, high, x, low, "whisker"))
    marks = [place(row) for row in rows]
    labels = [row.title + (" †" if row.stopped_early else "") for row in rows]
    area = Box(left + 2, top - 8, width - left - 4, bottom - top + 4)
    boxes = place_labels(marks, labels, area=area, size=_FONT, avoid=busy)
    for row, (x, y), label, box in zip(rows, marks, labels, boxes, strict=True):
        is_marked = row.strategy == comparison.recommended.strategy
        parts.append(draw_label((x, y), label, box, is_marked=is_marked))
        style = "dot marked" if is_marked else "dot" if row.is_pareto else "dot hollow"
        parts.append(f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{7 if is_marked else 5}"/>')
    words = "; ".join(f"{row.title} {percent(row.metrics[metric].value)} in {human_seconds(costs[row.strategy])}" for row in rows)
    title = f"{metric_name(metric)} against time"
    return frame("".join(parts), width=width, height=height, name=name, title=title, description=words + ".", kind="plot")


# ---- quality against forgetting ----


def forgetting_figure(comparison: Comparison, *, name: str, width: int = 760, height: int = 400) -> str:
    """The primary metric against the mean drop on retained tasks, one point per strategy, both with intervals; the budget as a line.

    Strategies of which it is not known have no point. What changed no weight stands at 0, without an interval across.
    """
    metric, budget = comparison.task.metric, comparison.may_lose
    rows = [row for row in comparison.rows if row.forgetting.drop is not None]
    spans = {row.strategy: _lost(row) for row in rows}
    left, top, bottom, right = 46.0, 26.0, height - 44.0, width - 12.0
    ends = [0.0, *(value for span in spans.values() for value in span), *([budget] if budget is not None else [])]
    air = max(0.004, 0.08 * (max(ends) - min(ends)))
    across = Scale(min(ends) - air, max(ends) + air, left, right)
    up = Scale(*metric_domain(rows, metric), bottom, top, is_held=True)
    parts = [_axes(up, left=left, right=right, bottom=bottom)]
    ticks = linear_ticks(100 * across.low, 100 * across.high, count=6 if width > 500 else 4)
    parts.append(_ticks_below([(tick / 100, f"{tick:g}") for tick in ticks], across, bottom))
    parts.append(draw_text(0, 11, f"{metric_name(metric)} in %", "axis-name"))
    parts.append(draw_text(right, height - 4, "Forgotten: points lost on other tasks", "axis-name", "end"))
    parts.append(draw_line(across(0.0), top - 6, across(0.0), bottom, "axis"))
    busy = []
    if budget is not None:
        x, text = across(budget), f"may lose {points(budget)}"
        parts.append(draw_line(x, top - 6, x, bottom, "budget"))
        is_left = x + text_width(text, size=_FONT) > right
        parts.append(draw_text(x - 4 if is_left else x + 4, top - 9, text, "tick", "end" if is_left else "start"))
        busy.append(Box(x - 2, top, 4, bottom - top))
    marks = []
    for row in rows:
        value, (low, mid, high) = row.metrics[metric], spans[row.strategy]
        x, y = across(mid), up(value.value)
        marks.append((x, y))
        parts.append(
            draw_line(x, up(value.high), x, up(value.low), "whisker") + draw_line(across(low), y, across(high), y, "whisker")
        )
        busy += [
            Box(x - 2, up(value.high), 4, up(value.low) - up(value.high)),
            Box(across(low), y - 2, across(high) - across(low), 4),
        ]
    area = Box(left + 2, top - 4, width - left - 4, bottom - top)
    boxes = place_labels(marks, [row.title for row in rows], area=area, size=_FONT, avoid=busy)
    for row, (x, y), box in zip(rows, marks, boxes, strict=True):
        is_marked = row.strategy == comparison.recommended.strategy
        parts.append(draw_label((x, y), row.title, box, is_marked=is_marked))
        style = "dot marked" if is_marked else "dot hollow" if is_above(row, budget) else "dot"
        parts.append(f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{7 if is_marked else 5}"/>')
    words = "; ".join(
        f"{row.title} {percent(row.metrics[metric].value)}, {points(spans[row.strategy][1])} points forgotten" for row in rows
    )
    title = f"{metric_name(metric)} against forgetting"
    return frame("".join(parts), width=width, height=height, name=name, title=title, description=words + ".", kind="plot")


def _lost(row: Row) -> tuple[float, float, float]:
    """Low end, mean drop, high end; positive is forgotten."""
    found = row.forgetting
    mean = found.mean or 0.0
    return -(mean if found.high is None else found.high), -mean, -(mean if found.low is None else found.low)


def _axes(up: Scale, *, left: float, right: float, bottom: float) -> str:
    """Horizontal rules at round percentages, and the line below."""
    parts = [draw_line(left, bottom, right, bottom, "axis")]
    for tick in linear_ticks(100 * up.low, 100 * up.high, count=6):
        y = up(tick / 100)
        parts.append(draw_line(left, y, right, y, "grid") + draw_text(left - 8, y + 4, f"{tick:g}", "tick", "end"))
    return "".join(parts)


def _steps(marks: Sequence[tuple[float, float]], *, right: float) -> list[tuple[float, float]]:
    """The corners of the front: on to the next strategy, up to it, and from the last to the right edge."""
    corners: list[tuple[float, float]] = []
    for x, y in sorted(marks):
        corners += [(x, corners[-1][1]), (x, y)] if corners else [(x, y)]
    return [*corners, (right, corners[-1][1])] if corners else []


# ---- the learning curve ----


def curve_figure(curve: LearningCurve, *, metric: str, title: str, name: str, width: int = 760, height: int = 340) -> str:
    """The metric against labelled rows (logarithmic): mean, lowest and highest draw; the forecast hollow and dashed."""
    counts = [point.rows for point in curve.points]
    ends = [*counts, curve.forecast_rows] if curve.forecast_rows is not None and curve.forecast is not None else counts
    values = [value for point in curve.points for value in (point.low, point.high, point.value)]
    values += [curve.forecast] if curve.forecast is not None else []
    air = max(0.02, 0.1 * (max(values) - min(values)))
    left, right, top, bottom = 46.0, width - 26.0, 30.0, height - 44.0
    across = Scale(min(ends) / 1.15, max(ends) * 1.15, left, right, is_log=True)
    up = Scale(_bottom(min(values) - air, values), min(1.0, max(values) + air), bottom, top)
    parts = [_axes(up, left=left, right=right, bottom=bottom)]
    parts.append(draw_text(0, 11, f"{metric_name(metric)} on validation rows, in %", "axis-name"))
    parts.append(draw_text(right, height - 4, "Labelled training rows (log scale)", "axis-name", "end"))
    parts.append(_ticks_below([(count, f"{count:,}") for count in ends], across, bottom))
    marks = [(across(point.rows), up(point.value)) for point in curve.points]
    band = [f"{across(p.rows):.1f} {up(p.high):.1f}" for p in curve.points]
    band += [f"{across(p.rows):.1f} {up(p.low):.1f}" for p in reversed(curve.points)]
    parts.append(f'<path class="band" d="M{"L".join(band)}Z"/>')
    parts.append(f'<path class="curve" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in marks)}"/>')
    for point, (x, y) in zip(curve.points, marks, strict=True):
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        parts.append(draw_text(x, up(point.high) - 8, points(point.value), "label", "middle"))
    words = "; ".join(f"{point.rows} rows: {percent(point.value)}" for point in curve.points)
    if curve.forecast_rows is not None and curve.forecast is not None:
        x, y = across(curve.forecast_rows), up(curve.forecast)
        parts.append(draw_line(*marks[-1], x, y, "forecast") + f'<circle class="dot hollow" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')
        parts.append(draw_text(min(x, width - 24.0), y - 12, f"≈ {points(curve.forecast)}", "label", "middle"))
        words += f"; expected at {curve.forecast_rows} rows: {percent(curve.forecast)}"
    full = f"{metric_name(metric)} of {title} by number of training rows"
    return frame("".join(parts), width=width, height=height, name=name, title=full, description=words + ".", kind="plot")


def _ticks_below(ticks: Sequence[tuple[float, str]], across: Scale, bottom: float) -> str:
    """Ticks and their names under the axis; a name that would touch the last one is left out."""
    parts, edge = [], -1e9
    for value, text in ticks:
        x, half = across(value), text_width(text, size=_FONT) / 2
        parts.append(draw_line(x, bottom, x, bottom + 5, "axis"))
        if x - half > edge + 4:
            parts.append(draw_text(x, bottom + 18, text, "tick", "middle"))
            edge = x + half
    return "".join(parts)


# ---- confusion of many classes ----


def confusion_figure(row: Row, labels: Sequence[str], *, name: str) -> str:
    """A heat map without numbers: one line per true class, shaded by the share of its rows; hits and errors differ in colour.

    Only cells with rows are drawn, each with its numbers as a tooltip.
    """
    size = min(24.0, max(3.0, 820 / len(labels)))
    every = max(1, -int(-9.5 // size))
    letters = min(11.0, max(7.5, size * 0.82))
    left, top = 210.0, 26.0
    side = size * len(labels)
    parts = [f'<rect class="heat-frame" x="{left:g}" y="{top:g}" width="{side:.1f}" height="{side:.1f}"/>']
    for true, counts in enumerate(row.confusion):
        total = sum(counts)
        if true % every == 0:
            text = cut(f"{labels[true]}", width=left - 44, size=letters)
            at = top + (true + 0.5) * size + letters * 0.35
            parts.append(
                draw_text(left - 30, at, text, "heat-name", "end") + draw_text(left - 6, at, str(true + 1), "heat-number", "end")
            )
        for said, count in enumerate(counts):
            if count:
                style = "hit" if said == true else "miss"
                where = f'x="{left + said * size:.1f}" y="{top + true * size:.1f}" width="{size:.1f}" height="{size:.1f}"'
                words = escape(f"{_short(labels[true])} → {_short(labels[said])}: {count} of {total}")
                shade = 0.25 + 0.75 * count / total
                parts.append(f'<rect class="{style}" {where} fill-opacity="{shade:.2f}"><title>{words}</title></rect>')
    step = max(1, -int(-22 // size))
    for index in range(0, len(labels), step):
        parts.append(draw_text(left + (index + 0.5) * size, top - 8, str(index + 1), "heat-number", "middle"))
    hits = sum(row.confusion[index][index] for index in range(len(labels)))
    total = sum(map(sum, row.confusion))
    words = f"{hits} of {total} test rows lie on the diagonal; the largest errors are listed beside the figure."
    title = f"Confusion of {row.title}: true class down, answer across"
    return frame(
        "".join(parts), width=left + side + 8, height=top + side + 8, name=name, title=title, description=words, kind="heat"
    ).replace("<svg ", f'<svg style="--letters:{letters:.1f}px" ', 1)


def _short(label: str) -> str:
    return label if len(label) <= 40 else label[:39] + "…"
