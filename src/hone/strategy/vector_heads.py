"""Numbers and sets of labels from sentence vectors that are computed once: a linear map, or the mean of the nearest rows. No weight moves."""

import warnings

import numpy as np
from numpy.typing import NDArray

from hone.core.console import Bar
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.predictors import fitted_scorer
from hone.strategy.scorers import LinearMap, NeighbourMeans
from hone.strategy.untrained import Untrained

__all__ = ["FrozenMap", "NearestMean"]

Floats = NDArray[np.float64]
_NEVER = -50.0  # log-odds of a label that no training row has


class FrozenMap(Untrained):
    """Ridge regression of numbers; of labels a logistic regression each."""

    name = "head"
    title = "frozen encoder + head"
    learns_from_rows = True
    reads_train_vectors = True

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """Strengths of the L2 penalty of numbers, inverse ones of labels."""
        if bench.kind == "regression":
            return [{"alpha": alpha} for alpha in (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)]
        return [{"C": C} for C in (1.0, 3.0, 10.0, 30.0, 100.0)]

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Fit on the training rows' vectors."""
        vectors = bench.train_vectors()
        if bench.kind == "regression":
            scorer = _ridge(vectors, bench.train_values, alpha=float(settings["alpha"]))
        else:
            scorer = _logistic(vectors, bench.train_values, inverse_penalty=float(settings["C"]))
        return fitted_scorer(bench, scorer, settings, moved=scorer.weight.size + np.size(scorer.bias))


class NearestMean(Untrained):
    """The mean of the k most alike training rows."""

    name = "nearest"
    title = "nearest neighbours"
    learns_from_rows = True
    reads_train_vectors = True

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """How many are heard, and how fast their weight falls with distance."""
        return [{"k": k, "temperature": t} for k in (1, 5, 10, 20, 50) for t in (0.02, 0.05, 0.1) if k <= len(bench.train)]

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Keep the training rows' vectors."""
        scorer = NeighbourMeans(bench.train_vectors(), bench.train_values, int(settings["k"]), float(settings["temperature"]))
        return fitted_scorer(bench, scorer, settings)


def _ridge(vectors: NDArray[np.float32], numbers: Floats, *, alpha: float) -> LinearMap:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=alpha).fit(vectors.astype(np.float64), numbers)
    return LinearMap(np.asarray(model.coef_, dtype=np.float64), np.array(model.intercept_, dtype=np.float64))


def _logistic(vectors: NDArray[np.float32], sets: Floats, *, inverse_penalty: float) -> LinearMap:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weight, bias = np.zeros((sets.shape[1], vectors.shape[1])), np.zeros(sets.shape[1])
    for at, is_there in enumerate(sets.T):
        if is_there.all() or not is_there.any():
            bias[at] = -_NEVER if is_there.all() else _NEVER
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # more iterations decide less than the penalty does
            model = LogisticRegression(C=inverse_penalty, max_iter=300).fit(vectors, is_there)
        weight[at], bias[at] = model.coef_[0], model.intercept_[0]
    return LinearMap(weight, bias)
