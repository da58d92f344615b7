"""Near duplicates: pairs of texts that share at least 70% of their shingles, found without comparing all pairs.

MinHash signatures (rensa) are cut into bands; texts equal in a band are candidates; candidates are confirmed by the
exact Jaccard similarity of their shingles. The one surprise: short texts are compared by five characters, long ones
by three words, and texts between the two lengths in both ways, so that no pair falls between.

Source: Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900; bands: Leskovec et al., Mining of Massive Datasets, ch. 3.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy
import numpy.typing

from hone.task.duplicates import normalise

__all__ = ["NEAR_SHARE", "nearest_copies", "shingle_similarity"]

NEAR_SHARE = 0.7
"""Jaccard similarity from which two texts are near duplicates. Lee et al. 2022 use 0.8, https://aclanthology.org/2022.acl-long.577"""

# A pair at 0.7 shares one of 24 bands of 4 values with probability 1 - (1 - 0.7^4)^24 = 0.999, a pair at 0.3 with 0.18.
_BANDS = 24
_BAND_VALUES = 4
_VALUES = _BANDS * _BAND_VALUES
# At a true share of 0.7 the signatures agree in 0.7 +- 0.047 of their values: 0.5 lies four deviations below.
_SIGNATURE_SHARE = 0.5
# Candidates per text and band. A bucket with more members is a template that thousands of rows share.
_MOST_CANDIDATES = 32
_MINHASH_SEED = 20200520
_CHUNK = 4096
_SHORT_WORDS = 12
_LONG_WORDS = 16
_WORD = re.compile(r"\w+")

_Signatures = numpy.typing.NDArray[numpy.uint32]
_Indexes = numpy.typing.NDArray[numpy.int64]


def shingle_similarity(one: str, other: str) -> float:
    """Jaccard similarity in [0, 1] of the shingles of two texts, in the larger of the ways that apply.

    By three words when both have 12 words or more; by five characters when one has fewer, or both have fewer than 16.
    """
    lengths = sorted((len(_words(one)), len(_words(other))))
    kinds = [_word_shingles] if lengths[0] >= _SHORT_WORDS else [_character_shingles]
    if lengths[0] >= _SHORT_WORDS and lengths[1] < _LONG_WORDS:
        kinds.append(_character_shingles)
    return max(_jaccard(shingles(one), shingles(other)) for shingles in kinds)


def nearest_copies(texts: Sequence[str], references: Sequence[str] | None = None) -> dict[int, int]:
    """For each text that nearly repeats another: the index of one such text.

    Args:
        texts: what is searched. references: what it is compared with; when left out, the earlier ones of `texts`.
    Returns:
        Index in `texts` to index in `references` (or of an earlier text). Deterministic: no seed is drawn.
    """
    everything = list(texts) if references is None else [*texts, *references]
    counts = [len(_words(text)) for text in everything]
    found: dict[int, int] = {}
    for chosen, shingles in (
        ([index for index, count in enumerate(counts) if count < _LONG_WORDS], _character_shingles),
        ([index for index, count in enumerate(counts) if count >= _SHORT_WORDS], _word_shingles),
    ):
        if len(chosen) > 1:
            for index, match in _search(everything, chosen, shingles, None if references is None else len(texts)).items():
                found.setdefault(index, match)
    border = 0 if references is None else len(texts)
    return {index: found[index] - border for index in sorted(found)}


