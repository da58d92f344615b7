"""Tasks learnt in order: the four numbers by hand, and cells that were not measured."""

import numpy as np
import pytest

from hone.core.errors import BadData
from hone.measure import SequenceScores, score_sequence

NAN = float("nan")
TASKS = ("a", "b", "c")
TABLE = [
    [0.10, 0.20, 0.30],  # the base
    [0.90, 0.25, 0.20],  # after a
    [0.95, 0.80, 0.40],  # after b
    [0.60, 0.70, 0.85],  # after c
]


def test_the_four_numbers_by_hand():
    found = score_sequence(TABLE, TASKS)
    assert found.average_accuracy.value == pytest.approx((0.60 + 0.70 + 0.85) / 3)
    assert found.backward_transfer.terms == pytest.approx((0.60 - 0.90, 0.70 - 0.80))
    assert found.backward_transfer.value == pytest.approx(-0.20)
    assert found.forward_transfer.terms == pytest.approx((0.25 - 0.20, 0.40 - 0.30))
    assert found.forward_transfer.value == pytest.approx(0.075)
    # From the best of all steps before the last: task a was better after b than when it was learnt.
    assert found.average_forgetting.terms == pytest.approx((0.95 - 0.60, 0.80 - 0.70))
    assert found.average_forgetting.value == pytest.approx(0.225)
    assert all(each.not_measured is None for each in (found.average_accuracy, found.backward_transfer, found.forward_transfer))


def test_without_a_better_step_on_the_way_forgetting_is_minus_backward_transfer():
    table = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.8]]
    found = score_sequence(table, ("a", "b"))
    assert found.average_forgetting.value == pytest.approx(-found.backward_transfer.value) == pytest.approx(0.4)


def test_forgetting_is_negative_where_a_task_got_better():
    assert score_sequence([[0.1, 0.1], [0.5, 0.1], [0.7, 0.8]], ("a", "b")).average_forgetting.value == pytest.approx(-0.2)


def test_a_base_better_than_every_step_is_no_step_of_learning():
    assert score_sequence([[0.99, 0.1], [0.5, 0.1], [0.5, 0.8]], ("a", "b")).average_forgetting.value == 0


def test_a_cell_that_was_not_measured_is_left_out_and_named():
    table = np.asarray(TABLE)
    table[1, 0] = NAN  # a, when it was learnt
    table[0] = NAN  # the base
    found = score_sequence(table, TASKS)
    assert found.backward_transfer.terms == (None, pytest.approx(-0.1))
    assert found.backward_transfer.value == pytest.approx(-0.1) and found.backward_transfer.measured == 1
    assert found.backward_transfer.not_measured.startswith("a: not measured")
    assert found.average_forgetting.terms == (None, pytest.approx(0.1))
    assert found.forward_transfer.value is None
    assert found.forward_transfer.not_measured.startswith("b, c: not measured on the base")
    assert found.average_accuracy.not_measured is None
    assert SequenceScores.model_validate_json(found.to_json()) == found


def test_a_step_on_the_way_that_was_not_measured_leaves_the_best_of_the_others():
    table = np.asarray(TABLE)
    table[2, 0] = NAN
    assert score_sequence(table, TASKS).average_forgetting.terms == pytest.approx((0.90 - 0.60, 0.80 - 0.70))


def test_one_task_transfers_nothing():
    found = score_sequence([[0.1], [0.9]], ["a"])
    assert found.average_accuracy.value == 0.9
    for each in (found.backward_transfer, found.forward_transfer, found.average_forgetting):
        assert each.value is None and "at least 2 tasks" in each.not_measured


def test_a_table_of_another_shape_or_with_infinite_scores_is_refused():
    with pytest.raises(BadData, match="3 tasks need 4 rows"):
        score_sequence(TABLE[1:], TASKS)
    with pytest.raises(BadData, match="0 tasks"):
        score_sequence([], [])
    with pytest.raises(BadData, match="task b in row 1 is infinite"):
        score_sequence([[0, 0], [0, np.inf], [0, 0]], ("a", "b"))
