"""How good a ranking is, when each thing in it is right or wrong: recall, precision, reciprocal rank and nDCG at k.

A ranking is given as marks, best place first: whether what stands there is right. The one surprise: a mark counts once
for each thing that was looked for, so two passages of one right document are one hit and the second is marked False.
Definitions: Manning, Raghavan, Schütze 2008, https://nlp.stanford.edu/IR-book/ (8.4); nDCG: Järvelin, Kekäläinen 2002,
https://doi.org/10.1145/582415.582418, with the gain 1 and the discount 1 / log2(1 + place).
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hone.core.errors import Usage
from hone.measure.intervals import Interval
from hone.measure.resample import require_rows
from hone.measure.scores import MeanScore, score_interval

__all__ = ["RANKING_METRICS", "ranking_interval", "score_rankings"]

FloatArray = npt.NDArray[np.float64]
_Marks = npt.NDArray[np.float64]


def _recall(marks: _Marks, wanted: FloatArray, k: int) -> FloatArray:
    return np.asarray(marks[:, :k].sum(axis=1) / wanted)


def _precision(marks: _Marks, _wanted: FloatArray, k: int) -> FloatArray:
    return np.asarray(marks[:, :k].sum(axis=1) / k)


def _reciprocal_rank(marks: _Marks, _wanted: FloatArray, k: int) -> FloatArray:
    seen = marks[:, :k]
    return np.where(seen.any(axis=1), 1 / (1 + seen.argmax(axis=1)), 0.0)


def _ndcg(marks: _Marks, wanted: FloatArray, k: int) -> FloatArray:
    discounts = 1 / np.log2(np.arange(2, k + 2))  # [k]
    best = np.concatenate([[0.0], discounts.cumsum()])
    return np.asarray(marks[:, :k] @ discounts / best[np.minimum(wanted, k).astype(np.int64)])


_METRICS: dict[str, Callable[[_Marks, FloatArray, int], FloatArray]] = {
    "recall": _recall,
    "precision": _precision,
    "mrr": _reciprocal_rank,
    "ndcg": _ndcg,
}
RANKING_METRICS = tuple(_METRICS)
"""Each is written with a depth: recall@5. `mrr` is the mean reciprocal rank of the first right thing, 0 below k."""


def score_rankings(rankings: Sequence[Sequence[bool]], wanted: Sequence[int], names: Sequence[str]) -> dict[str, MeanScore]:
    """Metrics of rankings.

    Args:
        rankings: one per query, best place first; whether what stands there is right. What lies below a ranking's end counts
            as wrong, so give at least the largest k, or all that was found.
        wanted: how many right things there are for each query, at least 1. names: such as recall@5, mrr@10, ndcg@10.
    Raises:
        Usage: a name is not known. NotEnough: there are no queries.
    """
    asked = [(name, *_parse(name)) for name in names]
    require_rows(len(rankings), "A ranking metric", least=1)
    assert len(rankings) == len(wanted), f"{len(rankings)} rankings, {len(wanted)} counts of what was wanted"
    assert all(sum(row) <= count and count >= 1 for row, count in zip(rankings, wanted, strict=True)), "more hits than wanted"
    depth = max((k for _, _, k in asked), default=1)
    marks = np.zeros((len(rankings), depth))
    for row, found in zip(marks, rankings, strict=True):
        shown = np.asarray(found[:depth], dtype=np.float64)
        row[: len(shown)] = shown
    counts = np.asarray(wanted, dtype=np.float64)
    return {name: MeanScore(name, f"{name}, binary relevance, v1", _METRICS[kind](marks, counts, k)) for name, kind, k in asked}


def ranking_interval(score: MeanScore, *, level: float = 0.95, draws: int = 1000, seed: int) -> Interval:
    """How far the metric could move with other queries: Wilson's where each is right or wrong, else as other means (`score_interval`).

    Where all queries score alike, a bootstrap would have no width: the ends then allow for the queries not seen.

    Raises:
        NotEnough: fewer than 2 queries.
    """
    require_rows(len(score.per_row), "An interval for a ranking")
    return score_interval(score, level=level, draws=draws, seed=seed)


def _parse(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"([a-z]+)@([1-9]\d*)", name)
    if match is None or match[1] not in _METRICS:
        raise Usage(
            f"ranking metric '{name}' is not known. Known: {', '.join(f'{each}@K' for each in _METRICS)}, K a depth such as 5."
        )
    return match[1], int(match[2])
