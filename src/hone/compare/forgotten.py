"""What each finished strategy made the model forget: retained tasks, answered by the untouched model once and by what was tuned once.

Strategies that leave the weights alone forget nothing and are not asked. Text models answer small tasks; encoders, whose use beside the
task are their sentence vectors, say how alike sentences are and find passages.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hone.compare.effort import RETAINED_SHARE
from hone.compare.line_up import Models
from hone.compare.race import Finished
from hone.compare.records import Forgetting, RetainedChange
from hone.compare.settings import CompareSettings
from hone.core.errors import Usage
from hone.core.store import read_errors, write_atomic
from hone.evaluate import Forgetting as Measured
from hone.evaluate import (
    RetainedAnswers,
    RetainedTask,
    VectorAnswers,
    VectorForgetting,
    VectorTask,
    answer_retained,
    answer_vectors,
    find_tasks,
    find_vector_tasks,
    measure_forgetting,
    measure_vector_forgetting,
    thin,
)
from hone.measure import Drops
from hone.model import LocalBackend
from hone.strategy import EncoderBench, NetPredictor, Predictor, TextBench, TextPredictor, VectorPredictor, plain_backend

__all__ = ["UNCHANGED", "Retained", "find_retained"]

UNCHANGED = "the weights of the model are as they were"
_ITEMS = 40  # of each task
_LEAST = 8  # of each task, even where the budget would carry fewer
_PROBED = 4
_NOT_ASKED = "no task but this one was asked before and after (--retain)"
_STOPPED = "stopped before its full training, so it was not asked"
_LOSSES_ONLY = "none of the retained tasks has right and wrong answers"


@dataclass
class Retained:
    """The tasks, and what the untouched models answered."""

    texts: list[RetainedTask]
    """For models that answer in words."""
    vectors: list[VectorTask]
    """For encoders."""
    seed: int
    seconds: float
    """That one pass of a text model may take."""
    folder: Path
    _asked: dict[str, list[RetainedTask]] = field(default_factory=dict)
    _before: dict[str, dict[str, RetainedAnswers]] = field(default_factory=dict)
    _vectors_before: dict[str, dict[str, VectorAnswers]] = field(default_factory=dict)

    def measure(self, one: Finished, predictor: Predictor) -> Forgetting:
        """What this strategy's predictor lost against the model it was made from."""
        bench = one.entrant.bench
        if not one.strategy.moves_weights:
            return Forgetting(mean=0.0, low=0.0, high=0.0, worst=0.0, unchanged=UNCHANGED)
        if one.outcome.stopped_early is not None:
            return Forgetting(not_measured=_STOPPED)
        started = time.perf_counter()
        if isinstance(bench, TextBench) and self.texts:
            found = self._of_texts(one.entrant.model, bench, predictor)
        elif isinstance(bench, EncoderBench) and self.vectors:
            found = self._of_vectors(one.entrant.model, bench, predictor)
        else:
            return Forgetting(not_measured=_NOT_ASKED)
        return found.model_copy(update={"seconds": time.perf_counter() - started})

    def _of_texts(self, model: str, bench: TextBench, predictor: Predictor) -> Forgetting:
        assert isinstance(predictor, TextPredictor)
        if model not in self._before:
            backend = bench.base.backend
            assert isinstance(backend, LocalBackend)
            base = plain_backend(backend)
            self._asked[model] = thin(self.texts, most=self._most(model, base), seed=self.seed)
            self._before[model] = answer_retained(self._asked[model], base, title="Retained tasks, untouched model", writes=True)
            bench.base.release()  # two networks need not stand in memory
        tasks, tuned = self._asked[model], predictor.asker.backend
        assert isinstance(tuned, LocalBackend)
        after = answer_retained(tasks, plain_backend(tuned), title="Retained tasks", writes=True)
        return _from_texts(measure_forgetting(tasks, self._before[model], after, seed=self.seed))

    def _most(self, model: str, base: LocalBackend) -> int:
        """Items of each task that one pass can carry; once measured they are kept, so that a run that goes on asks the same."""
        path = self.folder / "retained.json"
        with read_errors(path):
            known: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if model not in known:
            few = thin(self.texts, most=_PROBED, seed=self.seed)
            answer_retained(few[:1], base, title="Pace of the retained tasks")  # the first pass warms up
            started = time.perf_counter()
            answer_retained(few, base, title="Pace of the retained tasks")
            took = time.perf_counter() - started
            known[model] = max(_LEAST, min(_ITEMS, int(_PROBED * self.seconds / took)))
            write_atomic(path, json.dumps(known))
        return known[model]

    def _of_vectors(self, model: str, bench: EncoderBench, predictor: Predictor) -> Forgetting:
        assert isinstance(predictor, VectorPredictor | NetPredictor)
        if model not in self._vectors_before:
            self._vectors_before[model] = answer_vectors(self.vectors, bench.encoder.embed)
        after = answer_vectors(self.vectors, predictor.sentence_vectors)
        return _from_vectors(measure_vector_forgetting(self.vectors, self._vectors_before[model], after, seed=self.seed))


