"""In which order many sequences are read so that what they share is read once.

Sorted sequences are a tree of their common prefixes. It is walked depth first: a part that fits one pass is read as a tree; of a larger one
the common prefix is read first and remembered, then its branches, then it is forgotten again.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hone.model.memory import Tree

__all__ = ["Crop", "Push", "Read", "shared_reading"]

_LONG = 4  # passes' worth of tokens up to which a single sequence is read in one
_LEAST_PUSH = 16  # tokens of a common prefix below which reading it again in every pass is cheaper than a pass for it


@dataclass(frozen=True)
class Push:
    """Read the tokens from `start` to `end` of these sequences, which share them, and remember them."""

    sequences: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Crop:
    """Forget what was remembered beyond `length` tokens."""

    length: int


@dataclass(frozen=True)
class Read:
    """Read a tree in one pass. `paths[i]`: of sequence `sequences[i]`, the places in the tree of its tokens from `start` on."""

    sequences: tuple[int, ...]
    start: int
    ids: tuple[int, ...]
    tree: Tree
    paths: tuple[tuple[int, ...], ...]

    @property
    def shares(self) -> bool:
        """Whether a token belongs to several sequences: then they do not simply stand one after the other."""
        return sum(map(len, self.paths)) > len(self.ids)


def shared_reading(sequences: Sequence[Sequence[int]], *, budget: int) -> Iterator[Push | Crop | Read]:
    """The passes over some sequences of token ids, each of at most about `budget` tokens, except that a push may be longer.

    Args:
        sequences: distinct, none empty.
    """
    order = sorted(range(len(sequences)), key=lambda index: list(sequences[index]))
    ordered = [sequences[index] for index in order]
    common = [0] + [_common(one, other) for one, other in itertools.pairwise(ordered)]
    yield from _Walk(ordered, common, order, budget).part(0, len(ordered), 0)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    low, high = 0, length  # the first `low` are equal, the first `high` are not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle)
    return low


class _Walk:
    def __init__(self, sequences: list[Sequence[int]], common: list[int], names: list[int], budget: int) -> None:
        self.sequences, self.common, self.names, self.budget = sequences, common, names, budget

    def part(self, first: int, last: int, depth: int) -> Iterator[Push | Crop | Read]:
        """Passes over the sequences from `first` to `last`, of which the first `depth` tokens are remembered."""
        if self._size(first, last, depth) <= self.budget:
            yield self._read(first, last, depth)
            return
        shared = min(self.common[first + 1 : last], default=len(self.sequences[first]) - 1)
        start = depth
        if shared - depth >= _LEAST_PUSH:
            yield Push(tuple(self.names[first:last]), depth, shared)
            depth = shared
        waiting = first
        for begin, end in self._branches(first, last, shared):
            if depth == shared and len(self.sequences[begin]) == shared:  # all of it has been read
                assert end == begin + 1 == waiting + 1
                waiting = end
            elif self._size(begin, end, depth) > (self.budget if end - begin > 1 else max(_LONG * self.budget, _LEAST_PUSH)):
                if begin > waiting:
                    yield self._read(waiting, begin, depth)
                yield from self.part(begin, end, depth)
                waiting = end
            elif begin > waiting and self._size(waiting, end, depth) > self.budget:
                yield self._read(waiting, begin, depth)
                waiting = begin
        if last > waiting:
            yield self._read(waiting, last, depth)
        if depth > start:
            yield Crop(start)

    def _branches(self, first: int, last: int, shared: int) -> Iterator[tuple[int, int]]:
        """Stretches of sequences that share more than `shared` tokens."""
        begin = first
        for index in range(first + 1, last):
            if self.common[index] <= shared:
                yield begin, index
                begin = index
        yield begin, last

    def _size(self, first: int, last: int, depth: int) -> int:
        """Tokens that a pass reads, those that are shared counted once."""
        return sum(
            len(self.sequences[index]) - (depth if index == first else max(depth, self.common[index]))
            for index in range(first, last)
        )

    def _read(self, first: int, last: int, depth: int) -> Read:
        ids: list[int] = []
        parents: list[int] = []
        depths: list[int] = []
        paths: list[tuple[int, ...]] = []
        path: list[int] = []  # places of the tokens of the sequence at hand, from `depth` on
        for index in range(first, last):
            sequence = self.sequences[index]
            kept = 0 if index == first else max(self.common[index] - depth, 0)
            path = path[:kept]
            for token in sequence[depth + kept :]:
                parents.append(path[-1] if path else -1)
                depths.append(depth + len(path))
                path.append(len(ids))
                ids.append(token)
            paths.append(tuple(path))
        return Read(tuple(self.names[first:last]), depth, tuple(ids), Tree(tuple(parents), tuple(depths)), tuple(paths))
