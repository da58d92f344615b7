"""Scores of answers that are sets of labels: every label is a yes or no of its own.

As scikit-learn has them with `zero_division=0`: a label that never occurs in the truth counts 0 in the macro average.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hone.measure.labels import ratio
from hone.measure.resample import require_rows
from hone.measure.scores import MeanScore, ResampledScore, SumScore

__all__ = ["LABEL_SET_METRICS", "f1_alone", "f1_of", "macro_f1_of", "precision_of", "recall_of", "score_label_sets"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LABEL_SET_METRICS = ("micro_f1", "macro_f1", "micro_precision", "micro_recall", "subset_accuracy")
"""micro: over all yes and no together; macro_f1: mean over labels; subset_accuracy: rows whose whole set is right."""

SIGNATURE = "labels by themselves, v1"


def f1_of(counts: FloatArray) -> FloatArray:
    """F1 of [..., 3] right, predicted and true ones, [...]; 0 where nothing was there to find."""
    return ratio(2 * counts[..., 0], counts[..., 1] + counts[..., 2])


def precision_of(counts: FloatArray) -> FloatArray:
    """Precision of [..., 3] right, predicted and true ones, [...]."""
    return ratio(counts[..., 0], counts[..., 1])


def recall_of(counts: FloatArray) -> FloatArray:
    """Recall of [..., 3] right, predicted and true ones, [...]."""
    return ratio(counts[..., 0], counts[..., 2])


def f1_alone(counts: FloatArray) -> FloatArray:
    """F1 of each row by itself, [n] from [n, 3]; a row with nothing to find, where nothing was found, is right."""
    return np.where(counts[:, 1] + counts[:, 2] > 0, f1_of(counts), 1.0)


def score_label_sets(
    truth: BoolArray, predicted: BoolArray, names: Sequence[str] = LABEL_SET_METRICS
) -> dict[str, ResampledScore]:
    """Metrics of predicted sets of labels.

    Args:
        truth, predicted: whether a row has a label, [n, C]. names: of LABEL_SET_METRICS.
    Raises:
        NotEnough: there are no rows.
    Source: equals sklearn.metrics.f1_score(average=..., zero_division=0) and accuracy_score on indicator matrices
        https://scikit-learn.org/stable/modules/generated/sklearn.metrics.f1_score.html
    """
    assert truth.shape == predicted.shape and truth.ndim == 2, f"shapes differ: {truth.shape} and {predicted.shape}"
    require_rows(len(truth), "A score of label sets", least=1)
    counts = np.stack([truth & predicted, predicted, truth], axis=-1).astype(np.float64)  # [n, C, 3]
    together = counts.sum(axis=1)  # [n, 3]
    alone = f1_alone(together)
    micro = {"micro_f1": f1_of, "micro_precision": precision_of, "micro_recall": recall_of}
    scores: dict[str, ResampledScore] = {}
    for name in names:
        if name == "subset_accuracy":
            scores[name] = MeanScore(name, SIGNATURE, (truth == predicted).all(axis=1).astype(np.float64))
        elif name == "macro_f1":
            scores[name] = SumScore(
                name,
                SIGNATURE,
                counts.reshape(len(truth), -1),
                macro_f1_of(truth.shape[1], held=int(truth.any(axis=0).sum())),
                alone=alone,
            )
        else:
            scores[name] = SumScore(name, SIGNATURE, together, micro[name], alone=alone)
    return scores


def macro_f1_of(labels: int, *, held: int) -> Callable[[FloatArray], FloatArray]:
    """From sums of right, predicted and true ones of each label, [B, 3 C], to the mean of the labels' F1, [B].

    A label that a resample happens to miss says nothing of how well it is recognised: the average is over those it holds.

    Args:
        held: labels that occur at all.
    """

    def combined(sums: FloatArray) -> FloatArray:
        counts = sums.reshape(len(sums), labels, 3)
        here = (counts[..., 2] > 0).sum(axis=1)
        return ratio(f1_of(counts).mean(axis=1) * held, here.astype(np.float64))

    return combined
