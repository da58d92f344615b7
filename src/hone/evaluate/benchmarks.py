"""`hone eval`: public benchmarks for a model or for what `hone tune` made, with intervals, official averages and a leaderboard.

Tasks come from lm-evaluation-harness by name, or from files on disk; its scores are kept as they are, intervals are ours.
"""

import datetime
import json
import math
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hone.core.configuration import Form, parse_names
from hone.core.console import note
from hone.core.errors import BadModel, Usage, need
from hone.core.record import Record
from hone.core.store import claim_folder, digest_text, write_atomic, write_lines
from hone.evaluate.local_tasks import LocalTask, find_local_tasks
from hone.measure import Interval, mean_interval, wilson_interval
from hone.measure.intervals import is_constant, shifted_interval
from hone.measure.resample import resampled_counts
from hone.model import (
    Generator,
    ModelFolder,
    Precision,
    Scorer,
    TextModel,
    TextReader,
    family,
    load_language_model,
    load_reader,
    locate_model,
    read_config,
)

__all__ = ["EVAL", "BenchmarkScore", "EvalSettings", "Evaluation", "GroupScore", "read_evaluations", "run_benchmarks"]

_CEILING = 0.99
_ALIASES = {"super_glue": "super-glue-lm-eval-v1"}  # the harness's tags for what people call it
_POOLED = ("mmlu", "bbh")  # benchmarks of many parts, whose questions are one pool
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
        "multirc": (("multirc", "superglue_multirc"), ("acc",)),
        "record": (("record", "superglue_record"), ("f1", "em")),
        "rte": (("sglue_rte", "superglue_rte"), ("acc",)),
        "wic": (("wic", "superglue_wic"), ("acc",)),
        "wsc": (("wsc", "superglue_wsc"), ("acc",)),
    },
}


class EvalSettings(Record):
    """Settings of `hone eval`."""

    model: str
    """Starter, folder, Hub id of a decoder or an encoder-decoder, or the folder of a `hone tune` run."""
    tasks: tuple[str, ...] = Field(min_length=1)
    """Names of lm-evaluation-harness's tasks; with `data`, of benchmarks or files there."""
    data: str | None = None
    """Folder of benchmark files; none means that the harness fetches them."""
    shots: int | None = Field(default=None, ge=0)
    """Solved examples before each question; none means what each task says."""
    limit: int | None = Field(default=None, ge=1)
    """Questions per task, the first ones; none means all."""
    chat: bool = False
    """Whether questions are put in the model's chat template."""
    precision: Precision = "auto"
    """Arithmetic of the forward pass."""
    out: str | None = None
    """Run folder; none means runs/ and a name made of the model's."""


EVAL = Form(
    EvalSettings,
    "hone eval",
    aliases={"num_fewshot": "shots", "model_name_or_path": "model", "base_model": "model", "output_dir": "out"},
    readers={"tasks": parse_names},
)


class BenchmarkScore(Record):
    """One metric of one task."""

    task: str
    metric: str
    value: float
    low: float | None
    high: float | None
    """95% interval over the questions; None where it was not measured."""
    n: int
    shots: int
    chance: float | None
    """Score of guessing; None where that has no meaning."""
    uninformative: Literal["floor", "ceiling"] | None
    """`floor`: not told from guessing. `ceiling`: 99% or more may be right. Neither tells models apart."""


class GroupScore(Record):
    """The average of a benchmark of several tasks."""

    name: str
    value: float
    low: float | None
    high: float | None
    tasks: tuple[str, ...]
    missing: tuple[str, ...]
    """Tasks of the official average that were not run: then it is none."""


class Evaluation(Record):
    """`evaluation.json` of a run folder."""

    schema_version: Literal[1] = 1
    hone_version: str
    command: str
    started: str
    seconds: float
    settings: EvalSettings
    model: str
    model_sha256: str
    shares_prefixes: bool
    scores: tuple[BenchmarkScore, ...]
    groups: tuple[GroupScore, ...]
    folder: str
    versions: dict[str, str]


