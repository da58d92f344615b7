"""From the harness's answers to scores with intervals, marks of floor and ceiling, and official averages. The values are the harness's own."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hone.core.store import digest_text
from hone.evaluate.benchmark_records import BenchmarkScore, GroupScore
from hone.evaluate.pools import find_pools
from hone.measure import Interval, confusion_table, mean_interval, metric_from_confusion, wilson_interval
from hone.measure.intervals import is_constant, shifted_interval
from hone.measure.label_sets import f1_of
from hone.measure.resample import resampled_counts
from hone.measure.scores import MeanScore, SumScore, score_interval

__all__ = ["group_scores", "questions_digest", "task_scores", "uninformative"]

_CEILING = 0.99
_MULTIRC = ("multirc", "superglue_multirc")
_OFFICIAL: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    # Benchmark: task: its names here, and the metrics whose mean is its score. Wang 2018 (1804.07461), Wang 2019 (1905.00537).
    "GLUE": {
        "cola": (("cola", "glue_cola"), ("mcc",)),
        "sst2": (("sst2", "glue_sst2"), ("acc",)),
        "mrpc": (("mrpc", "glue_mrpc"), ("acc", "f1")),
        "stsb": (("stsb", "glue_stsb"), ("pearson", "spearman")),
        "qqp": (("qqp", "glue_qqp"), ("acc", "f1")),
        "mnli": (("mnli", "glue_mnli"), ("acc",)),
        "qnli": (("qnli", "glue_qnli"), ("acc",)),
        "rte": (("rte", "glue_rte"), ("acc",)),
        "wnli": (("wnli", "glue_wnli"), ("acc",)),
    },
    "SuperGLUE": {
        "boolq": (("boolq", "superglue_boolq"), ("acc",)),
        "cb": (("cb", "superglue_cb"), ("acc", "f1")),
        "copa": (("copa", "superglue_copa"), ("acc",)),
        "multirc": (_MULTIRC, ("f1a", "em")),
        "record": (("record", "superglue_record"), ("f1", "em")),
        "rte": (("sglue_rte", "superglue_rte"), ("acc",)),
        "wic": (("wic", "superglue_wic"), ("acc",)),
        "wsc": (("wsc", "superglue_wsc"), ("acc",)),
    },
}


def questions_digest(samples: Sequence[Any], examples: Sequence[Mapping[str, Any]]) -> str:
    """What tells the questions of a task from others: what the harness hashed of each, and the examples of its files that stand before it."""
    asked = {sample["doc_id"]: sample["doc_hash"] for sample in samples}  # once, however many filters an answer is taken by
    return digest_text(*(asked[place] for place in sorted(asked)), json.dumps(examples, default=str))


def task_scores(name: str, found: dict[str, Any], chances: dict[str, float | None]) -> list[BenchmarkScore]:
    """The metrics of a task: values are the harness's, intervals from its answers."""
    made = []
    samples, task_config = found["samples"][name], found["configs"][name]
    is_choice = task_config["output_type"] == "multiple_choice"
    for key, value in found["results"][name].items():
        metric, comma, variant = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float | np.number):
            continue
        mine = [sample[metric] for sample in samples if sample["filter"] == variant and metric in sample]
        interval = _interval(metric, mine, float(value), choices=max((len(sample["arguments"]) for sample in samples), default=0))
        chance = None
        is_right_or_wrong = {float(one) for one in mine if isinstance(one, int | float | np.number)} <= {0.0, 1.0}
        if metric in ("acc", "acc_norm") and is_choice and is_right_or_wrong:  # else it is a share, as of TruthfulQA's MC2
            chance = chances.get(name) or float(np.mean([1 / max(1, len(sample["arguments"])) for sample in samples]))
        made.append(
            BenchmarkScore(
                task=name,
                metric=metric if variant == "none" else f"{metric} ({variant})",
                value=float(value),
                low=None if interval is None else interval.low,
                high=None if interval is None else interval.high,
                n=len(mine) or len(samples),
                shots=int(found["n-shot"].get(name) or 0),
                chance=chance,
                uninformative=uninformative(interval, chance),
            )
        )
    return [*made, *(_multirc_scores(made[0], samples) if name in _MULTIRC and made else ())]


def _multirc_scores(share: BenchmarkScore, samples: Sequence[Any]) -> list[BenchmarkScore]:
    """MultiRC's own metrics, of which the harness gives the share of right answers alone: F1 over all answers, and the share of questions
    whose answers are all told rightly; both with intervals over questions.

    Source: Khashabi 2018, https://aclanthology.org/N18-1023
    """
    counts: dict[tuple[int, int], list[tuple[int, bool]]] = {}
    for sample in samples:
        place = sample["doc"]["idx"]
        counts.setdefault((place["paragraph"], place["question"]), []).append((int(sample["doc"]["label"]), bool(sample["acc"])))
    rows = np.array(
        [
            [
                sum(label and is_right for label, is_right in mine),
                sum(label if is_right else 1 - label for label, is_right in mine),
                sum(label for label, _ in mine),
            ]
            for mine in counts.values()
        ],
        dtype=np.float64,
    )
    whole = np.array([all(is_right for _, is_right in mine) for mine in counts.values()], dtype=np.float64)
    scores = (SumScore("f1a", "v1", rows, f1_of), len(samples)), (MeanScore("em", "v1", whole), len(whole))
    made = []
    for score, n in scores:
        found = score_interval(score, seed=0) if len(whole) > 1 else None
        ends = {"low": None if found is None else found.low, "high": None if found is None else found.high}
        made.append(
            share.model_copy(
                update={"metric": score.name, "value": score.value, "n": n, "chance": None, "uninformative": None, **ends}
            )
        )
    return made


