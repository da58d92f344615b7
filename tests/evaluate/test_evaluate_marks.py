"""What the harness's own ways of marking mean: shares have no chance level, and what is pooled is pooled under any filter."""

import pytest
from datasets import Dataset
from lm_eval.tasks import TaskManager

from hone.core.errors import Usage
from hone.evaluate.benchmark_records import BenchmarkScore
from hone.evaluate.benchmark_scores import group_scores, task_scores
from hone.evaluate.harness import configuration, quiet
from hone.evaluate.local_tasks import LocalTask
from hone.evaluate.retained_harness import questions

ROWS = [{"query": "which?", "choices": ["one", "two", "three"], "gold": 0}] * 3


def task(**changes):
    config = configuration(LocalTask("truths", "choices", ROWS, [], ("acc",)), 0) | changes
    config["custom_dataset"] = lambda **_: {"test": Dataset.from_list(ROWS)}
    with quiet():
        (made,) = TaskManager(include_defaults=False).load(config)["tasks"].values()
    return made


def test_a_task_that_marks_its_choices_itself_is_not_retained():
    """As truthfulqa_mc2: its target is 0, and the share of all true choices is its accuracy."""
    assert questions(task()).right == (0, 0, 0)
    with pytest.raises(Usage, match="'truths' marks its choices in a way of its own"):
        questions(task(process_results=lambda doc, results: {"acc": 0.4}))


@pytest.mark.parametrize(("marks", "chance"), [((0.4, 0.6, 1.0), None), ((0.0, 1.0, 1.0), pytest.approx(1 / 3))])
def test_guessing_has_a_chance_only_where_answers_are_right_or_wrong(marks, chance):
    samples = [{"filter": "none", "acc": mark, "arguments": [("which?", each) for each in "abc"]} for mark in marks]
    found = {
        "samples": {"truths": samples},
        "configs": {"truths": {"output_type": "multiple_choice"}},
        "results": {"truths": {"acc,none": sum(marks) / 3}},
        "n-shot": {"truths": 0},
    }
    (score,) = task_scores("truths", found, {})
    assert score.chance == chance
    if chance is None:
        assert score.uninformative is None


@pytest.mark.parametrize(
    ("metric", "marks", "ends"),
    [
        ("perplexity", [-2.5] * 3, (None, None)),
        ("bleu", [12.0] * 3, (None, None)),
        ("f1", [("yes", "no"), ("no", "no"), ("yes", "yes")], (None, None)),
        ("em", [0.1, 1.0, 0.9], (0.0, 1.0)),
    ],
)
def test_an_interval_that_cannot_be_told_ends_no_evaluation(metric, marks, ends):
    found = {
        "samples": {"texts": [{"filter": "none", metric: mark, "arguments": [("what?", {})]} for mark in marks]},
        "configs": {"texts": {"output_type": "generate_until"}},
        "results": {"texts": {f"{metric},none": 0.5}},
        "n-shot": {"texts": 0},
    }
    (score,) = task_scores("texts", found, {})
    assert (score.low, score.high) == ends


def score(name, metric, value, n):
    return BenchmarkScore(
        task=name, metric=metric, value=value, low=None, high=None, n=n, shots=3, chance=None, uninformative=None
    )


def test_answers_taken_by_a_filter_are_pooled_once_each():
    scores = [
        score("bbh_cot_fewshot_navigate", "exact_match (get-answer)", 0.5, 10),
        score("bbh_cot_fewshot_snarks", "exact_match (get-answer)", 1.0, 30),
        score("bbh_cot_fewshot_snarks", "exact_match (flexible)", 0.0, 30),
        score("mmlu_law", "acc_norm (x)", 1.0, 1),
    ]
    (group,) = group_scores(scores)
    assert (group.name, group.value) == ("bbh", pytest.approx(35 / 40))
    assert group.tasks == ("bbh_cot_fewshot_navigate", "bbh_cot_fewshot_snarks")