def run_benchmarks(settings: EvalSettings) -> Evaluation:
    """Ask all questions of some benchmarks and write the run folder.

    Raises:
        HoneError: the model cannot answer in words, a task is not known, files are missing.
    """
    need("lm_eval", extra="harness")
    from hone.evaluate.harness import EngineLM, run_harness

    started, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
    tasks: Sequence[str | LocalTask] = [_ALIASES.get(name, name) for name in settings.tasks]
    if settings.data is not None:
        tasks = find_local_tasks(Path(settings.data), settings.tasks)
    folder, net, reader = _load(settings)
    key = digest_text(settings.model_dump_json(exclude={"out"}), folder.sha256)
    out = claim_folder(settings.out, f"eval-{Path(settings.model).name}", key=key)
    scorer = Scorer(net, precision=reader.precision)
    generator = Generator(net, reader.tokenizer, precision=reader.precision)
    if not scorer.shares:
        note("This architecture cannot share prefixes between questions, so each is read whole.")
    model = EngineLM(scorer, generator, reader.tokenizer, length=reader.context_length)
    found = run_harness(model, tasks, shots=settings.shots, limit=settings.limit, chat=settings.chat)
    chances = {task.name: task.chance for task in tasks if isinstance(task, LocalTask)}
    scores = tuple(score for name in found["samples"] for score in _scores(name, found, chances))
    done = Evaluation(
        hone_version=version("hone-lm"),
        command=" ".join(["hone eval", settings.model, "--tasks", ",".join(settings.tasks)]),
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        settings=settings,
        model=settings.model,
        model_sha256=folder.sha256,
        shares_prefixes=scorer.shares,
        scores=scores,
        groups=tuple(_groups(scores)),
        folder=str(out),
        versions={name: version(name) for name in ("torch", "transformers", "lm_eval")},
    )
    write_atomic(out / "evaluation.json", done.to_json())
    write_lines(
        out / "answers.jsonl", (_answer(name, sample) for name, samples in found["samples"].items() for sample in samples)
    )
    return done


def read_evaluations(folder: Path) -> list[Evaluation]:
    """All evaluations below a folder, the newest of each model first.

    Raises:
        Usage: there is none.
    """
    found = []
    for path in sorted(folder.rglob("evaluation.json")):
        try:
            found.append(Evaluation.model_validate_json(path.read_text(encoding="utf-8")))
        except ValueError:
            note(f"{path} is no evaluation of this version of hone; it is left out.")
    if not found:
        raise Usage(f"{folder} holds no evaluation. Make one: hone eval MODEL --tasks arc_easy.")
    return sorted(found, key=lambda one: one.started, reverse=True)


def _load(settings: EvalSettings) -> tuple[ModelFolder, TextModel, TextReader]:
    """The model, with what a `hone tune` run in its folder trained."""
    run = Path(settings.model)
    tuned = json.loads((run / "hone.json").read_text(encoding="utf-8")) if (run / "hone.json").is_file() else None
    is_whole = (run / "config.json").is_file()
    folder = locate_model(settings.model if tuned is None or is_whole else tuned["base"])
    head: Literal["causal", "seq2seq"]
    kind = family(read_config(folder))
    if kind == "encoder":
        raise BadModel(
            f"'{settings.model}' is an encoder, which answers no questions in words. Name a decoder or an encoder-decoder, or measure "
            "it on rows of your own: hone compare."
        )
    head = "seq2seq" if kind == "encoder-decoder" else "causal"
    reader = load_reader(folder, precision=settings.precision)
    net = load_language_model(folder, head, pad_id=_pad_id(reader))
    if tuned is not None and not is_whole:
        if tuned["base_sha256"] != folder.sha256:
            raise BadModel(
                f"{run} was trained on '{tuned['base']}' with other weights than those found. Put the same model in place."
            )
        from hone.train import make_trainable

        tuned_net = make_trainable(tuned["settings"].get("method", "lora")).load(net, run)
        assert isinstance(tuned_net, type(net))
        net = tuned_net
    return folder, net.to(reader.device), reader


