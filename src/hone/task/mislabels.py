"""Labels that are probably wrong, by confident learning: what a model that never saw the row thinks of it.

Takes vectors that the caller made (embeddings); scikit-learn is imported inside. The one surprise: a class is held
to its own standard, the mean confidence in its rows, so a class that is hard to tell is not flagged as a whole.

Source: Northcutt, Jiang, Chuang 2021, https://arxiv.org/abs/1911.00068
"""

import warnings
from collections.abc import Sequence

import numpy
import numpy.typing

from hone.core.seeds import derive_seed
from hone.task.records import Example, Finding
from hone.task.wording import counted

__all__ = ["likely_mislabels", "out_of_fold"]

_PLACES = 20
_FOLDS = 5
_FEWEST_ROWS = 20
# Measured with the starter encoder's vectors on 1,100 rows each of ag_news, banking77, trec and the example desk, 5% of the labels made
# wrong: 27 to 75% of the wrong labels are flagged and 38 to 79% of the flags are right. A margin of 0.3 gives 51 to 75% and
# 30 to 62%; a penalty ten times weaker flags twice as many at half the precision.
_INVERSE_PENALTY = 0.01
_LEAST_MARGIN = 0.5
# A departure from the paper, for classes that are told apart almost perfectly: their mean confidence nears 1, and sure errors lie
# just below it. Clean clusters with 20 planted errors, 10 seeds: 74% found without this bar, 91% with it, no right label flagged.
# The three real sets above flag the same rows with and without it.
_SURE = 0.8

_Floats = numpy.typing.NDArray[numpy.floating]
_Labels = numpy.typing.NDArray[numpy.int64]


def likely_mislabels(
    vectors: numpy.typing.ArrayLike, labels_index: Sequence[int], examples: Sequence[Example], *, seed: int
) -> Finding | None:
    """Rows whose label a cross-validated classifier contradicts with confidence.

    A row is flagged when its own label gets less than that class's mean self-confidence, another class gets at least
    that class's (or 0.8), and the other is more probable by 0.5 or more.

    Args:
        vectors: [n, d], finite. labels_index: class index per row, shape [n]. examples: the rows, same order.
    Returns:
        A warning, the most certain first, each with the label it has and the one suggested; None when nothing is
        flagged, and also below 20 rows or two classes with two rows each, where nothing can be said.
    """
    matrix = numpy.asarray(vectors, dtype=numpy.float32)  # [n, d]
    labels = numpy.asarray(labels_index, dtype=numpy.int64)  # [n]
    assert matrix.ndim == 2 and len(matrix) == len(labels) == len(examples), "one vector and one label per example"
    # A class with one row cannot be both learned and asked about.
    rows = numpy.flatnonzero(numpy.bincount(labels)[labels] >= 2) if len(labels) else labels
    if len(rows) < _FEWEST_ROWS or len(numpy.unique(labels[rows])) < 2:
        return None
    classes, given = numpy.unique(labels[rows], return_inverse=True)
    probabilities = out_of_fold(matrix[rows], given, seed=seed)  # [m, k]
    own = probabilities[numpy.arange(len(rows)), given]  # [m]
    confidence = numpy.bincount(given, weights=own) / numpy.bincount(given)  # [k]
    rivals = numpy.where(probabilities >= numpy.minimum(confidence, _SURE), probabilities, 0.0)
    rivals[numpy.arange(len(rows)), given] = 0.0
    suggested = rivals.argmax(axis=1)
    margin = rivals.max(axis=1) - own
    flagged = numpy.flatnonzero((own < confidence[given]) & (margin >= _LEAST_MARGIN))
    if not len(flagged):
        return None
    flagged = flagged[numpy.argsort(-margin[flagged], kind="stable")]
    names = {int(label): example.label for label, example in zip(labels, examples, strict=True)}
    places = [
        f"{examples[rows[i]].place}: {examples[rows[i]].label} -> {names[int(classes[suggested[i]])]} ({margin[i]:+.2f})"
        for i in flagged[:_PLACES].tolist()
    ]
    return Finding(
        kind="likely_mislabel",
        severity="warning",
        message=f"{len(flagged)} of {counted(len(examples), 'label')} may be wrong, or their rows are hard: a classifier that "
        f"never saw the row gives another label at least {_LEAST_MARGIN} more probability. The surest stand first; nothing was changed.",
        count=len(flagged),
        places=tuple(places),
    )


def out_of_fold(matrix: _Floats, labels: _Labels, *, seed: int) -> _Floats:
    """Class probabilities for each row from a logistic regression trained on the other folds.

    Args:
        matrix: [n, d]. labels: [n], 0 to k-1, each at least twice.
    Returns:
        [n, k]; rows sum to 1.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    counts = numpy.bincount(labels)
    folds = StratifiedKFold(min(_FOLDS, int(counts.max())), shuffle=True, random_state=derive_seed(seed, "mislabels"))
    probabilities = numpy.zeros((len(labels), len(counts)))
    with warnings.catch_warnings():
        # Small classes and an early stop of the solver are expected here and change no verdict.
        warnings.simplefilter("ignore")
        for train, held in folds.split(matrix, labels):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=_INVERSE_PENALTY, tol=1e-3, max_iter=100))
            model.fit(matrix[train], labels[train])
            probabilities[numpy.ix_(held, model.classes_)] = model.predict_proba(matrix[held])
    return probabilities
