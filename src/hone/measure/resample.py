"""Resampled test rows, as counts, and answers that change hands: the common ground of intervals, tests and the probability of being best.

Rows that look alike (same truth, same answers) are one cell with a count, so a resample is one multinomial draw over
the cells and every strategy sees the same resampled rows. Random numbers come from the seed given, never from a global.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hone.core.errors import NotEnough
from hone.measure.labels import LabelMargins, as_indices, check_metric, metric_from_margins

__all__ = [
    "Imaginary",
    "exchange_p",
    "exchanged_labels",
    "label_draws",
    "label_values",
    "require_rows",
    "resampled_counts",
    "row_metrics",
    "score_draws",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PatternArray = npt.NDArray[np.int8]

_ENUMERATED = 12
"""Up to this many unequal rows, all 2^k patterns are counted instead of drawn."""

_COUNTS_AT_ONCE = 2_000_000
"""Counts held at a time (16 MB), so that memory does not grow with draws x rows."""


@dataclass(frozen=True, slots=True)
class Imaginary:
    """Rows added before resampling: `weight` of them, on which strategy s is right when is_right[s].

    They keep an interval from having width 0 when no error, or no disagreement, happened to be seen.
    """

    weight: float
    is_right: tuple[bool, ...]


def require_rows(rows: int, what: str, *, least: int = 2) -> None:
    """Stop when there are fewer rows than a number needs.

    Raises:
        NotEnough: rows < least. A width of 0 would read as certainty.
    """
    if rows < least:
        raise NotEnough(f"{what} needs at least {least} rows, {rows} given. Put more rows into the test set.")


def resampled_counts(weights: FloatArray, *, size: int, draws: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Counts per cell of `draws` resamples of `size` rows, in blocks of shape [block, K] that add up to `draws`.

    Args:
        weights: how often each cell occurs, in any unit, shape [K].
    """
    share = weights / weights.sum()
    block = max(1, _COUNTS_AT_ONCE // len(weights))
    for start in range(0, draws, block):
        yield rng.multinomial(size, share, size=min(block, draws - start)).astype(np.float64)


def exchange_p(difference: Callable[[PatternArray], FloatArray], rows: int, *, observed: float, draws: int, seed: int) -> float:
    """How often a difference lies as far from 0 as the observed one when either answer to a row could have been either strategy's.

    Args:
        difference: of patterns [B, rows] of 0 and 1, where answers change hands at 1, the differences [B]. rows: that differ at all.
    Returns:
        Two-sided p value, exact for at most 12 rows, else (1 + as extreme) / (1 + draws); 1.0 where no row differs.
    Source: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses
    """
    if rows == 0:
        return 1.0
    limit = abs(observed) - 1e-9  # sums in another order differ by rounding
    if rows <= _ENUMERATED:
        patterns = (np.arange(2**rows)[:, None] >> np.arange(rows) & 1).astype(np.int8)
        return float((np.abs(difference(patterns)) >= limit).mean())
    rng, extreme = np.random.default_rng(seed), 0
    block = max(1, _COUNTS_AT_ONCE // rows)
    for start in range(0, draws, block):
        patterns = rng.integers(0, 2, size=(min(block, draws - start), rows), dtype=np.int8)
        extreme += int((np.abs(difference(patterns)) >= limit).sum())
    return (1 + extreme) / (1 + draws)


def score_draws(scores: npt.ArrayLike, *, draws: int, seed: int) -> FloatArray:
    """Mean score of each strategy in each resample of the rows.

    Args:
        scores: shape [S, n], in the metric's own unit.
    Returns:
        Shape [S, draws]. The order of the rows changes nothing.
    """
    cells, counts = np.unique(np.asarray(scores, dtype=np.float64), axis=1, return_counts=True)  # [S, K], [K]
    rows = int(counts.sum())
    blocks = resampled_counts(counts.astype(np.float64), size=rows, draws=draws, rng=np.random.default_rng(seed))
    return np.concatenate([cells @ block.T for block in blocks], axis=1) / rows


def _cells(truth: npt.ArrayLike, predictions: Sequence[npt.ArrayLike], classes: int) -> tuple[IntArray, FloatArray]:
    """The distinct rows of (truth, prediction of each strategy), shape [1 + S, K], and how often each occurs, shape [K]."""
    columns = [as_indices(values, classes) for values in (truth, *predictions)]
    assert all(column.shape == columns[0].shape and column.ndim == 1 for column in columns), "one index per row is needed"
    cells, counts = np.unique(np.stack(columns), axis=1, return_counts=True)
    return cells, counts.astype(np.float64)


def _cell_metrics(cells: IntArray, counts: FloatArray, *, classes: int, metric: str) -> FloatArray:
    """The metric of each strategy for each row of counts: cells [1 + S, K], counts [B, K] -> [S, B]."""
    one_hot = np.eye(classes)
    truth = counts @ one_hot[cells[0]]  # [B, C]
    values = []
    for predicted in cells[1:]:
        is_right = (predicted == cells[0])[:, None]
        correct, answered = counts @ (one_hot[predicted] * is_right), counts @ one_hot[predicted]
        values.append(metric_from_margins(LabelMargins(correct=correct, truth=truth, predicted=answered), metric))
    table = np.stack(values)  # [S, B]
    if metric.startswith("macro_"):
        # A class that a resample happens to miss says nothing of how well it is recognised: average over those it holds.
        # Otherwise two test rows per class give a macro F1 interval that lies wholly below the macro F1.
        table = table * len(np.unique(cells[0])) / (truth > 0).sum(axis=1)
    return table


def label_values(truth: npt.ArrayLike, predictions: Sequence[npt.ArrayLike], *, classes: int, metric: str) -> FloatArray:
    """The metric of each strategy on the rows as they are, shape [S].

    Raises:
        Usage: the metric is unknown.
    """
    cells, counts = _cells(truth, predictions, classes)
    return _cell_metrics(cells, counts[None, :], classes=classes, metric=metric)[:, 0]


def row_metrics(
    truth: npt.ArrayLike, predictions: Sequence[npt.ArrayLike], counts: FloatArray, *, classes: int, metric: str
) -> FloatArray:
    """The metric of each strategy when row i stands there counts[b, i] times, [S, B] from [B, n]."""
    cells = np.stack([as_indices(values, classes) for values in (truth, *predictions)])
    return _cell_metrics(cells, counts, classes=classes, metric=metric)


def exchanged_labels(
    truth: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, *, classes: int, metric: str
) -> tuple[Callable[[PatternArray], FloatArray], int]:
    """The difference of a label metric where some answers change hands, for `exchange_p`, and how many rows differ.

    Args:
        truth, a, b: class indices, shape [n].
    """
    cells, counts = _cells(truth, [a, b], classes)
    differs = cells[1] != cells[2]
    unlike, often = cells[:, differs], counts[differs].astype(np.int64)
    pool = np.stack([np.concatenate([cells[0, ~differs], *[unlike[0]] * 2]), np.concatenate([cells[1, ~differs], *unlike[1:]])])
    owner = np.eye(len(often))[np.repeat(np.arange(len(often)), often)]  # [rows that differ, cells]

    def difference(patterns: PatternArray) -> FloatArray:
        gone = patterns @ owner  # [B, cells]
        alike = np.tile(counts[~differs], (len(patterns), 1))
        mine, theirs = ([alike, often - gone, gone], [alike, gone, often - gone])
        first, second = (
            _cell_metrics(pool, np.concatenate(parts, axis=1), classes=classes, metric=metric)[0] for parts in (mine, theirs)
        )
        return np.asarray(first - second)

    return difference, int(often.sum())


def _imaginary_cells(
    cells: IntArray, counts: FloatArray, *, classes: int, imaginary: Sequence[Imaginary]
) -> tuple[IntArray, FloatArray]:
    """Cells and weights of the imaginary rows: each kind spread over the classes as the truth is; wrong names the next class."""
    share = np.bincount(cells[0], weights=counts, minlength=classes) / counts.sum()
    present = np.flatnonzero(share)
    wrong = (present + 1) % classes
    extra = [np.stack([present, *(present if right else wrong for right in kind.is_right)]) for kind in imaginary]
    weights = [kind.weight * share[present] for kind in imaginary]
    return np.concatenate([cells, *extra], axis=1), np.concatenate([counts, *weights])


def label_draws(
    truth: npt.ArrayLike,
    predictions: Sequence[npt.ArrayLike],
    *,
    classes: int,
    metric: str,
    draws: int,
    seed: int,
    imaginary: Sequence[Imaginary] = (),
) -> FloatArray:
    """A label metric of each strategy in each resample of the rows.

    Args:
        truth: class indices, shape [n]. predictions: S arrays of shape [n]. imaginary: see `Imaginary`.
    Returns:
        Shape [S, draws]. The order of the rows changes nothing.
    Raises:
        Usage: the metric is unknown.
    """
    check_metric(metric)
    cells, weights = _cells(truth, predictions, classes)
    cells, weights = _imaginary_cells(cells, weights, classes=classes, imaginary=imaginary)
    size = round(float(weights.sum()))
    blocks = resampled_counts(weights, size=size, draws=draws, rng=np.random.default_rng(seed))
    return np.concatenate([_cell_metrics(cells, block, classes=classes, metric=metric) for block in blocks], axis=1)
