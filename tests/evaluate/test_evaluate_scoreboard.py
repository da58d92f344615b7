"""The leaderboard of `hone eval`: what stands in one column was asked alike, and nothing hides what was asked otherwise."""

import pytest

from hone.evaluate.benchmark_records import BenchmarkScore, EvalSettings, Evaluation
from hone.evaluate.benchmark_scores import questions_digest
from hone.evaluate.scoreboard import leaderboard


def evaluation(value, *, model="m", started="1", sha256="a" * 64, score=None, **settings):
    scored = {"task": "arc_easy", "metric": "acc", "n": 2376, "shots": 0, "questions": "q" * 64} | (score or {})
    return Evaluation(
        hone_version="0",
        command="hone eval",
        started=started,
        seconds=1.0,
        settings=EvalSettings(model=model, tasks=("arc_easy",), data="benchmarks", **settings),
        model=model,
        model_sha256=sha256,
        shares_prefixes=True,
        scores=(BenchmarkScore(value=value, low=None, high=None, chance=None, uninformative=None, **scored),),
        groups=(),
        folder="runs/x",
        versions={},
    )


FULL = evaluation(0.5, started="1")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (evaluation(0.7, started="2", score={"n": 10, "questions": "p" * 64}, limit=10), "10 asked"),
        (evaluation(0.7, started="2", score={"shots": 5}, shots=5), "5 shots"),
        (evaluation(0.7, started="2", score={"questions": "p" * 64}), "benchmarks pppppp"),
        (evaluation(0.7, started="2", score={"questions": None}), "benchmarks unknow"),
        (evaluation(0.7, started="2", score={"metric": "exact_match (strict-match)"}), "exact_match (strict-match)"),
        (evaluation(0.7, started="2", chat=True), "m (chat)"),
        (evaluation(0.7, started="2", precision="bf16"), "m (bf16)"),
        (evaluation(0.7, started="2", sha256="b" * 64), "m (bbbbbbbb)"),
    ],
    ids=["limit", "shots", "questions", "questions of an older record", "metric", "chat", "arithmetic", "weights"],
)
def test_runs_of_unlike_settings_stand_apart(other, told):
    for runs in ([FULL, other], [other, FULL]):
        board = leaderboard(runs)
        assert "0.500" in board and "0.700" in board and told in board
        assert "2,376 asked" in board


def test_of_runs_that_are_alike_the_newest_counts():
    board = leaderboard([FULL, evaluation(0.7, started="2", out="runs/y"), evaluation(0.6, started="3", model="n")])
    assert "0.500" not in board and "0.700" in board and "0.600" in board
    assert board.count("arc_easy") == 1


def test_columns_that_do_not_fit_side_by_side_stand_below_and_uncut():
    names = [f"mmlu_high_school_{name}_history" for name in ("european", "us", "world", "other")]
    board = leaderboard([evaluation(0.5, score={"task": name}) for name in names])
    assert all(name in board for name in names) and "…" not in board and max(map(len, board.splitlines())) <= 100


def test_questions_and_their_examples_are_told_by_a_digest():
    """The same whatever filter takes the answer; another with other questions, and with other examples in the files."""

    def digest(hashes, shown):
        return questions_digest(
            [{"filter": name, "doc_id": at, "doc_hash": one} for name in ("none", "last") for at, one in enumerate(hashes)], shown
        )

    assert digest("ab", [{"x": 1}]) == questions_digest(
        [{"doc_id": 1, "doc_hash": "b"}, {"doc_id": 0, "doc_hash": "a"}], [{"x": 1}]
    )
    assert len({digest("ab", [{"x": 1}]), digest("a", [{"x": 1}]), digest("ab", [{"x": 2}])}) == 3
