"""Mixtures: in which order examples come. One task: shuffled passes, each example once a pass."""

import random
from collections.abc import Sequence

__all__ = ["SingleTask"]


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
