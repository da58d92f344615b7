"""Measures of rankings equal numbers worked out by hand and scikit-learn's, and their intervals stay open."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from hone.core.errors import NotEnough, Usage
from hone.measure import ranking_interval, score_rankings

RANKINGS = [
    [True, False, True, False, False],  # 2 of 2 found
    [False, False, False, True, False],  # 1 of 3 found
    [False, False, False, False, False],  # 0 of 1 found
]
WANTED = [2, 3, 1]


def per_query(name, rankings=RANKINGS, wanted=WANTED):
    return score_rankings(rankings, wanted, [name])[name].per_row


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recall@1", [1 / 2, 0, 0]),
        ("recall@3", [1, 0, 0]),
        ("recall@5", [1, 1 / 3, 0]),
        ("precision@1", [1, 0, 0]),
        ("precision@5", [2 / 5, 1 / 5, 0]),
        ("mrr@5", [1, 1 / 4, 0]),
        ("mrr@3", [1, 0, 0]),
        # by hand: (1 + 1/2) / (1 + 1/log2 3) and (1/log2 5) / (1 + 1/log2 3 + 1/2)
        ("ndcg@5", [1.5 / 1.6309297535714574, 0.43067655807339306 / 2.1309297535714573, 0]),
        # the best that one place can hold is one hit, however many were wanted
        ("ndcg@1", [1, 0, 0]),
    ],
)
def test_a_measure_is_the_number_worked_out_by_hand(name, expected):
    assert per_query(name) == pytest.approx(expected, abs=1e-12)


def test_the_value_is_the_mean_over_queries():
    assert score_rankings(RANKINGS, WANTED, ["recall@5"])["recall@5"].value == pytest.approx((1 + 1 / 3) / 3)


@pytest.mark.parametrize("k", [1, 3, 10, 20])
def test_ndcg_is_scikit_learns_when_all_that_is_wanted_was_ranked(k):
    rng = np.random.default_rng(0)
    marks = rng.random((200, 20)) < 0.2
    marks[:, 7] = True  # each query wants something
    ours = per_query(f"ndcg@{k}", marks.tolist(), marks.sum(axis=1).tolist())
    places = np.arange(20, 0, -1.0)[None]
    theirs = [ndcg_score(row[None].astype(float), places, k=k) for row in marks]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_what_lies_below_the_end_of_a_ranking_is_wrong():
    short = [[False, True]]
    assert per_query("recall@20", short, [2]) == pytest.approx([0.5])
    assert per_query("precision@4", short, [2]) == pytest.approx([0.25])
    assert per_query("mrr@20", [[]], [1]) == pytest.approx([0])


def test_a_hit_moved_up_lowers_no_measure():
    lower, upper = [[False, False, True, False]], [[False, True, False, False]]
    for name in ("recall@2", "precision@3", "mrr@4", "ndcg@4"):
        assert per_query(name, upper, [1])[0] >= per_query(name, lower, [1])[0]
    assert per_query("ndcg@4", upper, [1])[0] > per_query("ndcg@4", lower, [1])[0]


def test_the_interval_holds_the_value_and_narrows_with_more_queries():
    few = score_rankings(RANKINGS * 5, WANTED * 5, ["mrr@5"])["mrr@5"]
    many = score_rankings(RANKINGS * 100, WANTED * 100, ["mrr@5"])["mrr@5"]
    wide, narrow = ranking_interval(few, seed=1), ranking_interval(many, seed=1)
    assert wide.mid == pytest.approx(few.value)
    assert wide.low < wide.mid < wide.high
    assert narrow.width < wide.width / 3
    assert ranking_interval(few, seed=1) == wide


def test_queries_that_all_succeed_are_not_read_as_certainty():
    score = score_rankings([[True]] * 10, [1] * 10, ["recall@1"])["recall@1"]
    interval = ranking_interval(score, seed=0)
    assert interval.high == 1
    assert interval.low < 0.8


def test_one_query_has_no_interval_and_none_no_score():
    score = score_rankings([[True]], [1], ["recall@1"])["recall@1"]
    with pytest.raises(NotEnough, match="at least 2"):
        ranking_interval(score, seed=0)
    with pytest.raises(NotEnough, match="at least 1"):
        score_rankings([], [], ["recall@1"])


@pytest.mark.parametrize("name", ["recall", "recall@0", "map@5", "recall@five"])
def test_an_unknown_measure_is_refused_by_name(name):
    with pytest.raises(Usage, match=f"'{name}' is not known. Known: recall@K"):
        score_rankings(RANKINGS, WANTED, [name])
