"""What an encoder is for beside the task: its sentence vectors, before and after the training.

Three questions: do cosines order pairs as people would (Spearman's correlation), does a question find its own passage first (recall at 1),
and does the head of an earlier run still tell its classes apart (accuracy)? Whoever computes the vectors is a callable: nothing here loads a
network.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hone.core.console import render_table
from hone.core.errors import BadData
from hone.core.record import Record
from hone.core.seeds import derive_seed
from hone.core.store import read_lines
from hone.evaluate.retained_find import ANSWERS, is_run, run_answers
from hone.measure import Interval, TaskAnswers, drop_draws, holm, mean_and_worst, measure_drop, spearman, spearman_draws
from hone.measure.intervals import shifted_interval

__all__ = [
    "EarlierHead",
    "Embed",
    "VectorAnswers",
    "VectorChange",
    "VectorForgetting",
    "VectorTask",
    "answer_vectors",
    "bundled_vector_tasks",
    "find_vector_tasks",
    "measure_vector_forgetting",
    "read_head_task",
    "read_vector_task",
    "tell_vector_forgetting",
]

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Texts to vectors, [n, D]."""

_FOLDER = Path(__file__).parent / "suite"
_COLUMNS = {"spearman": ("sentence1", "sentence2", "score"), "recall@1": ("query", "passage")}
_DRAWS = 2000
_HEAD = "head.safetensors"
Metric = Literal["spearman", "recall@1", "accuracy"]


@dataclass(frozen=True)
class EarlierHead:
    """The linear layer that a run of `hone tune` put on an encoder's sentence vectors."""

    weight: npt.NDArray[np.float64]
    """[C, D], for vectors of length 1."""
    bias: npt.NDArray[np.float64]
    """[C]."""


@dataclass(frozen=True)
class VectorTask:
    """Pairs of texts: sentences with a score of how alike they are, or questions with their passages. Or texts with a class each."""

    name: str
    metric: Metric
    left: tuple[str, ...]
    right: tuple[str, ...]
    """Second sentences, or passages; empty for texts with classes."""
    scores: tuple[float, ...]
    """Of sentences; empty for questions."""
    others: tuple[str, ...] = ()
    """Passages among which a question has to find its own, beside those of the task's questions."""
    classes: tuple[int, ...] = ()
    """The right class of each text."""
    head: EarlierHead | None = None
    """What tells the classes of texts apart."""

    def __len__(self) -> int:
        return len(self.left)

    @property
    def texts(self) -> int:
        """That an encoder reads to answer, about: passages of several questions are counted for each."""
        return len(self.left) + len(self.right) + len(self.others)


@dataclass(frozen=True)
class VectorAnswers:
    """What the vectors of one encoder say to one task."""

    values: npt.NDArray[np.float64]
    """Cosine of each pair, or the rank of each question's own passage or text's right class, counted from 1; [n]."""

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Of questions and texts: whether the own passage or right class comes first, [n]."""
        return self.values <= 1


class VectorChange(Record):
    """One task before and after."""

    task: str
    metric: Metric
    items: int
    before: float
    after: float
    drop: Interval
    """Before minus after, paired by item; positive is forgotten."""
    p_value: float | None
    """Of recall and accuracy: McNemar's exact test, two-sided, adjusted for the tasks measured together."""
    mrr_before: float | None
    """Mean reciprocal rank of the own passage or right class; None for pairs of sentences."""
    mrr_after: float | None
    lost: int | None = None
    """Questions that found their passage before and do not after, texts whose class was right; None for pairs of sentences."""


class VectorForgetting(Record):
    """All tasks, each counting alike."""

    tasks: tuple[VectorChange, ...]
    mean: Interval
    worst: Interval
    worst_task: str


@cache
def bundled_vector_tasks() -> tuple[VectorTask, ...]:
    """hone's own: `similar` and `find`."""
    return tuple(read_vector_task(_FOLDER / f"{name}.jsonl") for name in ("similar", "find"))


