"""Rows that belong together: intervals and tests count groups, not rows."""

import numpy as np
import pytest

from hone.measure import Groups, LabelKey, TextKey, wilson_interval
from hone.measure.resample import label_values, row_metrics

GROUPS, SIZE = 30, 8
NAMES = [f"g{row // SIZE}" for row in range(GROUPS * SIZE)]
TRUTH = np.arange(GROUPS * SIZE) % 2


def is_right(seed, likeness=0.4):
    """Of two equally good strategies: 80% right, with groups that are easy or hard for one of them."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.normal(size=(2, GROUPS)), SIZE, axis=1)
    return likeness**0.5 * shared + (1 - likeness) ** 0.5 * rng.normal(size=(2, GROUPS * SIZE)) < 0.8416


def label_marks(right, metric, groups):
    key = LabelKey(TRUTH, metric, groups)
    return key, [key.mark(0.8 * np.eye(2)[np.where(one, TRUTH, 1 - TRUTH)] + 0.1) for one in right]


def text_marks(right, metric, groups):
    key = TextKey(tuple((f"the answer {row} stands here",) for row in range(len(NAMES))), metric, groups=groups)
    return key, [
        key.mark(tuple(f"the answer {row} stands here" if yes else "the wrong one here" for row, yes in enumerate(one)))
        for one in right
    ]


def test_rows_on_their_own_are_no_groups():
    assert Groups.named([None, None, None]) is None
    assert Groups.named(["a", "b", None]) is None
    assert Groups.named(["a", "a", "a"]) is None
    found = Groups.named(["a", None, "a", None])
    assert found is not None and found.of_row.tolist() == [0, 1, 0, 2] and found.count == 3


def test_intervals_of_grouped_rows_hold_what_is_true_and_tests_raise_few_false_alarms():
    """As if each row were on its own, 77% of the intervals and 73% of those of differences hold it, and 25% of the tests see a difference."""
    groups = Groups.named(NAMES)
    assert groups is not None
    held = paired = alarms = 0
    for seed in range(100):
        _, (one, other) = label_marks(is_right(seed), "accuracy", groups)
        alone = wilson_interval(int(one.per_row.sum()), len(NAMES))
        interval = groups.widened(
            alone, lambda counts, right=one.per_row: counts @ right / counts.sum(axis=1), bounds=(0, 1), seed=0
        )
        gap = one.minus(other, seed=0)
        held += interval.low <= 0.8 <= interval.high
        paired += gap.low <= 0 <= gap.high
        alarms += one.p_value(other, seed=0) < 0.05
    assert held >= 87 and paired >= 88 and alarms <= 11
    assert one.test == "paired_permutation"


@pytest.mark.parametrize(
    ("marked", "metric"),
    [
        (label_marks, "accuracy"),
        (label_marks, "macro_f1"),
        (text_marks, "exact_match"),
        (text_marks, "rougeL"),
        (text_marks, "bleu"),
    ],
)
def test_groups_widen_every_interval_and_swapping_mirrors_the_difference(marked, metric):
    right = is_right(3)
    _, (alone, rival) = marked(right, metric, None)
    key, (one, other) = marked(right, metric, Groups.named(NAMES))
    assert one.value == alone.value
    for name, interval in one.metrics(seed=0).items():
        before = alone.metrics(seed=0)[name]
        assert interval.mid == before.mid and interval.width > before.width
    forth, back = one.minus(other, seed=1), other.minus(one, seed=1)
    assert forth.width > alone.minus(rival, seed=1).width
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    assert one.p_value(other, seed=1) == pytest.approx(other.p_value(one, seed=1), abs=1e-12)
    assert one.p_value(one, seed=1) == 1
    assert sum(key.probability_best([one, other], seed=0)) == pytest.approx(1)


def test_groups_that_are_all_alike_count_as_one_row_each():
    """Ten groups with all answers right, in 100 rows, are no surer than ten rows."""
    names = [f"g{row // 10}" for row in range(100)]
    truth = np.arange(100) % 2
    marks = LabelKey(truth, "accuracy", Groups.named(names)).mark(0.8 * np.eye(2)[truth] + 0.1)
    few = LabelKey(truth[:10], "accuracy").mark(0.8 * np.eye(2)[truth[:10]] + 0.1)
    assert marks.metrics(seed=0)["accuracy"].low < few.metrics(seed=0)["accuracy"].low + 0.1


def test_metrics_of_counted_rows_are_those_of_rows_written_out():
    rng = np.random.default_rng(0)
    truth, given, counts = rng.integers(0, 3, 20), rng.integers(0, 3, 20), rng.integers(0, 4, (1, 20))
    for metric in ("accuracy", "macro_f1", "weighted_recall"):
        written = label_values(np.repeat(truth, counts[0]), [np.repeat(given, counts[0])], classes=3, metric=metric)
        assert row_metrics(truth, [given], counts.astype(float), classes=3, metric=metric)[0] == pytest.approx(written)
