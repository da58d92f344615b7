"""The learning curve: would more labelled rows help? The chosen strategy with its chosen settings, on parts of the training rows.

Scores are of validation rows; the test rows stay unread.
"""

from collections.abc import Sequence

import numpy as np

from hone.compare.effort import CURVE_SHARES
from hone.compare.race import Finished
from hone.compare.records import CurvePoint, LearningCurve
from hone.core.console import progress
from hone.core.device import release_memory
from hone.measure import Answers, Groups, forecast, paired_interval
from hone.strategy import Bench

__all__ = ["learning_curve"]

_SHOWN = 0.0005  # half of the last digit in which scores are shown
DRAWS = 3  # where nothing is trained; else one draw, for it costs a training run


def learning_curve(finished: Finished, *, shares: Sequence[float] = CURVE_SHARES) -> LearningCurve | None:
    """Refit on stratified parts of the training rows and compare with all of them.

    Returns:
        None when the smallest part would hold no row of some class, the strategy reads no training rows, or answers cost money.
    """
    strategy, bench = finished.strategy, finished.entrant.bench
    if not strategy.learns_from_rows or bench.is_billed:
        return None
    smallest_class = int(np.bincount(bench.train_targets, minlength=max(1, len(bench.classes))).min())
    shares = [share for share in shares if smallest_class * share >= 1]
    if not shares:
        return None
    draws = 1 if strategy.moves_weights else DRAWS
    points, answers = [], []
    with progress("Learning curve", len(shares) * draws) as bar:
        for share in shares:
            found = []
            for draw in range(draws):
                part = bench.with_train([bench.train[index] for index in _stratified(bench, share, draw)])
                found.append(_refit(part, finished))
                bar.advance()
            answers.append(found)
            scores = [bench.score(validation) for validation in found]
            rows = len(_stratified(bench, share, 0))
            points.append(CurvePoint(rows=rows, value=float(np.mean(scores)), low=min(scores), high=max(scores)))
    everything = bench.score(finished.validation)
    points.append(CurvePoint(rows=len(bench.train), value=everything, low=everything, high=everything))
    full = bench.mark(finished.validation).per_row
    half = np.mean([bench.mark(validation).per_row for validation in answers[-1]], axis=0)
    gain = paired_interval(full, half, seed=bench.seed_for("curve"))
    if (groups := Groups.named([row.group for row in bench.validation])) is not None:
        difference = full - half
        gain = groups.widened(
            gain, lambda counts: counts @ difference / counts.sum(axis=1), bounds=(-1.0, 1.0), seed=bench.seed_for("curve")
        )
    is_half = shares[-1] == CURVE_SHARES[-1]
    sizes, values = [point.rows for point in points], [point.value for point in points]
    ahead = 2 * len(bench.train) if len(set(sizes)) >= 3 else None
    expected = forecast(sizes, values, at=ahead) if ahead else None
    if expected is not None and expected < everything - _SHOWN:  # the fit lies below what is there already, and foretells nothing
        ahead = expected = None
    return LearningCurve(
        strategy=finished.entrant.key,
        points=tuple(points),
        still_rises=gain.low > 0 if is_half else None,
        gain_low=gain.low if is_half else None,
        gain_high=gain.high if is_half else None,
        forecast_rows=ahead,
        forecast=expected,
    )


def _refit(part: Bench, finished: Finished) -> Answers:
    """Answers to the validation rows; the network is let go."""
    if finished.strategy.moves_weights:
        release_memory()
    return finished.strategy.fit(part, finished.outcome.chosen.settings, share=finished.outcome.chosen.share).validation


def _stratified(bench: Bench, share: float, draw: int) -> list[int]:
    """Indices of a random part of each class, at least one row each."""
    rng = np.random.default_rng(bench.seed_for("curve", share, draw))
    chosen: list[int] = []
    for target in range(max(1, len(bench.classes))):
        mine = rng.permutation(np.flatnonzero(bench.train_targets == target))
        chosen += mine[: max(1, round(share * len(mine)))].tolist()
    return sorted(chosen)
