"""Golden against scikit-learn, hand cases, and what importing the folder costs."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

import hone.measure
from hone.core.errors import NotEnough, Usage
from hone.measure import LABEL_METRICS, METRIC_VERSIONS, LabelScores, metric_from_confusion, score_labels


def random_case(seed):
    """Truth, predictions and class count; classes may be absent from either side."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 9))
    rows = int(rng.integers(1, 60))
    share = rng.dirichlet(np.full(classes, 0.4))
    truth = rng.choice(classes, size=rows, p=share)
    predicted = np.where(rng.random(rows) < 0.6, truth, rng.choice(classes, size=rows, p=rng.dirichlet(np.full(classes, 0.4))))
    return truth, predicted, classes


@pytest.mark.parametrize("seed", range(60))
def test_every_score_equals_scikit_learn(seed):
    truth, predicted, classes = random_case(seed)
    ours, labels = score_labels(truth, predicted, classes=classes), list(range(classes))
    per_class = precision_recall_fscore_support(truth, predicted, labels=labels, average=None, zero_division=0)
    np.testing.assert_allclose([ours.precision, ours.recall, ours.f1], per_class[:3], atol=1e-12)
    assert ours.support == tuple(per_class[3])
    assert ours.confusion == tuple(map(tuple, confusion_matrix(truth, predicted, labels=labels).tolist()))
    assert ours.metrics["accuracy"] == pytest.approx(accuracy_score(truth, predicted), abs=1e-12)
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(truth, predicted, labels=labels, average=average, zero_division=0)
        got = [ours.metrics[f"{average}_{kind}"] for kind in ("precision", "recall", "f1")]
        assert got == pytest.approx(expected[:3], abs=1e-12)


def test_many_tables_at_once_equal_one_at_a_time():
    tables = np.random.default_rng(0).integers(0, 5, size=(4, 3, 6, 6))
    for name in LABEL_METRICS:
        together = metric_from_confusion(tables, name)
        assert together.shape == (4, 3)
        assert together[2, 1] == pytest.approx(float(metric_from_confusion(tables[2, 1], name)), abs=1e-15)


def test_a_class_absent_from_the_test_rows_counts_as_zero_in_the_macro_average():
    scores = score_labels([0, 0, 1], [0, 0, 1], classes=3)
    assert scores.metrics["macro_f1"] == pytest.approx(2 / 3)
    assert scores.metrics["weighted_f1"] == 1.0
    assert scores.support == (2, 1, 0)
    assert scores.rows == 3


def test_macro_f1_by_hand():
    scores = score_labels([0, 0, 0, 1], [0, 0, 1, 1], classes=2)
    assert scores.precision == (1.0, 0.5)
    assert scores.recall == (2 / 3, 1.0)
    assert scores.metrics["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_the_record_survives_json():
    scores = score_labels([0, 1, 1], [0, 1, 0], classes=2)
    assert LabelScores.model_validate_json(scores.to_json()) == scores


def test_an_unknown_metric_is_refused_with_the_nearest_name():
    with pytest.raises(Usage, match=r"Did you mean 'macro_f1'"):
        metric_from_confusion(np.eye(2), "macrof1")


def test_no_rows_are_refused_rather_than_scored_zero():
    with pytest.raises(NotEnough, match="at least 1"):
        score_labels([], [], classes=2)


def test_an_index_outside_the_classes_breaks_a_promise():
    with pytest.raises(AssertionError, match=r"0\.\.1"):
        score_labels([0, 2], [0, 1], classes=2)


def test_stored_names_carry_a_version():
    assert METRIC_VERSIONS["accuracy"] == "accuracy.v1"
    assert set(LABEL_METRICS) < set(METRIC_VERSIONS)


def test_every_exported_name_exists_and_the_import_is_light():
    assert all(hasattr(hone.measure, name) for name in hone.measure.__all__)
    code = "import sys, hone.measure; print([m for m in ('torch', 'scipy', 'sklearn', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
