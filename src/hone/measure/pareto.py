"""Which strategies are worth looking at: those that no other beats in quality and in cost."""

from collections.abc import Sequence

__all__ = ["pareto_front"]


def pareto_front(quality: Sequence[float], cost: Sequence[float]) -> list[bool]:
    """Whether each point is undominated: no other is at least as good and at most as dear, and better in one of the two.

    Args:
        quality: higher is better. cost: lower is better. Same order, no NaN.
    Returns:
        One answer per point, in the order given. Equal points both stay, or both go.
    """
    assert len(quality) == len(cost), f"{len(quality)} qualities and {len(cost)} costs"
    points = list(zip(quality, cost, strict=True))
    assert all(value == value for point in points for value in point), "NaN has no place in an order"
    return [not any(other != point and other[0] >= point[0] and other[1] <= point[1] for other in points) for point in points]
