"""Benchmarks of many parts as one: weighted as lm-evaluation-harness weighs them, and on the leaderboard in their parts' place."""

import re
from pathlib import Path

import lm_eval
import pytest
from test_evaluate_scoreboard import evaluation

from hone.evaluate.benchmark_records import BenchmarkScore
from hone.evaluate.benchmark_scores import group_scores
from hone.evaluate.pools import _AREAS, _BBH, _BLIMP, _PRO, find_pools
from hone.evaluate.scoreboard import leaderboard, score_table
from hone.measure import wilson_interval

HARNESS = Path(lm_eval.__file__).parent / "tasks"
SUBJECTS = [f"mmlu_{part}" for parts in _AREAS.values() for part in parts.split()]


def score(task, value=0.5, n=100, *, metric="acc", shots=5, chance=0.25):
    return BenchmarkScore(
        task=task,
        metric=metric,
        value=value,
        low=None,
        high=None,
        n=n,
        shots=shots,
        chance=chance,
        uninformative=None,
        questions=task,
    )


def ran(*scores, asked=("mmlu",), **more):
    run = evaluation(0.5, **more)
    settings = run.settings.model_copy(update={"tasks": asked})
    return run.model_copy(update={"scores": scores, "settings": settings, "groups": tuple(group_scores(scores))})


def listed(file, start):
    text = (HARNESS / file).read_text(encoding="utf-8")
    return re.findall(rf"^  - \W?{start}(\w+)", text, flags=re.MULTILINE)


def test_the_parts_are_those_of_the_harness():
    for area, parts in _AREAS.items():
        files = [path for path in (HARNESS / "mmlu/default").glob("mmlu_*.yaml") if f"mmlu_{area}_tasks" in path.read_text()]
        assert sorted(path.stem.removeprefix("mmlu_") for path in files) == parts.split()
    assert sorted(listed("bbh/cot_fewshot/_bbh.yaml", "bbh_cot_fewshot_")) == _BBH.split()
    assert sorted(listed("blimp/_blimp.yaml", "blimp_")) == sorted(_BLIMP.split())
    assert sorted(listed("mmlu_pro/_mmlu_pro.yaml", "mmlu_pro_")) == _PRO.split()


def test_questions_weigh_alike_and_blimps_phenomena_do():
    mmlu = [score(task, value=at % 2, n=100 + at) for at, task in enumerate(SUBJECTS)]
    pools = {pool.name: pool for pool in find_pools(mmlu)}
    assert list(pools) == ["mmlu", "mmlu_stem", "mmlu_other", "mmlu_social_sciences", "mmlu_humanities"]
    assert all(pool.is_complete for pool in pools.values())
    right, asked = sum(one.value * one.n for one in mmlu), sum(one.n for one in mmlu)
    assert pools["mmlu"].value == pytest.approx(right / asked) and pools["mmlu"].questions == asked
    assert pools["mmlu"].interval == wilson_interval(round(right), asked) and pools["mmlu"].chance == pytest.approx(0.25)
    assert [len(pool.parts) for pool in pools.values()] == [57, 19, 13, 12, 13]
    (blimp,) = find_pools([score("blimp_causative", 1.0, 10), score("blimp_passive_1", 0.0, 30)])
    assert (blimp.value, blimp.interval, blimp.is_complete, len(blimp.missing)) == (0.5, None, False, 65)
    (even,) = find_pools([score("blimp_causative", 1.0, 10), score("blimp_passive_1", 0.0, 10), score("blimp_nl_x", 0.0, 10)])
    assert even.interval == wilson_interval(10, 20)


def test_unlike_shots_and_metrics_make_pools_of_their_own():
    found = find_pools(
        [
            *(score(f"bbh_{name}", metric="exact_match (get-answer)", shots=3) for name in ("navigate", "snarks")),
            *(score(f"bbh_{name}", metric="exact_match", shots=3) for name in ("x", "y")),
            *(score(f"mmlu_{name}", shots=shots) for name, shots in (("virology", 5), ("nutrition", 0), ("marketing", 0))),
        ]
    )
    assert [(pool.name, len(pool.parts)) for pool in found] == [("bbh", 2), ("bbh", 2), ("mmlu", 2), ("mmlu_other", 2)]
    assert [pool.name for pool in find_pools([score("mmlu_pro_plus_law"), score("mmlu_pro_plus_math")])] == ["mmlu_pro_plus"]


def test_a_leaderboard_shows_the_pool_in_place_of_its_parts():
    runs = [
        ran(*(score(task, value) for task in SUBJECTS), model=name, sha256=name * 64, started=name)
        for name, value in (("a", 0.5), ("b", 0.75))
    ]
    board = leaderboard(runs)
    assert all(f"{area}\n" in board or area in board for area in ("mmlu_stem", "mmlu_other", "mmlu_humanities"))
    assert "mmlu_virology" not in board and "5,700 asked" in board and "0.750 ±0.011" in board
    assert "57 parts of benchmarks stand in these alone" in board
    few = ran(score("mmlu_virology", 0.9), model="c", sha256="c" * 64, asked=("mmlu_virology",))
    board = leaderboard([*runs, few])
    column = board[board.index("mmlu_virology") :]
    assert all(value in column for value in ("0.500", "0.750", "0.900")), "what one run asked alone stands there for all"
    assert "56 parts" in board


def test_a_pool_that_lacks_parts_says_so_and_hides_none_that_were_asked_by_themselves():
    some = [score(task) for task in SUBJECTS[:3]]
    board = leaderboard([ran(*some, asked=tuple(SUBJECTS[:3]))])
    assert "mmlu (3 of 57)" in board and "mmlu_anatomy" in board
    board = leaderboard([ran(*some)])
    assert "mmlu (3 of 57)" in board and "mmlu_stem (3 of 19)" in board and "mmlu_anatomy" not in board
    table = score_table(ran(*some))
    assert "Mean of 3 of the 57 tasks of mmlu: 50.0% (44.4% to 55.6%). Not the official average: " in table
    assert "and 49 more missing." in table and max(map(len, table.splitlines())) < 220


def test_pools_behind_other_shots_or_of_fewer_questions_stand_in_columns_of_their_own():
    whole = ran(*(score(task) for task in SUBJECTS))
    other = ran(*(score(task, 0.6, shots=0) for task in SUBJECTS), started="2")
    fewer = ran(*(score(task, 0.7, 10) for task in SUBJECTS), started="3")
    board = leaderboard([whole, other, fewer])
    assert all(value in board for value in ("0.500", "0.600", "0.700", "0 shots", "5 shots", "570 asked", "5,700 asked"))
