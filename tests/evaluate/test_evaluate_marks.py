"""What the harness's own ways of marking mean: shares have no chance level, and what is pooled is pooled under any filter."""

import numpy as np
import pytest
from datasets import Dataset
from lm_eval.tasks import TaskManager
from sklearn.metrics import f1_score

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


def test_variants_of_a_benchmark_are_pooled_apart():
    names = (
        "mmlu_law",
        "mmlu_professional_law",
        "mmlu_pro_law",
        "mmlu_pro_health",
        "mmlu_law_generative",
        "mmlu_virology_generative",
    )
    groups = group_scores([score(name, "acc", value, 10) for name, value in zip(names, (1, 1, 0, 0, 0.5, 0.5), strict=True)])
    assert {group.name: (group.value, len(group.tasks)) for group in groups} == {
        "mmlu": (1, 2),
        "mmlu_pro": (0, 2),
        "mmlu_generative": (0.5, 2),
    }


def test_multirc_counts_in_superglue_by_its_own_metrics_and_not_by_the_share_of_right_answers():
    """Three questions with three, two and two answers: one told rightly as a whole."""
    asked = [(0, 0, 1, 1), (0, 0, 0, 0), (0, 0, 1, 0), (0, 1, 1, 1), (0, 1, 0, 1), (1, 0, 0, 0), (1, 0, 1, 1)]
    samples = [
        {
            "doc": {"idx": {"paragraph": paragraph, "question": question}, "label": right},
            "acc": float(right == said),
            "filter": "none",
            "arguments": [0, 1],
        }
        for paragraph, question, right, said in asked
    ]
    truth, predicted = ([row[at] for row in asked] for at in (2, 3))
    found = {
        "samples": {"multirc": samples},
        "configs": {"multirc": {"output_type": "multiple_choice"}},
        "results": {"multirc": {"acc,none": float(np.mean(np.equal(truth, predicted)))}},
        "n-shot": {"multirc": 0},
    }
    scores = task_scores("multirc", found, {})
    assert {one.metric: (one.value, one.n) for one in scores} == {
        "acc": (pytest.approx(5 / 7), 7),
        "f1a": (pytest.approx(f1_score(truth, predicted)), 7),
        "em": (pytest.approx(1 / 3), 3),
    }
    assert all(one.low < one.value < one.high for one in scores)
    others = [score(name, "acc", 1.0, 10) for name in ("boolq", "copa")]
    (group,) = group_scores([*others, *scores])
    assert group.value == pytest.approx((1 + 1 + (f1_score(truth, predicted) + 1 / 3) / 2) / 3)


def test_macro_f1_is_the_harness_own_where_a_choice_is_neither_right_nor_predicted():
    """CommitmentBank of a few questions: the mean over three classes, 0 for the one that nobody names."""
    cb = LocalTask("superglue_cb", "choices", ROWS, [], ("acc", "macro_f1"))
    (metric,) = (one for one in configuration(cb, 0)["metric_list"] if one["metric"] == "f1")
    answers = [(0, 0), (1, 1), (1, 0), (0, 0)]
    value = metric["aggregation"](answers)
    assert value == pytest.approx((0.8 + 2 / 3 + 0) / 3)
    found = {
        "samples": {
            "cb": [{"filter": "none", "f1": pair, "arguments": [("which?", each) for each in "abc"]} for pair in answers]
        },
        "configs": {"cb": {"output_type": "multiple_choice"}},
        "results": {"cb": {"f1,none": value}},
        "n-shot": {"cb": 0},
    }
    (made,) = task_scores("cb", found, {})
    assert made.low <= value <= made.high
