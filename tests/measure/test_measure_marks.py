"""Marks: labels and texts held against what is right give the numbers of the functions below them, by the test that fits."""

import numpy as np
import pytest

from hone.core.errors import NotEnough
from hone.measure import (
    LABEL_METRICS,
    Interval,
    LabelKey,
    LabelMarks,
    ScoreMarks,
    TextKey,
    calibration_interval,
    confusion_interval,
    label_permutation_p,
    mcnemar_exact,
    mean_interval,
    paired_confusion_interval,
    paired_interval,
    paired_score_interval,
    permutation_p,
    probability_best,
    probability_best_label,
    score_interval,
    score_texts,
)
from hone.measure.scores import score_permutation_p

ROWS = 60
WORDS = tuple(f"w{index}" for index in range(12))
LABELLED = ("accuracy", "macro_f1", "weighted_f1")
WRITTEN = ("exact_match", "token_f1", "rougeL", "bleu", "chrf")


def probabilities(truth, share, *, seed):
    """Random probabilities whose likeliest class is the true one on about this share of rows."""
    rng = np.random.default_rng(seed)
    table = rng.random((len(truth), 3)) + 1e-3
    hits = rng.random(len(truth)) < share
    table[hits, truth[hits]] += 1
    return table / table.sum(axis=1, keepdims=True)


def label_marks(share, *, metric="accuracy", seed=1, truth=None):
    truth = np.arange(ROWS) % 3 if truth is None else truth
    return LabelKey(truth, metric).mark(probabilities(truth, share, seed=seed))


REFERENCES = tuple((" ".join(WORDS[(row + at) % 12] for at in range(5)),) for row in range(ROWS))


def written(share, *, seed):
    """The right answer on about this share of rows, else the right one with some words changed."""
    rng = np.random.default_rng(seed)
    texts = []
    for (right,) in REFERENCES:
        words = right.split()
        if rng.random() >= share:
            for at in rng.permutation(5)[: rng.integers(1, 5)]:
                words[at] = "other"
        texts.append(" ".join(words))
    return tuple(texts)


def text_marks(share, *, metric="rougeL", seed=1, others=()):
    return TextKey(REFERENCES, metric, others).mark(written(share, seed=seed))


def mirrored(interval):
    return Interval(low=-interval.high, mid=-interval.mid, high=-interval.low)


@pytest.mark.parametrize("metric", LABELLED)
def test_the_value_of_labels_is_scikit_learns(metric):
    from sklearn.metrics import accuracy_score, f1_score

    marks = label_marks(0.6, metric=metric)
    given = marks.probabilities.argmax(axis=1)
    theirs = {
        "accuracy": accuracy_score(marks.truth, given),
        "macro_f1": f1_score(marks.truth, given, average="macro"),
        "weighted_f1": f1_score(marks.truth, given, average="weighted"),
    }
    assert marks.value == pytest.approx(theirs[metric])
    assert 0 < marks.value < 1 and marks.predicted.tolist() == given.tolist()


def test_a_label_row_is_worth_1_where_the_likeliest_class_is_the_true_one():
    table = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    marks = LabelKey(np.array([0, 1, 2]), "accuracy").mark(table)
    assert (marks.per_row.tolist(), marks.confidence.tolist(), marks.classes) == ([1, 0, 1], [0.6, 0.6, 0.6], 3)


@pytest.mark.parametrize("metric", LABELLED)
def test_labels_are_reported_with_every_label_metric_and_the_calibration_error(metric):
    marks = label_marks(0.7, metric=metric)
    found = marks.metrics(seed=3)
    expected = {
        name: confusion_interval(marks.truth, marks.predicted, classes=3, metric=name, seed=3) for name in LABEL_METRICS
    } | {"ece": calibration_interval(marks.confidence, marks.correct, seed=3)}
    assert found == expected and set(found) == {*LABEL_METRICS, "ece"}
    assert found[metric].mid == pytest.approx(marks.value)


@pytest.mark.parametrize("metric", WRITTEN)
def test_the_value_and_rows_of_texts_are_those_of_the_metric(metric):
    marks = text_marks(0.5, metric=metric)
    score = score_texts(marks.words, REFERENCES, [metric])[metric]
    assert marks.value == score.value and marks.per_row.tolist() == score.per_row.tolist()
    assert 0 < marks.value < 1