def find_vector_tasks(names: Sequence[str]) -> tuple[list[VectorTask], list[str]]:
    """The tasks of vectors among these names and files, and the names that are left for others; 'bundled' is for both."""
    own = {task.name: task for task in bundled_vector_tasks()}
    found: list[VectorTask] = []
    left: list[str] = []
    for name in names:
        if name in own:
            found.append(own[name])
        elif is_run(Path(name)) and (Path(name) / _HEAD).is_file():
            found.append(read_head_task(Path(name)))
        elif Path(name).suffix in (".jsonl", ".ndjson") and Path(name).is_file() and _metric_of(_first_row(Path(name))):
            found.append(read_vector_task(Path(name)))
        else:
            left.append(name)
            found += own.values() if name == "bundled" else ()
    twice = [task.name for at, task in enumerate(found) if task.name in {other.name for other in found[:at]}]
    if twice:
        raise BadData(f"The retained task '{twice[0]}' is named twice. Name each once.")
    return found, left


def _first_row(path: Path) -> dict[str, Any]:
    return next((dict(row) for row in read_lines(path)), {})


def _metric_of(row: Mapping[str, Any]) -> Literal["spearman", "recall@1"] | None:
    if all(name in row for name in _COLUMNS["spearman"]):
        return "spearman"
    return "recall@1" if all(name in row for name in _COLUMNS["recall@1"]) else None


def read_vector_task(path: Path) -> VectorTask:
    """JSON lines with sentence1, sentence2, score, or with query, passage.

    Raises:
        BadData: other columns, fewer than 10 rows, or a score that is no number.
    """
    rows = [dict(row) for row in read_lines(path)]
    metric = _metric_of(rows[0]) if rows else None
    if metric is None:
        raise BadData(
            f"{path} holds neither sentence1, sentence2 and score nor query and passage. Give rows of one of these kinds."
        )
    if len(rows) < 10:
        raise BadData(f"{path} holds {len(rows)} rows; fewer than 10 tell nothing of sentence vectors. Add rows.")
    columns = _COLUMNS[metric]
    for line, row in enumerate(rows, start=1):
        if missing := [name for name in columns if name not in row]:
            raise BadData(f"{path} line {line}: '{missing[0]}' is missing. Each row has {', '.join(columns)}.")
        if metric == "spearman" and (isinstance(row["score"], bool) or not isinstance(row["score"], int | float)):
            raise BadData(f"{path} line {line}: the score {row['score']!r} is no number. Give one; higher is more alike.")
    left, right = (tuple(str(row[name]) for row in rows) for name in columns[:2])
    scores = tuple(float(str(row["score"])) for row in rows) if metric == "spearman" else ()
    if scores and len(set(scores)) == 1:
        raise BadData(f"{path}: all scores are {scores[0]:g}, so nothing can be ordered. Give pairs that differ in likeness.")
    return VectorTask(path.stem, metric, left, right, scores)


def read_head_task(run: Path) -> VectorTask:
    """The classes that a run of `hone tune` on an encoder learnt: its head, and the validation rows that it answered at its end.

    Raises:
        BadData: an answer is none of its classes.
    """
    from safetensors.numpy import load_file

    from hone.model import head_scale  # brings torch, which reports do without

    labels = [str(label) for label in json.loads((run / "hone.json").read_text(encoding="utf-8"))["labels"]]
    rows = run_answers(run)
    if unknown := [row["right"] for row in rows if row["right"] not in labels]:
        raise BadData(
            f"{run / ANSWERS} holds the class '{unknown[0]}', which hone.json beside it does not name. Train the run anew."
        )
    head = {name: value.astype(np.float64) for name, value in load_file(run / _HEAD).items()}
    return VectorTask(
        run.name,
        "accuracy",
        tuple(str(row["read"]) for row in rows),
        (),
        (),
        classes=tuple(labels.index(str(row["right"])) for row in rows),
        head=EarlierHead(head_scale(head["weight"].shape[1]) * head["weight"], head["bias"]),
    )


def answer_vectors(tasks: Sequence[VectorTask], embed: Embed) -> dict[str, VectorAnswers]:
    """What the vectors say to each task.

    The own passage of a question comes behind all that are as near: vectors that are all alike find nothing.
    """
    answers = {}
    for task in tasks:
        if task.metric == "spearman":
            one, other = _units(embed(task.left)), _units(embed(task.right))
            answers[task.name] = VectorAnswers((one * other).sum(axis=1))
            continue
        if task.head is not None:
            vectors = _units(embed(task.left))
            if vectors.shape[1] != task.head.weight.shape[1]:
                raise BadData(
                    f"The head of {task.name} reads vectors of {task.head.weight.shape[1]} numbers, and this encoder's have {vectors.shape[1]}. "
                    "Retain runs of the same encoder."
                )
            scores = vectors @ task.head.weight.T + task.head.bias  # [n, C]
            own = scores[np.arange(len(task)), list(task.classes)]
            answers[task.name] = VectorAnswers((scores >= own[:, None]).sum(axis=1).astype(np.float64))
            continue
        passages = list(dict.fromkeys((*task.right, *task.others)))
        place = {text: at for at, text in enumerate(passages)}
        cosines = _units(embed(task.left)) @ _units(embed(passages)).T  # [n, passages]
        own = cosines[np.arange(len(task)), [place[text] for text in task.right]]
        answers[task.name] = VectorAnswers((cosines >= own[:, None]).sum(axis=1).astype(np.float64))
    return answers