def _search(
    everything: Sequence[str], chosen: Sequence[int], shingles: Callable[[str], frozenset[str]], border: int | None
) -> dict[int, int]:
    """Near copies among the chosen texts, all by one kind of shingle. Below `border` lie the texts, above it the references."""
    signatures = _signatures([everything[index] for index in chosen], shingles)
    ids = numpy.asarray(chosen, dtype=numpy.int64)
    is_reference = None if border is None else ids >= border
    is_found = numpy.zeros(len(ids), dtype=bool)
    shingles_of = lru_cache(maxsize=20_000)(lambda position: shingles(everything[chosen[position]]))
    found: dict[int, int] = {}
    for band in range(_BANDS):
        values = numpy.ascontiguousarray(signatures[:, band * _BAND_VALUES : (band + 1) * _BAND_VALUES])
        keys = values.view([("", values.dtype)] * _BAND_VALUES).ravel()
        for lefts, rights in _candidates(keys, is_reference, is_found):
            agree = numpy.empty(len(lefts), dtype=bool)
            for start in range(0, len(lefts), _CHUNK):
                part = slice(start, start + _CHUNK)
                agree[part] = (signatures[lefts[part]] == signatures[rights[part]]).mean(axis=1) >= _SIGNATURE_SHARE
            for left, right in zip(lefts[agree].tolist(), rights[agree].tolist(), strict=True):
                if not is_found[left] and _jaccard(shingles_of(left), shingles_of(right)) >= NEAR_SHARE:
                    is_found[left] = True
                    found[chosen[left]] = chosen[right]
    return found


def _candidates(
    keys: numpy.typing.NDArray[Any],
    is_reference: numpy.typing.NDArray[numpy.bool_] | None,
    is_found: numpy.typing.NDArray[numpy.bool_],
) -> Iterator[tuple[_Indexes, _Indexes]]:
    """Pairs of positions in one bucket: (text, reference), or (later, earlier); at distance 1, 2, 3 ... in the bucket.

    With references, each text meets the references of its bucket in order; a text already found is left out.
    """
    _, bucket = numpy.unique(keys, return_inverse=True)
    bucket = bucket.ravel()
    if is_reference is None:
        order = numpy.argsort(bucket, kind="stable")
        for step in range(1, _MOST_CANDIDATES + 1):
            earlier, later = order[:-step], order[step:]
            use = (bucket[earlier] == bucket[later]) & ~is_found[later]
            if not (bucket[earlier] == bucket[later]).any():
                return
            yield later[use], earlier[use]
        return
    references = numpy.flatnonzero(is_reference)
    references = references[numpy.argsort(bucket[references], kind="stable")]
    if not len(references):
        return
    sorted_buckets = bucket[references]
    texts = numpy.flatnonzero(~is_reference & ~is_found)
    first = numpy.searchsorted(sorted_buckets, bucket[texts], side="left")
    size = numpy.searchsorted(sorted_buckets, bucket[texts], side="right") - first
    for step in range(min(_MOST_CANDIDATES, int(size.max(initial=0)))):
        use = (size > step) & ~is_found[texts]
        # In a crowded bucket each text starts at another reference, so that together they meet all of them.
        offset = (step + numpy.where(size > _MOST_CANDIDATES, texts, 0)) % numpy.maximum(size, 1)
        yield texts[use], references[(first + offset)[use]]


def _signatures(texts: Sequence[str], shingles: Callable[[str], frozenset[str]]) -> _Signatures:
    from rensa import RMinHash

    signatures = numpy.empty((len(texts), _VALUES), dtype=numpy.uint32)
    for start in range(0, len(texts), _CHUNK):
        sets = [list(shingles(text)) for text in texts[start : start + _CHUNK]]
        signatures[start : start + len(sets)] = RMinHash.digests_from_token_sets(sets, _VALUES, _MINHASH_SEED)
    return signatures


def _words(text: str) -> list[str]:
    return _WORD.findall(normalise(text))


def _word_shingles(text: str) -> frozenset[str]:
    words = _words(text)
    return (
        frozenset(map(" ".join, zip(words, words[1:], words[2:], strict=False)))
        if len(words) > 2
        else frozenset([" ".join(words)])
    )


def _character_shingles(text: str) -> frozenset[str]:
    # A text of signs and emoji only has no words; it stands as it is.
    plain = " ".join(_words(text)) or normalise(text)
    return frozenset(plain[index : index + 5] for index in range(max(1, len(plain) - 4)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