def find_retained(settings: CompareSettings, models: Models, folder: Path, *, passes: int) -> Retained:
    """What `--retain` names, for the models that are compared.

    Args:
        passes: over the retained tasks of text models, by untouched and tuned ones together.
    Raises:
        HoneError: a name is neither a task nor a file. Usage: nothing tells whether the budget of `--may-lose` is kept.
    """
    texts, vectors = _split(settings.retain)
    for task in texts:  # now, and not after the training
        if len(task) < _LEAST:
            raise Usage(f"The retained task '{task.name}' holds {len(task)} items; fewer than {_LEAST} tell nothing. Add items.")
    if settings.may_lose is not None:
        is_told = (not models.texts or any(task.chance is not None for task in texts)) and (not models.encoders or vectors)
        if not is_told:
            raise Usage(
                "--may-lose sets what may be lost on retained tasks, and none that has right and wrong answers is retained for every "
                "model here. Leave --retain out to take those that come with hone, or name files of questions with choices."
            )
    seconds = RETAINED_SHARE * settings.budget_seconds / max(passes, 1)
    return Retained(texts if models.texts else [], vectors if models.encoders else [], settings.seed, seconds, folder)


def _split(names: Sequence[str]) -> tuple[list[RetainedTask], list[VectorTask]]:
    """Tasks of words and tasks of vectors, 'bundled' for all of both; a file is known by its columns.

    Raises:
        HoneError: a name is neither a task nor a file, or stands twice.
    """
    vectors, others = find_vector_tasks(names)
    return find_tasks(others), vectors


def _from_texts(found: Measured) -> Forgetting:
    rises = {task.task: task.rise for task in found.rises.tasks} if found.rises else None
    if found.drops is None:
        return Forgetting(loss_rises=rises, not_measured=_LOSSES_ONLY)
    drops: Drops = found.drops
    written = {one.task: f"written: {one.told}" for one in found.written}
    details = tuple(
        RetainedChange(
            task=task.task,
            metric="accuracy",
            items=task.items,
            before=task.before.mid,
            after=task.after.mid,
            change=-task.drop.mid,
            low=-task.drop.high,
            high=-task.drop.low,
            p_holm=task.p_holm,
            note="; ".join(
                said for said in ("not above chance before" if task.is_floor else "", written.get(task.task, "")) if said
            ),
        )
        for task in drops.tasks
    )
    return _record(details, drops.mean.low, drops.mean.high, drops.worst.low, drops.worst.high, drops.worst_task, rises)


def _from_vectors(found: VectorForgetting) -> Forgetting:
    details = tuple(
        RetainedChange(
            task=task.task,
            metric=task.metric,
            items=task.items,
            before=task.before,
            after=task.after,
            change=-task.drop.mid,
            low=-task.drop.high,
            high=-task.drop.low,
            p_holm=task.p_value,
            note=""
            if task.mrr_before is None
            else f"mean reciprocal rank {task.mrr_before:.3f} before, {task.mrr_after:.3f} after",
        )
        for task in found.tasks
    )
    return _record(details, found.mean.low, found.mean.high, found.worst.low, found.worst.high, found.worst_task, None)


def _record(
    details: tuple[RetainedChange, ...],
    mean_low: float,
    mean_high: float,
    worst_low: float,
    worst_high: float,
    worst_task: str,
    rises: dict[str, float] | None,
) -> Forgetting:
    """Drops, where positive is forgotten, as changes, where negative is."""
    worst = next(one for one in details if one.task == worst_task)
    return Forgetting(
        mean=sum(one.change for one in details) / len(details),
        low=-mean_high,
        high=-mean_low,
        worst=worst.change,
        worst_low=-worst_high,
        worst_high=-worst_low,
        worst_task=worst_task,
        tasks={one.task: one.change for one in details},
        details=details,
        loss_rises=rises,
    )
