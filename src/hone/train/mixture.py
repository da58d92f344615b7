"""Mixtures: in which order examples come, of one task or of several.

`SingleTask` shows each example once a pass. `Mixed` draws a task by its weight, then that task's next example; the weights follow
FLAN (examples-proportional with a cap, https://arxiv.org/abs/2109.01652), T5 (a temperature on capped sizes,
https://arxiv.org/abs/1910.10683, section 3.5.2) or a fixed rate of replay.
"""

import random
from collections.abc import Mapping, Sequence

__all__ = ["FLAN_CAP", "Mixed", "SingleTask", "proportional", "replay", "temperature"]

FLAN_CAP = 3_000
"""Examples of one task that count: FLAN's mixing cap."""


class SingleTask:
    """All examples of one task, in a new order each pass."""

    def __init__(self, size: int) -> None:
        assert size > 0, "a mixture needs an example"
        self._size = size
        self._left: list[int] = []

    @property
    def epoch(self) -> int:
        """Draws in one pass."""
        return self._size

    def draw(self, rng: random.Random) -> int:
        """Next index; a finished pass is followed by a new one."""
        if not self._left:
            self._left = list(range(self._size))
            rng.shuffle(self._left)
        return self._left.pop()

    def state(self) -> list[int]:
        """Indices left in this pass, in order of their coming."""
        return list(self._left)

    def restore(self, state: Sequence[int]) -> None:
        """Continue a pass."""
        self._left = list(state)

    def effective_epochs(self, draws: int) -> dict[str, float]:
        """Passes over the one task."""
        return {"task": draws / self._size}


class Mixed:
    """Several tasks whose examples stand one task after the other in one list."""

    def __init__(self, sizes: Mapping[str, int], weights: Mapping[str, float]) -> None:
        """`sizes`: examples per task, in the list's order. `weights`: shares of the draws, any positive scale."""
        assert sizes.keys() == weights.keys() and all(weight > 0 for weight in weights.values())
        self._sizes = dict(sizes)
        self._shares = [weights[name] / sum(weights.values()) for name in sizes]
        self._tasks = [SingleTask(size) for size in sizes.values()]
        self._starts = [sum(list(sizes.values())[:index]) for index in range(len(sizes))]

    @property
    def epoch(self) -> int:
        """Draws after which as many examples were shown as there are."""
        return sum(self._sizes.values())

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


def replay(size: int, old: int, *, rate: float) -> Mixed:
    """New examples with a share `rate` of old ones, which stand behind them in the list."""
    assert 0 < rate < 1, "the rate of replay is a share"
    return Mixed({"task": size, "replay": old}, {"task": 1 - rate, "replay": rate})