def uninformative(interval: Interval | None, chance: float | None) -> Literal["floor", "ceiling"] | None:
    """What keeps a score from telling models apart."""
    if interval is None or chance is None:
        return None
    if interval.low <= chance:
        return "floor"
    return "ceiling" if interval.high >= _CEILING else None


def _interval(metric: str, answers: Sequence[Any], value: float, *, choices: int) -> Interval | None:
    """95% over the questions, which have so many choices; None for metrics of which the answers do not say enough."""
    if len(answers) < 2:
        return None
    if all(isinstance(one, int | float | np.number) for one in answers):
        numbers = np.array(answers, dtype=np.float64)
        if set(numbers.tolist()) <= {0.0, 1.0}:
            return wilson_interval(int(numbers.sum()), len(numbers))
        if is_constant(numbers) and not 0 <= numbers[0] <= 1:  # nothing tells how far others would lie
            return None
        if metric == "perplexity":
            log = mean_interval(-numbers)
            return Interval(low=math.exp(log.low), mid=value, high=math.exp(log.high))
        found, is_share = mean_interval(numbers), bool(((numbers >= 0) & (numbers <= 1)).all())
        return Interval(low=max(0.0, found.low), mid=found.mid, high=min(1.0, found.high)) if is_share else found
    ways: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {"mcc": _mcc, "f1": _f1}
    if metric not in ways or not all(isinstance(one, int | np.integer) for pair in answers for one in pair):
        return None
    pairs = np.array([[int(right), int(predicted)] for right, predicted in answers])
    classes = max(choices, int(pairs.max()) + 1)
    table = confusion_table(pairs[:, 0], pairs[:, 1], classes=classes).astype(np.float64)
    way = ways[metric] if metric == "mcc" or classes <= 2 else _macro_f1
    draws = resampled_counts(table.ravel(), size=len(pairs), draws=2000, rng=np.random.default_rng(0))
    drawn = np.concatenate([way(counts.reshape(-1, classes, classes)) for counts in draws])
    if is_constant(drawn):  # one class only was ever answered: a width of 0 would read as certainty
        return None
    return shifted_interval(drawn, value, level=0.95, bounds=(-1.0 if metric == "mcc" else 0.0, 1.0))


def _mcc(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matthews' correlation of tables [B, true, predicted]; 0 where a side has one class only."""
    n, right = tables.sum(axis=(1, 2)), np.trace(tables, axis1=1, axis2=2)
    true, predicted = tables.sum(axis=2), tables.sum(axis=1)
    top = right * n - (true * predicted).sum(axis=1)
    bottom = np.sqrt((n**2 - (predicted**2).sum(axis=1)) * (n**2 - (true**2).sum(axis=1)))
    found: NDArray[np.float64] = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return found


def _f1(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the class 1; 0 where nothing is, or is called, of it."""
    hits, bottom = tables[:, -1, -1], tables[:, :, -1].sum(axis=1) + tables[:, -1].sum(axis=1)
    found: NDArray[np.float64] = np.divide(2 * hits, bottom, out=np.zeros_like(bottom), where=bottom > 0)
    return found


def _macro_f1(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    return metric_from_confusion(tables, "macro_f1")


def group_scores(scores: Sequence[BenchmarkScore]) -> list[GroupScore]:
    """Pools of questions, and the official averages of GLUE and SuperGLUE as far as their tasks were run."""
    made = [
        GroupScore(
            name=pool.name,
            value=pool.value,
            low=pool.interval.low if pool.interval else None,
            high=pool.interval.high if pool.interval else None,
            tasks=tuple(part.task for part in pool.parts),
            missing=pool.missing,
        )
        for pool in find_pools(scores)
    ]
    for name, parts in _OFFICIAL.items():
        values, run, missing = [], [], []
        for part, (names, metrics) in parts.items():
            mine = [score for score in scores if score.task in names and score.metric in metrics]
            if mine:
                values.append(sum(score.value for score in mine) / len(mine))
                run.append(mine[0].task)
            else:
                missing.append(part)
        if len(values) > 1:
            made.append(
                GroupScore(
                    name=name, value=sum(values) / len(values), low=None, high=None, tasks=tuple(run), missing=tuple(missing)
                )
            )
    return made