def _pad_id(reader: TextReader) -> int:
    known = (reader.tokenizer.pad_token_id, reader.tokenizer.eos_token_id)
    return int(next((token for token in known if token is not None), 0))


def _scores(name: str, found: dict[str, Any], chances: dict[str, float | None]) -> list[BenchmarkScore]:
    """The metrics of a task: values are the harness's, intervals from its answers."""
    made = []
    samples, task_config = found["samples"][name], found["configs"][name]
    is_choice = task_config["output_type"] == "multiple_choice"
    for key, value in found["results"][name].items():
        metric, comma, variant = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float | np.number):
            continue
        mine = [sample[metric] for sample in samples if sample["filter"] == variant and metric in sample]
        interval = _interval(metric, mine, float(value))
        chance = None
        if metric in ("acc", "acc_norm") and is_choice:
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
                uninformative=_uninformative(interval, chance),
            )
        )
    return made


def _uninformative(interval: Interval | None, chance: float | None) -> Literal["floor", "ceiling"] | None:
    if interval is None or chance is None:
        return None
    if interval.low <= chance:
        return "floor"
    return "ceiling" if interval.high >= _CEILING else None


def _interval(metric: str, answers: Sequence[Any], value: float) -> Interval | None:
    """95% over the questions; None for metrics of which the answers do not say enough."""
    if len(answers) < 2:
        return None
    if all(isinstance(one, int | float | np.number) for one in answers):
        numbers = np.array(answers, dtype=np.float64)
        if set(numbers.tolist()) <= {0.0, 1.0}:
            return wilson_interval(int(numbers.sum()), len(numbers))
        if metric == "perplexity":
            log = mean_interval(-numbers)
            return Interval(low=math.exp(log.low), mid=value, high=math.exp(log.high))
        return mean_interval(numbers)
    ways: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {"mcc": _mcc, "f1": _f1}
    if metric not in ways:
        return None
    pairs = np.array([[int(right), int(predicted)] for right, predicted in answers])
    classes = int(pairs.max()) + 1
    table = np.zeros((classes, classes))
    np.add.at(table, (pairs[:, 0], pairs[:, 1]), 1)
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


def _f1_per_class(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    hits = np.diagonal(tables, axis1=1, axis2=2)
    bottom = tables.sum(axis=1) + tables.sum(axis=2)
    found: NDArray[np.float64] = np.divide(2 * hits, bottom, out=np.zeros_like(hits, dtype=np.float64), where=bottom > 0)
    return found


def _f1(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the class 1."""
    return _f1_per_class(tables)[:, -1]


def _macro_f1(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_f1_per_class(tables).mean(axis=1))


def _groups(scores: Sequence[BenchmarkScore]) -> list[GroupScore]:
    """Pools of questions, and the official averages of GLUE and SuperGLUE as far as their tasks were run."""
    made = []
    for pool in _POOLED:
        mine = [score for score in scores if score.task.startswith(f"{pool}_") and score.metric in ("acc", "exact_match")]
        if len(mine) > 1:
            total = sum(score.n for score in mine)
            right = sum(score.value * score.n for score in mine)
            interval = wilson_interval(round(right), total)
            made.append(
                GroupScore(
                    name=pool,
                    value=right / total,
                    low=interval.low,
                    high=interval.high,
                    tasks=tuple(score.task for score in mine),
                    missing=(),
                )
            )
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


def _answer(task: str, sample: dict[str, Any]) -> dict[str, object]:
    """One question as it was asked and answered."""
    asked = sample["arguments"]
    first = asked[0] if isinstance(asked, list) and asked else asked
    return {
        "task": task,
        "filter": sample["filter"],
        "question": first[0] if isinstance(first, list | tuple) and first else str(first),
        "target": str(sample["target"]),
        "answers": json.loads(json.dumps(sample["filtered_resps"], default=str)),
        **{name: json.loads(json.dumps(sample[name], default=str)) for name in sample["metrics"] if name in sample},
    }