def test_texts_are_reported_with_the_other_metrics_and_how_each_is_computed():
    marks = text_marks(0.5, metric="rougeL", others=("bleu", "rougeL", "exact_match"))
    scores = score_texts(marks.words, REFERENCES, ["rougeL", "bleu", "exact_match"])
    found = marks.metrics(seed=2)
    assert list(found) == ["rougeL", "bleu", "exact_match"]
    assert found == {name: score_interval(score, seed=2) for name, score in scores.items()}
    assert marks.signatures == {name: score.signature for name, score in scores.items()} and all(marks.signatures.values())


def test_several_right_answers_count_by_the_best_of_them():
    key = TextKey((("the house", "the home"), ("a cat",)), "exact_match")
    assert key.mark(("home", "dog")).per_row.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("texts", "value"), [(tuple(right for (right,) in REFERENCES), 1.0), (("nothing alike",) * ROWS, 0.0)], ids=["all", "none"]
)
@pytest.mark.parametrize("metric", ["exact_match", "rougeL", "bleu", "chrf"])
def test_a_metric_on_which_all_rows_are_alike_is_not_certain(texts, value, metric):
    marks = TextKey(REFERENCES, metric).mark(texts)
    interval = marks.metrics(seed=0)[metric]
    assert interval == mean_interval(marks.per_row) and interval.width > 0.01
    assert interval.mid == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("metric", LABELLED)
@pytest.mark.parametrize("seed", range(3))
def test_swapping_two_sets_of_labels_mirrors_the_difference(metric, seed):
    one, other = label_marks(0.8, metric=metric, seed=seed), label_marks(0.6, metric=metric, seed=seed + 10)
    assert other.minus(one, seed=4) == mirrored(one.minus(other, seed=4))
    assert one.minus(other, seed=4) == paired_confusion_interval(
        one.truth, one.predicted, other.predicted, classes=3, metric=metric, seed=4
    )
    assert one.minus(other, level=0.5, seed=4).width < one.minus(other, seed=4).width


@pytest.mark.parametrize("metric", WRITTEN)
@pytest.mark.parametrize("seed", range(3))
def test_swapping_two_sets_of_texts_mirrors_the_difference(metric, seed):
    one, other = text_marks(0.8, metric=metric, seed=seed), text_marks(0.5, metric=metric, seed=seed + 10)
    forth, back = one.minus(other, seed=4), mirrored(other.minus(one, seed=4))
    assert (forth.low, forth.mid, forth.high) == pytest.approx((back.low, back.mid, back.high), abs=1e-12)
    assert forth.mid == pytest.approx(one.value - other.value)
    if metric in ("bleu", "chrf"):
        assert forth == paired_score_interval(one.score, other.score, seed=4)
    else:
        assert forth == paired_interval(one.per_row, other.per_row, seed=4)
    assert one.minus(other, level=0.5, seed=4).width < forth.width


@pytest.mark.parametrize(
    ("metric", "test"), [("accuracy", "mcnemar_exact"), ("macro_f1", "paired_permutation"), ("weighted_f1", "paired_permutation")]
)
def test_labels_are_tested_by_the_test_that_is_named(metric, test):
    one, other = label_marks(0.8, metric=metric), label_marks(0.6, metric=metric, seed=2)
    assert one.test == test
    expected = {
        "mcnemar_exact": mcnemar_exact(one.correct, other.correct),
        "paired_permutation": label_permutation_p(one.truth, one.predicted, other.predicted, classes=3, metric=metric, seed=5),
    }
    assert one.p_value(other, seed=5) == expected[test] < 1


@pytest.mark.parametrize(
    ("metric", "test"),
    [
        ("exact_match", "mcnemar_exact"),
        ("token_f1", "paired_permutation"),
        ("rougeL", "paired_permutation"),
        ("rouge2_recall", "paired_permutation"),
        ("bleu", "paired_permutation"),
        ("chrf", "paired_permutation"),
    ],
)
def test_texts_are_tested_by_the_test_that_is_named(metric, test):
    one, other = text_marks(0.8, metric=metric), text_marks(0.5, metric=metric, seed=2)
    assert one.test == test
    expected = {
        "mcnemar_exact": lambda: mcnemar_exact(one.per_row, other.per_row),
        "paired_permutation": lambda: (
            permutation_p(one.per_row, other.per_row, seed=5)
            if one.score.is_mean
            else score_permutation_p(one.score, other.score, seed=5)
        ),
    }
    assert one.p_value(other, seed=5) == expected[test]() < 1
    assert one.p_value(one, seed=5) == 1


