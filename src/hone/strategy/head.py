"""Frozen encoder + head: logistic regression on sentence vectors that are computed once."""

import warnings

import numpy as np
from numpy.typing import NDArray

from hone.core.console import Bar
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.predictors import fitted_scorer
from hone.strategy.scorers import LinearHead
from hone.strategy.untrained import Untrained

__all__ = ["FrozenHead", "fit_linear"]


class FrozenHead(Untrained):
    """Logistic regression; the encoder stays as it is."""

    name = "head"
    title = "frozen encoder + head"
    learns_from_rows = True
    reads_train_vectors = True

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """Inverse strengths of the L2 penalty."""
        return [{"C": C} for C in (0.3, 1.0, 3.0, 10.0, 30.0)]

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Fit the head on the training rows' vectors."""
        scorer = fit_linear(
            bench.train_vectors(), bench.train_targets, classes=len(bench.labels), inverse_penalty=float(settings["C"])
        )
        return fitted_scorer(bench, scorer, settings, moved=scorer.weight.size + scorer.bias.size)


def fit_linear(vectors: NDArray[np.float32], targets: NDArray[np.int64], *, classes: int, inverse_penalty: float) -> LinearHead:
    """Multinomial logistic regression (scikit-learn's, L-BFGS) as arrays over all classes.

    A class without a training row gets a bias so low that it is never chosen.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    present = np.unique(targets)
    weight = np.zeros((classes, vectors.shape[1]))
    bias = np.full(classes, -50.0)
    if len(present) == 1:
        bias[present] = 0.0
        return LinearHead(weight, bias)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 500 iterations decide no answer more than the penalty does
        model = LogisticRegression(C=inverse_penalty, max_iter=500).fit(vectors, targets)
    if len(present) == 2:  # scikit-learn keeps one row for two classes
        weight[present], bias[present] = (
            np.stack([-model.coef_[0], model.coef_[0]]) / 2,
            np.array([-1, 1]) * model.intercept_[0] / 2,
        )
    else:
        weight[present], bias[present] = model.coef_, model.intercept_
    return LinearHead(weight, bias)