def _units(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Each row of length 1, in float64; a row of noughts stays one."""
    wide = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    units: npt.NDArray[np.float64] = wide / np.where(length > 0, length, 1.0)
    return units


def measure_vector_forgetting(
    tasks: Sequence[VectorTask], before: Mapping[str, VectorAnswers], after: Mapping[str, VectorAnswers], *, seed: int
) -> VectorForgetting:
    """What the vectors lost: each task alone, their mean, and the worst.

    Intervals are paired bootstraps at 95%: pairs are drawn together with both of their cosines, and ranked anew in each draw.
    """
    changes: list[VectorChange] = []
    drawn: list[npt.NDArray[np.float64]] = []
    for task in tasks:
        change, draws = _change(task, before[task.name], after[task.name], derive_seed(seed, "vectors", task.name))
        changes.append(change)
        drawn.append(draws)
    mids = np.array([change.drop.mid for change in changes])
    mean, worst = mean_and_worst(mids, np.stack(drawn), bounds=(-2.0, 2.0))
    known = [change.p_value for change in changes if change.p_value is not None]
    adjusted = iter(holm(known))
    told = tuple(
        change if change.p_value is None else change.model_copy(update={"p_value": next(adjusted)}) for change in changes
    )
    return VectorForgetting(tasks=told, mean=mean, worst=worst, worst_task=changes[int(mids.argmax())].task)


def _change(
    task: VectorTask, first: VectorAnswers, last: VectorAnswers, seed: int
) -> tuple[VectorChange, npt.NDArray[np.float64]]:
    """One task, and its drop in each resample, [draws]."""
    before, after = first.values, last.values
    if task.metric == "spearman":
        scores = np.array(task.scores)
        old, new = spearman(scores, before), spearman(scores, after)
        each = spearman_draws(scores, [before, after], draws=_DRAWS, seed=seed)  # [2, draws]
        draws = each[0] - each[1]
        drop = shifted_interval(draws, old - new, level=0.95, bounds=(-2.0, 2.0))
        found = VectorChange(
            task=task.name,
            metric="spearman",
            items=len(task),
            before=old,
            after=new,
            drop=drop,
            p_value=None,
            mrr_before=None,
            mrr_after=None,
        )
        return found, draws
    was, now = first.found, last.found
    lost = measure_drop(TaskAnswers(task.name, was, now), seed=seed)
    found = VectorChange(
        task=task.name,
        metric=task.metric,
        items=len(task),
        before=float(was.mean()),
        after=float(now.mean()),
        drop=lost.drop,
        p_value=lost.p_value,
        mrr_before=float((1 / before).mean()),
        mrr_after=float((1 / after).mean()),
        lost=int((was & ~now).sum()),
    )
    return found, drop_draws(was, now, draws=_DRAWS, rng=np.random.default_rng(seed))


def tell_vector_forgetting(found: VectorForgetting) -> str:
    """The record as text: a row per task, then what it comes to."""
    rows = [
        (
            task.task,
            task.metric,
            str(task.items),
            f"{task.before:.3f}",
            f"{task.after:.3f}",
            f"{task.drop.low:+.3f} to {task.drop.high:+.3f}",
            "" if task.p_value is None or task.p_value >= 0.05 else f"p {task.p_value:.2g}",
        )
        for task in found.tasks
    ]
    return "\n".join(
        [
            render_table(("sentence vectors", "by", "items", "before", "after", "lost, 95%", ""), rows),
            f"Lost on average {found.mean.mid:.3f} ({found.mean.low:+.3f} to {found.mean.high:+.3f}), most on {found.worst_task}: "
            f"{found.worst.mid:.3f} ({found.worst.low:+.3f} to {found.worst.high:+.3f}).",
        ]
    )
