"""Numbers, sets of labels and tags, marked: by other libraries' numbers, in pairs, and with honest tests."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, r2_score

from hone.core.errors import NotEnough
from hone.measure import LABEL_SET_METRICS, Groups, LabelSetKey, NumberKey, ScoreMarks, TagKey, tag_metrics
from hone.measure.head_keys import score_tags

LABELS = ("blue", "green", "red")
TAGS = ("B-LOC", "B-PER", "I-PER", "O")
PARTS = ("ADJ", "NOUN", "VERB")


def numbers(n, *, noise, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(3.0, 1.5, n)
    return truth, truth + rng.normal(0, noise, n)


def sets(n, *, wrong, seed=0):
    """Whether each label is there, and the same with a share of it turned round."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 3)) < (0.2, 0.4, 0.6)
    return truth, np.where(rng.random((n, 3)) < wrong, ~truth, truth).astype(float)


def tagged(n, tags, *, wrong, seed=0):
    rng = np.random.default_rng(seed)
    truth = [rng.choice(tags, rng.integers(1, 9)) for _ in range(n)]
    said = [[rng.choice(tags) if rng.random() < wrong else tag for tag in row] for row in truth]
    return tuple(map(" ".join, truth)), tuple(map(" ".join, said))


def keys(seed=0, groups=None):
    """Each kind's key, with answers that are better and worse."""
    truth, near = numbers(60, noise=0.5, seed=seed)
    yield NumberKey(truth, "r2", groups), near, numbers(60, noise=1.2, seed=seed)[1]
    held, close = sets(60, wrong=0.1, seed=seed)
    for metric in ("micro_f1", "macro_f1", "subset_accuracy"):
        yield LabelSetKey(held, LABELS, metric, groups), close, sets(60, wrong=0.3, seed=seed)[1]
    for tags in (TAGS, PARTS):
        for metric in tag_metrics(tags):
            rows, said = tagged(60, tags, wrong=0.2, seed=seed)
            yield TagKey(rows, tags, metric, groups), said, tagged(60, tags, wrong=0.5, seed=seed)[1]


def test_numbers_are_those_of_scikit_learn_and_scipy():
    truth, said = numbers(50, noise=0.8)
    found = NumberKey(truth, "r2").mark(said).metrics(seed=0)
    assert list(found) == ["r2", "pearson", "rmse", "mae", "spearman"]
    assert found["r2"].mid == pytest.approx(r2_score(truth, said))
    assert found["pearson"].mid == pytest.approx(stats.pearsonr(truth, said)[0])
    assert found["spearman"].mid == pytest.approx(stats.spearmanr(truth, said)[0])
    assert found["rmse"].mid == pytest.approx(np.sqrt(np.square(truth - said).mean()))
    assert all(one.low < one.mid < one.high for one in found.values())


def test_resampled_r2_is_that_of_the_rows_drawn():
    truth, said = numbers(30, noise=0.8)
    score = NumberKey(truth, "r2").mark(said).score
    drawn = np.random.default_rng(1).integers(0, 30, 30)
    counts = np.bincount(drawn, minlength=30).astype(float)[None]
    assert score.values(counts)[0] == pytest.approx(r2_score(truth[drawn], said[drawn]))
    assert score.per_row.mean() == pytest.approx(score.value)


def test_always_the_mean_has_no_r2_and_worse_than_it_is_below_nothing():
    truth, _ = numbers(40, noise=1.0)
    marks = NumberKey(truth, "r2").mark(np.full(40, truth.mean()))
    assert marks.value == pytest.approx(0) and "pearson" in marks.metrics(seed=0)
    worse = NumberKey(truth, "r2").mark(np.full(40, truth.mean() + 5)).metrics(seed=0)["r2"]
    assert worse.mid < -5 and worse.low < worse.mid < worse.high < 0


def test_numbers_that_are_all_alike_have_nothing_to_explain():
    marks = NumberKey(np.full(10, 2.0), "r2").mark(np.arange(10.0))
    assert marks.value == 0 and np.all(marks.per_row == 0)


def test_a_perfect_row_has_every_metric_at_its_best():
    truth, _ = numbers(20, noise=1.0)
    found = NumberKey(truth, "r2").mark(truth).metrics(seed=0)
    assert found["r2"].mid == 1 and found["r2"].low < 1 and found["pearson"].mid == pytest.approx(1)


