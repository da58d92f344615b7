"""Shingles of texts: runs of three words or of five characters, and which of them most rows share.

`near` compares rows by them. The one surprise: what stands in more than a tenth of the rows is an instruction, a template
or a turn of phrase; a row's own shingles are the others, and two rows are alike only when these are.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from hone.task.duplicates import normalise

__all__ = ["Common", "Shingler", "by_characters", "by_words", "common_shingles", "jaccard", "kinds_for", "own_shingles"]

Shingler: TypeAlias = Callable[[str], frozenset[str]]

_SHORT_WORDS = 12
_LONG_WORDS = 16
# In 1,000 rows a share of a tenth is known to 2 points, and texts of 1,000 words still fit a small memory.
_ROWS = 1_000
_SHARE = 0.1
# Fewer rows than these may be edited copies of one text; the smallest set that is split at all has 20 rows.
_MIN_ROWS = 10
_SEED = 20200520
# A free word of a template makes 3 runs of words and some 10 of characters; with two such words, or fewer, no row is told by them.
_OWN_WORDS = 8
_OWN_CHARACTERS = 16
_WORD = re.compile(r"\w+")


class Common(NamedTuple):
    """Shingles that a large share of the rows hold."""

    words: frozenset[str] = frozenset()
    characters: frozenset[str] = frozenset()


def kinds_for(text: str) -> tuple[Shingler, ...]:
    """By words from 12 words, by characters below 16: texts between are taken both ways, so that no pair falls between."""
    count = len(_words(text))
    return (by_characters,) * (count < _LONG_WORDS) + (by_words,) * (count >= _SHORT_WORDS)


def by_words(text: str) -> frozenset[str]:
    """Runs of three words; a shorter text whole."""
    words = _words(text)
    return (
        frozenset(map(" ".join, zip(words, words[1:], words[2:], strict=False)))
        if len(words) > 2
        else frozenset([" ".join(words)])
    )


def by_characters(text: str) -> frozenset[str]:
    """Runs of five characters of the words; a shorter text whole."""
    # A text of signs and emoji only has no words; it stands as it is.
    plain = " ".join(_words(text)) or normalise(text)
    return frozenset(plain[index : index + 5] for index in range(max(1, len(plain) - 4)))


def common_shingles(texts: Sequence[str]) -> Common:
    """What more than a tenth of the rows hold, and at least 10 of them; told from 1,000 rows where there are more.

    A row counts among those that are compared in the same way. The sample is drawn by a fixed seed.
    """
    drawn = random.Random(_SEED).sample(range(len(texts)), _ROWS) if len(texts) > _ROWS else range(len(texts))
    counts: dict[Shingler, Counter[str]] = {by_words: Counter(), by_characters: Counter()}
    rows: Counter[Shingler] = Counter()
    for index in drawn:
        for kind in kinds_for(texts[index]):
            counts[kind].update(kind(texts[index]))
            rows[kind] += 1
    words, characters = (
        frozenset(shingle for shingle, count in counts[kind].items() if count >= _MIN_ROWS and count > _SHARE * rows[kind])
        for kind in (by_words, by_characters)
    )
    return Common(words, characters)


def own_shingles(text: str, kind: Shingler, common: Common) -> frozenset[str]:
    """The shingles of a text that are not common; none where they are few, and fewer than the common ones."""
    every = kind(text)
    shared, least = (common.words, _OWN_WORDS) if kind is by_words else (common.characters, _OWN_CHARACTERS)
    own = every - shared
    return own if len(own) >= min(least, len(every) / 2) else frozenset()


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles per shingle of either, in [0, 1]."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _words(text: str) -> list[str]:
    return _WORD.findall(normalise(text))