@pytest.mark.parametrize("metric", LABELLED)
def test_the_better_labels_are_likelier_the_best_and_all_chances_make_one(metric):
    truth = np.arange(ROWS) % 3
    key = LabelKey(truth, metric)
    three = [label_marks(share, metric=metric, seed=seed) for seed, share in enumerate((0.5, 0.9, 0.75))]
    found = key.probability_best(three, seed=6)
    assert sum(found) == pytest.approx(1) and found[1] > found[2] > found[0]
    if metric == "accuracy":
        expected = probability_best(np.stack([one.per_row for one in three]), seed=6)
    else:
        expected = probability_best_label(truth, np.stack([one.predicted for one in three]), classes=3, metric=metric, seed=6)
    assert found == expected.tolist()
    assert key.probability_best([three[0], three[0]], seed=6) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("metric", WRITTEN)
def test_the_better_texts_are_likelier_the_best_and_all_chances_make_one(metric):
    key = TextKey(REFERENCES, metric)
    three = [text_marks(share, metric=metric, seed=seed) for seed, share in enumerate((0.3, 0.9, 0.6))]
    found = key.probability_best(three, seed=6)
    assert sum(found) == pytest.approx(1) and found[1] > 0.9 > found[0]
    assert key.probability_best([three[0], three[0]], seed=6) == pytest.approx([0.5, 0.5])


def test_one_row_is_refused_rather_than_certain():
    labels = [LabelKey(np.array([0]), metric).mark(np.array([[0.6, 0.4]])) for metric in ("accuracy", "macro_f1")]
    texts = [TextKey((("a word",),), metric).mark(("a word",)) for metric in ("exact_match", "rougeL", "bleu")]
    for marks in (*labels, *texts):
        for ask in (
            lambda marks=marks: marks.metrics(seed=0),
            lambda marks=marks: marks.minus(marks, seed=0),
            lambda marks=marks: marks.p_value(marks, seed=0),
        ):
            with pytest.raises(NotEnough, match="at least 2"):
                ask()
    for key, marks in (
        (LabelKey(labels[0].truth, "accuracy"), labels[0]),
        (TextKey(texts[0].key.references, "rougeL"), texts[1]),
    ):
        with pytest.raises(NotEnough, match="at least 2"):
            key.probability_best([marks, marks], seed=0)


def test_answers_of_the_other_kind_are_not_marked():
    with pytest.raises(AssertionError):
        LabelKey(np.array([0, 1]), "accuracy").mark(("a", "b"))
    with pytest.raises(AssertionError):
        TextKey((("a",), ("b",)), "rougeL").mark(np.eye(2))
    with pytest.raises(AssertionError):
        TextKey((("a",), ("b",)), "rougeL").mark(("a",))
    assert isinstance(label_marks(0.5), LabelMarks) and isinstance(text_marks(0.5), ScoreMarks)


def test_where_several_classes_are_as_likely_nothing_was_answered():
    """A model that names none of the options must not be right where the first class is."""
    truth = np.array([0, 0, 0, 1, 2])
    even = LabelKey(truth, "accuracy").mark(np.full((5, 3), 1 / 3))
    assert even.value == 0 and even.is_open.all() and (even.predicted != truth).all()
    fewer = LabelKey(truth, "accuracy").mark(np.tile([0.5, 0.5, 0.0], (5, 1)))
    assert fewer.value == 0 and set(fewer.predicted) <= {0, 1}
    told = LabelKey(truth, "accuracy").mark(np.tile([0.4, 0.3, 0.3], (5, 1)))
    assert told.value == 0.6 and not told.is_open.any()


def test_a_metric_of_the_whole_is_not_the_mean_of_rows_that_score_alike():
    texts = ("one two three", "alpha beta gamma delta") * 3
    right = (("one two three",), ("zeta eta theta iota",)) * 3
    marks = TextKey(right, "bleu").mark(texts)
    found = marks.metrics(seed=0)["bleu"]
    assert found.mid == marks.value > 0.3 and found.low < found.mid < found.high
