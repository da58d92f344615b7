"""Mixtures: in which order examples come, of one task or of several.

`SingleTask` shows each example once a pass. `Mixed` draws a task by its weight, then that task's next example; the weights follow
FLAN (examples-proportional with a cap, https://arxiv.org/abs/2109.01652), T5 (a temperature on capped sizes,
https://arxiv.org/abs/1910.10683, section 3.5.2) or a fixed rate of replay.
"""

import random
from collections.abc import Mapping, Sequence

from hone.task import Mixing

__all__ = ["FLAN_CAP", "Mixed", "SingleTask", "mixed", "proportional", "replay", "temperature"]

FLAN_CAP = 3_000
"""Examples of one task that count: FLAN's mixing cap."""


class SingleTask:
    """All examples of one task, in a new order each pass."""

    def __init__(self, size: int, *, copies: int = 1) -> None:
        """`copies`: how often all examples stand in the list, each time put otherwise; passes take one copy after the other."""
        assert size > 0 and copies > 0, "a mixture needs an example"
        self._size, self._copies = size, copies
        self._copy = copies - 1
        self._left: list[int] = []

    @property
    def length(self) -> int:
        """Of the list."""
        return self._size * self._copies

    @property
    def epoch(self) -> int:
        """Draws in one pass."""
        return self._size

    def draw(self, rng: random.Random) -> int:
        """Next index; a finished pass is followed by a new one."""
        if not self._left:
            self._copy = (self._copy + 1) % self._copies
            self._left = list(range(self._copy * self._size, (self._copy + 1) * self._size))
            rng.shuffle(self._left)
        return self._left.pop()

    def state(self) -> list[int]:
        """Indices left in this pass, in order of their coming; before them the copy that it takes, where there are several."""
        return [self._copy, *self._left] if self._copies > 1 else list(self._left)

    def restore(self, state: Sequence[int]) -> None:
        """Continue a pass."""
        self._left = list(state)
        if self._copies > 1:
            self._copy, *self._left = state

    def effective_epochs(self, draws: int) -> dict[str, float]:
        """Passes over the one task."""
        return {"task": draws / self._size}


class Mixed:
    """Several tasks whose examples stand one task after the other in one list."""

    def __init__(
        self,
        sizes: Mapping[str, int],
        weights: Mapping[str, float],
        *,
        epoch: int | None = None,
        copies: Mapping[str, int] | None = None,
    ) -> None:
        """
        Args:
            sizes: examples per task, in the list's order. weights: shares of the draws, any positive scale.
            epoch: draws that count as one pass; none means as many as there are examples. copies: see `SingleTask`; none means one of each.
        """
        assert sizes.keys() == weights.keys() and all(weight > 0 for weight in weights.values())
        self._sizes = dict(sizes)
        self._shares = [weights[name] / sum(weights.values()) for name in sizes]
        self._tasks = [SingleTask(size, copies=copies[name] if copies else 1) for name, size in sizes.items()]
        self._starts = [sum(task.length for task in self._tasks[:index]) for index in range(len(sizes))]
        self._epoch = epoch or sum(sizes.values())

    @property
    def epoch(self) -> int:
        """Draws after which as many examples were shown as there are, or as count."""
        return self._epoch

    @property
    def shares(self) -> dict[str, float]:
        """Of the draws, by task; they sum to 1."""
        return dict(zip(self._sizes, self._shares, strict=True))

    def draw(self, rng: random.Random) -> int:
        """A task by its share, then its next example."""
        task = rng.choices(range(len(self._tasks)), self._shares)[0]
        return self._starts[task] + self._tasks[task].draw(rng)

    def state(self) -> list[list[int]]:
        """The passes of all tasks."""
        return [task.state() for task in self._tasks]

    def restore(self, state: Sequence[Sequence[int]]) -> None:
        """Continue the passes."""
        for task, left in zip(self._tasks, state, strict=True):
            task.restore(left)

    def effective_epochs(self, draws: int) -> dict[str, float]:
        """How often each task's examples will be seen, on average, in so many draws."""
        return {name: draws * share / size for (name, size), share in zip(self._sizes.items(), self._shares, strict=True)}


def proportional(sizes: Mapping[str, int], *, cap: int = FLAN_CAP) -> Mixed:
    """Draws in proportion to the number of examples, of which at most `cap` count."""
    return Mixed(sizes, {name: float(min(size, cap)) for name, size in sizes.items()})


def temperature(sizes: Mapping[str, int], degrees: float, *, cap: int = 2**19) -> Mixed:
    """Capped sizes to the power 1/T: T = 1 is proportional, a large T makes all tasks alike. T5 caps at 2^19."""
    return Mixed(sizes, {name: min(size, cap) ** (1 / degrees) for name, size in sizes.items()})


def mixed(
    sizes: Mapping[str, int],
    *,
    mixing: Mixing,
    cap: int = FLAN_CAP,
    degrees: float = 1.0,
    weights: Mapping[str, float],
    copies: Mapping[str, int] | None = None,
) -> Mixed:
    """Tasks mixed in one of three ways, after a cap on the examples of each that count; a pass is as many draws as examples count.

    Args:
        mixing: shares as the counted examples, as these to the power 1 / `degrees`, or all alike. weights: factors of the shares, by task.
        copies: see `SingleTask`.
    """
    counted = {name: min(size, cap) for name, size in sizes.items()}
    power = {"proportional": 1.0, "temperature": 1 / degrees, "equal": 0.0}[mixing]
    shares = {name: count**power * weights[name] for name, count in counted.items()}
    return Mixed(sizes, shares, epoch=sum(counted.values()), copies=copies)


def replay(size: int, old: int, *, rate: float) -> Mixed:
    """New examples with a share `rate` of old ones, which stand behind them in the list."""
    assert 0 < rate < 1, "the rate of replay is a share"
    return Mixed({"task": size, "replay": old}, {"task": 1 - rate, "replay": rate})