def test_sets_are_those_of_scikit_learn_and_are_told_by_name():
    truth, said = sets(50, wrong=0.2)
    marks = LabelSetKey(truth, LABELS, "micro_f1").mark(said)
    found = marks.metrics(seed=0)
    assert list(found) == list(LABEL_SET_METRICS)
    for name in ("micro", "macro"):
        assert found[f"{name}_f1"].mid == pytest.approx(f1_score(truth, said > 0.5, average=name, zero_division=0))
    assert found["subset_accuracy"].mid == pytest.approx(accuracy_score(truth, said > 0.5))
    assert marks.words[0] == ", ".join(label for label, there in zip(LABELS, said[0], strict=True) if there)


def test_a_row_with_nothing_to_find_is_right_where_nothing_was_found():
    truth = np.zeros((2, 3), dtype=bool)
    said = np.array([[0.0, 0.0, 0.0], [0.9, 0.0, 0.0]])
    assert LabelSetKey(truth, LABELS, "micro_f1").mark(said).per_row.tolist() == [1, 0]
    assert TagKey(("O O", "O O"), TAGS, "entity_f1").mark(("O O", "B-PER O")).per_row.tolist() == [1, 0]


def test_tags_without_entities_are_counted_over_words():
    truth, said = tagged(40, PARTS, wrong=0.3)
    right, given = (" ".join(rows).split(" ") for rows in (truth, said))
    found = TagKey(truth, PARTS, "accuracy").mark(said).metrics(seed=0)
    assert found["accuracy"].mid == pytest.approx(accuracy_score(right, given))
    assert found["macro_f1"].mid == pytest.approx(f1_score(right, given, average="macro"))
    assert score_tags([["NOUN"]], [["OTHER"]], ["accuracy", "macro_f1"])["macro_f1"].value == 0


def test_tags_of_entities_are_measured_by_entities():
    assert tag_metrics(TAGS)[0] == "entity_f1" and tag_metrics(PARTS)[0] == "accuracy"
    marks = TagKey(("B-PER I-PER O", "O B-LOC"), TAGS, "entity_f1").mark(("B-PER I-PER O", "B-LOC O"))
    assert marks.value == pytest.approx(0.5) and marks.words[1] == "B-LOC O"


@pytest.mark.parametrize("groups", [None, Groups.named([str(at // 3) for at in range(60)])])
def test_a_difference_is_that_of_the_metrics_and_turns_round_with_its_sides(groups):
    for key, better, worse in keys(groups=groups):
        one, other = key.mark(better), key.mark(worse)
        found, back = one.minus(other, seed=3), other.minus(one, seed=3)
        assert found.mid == pytest.approx(one.value - other.value) and back.mid == pytest.approx(-found.mid)
        assert found.low <= found.mid <= found.high and one.value > other.value
        assert one.p_value(other, seed=3) == pytest.approx(other.p_value(one, seed=3), abs=0.02)
        assert one.p_value(other, seed=3) < 0.05 and one.p_value(one, seed=3) == 1
        chances = key.probability_best([one, other], seed=0)
        assert sum(chances) == pytest.approx(1) and chances[0] > 0.9


@pytest.mark.parametrize("kind", range(7))
def test_answers_that_are_as_good_are_seldom_told_apart(kind):
    alarms = 0
    for seed in range(60):
        key, _, _ = list(keys(seed))[kind]
        if isinstance(key, NumberKey):
            noise = np.random.default_rng(1000 + seed).normal(0, 0.7, (2, 60))
            a, b = key.truth + noise
        elif isinstance(key, LabelSetKey):
            turned = np.random.default_rng(1000 + seed).random((2, 60, 3)) < 0.2
            a, b = np.where(turned, ~key.truth, key.truth).astype(float)
        else:
            rng = np.random.default_rng(1000 + seed)
            a, b = (
                tuple(" ".join(rng.choice(key.tags) if rng.random() < 0.3 else tag for tag in row.split()) for row in key.truth)
                for _ in range(2)
            )
        alarms += key.mark(a).p_value(key.mark(b), seed=seed) < 0.05
    assert alarms <= 8  # of 60; more than 8 have a chance of 0.5% where 5% are right


def test_answers_of_another_kind_or_to_other_rows_are_not_marked():
    for key, good, _ in keys():
        assert isinstance(key.mark(good), ScoreMarks)
        for wrong in (good[:-1], ("a",) * 60 if isinstance(good, np.ndarray) else np.zeros(60)):
            with pytest.raises(AssertionError):
                key.mark(wrong)


def test_one_row_is_refused_rather_than_certain():
    with pytest.raises(NotEnough):
        NumberKey(np.array([1.0]), "r2").mark(np.array([1.0])).metrics(seed=0)
