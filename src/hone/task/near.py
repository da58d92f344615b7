"""Near duplicates: pairs of texts that share at least 70% of their shingles, found without comparing all pairs.

MinHash signatures (rensa) are cut into bands; texts equal in a band are candidates; candidates are confirmed by the
exact Jaccard similarity of their shingles. The one surprise: they must be alike in what is their own too, so rows of one
template or instruction are no copies of each other, and rows with next to nothing of their own only when they are the same.

Source: Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900; bands: Leskovec et al., Mining of Massive Datasets, ch. 3.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy
import numpy.typing

from hone.task.duplicates import text_key
from hone.task.shingles import Common, Shingler, by_characters, by_words, common_shingles, jaccard, kinds_for, own_shingles

__all__ = ["NEAR_SHARE", "nearest_copies", "shingle_similarity"]

NEAR_SHARE = 0.7
"""Jaccard similarity from which two texts are near duplicates. Lee et al. 2022 use 0.8, https://aclanthology.org/2022.acl-long.577"""

# A pair at 0.7 shares one of 24 bands of 4 values with probability 1 - (1 - 0.7^4)^24 = 0.999, a pair at 0.3 with 0.18.
_BANDS = 24
_BAND_VALUES = 4
_VALUES = _BANDS * _BAND_VALUES
# Of what is their own. Five characters are often part of a frequent word, so that without the common ones the edited copy of
# a short text falls to 0.6, where a copy of a long one stays as it was.
_OWN_SHARE: dict[Shingler, float] = {by_words: NEAR_SHARE, by_characters: 0.5}
# At a true share of 0.5 or 0.7 the signatures agree in that share +- 0.05 of their values: 0.2 less lies four deviations below.
_SIGNATURE_MARGIN = 0.2
# Candidates per text and band. A bucket with more members is a template that thousands of rows share.
_MOST_CANDIDATES = 32
_MINHASH_SEED = 20200520
_CHUNK = 4096

_Signatures = numpy.typing.NDArray[numpy.uint32]
_Indexes = numpy.typing.NDArray[numpy.int64]


def shingle_similarity(one: str, other: str) -> float:
    """Jaccard similarity in [0, 1] of the shingles of two texts, in the larger of the ways that apply.

    By three words when both have 12 words or more; by five characters when one has fewer, or both have fewer than 16.
    """
    ways = [kinds_for(one), kinds_for(other)]
    kinds = [kind for kind in (by_words, by_characters) if all(kind in way for way in ways)] or [by_characters]
    return max(jaccard(kind(one), kind(other)) for kind in kinds)


def nearest_copies(
    texts: Sequence[str], references: Sequence[str] | None = None, *, common: Common | None = None
) -> dict[int, int]:
    """For each text that nearly repeats another: the index of one such text.

    Args:
        texts: what is searched. references: what it is compared with; when left out, the earlier ones of `texts`.
        common: what counts as no text's own; when left out, it is told from the texts and references.
    Returns:
        Index in `texts` to index in `references` (or of an earlier text). Deterministic: no seed is drawn.
    """
    everything = list(texts) if references is None else [*texts, *references]
    common = common_shingles(everything) if common is None else common
    kinds = [kinds_for(text) for text in everything]
    border = None if references is None else len(texts)
    found: dict[int, int] = {}
    for kind in (by_characters, by_words):
        chosen = [index for index, ways in enumerate(kinds) if kind in ways]
        for index, match in _search(everything, chosen, kind, common, border).items():
            found.setdefault(index, match)
    return {index: found[index] - (border or 0) for index in sorted(found)}


def _search(
    everything: Sequence[str], chosen: Sequence[int], kind: Shingler, common: Common, border: int | None
) -> dict[int, int]:
    """Copies among the chosen texts, all by one kind of shingle. Below `border` lie the texts, above it the references."""
    signatures, has_own = _signatures([everything[index] for index in chosen], kind, common)
    found = _same([index for index, has in zip(chosen, has_own.tolist(), strict=True) if not has], everything, border)
    ids = numpy.asarray(chosen, dtype=numpy.int64)[has_own]
    signatures = signatures[has_own]
    is_reference = None if border is None else ids >= border
    is_found = numpy.zeros(len(ids), dtype=bool)
    own = lru_cache(maxsize=20_000)(lambda position: own_shingles(everything[int(ids[position])], kind, common))
    whole = lru_cache(maxsize=20_000)(lambda position: kind(everything[int(ids[position])]))
    refused: set[tuple[int, int]] = set()
    for band in range(_BANDS if len(ids) > 1 else 0):
        values = numpy.ascontiguousarray(signatures[:, band * _BAND_VALUES : (band + 1) * _BAND_VALUES])
        keys = values.view([("", values.dtype)] * _BAND_VALUES).ravel()
        for lefts, rights in _candidates(keys, is_reference, is_found):
            agree = numpy.empty(len(lefts), dtype=bool)
            for start in range(0, len(lefts), _CHUNK):
                part = slice(start, start + _CHUNK)
                agree[part] = (signatures[lefts[part]] == signatures[rights[part]]).mean(axis=1) >= _OWN_SHARE[
                    kind
                ] - _SIGNATURE_MARGIN
            for pair in zip(lefts[agree].tolist(), rights[agree].tolist(), strict=True):
                left, right = pair
                if is_found[left] or pair in refused:
                    continue
                if jaccard(own(left), own(right)) >= _OWN_SHARE[kind] and jaccard(whole(left), whole(right)) >= NEAR_SHARE:
                    is_found[left] = True
                    found[int(ids[left])] = int(ids[right])
                else:
                    refused.add(pair)
    return found


def _same(chosen: Sequence[int], everything: Sequence[str], border: int | None) -> dict[int, int]:
    """The chosen texts that stand among the references, or earlier, letter by letter."""
    first: dict[bytes, int] = {}
    found: dict[int, int] = {}
    for index in chosen if border is None else reversed(chosen):
        key = text_key(everything[index])
        if border is not None and index >= border:
            first[key] = index
        elif key in first:
            found[index] = first[key]
        elif border is None:
            first[key] = index
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


def _signatures(texts: Sequence[str], kind: Shingler, common: Common) -> tuple[_Signatures, numpy.typing.NDArray[numpy.bool_]]:
    """The signatures of what is each text's own, and which texts have anything of their own."""
    from rensa import RMinHash

    signatures = numpy.empty((len(texts), _VALUES), dtype=numpy.uint32)
    has_own = numpy.zeros(len(texts), dtype=bool)
    for start in range(0, len(texts), _CHUNK):
        sets = [list(own_shingles(text, kind, common)) for text in texts[start : start + _CHUNK]]
        signatures[start : start + len(sets)] = RMinHash.digests_from_token_sets(sets, _VALUES, _MINHASH_SEED)
        has_own[start : start + len(sets)] = [bool(one) for one in sets]
    return signatures, has_own
