"""Does the stated confidence match how often a strategy is right?

The calibration error is HELM's `ece_10_bin`: bins of equal mass, edges midway between neighbours, L1, not debiased.
The one surprise: torchmetrics and netcal cut bins of equal width, so their numbers differ from these.
"""

import numpy as np
import numpy.typing as npt

from hone.core.errors import NotEnough

__all__ = [
    "brier",
    "calibration_errors",
    "equal_mass_error",
    "expected_calibration_error",
    "fit_temperature",
    "negative_log_likelihood",
    "sort_by_confidence",
]

FloatArray = npt.NDArray[np.float64]

TEMPERATURE_RANGE = (0.05, 20.0)
"""Where `fit_temperature` looks. Guo et al. 2017 report 0.9 to 3 for neural networks; twenty-fold either way is ample."""

# A softmax in fp32 or bf16 may end a rounding step above 1; HELM's binning puts such rows in the last bin, and so does ours.
_ROUNDING = 1e-2


def equal_mass_error(confidence: FloatArray, correct: FloatArray, *, bins: int) -> FloatArray:
    """The calibration error of many data sets at once, each sorted by confidence.

    Args:
        confidence: shape [..., n], ascending along the last axis. correct: 1 or 0, same shape and order.
        bins: how many; with fewer rows than bins, each row is one bin.
    Returns:
        Shape [...], in 0..1.
    """
    rows = confidence.shape[-1]
    used = min(bins, rows)
    # The first `rows % used` bins hold one row more, as numpy.array_split has it in the reference.
    starts = np.cumsum([rows // used + (index < rows % used) for index in range(used - 1)], dtype=np.int64)
    gap = np.zeros((*confidence.shape[:-1], rows + 1))  # running sum of confidence minus correctness, [..., n + 1]
    np.cumsum(confidence - correct, axis=-1, out=gap[..., 1:])
    total = np.zeros(confidence.shape[:-1])
    before = np.zeros((*confidence.shape[:-1], 1))
    for start in starts.tolist():
        edge = (confidence[..., start - 1] + confidence[..., start]) / 2
        # A confidence equal to the edge belongs below it: equal confidences never part.
        end = (confidence <= edge[..., None]).sum(axis=-1)
        after = np.take_along_axis(gap, end[..., None], axis=-1)
        total += np.abs(after - before)[..., 0]
        before = after
    total += np.abs(gap[..., -1:] - before)[..., 0]
    return np.asarray(total / rows, dtype=np.float64)


def sort_by_confidence(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both as float arrays, ascending by confidence (ties: wrong before right), so that row order changes nothing.

    Raises:
        NotEnough: no rows.
    """
    stated, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    assert stated.shape == right.shape and stated.ndim == 1, f"shapes differ: {stated.shape} and {right.shape}"
    assert bool(((right == 0) | (right == 1)).all()), "correctness is 0 or 1 for each row"
    if stated.size == 0:
        raise NotEnough("A calibration error needs at least 1 row, 0 were given. HELM advises about 300. Add test rows.")
    assert bool(((stated >= 0) & (stated <= 1 + _ROUNDING)).all()), "a confidence is a probability, in 0..1"
    order = np.lexsort((right, stated))
    return stated[order], right[order]


def expected_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 10) -> float:
    """Mean distance between stated confidence and accuracy, over bins that hold equally many rows.

    Args:
        confidence: probability of the predicted class, shape [n]. correct: whether that class is right, shape [n].
        bins: 10 gives HELM's `ece_10_bin`.
    Returns:
        In 0..1; 0 is perfect. Biased upwards for few rows: HELM advises about 300 or more.
    Raises:
        NotEnough: no rows.
    Source: `get_ece_em` of uncertainty-calibration 0.1.4 (Kumar et al. 2019, https://arxiv.org/abs/1909.10155),
        as HELM's basic_metrics.py calls it.
    """
    assert bins >= 1, "at least one bin"
    return float(equal_mass_error(*sort_by_confidence(confidence, correct), bins=bins))


def calibration_errors(confidence: FloatArray, correct: FloatArray, counts: FloatArray, *, bins: int = 10) -> FloatArray:
    """The calibration error when row i stands there counts[b, i] times, [B] from [B, n].

    Args:
        confidence, correct: of each row, in the order of the counts, [n].
    """
    order = np.lexsort((correct, confidence))
    errors = []
    for often in counts[:, order].astype(np.int64):
        chosen = np.repeat(order, often)
        errors.append(float(equal_mass_error(confidence[chosen], correct[chosen], bins=bins)))
    return np.array(errors)


def _rows_and_truth(values: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    table, right = np.asarray(values, dtype=np.float64), np.asarray(truth)  # [n, C], [n]
    assert table.ndim == 2 and right.shape == table.shape[:1], f"expected [n, C] and [n], got {table.shape} and {right.shape}"
    if len(right) == 0:
        raise NotEnough("There are no rows to score: 0 were given, at least 1 is needed. Add rows.")
    return table, right.astype(np.int64)


def brier(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Mean squared distance between the probabilities and the truth, summed over classes.

    Args:
        probabilities: shape [n, C], rows sum to 1. truth: class indices, shape [n].
    Returns:
        In 0..2, as Brier defined it; 0 is perfect. Half of it is what scikit-learn gives for two classes.
    Raises:
        NotEnough: no rows.
    Source: Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    table, right = _rows_and_truth(probabilities, truth)
    distance = table.copy()
    distance[np.arange(len(right)), right] -= 1
    return float((distance**2).sum(axis=1).mean())


def negative_log_likelihood(log_probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Mean of -log p(true class), in nats; infinite when a true class was given probability 0.

    Args:
        log_probabilities: natural logarithms, shape [n, C]. truth: class indices, shape [n].
    Raises:
        NotEnough: no rows.
    """
    table, right = _rows_and_truth(log_probabilities, truth)
    return float(-table[np.arange(len(right)), right].mean())


def fit_temperature(log_probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The temperature by which to divide log-probabilities so that the true labels are likeliest.

    Fit it on validation rows, never on test rows. Above 1: the model was too sure of itself.

    Args:
        log_probabilities: natural logarithms or logits, shape [n, C]. truth: class indices, shape [n].
    Returns:
        A number within TEMPERATURE_RANGE; its lower end when every row is right, since sharper is then always likelier.
    Raises:
        NotEnough: n < 2. One row is always likeliest at an extreme.
    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    table, right = _rows_and_truth(log_probabilities, truth)
    if len(right) < 2:
        raise NotEnough("A temperature needs at least 2 rows, 1 was given. Add validation rows.")
    rows = np.arange(len(right))
    assert bool(np.isfinite(table[rows, right]).all()), "a true class has probability 0: no temperature explains it"

    def loss(log_temperature: float) -> float:
        scaled = table / np.exp(log_temperature)
        return float((logsumexp(scaled, axis=1) - scaled[rows, right]).mean())

    low, high = np.log(TEMPERATURE_RANGE).tolist()
    best = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    # The bounded search never evaluates its ends, which is where the answer lies when every row is right.
    candidates = [float(best.x), low, high]
    return float(np.exp(min(candidates, key=loss)))
