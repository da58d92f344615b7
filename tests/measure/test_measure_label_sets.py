"""Scores of sets of labels equal scikit-learn's, and their intervals hold what they say."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from hone.core.errors import NotEnough
from hone.measure import LABEL_SET_METRICS, score_interval, score_label_sets

THEIRS = {
    "micro_f1": lambda a, b: f1_score(a, b, average="micro", zero_division=0),
    "macro_f1": lambda a, b: f1_score(a, b, average="macro", zero_division=0),
    "micro_precision": lambda a, b: precision_score(a, b, average="micro", zero_division=0),
    "micro_recall": lambda a, b: recall_score(a, b, average="micro", zero_division=0),
    "subset_accuracy": accuracy_score,
}


def drawn(rows, labels, *, right, seed):
    rng = np.random.default_rng(seed)
    truth = rng.random((rows, labels)) < rng.uniform(0.05, 0.6, labels)
    return truth, np.where(rng.random(truth.shape) < right, truth, ~truth)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", LABEL_SET_METRICS)
def test_they_equal_scikit_learns(name, seed):
    truth, predicted = drawn(40, 6, right=0.8, seed=seed)
    truth[:, 5] = False  # a label that never occurs counts 0
    assert score_label_sets(truth, predicted)[name].value == pytest.approx(THEIRS[name](truth, predicted), abs=1e-12)


def test_nothing_to_find_and_nothing_found_scores_nothing_but_a_whole_set():
    empty = np.zeros((3, 2), dtype=bool)
    found = {name: score.value for name, score in score_label_sets(empty, empty).items()}
    assert found.pop("subset_accuracy") == 1.0 and set(found.values()) == {0.0}
    with pytest.raises(NotEnough):
        score_label_sets(empty[:0], empty[:0])


@pytest.mark.parametrize("name", LABEL_SET_METRICS)
def test_their_intervals_hold_the_truth_about_as_often_as_they_say(name):
    whole = score_label_sets(*drawn(200_000, 4, right=0.85, seed=1))[name].value
    truth, predicted = drawn(200_000, 4, right=0.85, seed=1)
    held = []
    for seed in range(120):
        rows = np.random.default_rng(seed).integers(len(truth), size=80)
        interval = score_interval(score_label_sets(truth[rows], predicted[rows])[name], draws=400, seed=seed)
        held.append(interval.low <= whole <= interval.high)
    assert 0.86 <= np.mean(held) <= 1.0  # 120 draws of 93% vary by three times 2.3 points
