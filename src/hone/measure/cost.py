"""Costs, as numbers to compare and as text for people. Bytes count in 1024s, as `MB` does everywhere in hone."""

from collections.abc import Sequence

import numpy as np

from hone.core.errors import NotEnough
from hone.core.record import Record

__all__ = ["Tokens", "cost_seconds", "human_bytes", "human_count", "human_seconds", "quantile"]


class Tokens(Record):
    """What a server read and wrote, by which it is paid."""

    read: int = 0
    written: int = 0
    is_estimate: bool = False
    """Whether some were estimated, because the server did not count them."""


def cost_seconds(train_seconds: float, rows_per_second: float, *, rows: int) -> float:
    """Seconds to train a strategy and to answer `rows` rows with it, on the machine where both were measured."""
    assert train_seconds >= 0 and rows_per_second > 0 and rows >= 0, (train_seconds, rows_per_second, rows)
    return train_seconds + rows / rows_per_second


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile (0.5 is the median), between neighbours where it falls between two values.

    Raises:
        NotEnough: no values.
    """
    assert 0 <= q <= 1, f"q lies in 0..1, got {q}"
    if len(values) == 0:
        raise NotEnough("A quantile needs at least 1 value, 0 given. Measure at least one row.")
    return float(np.quantile(np.asarray(values, dtype=np.float64), q))


def human_seconds(seconds: float) -> str:
    """A duration in the two units that matter: '0.40 ms', '420 ms', '12.3 s', '3 min 20 s', '2 h 05 min', '3 d 04 h'."""
    assert seconds >= 0, f"a duration is not negative, got {seconds}"
    if seconds < 0.0095:
        return f"{seconds * 1e3:.2f} ms" if seconds else "0 s"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"


def human_bytes(size: int) -> str:
    """A number of bytes: '512 B', '1.5 KB', '438 MB', '13.5 GB'; three digits or more, units of 1024."""
    assert size >= 0, f"a size is not negative, got {size}"
    if size < 1024:
        return f"{size} B"
    value, units = size / 1024, ["KB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.1f} {units[0]}" if value < 99.95 else f"{value:,.0f} {units[0]}"


def human_count(number: int) -> str:
    """A number of things: '1,234' below 100,000, then '125 k', '22.7 M', '1.2 B' (thousand million)."""
    assert number >= 0, f"a count is not negative, got {number}"
    if number < 100_000:
        return f"{number:,}"
    value, units = number / 1000, ["k", "M", "B"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.1f} {units[0]}" if value < 99.95 else f"{value:,.0f} {units[0]}"
