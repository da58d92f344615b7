"""Where things stand in a figure: scales, ticks, and labels that do not overlap.

Pure arithmetic in the figure's own units (y grows downwards). Widths of text are estimates on the generous
side, since the reader's fonts are not known here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Box", "Scale", "cut", "linear_ticks", "place_labels", "text_width", "time_ticks"]

_UNITS = ((0.001, "ms", 1000), (1.0, "s", 60), (60.0, "min", 60), (3600.0, "h", 1000))
_COARSE, _FINE = (1, 3, 10, 30, 100, 300), (1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values in [low, high] to positions in [start, end]; by their logarithm when `is_log`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    is_held: bool = False
    """Whether values outside are drawn at the nearer end."""

    def __call__(self, value: float) -> float:
        if self.is_held:
            value = min(max(value, self.low), self.high)
        low, high, at = (math.log(each) if self.is_log else each for each in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its left upper corner."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "Box", *, gap: float = 0) -> bool:
        """True when the two share area, or come nearer than `gap`."""
        return (
            self.x < other.x + other.width + gap
            and other.x < self.x + self.width + gap
            and self.y < other.y + other.height + gap
            and other.y < self.y + self.height + gap
        )

    def holds(self, other: "Box") -> bool:
        """True when `other` lies inside."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )

    def meets_segment(self, start: tuple[float, float], end: tuple[float, float]) -> bool:
        """True when the segment passes through (sampled, which is enough at the size of a label)."""
        for step in range(13):
            x, y = (start[axis] + (end[axis] - start[axis]) * step / 12 for axis in (0, 1))
            if self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height:
                return True
        return False

    def nearest(self, point: tuple[float, float]) -> tuple[float, float]:
        """The place inside that is closest to the point."""
        x = min(max(point[0], self.x), self.x + self.width)
        return x, min(max(point[1], self.y), self.y + self.height)


def text_width(text: str, *, size: float) -> float:
    """An upper estimate: 0.6 of the size per letter, the whole size for wide scripts and emoji."""
    return sum(size if ord(letter) > 0x2E7F else 0.6 * size for letter in text)


def cut(text: str, *, width: float, size: float) -> str:
    """The text, ended by an ellipsis where it would be wider than `width`."""
    if text_width(text, size=size) <= width:
        return text
    while text and text_width(text + "…", size=size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def linear_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """About `count` round values inside [low, high]."""
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / count))
    step = min((factor * power for factor in (1, 2, 2.5, 5, 10)), key=lambda each: abs((high - low) / each - count))
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Durations that people think in, with their names, inside [low, high] seconds; closer ones where there would be fewer than three."""
    for factors in (_COARSE, _FINE):
        times = [(size * factor, f"{factor:g} {unit}") for size, unit, end in _UNITS for factor in factors if factor < end]
        ticks = [(seconds, name) for seconds, name in times if low <= seconds <= high]
        if len(ticks) >= 3:
            break
    return ticks


def place_labels(
    points: Sequence[tuple[float, float]], texts: Sequence[str], *, area: Box, size: float, avoid: Sequence[Box] = ()
) -> list[Box]:
    """A box for each label: inside `area`, off all other labels and all points, near its own point.

    Greedy: the most crowded points choose first, each the cheapest of about 250 places around it (right before
    left, near before far, leader lines that cross nothing). `avoid`: areas that cost extra, such as whiskers.
    """
    order = sorted(range(len(points)), key=lambda index: (-_neighbours(points, index, size), index))
    dots = [Box(x - 7, y - 7, 14, 14) for x, y in points]
    placed: dict[int, Box] = {}
    leaders: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for index in order:
        width = text_width(texts[index], size=size)
        options = []
        for box, distance in _places(points[index], width, size * 1.25):
            if not area.holds(box) or any(box.overlaps(other, gap=2) for other in placed.values()):
                continue
            line = (points[index], box.nearest(points[index]))
            cost = distance + sum(120 for each, dot in enumerate(dots) if each != index and box.overlaps(dot))
            cost += sum(14 for other in avoid if box.overlaps(other))
            cost += sum(60 for other in placed.values() if other.meets_segment(*line))
            cost += sum(40 for each, dot in enumerate(dots) if each != index and dot.meets_segment(*line))
            cost += sum(40 for other in leaders if box.meets_segment(*other))
            options.append((cost, box.x, box.y, box))
        if not options:
            # Nowhere free: the label keeps its first place. The figure's table carries the numbers.
            options = [(0.0, 0.0, 0.0, _places(points[index], width, size * 1.25)[0][0])]
        best = min(options)[3]
        placed[index] = best
        leaders.append((points[index], best.nearest(points[index])))
    return [placed[index] for index in range(len(points))]


def _neighbours(points: Sequence[tuple[float, float]], index: int, size: float) -> int:
    x, y = points[index]
    return sum(abs(x - other[0]) < 9 * size and abs(y - other[1]) < 3 * size for other in points)


def _places(point: tuple[float, float], width: float, height: float) -> list[tuple[Box, float]]:
    """Candidate boxes around a point with their cost: distance, and a liking for the right side and above."""
    x, y = point
    places: list[tuple[Box, float]] = []
    for distance in (10, 16, 24, 34, 46, 60, 76, 94, 114, 140):
        for step in range(24):
            angle = math.pi * step / 12
            right, down = math.cos(angle), math.sin(angle)
            left_edge = x + right * distance - width * (1 - right) / 2
            box = Box(left_edge, y + down * distance - height * (1 - down) / 2, width, height)
            places.append((box, distance + (1 - right) * 4 + (2 if down > 0 else 0)))
    return places
