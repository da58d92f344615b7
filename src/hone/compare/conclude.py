"""The end of a comparison: the test rows, read once, and the record of what follows from the answers to them."""

import shlex
import time
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from hone.compare.curve import learning_curve
from hone.compare.effort import Forecast
from hone.compare.forgotten import Retained
from hone.compare.line_up import ANSWERS, OTHER_METRICS, Models
from hone.compare.money import priced, usd_of
from hone.compare.prepare import Prepared
from hone.compare.race import Finished
from hone.compare.records import Comparison, Data, LearningCurve, Machine, Mistake, ModelInfo, TaskInfo
from hone.compare.settings import CompareSettings
from hone.compare.verdict import Tested, judge, recommend
from hone.core.console import progress
from hone.core.device import core_count, processor_name, release_memory, total_memory
from hone.core.store import folder_bytes, read_record, write_atomic, write_lines
from hone.evaluate import Metric, measure_speed
from hone.measure import AnswerKey, LabelMarks, Marks, ScoreMarks, Tokens, perplexity_interval
from hone.model import Encoder, known_tokens
from hone.retrieve import Passage
from hone.strategy import Bench, TextBase, TextPredictor, answer_key, right_labels
from hone.task import Example, Task

__all__ = ["at_price", "conclude"]

MISTAKES = 20
_CURVE = "curve.json"


def conclude(
    settings: CompareSettings,
    prepared: Prepared,
    task: Task,
    models: Models,
    forecast: Forecast,
    finished: Sequence[Finished],
    retained: Retained,
    folder: Path,
) -> Comparison:
    """The test rows, read once, and what follows from the answers to them."""
    key = answer_key(task.split.test, task.labels, metric=task.metric, others=OTHER_METRICS, kind=task.kind)
    labels = right_labels(task.split.test, task.labels)
    unseen = labels[len(task.labels) :]
    tested = _test(finished, task, key, forecast, retained, settings)
    rows = priced(judge(tested, key, labels=labels, seed=settings.seed), settings.price)
    choose = partial(recommend, rows, metric=task.metric, may_lose=settings.may_lose, unseen=unseen)
    curve = _curve(finished, choose(curve=None).strategy, folder)
    infos = tuple(_model_info(models.encoders.get(name) or models.texts[name]) for name in models.order)
    asked = known_tokens(folder / ANSWERS)
    signatures = tested[0].marks.signatures if isinstance(tested[0].marks, ScoreMarks) else {}
    return Comparison(
        hone_version=version("hone-lm"),
        command=f"hone compare --config {shlex.quote(str(folder / 'config.yaml'))}",
        started="",
        seconds=0.0,
        seed=settings.seed,
        task=TaskInfo(kind=task.kind, labels=task.labels, unseen=unseen, metric=task.metric, metrics=signatures),
        model=infos[0],
        models=infos,
        data=_data(settings, prepared, task),
        rows=tuple(rows),
        recommended=choose(curve=curve),
        price=settings.price,
        asked=asked,
        usd=usd_of(asked, settings.price),
        may_lose=settings.may_lose,
        learning_curve=curve,
        mistakes=_mistakes(tested, task, labels),
        machine=_machine(finished[0].entrant.bench),
        folder=str(folder),
        not_run={},
    )


def at_price(done: Comparison, price: str | None, folder: Path) -> Comparison:
    """A finished comparison as it would be with another price: the same answers, whose money, and with it the cheapest of equals, change."""
    rows = tuple(priced(done.rows, price))
    choose = partial(recommend, rows, metric=done.task.metric, may_lose=done.may_lose, unseen=done.task.unseen)
    curve = _kept_curve(folder, choose(curve=None).strategy)
    return done.model_copy(
        update={
            "rows": rows,
            "price": price,
            "usd": usd_of(done.asked, price),
            "learning_curve": curve,
            "recommended": choose(curve=curve),
        }
    )


def _test(
    finished: Sequence[Finished], task: Task, key: AnswerKey, forecast: Forecast, retained: Retained, settings: CompareSettings
) -> list[Tested]:
    """Every strategy answers the test rows, once, and the retained tasks; each answer to a test row is written down."""
    tested = []
    rows = task.split.test
    with progress("Test rows", len(finished)) as bar:
        for one in finished:
            release_memory()
            predictor = one.predictor(settings.precision)
            writer = predictor if isinstance(predictor, TextPredictor) else None
            billed = writer.base if writer and writer.base.is_billed else None
            payer = f"{one.entrant.key} test"
            if billed:
                billed.charge(payer)
            predictor.answer(rows[:1])  # warms up, and loads what looks for like examples
            spared = billed.backend.spent().spared_seconds if billed else 0.0
            started = time.perf_counter()
            marks = key.mark(predictor.answer(rows))
            took = time.perf_counter() - started
            answered = None
            if billed:
                spent = billed.backend.spent()
                took += spent.spared_seconds - spared
                answered = Tokens(read=spent.tokens_read, written=spent.tokens_written, is_estimate=spent.is_estimate)
            speed = measure_speed(predictor, rows, answered_seconds=took, is_costly=writer is not None)
            paid = billed.paid(payer) if billed else None  # what was timed is paid for, too
            size = folder_bytes(one.folder / "predictor")
            perplexity = _perplexity(writer, rows, seed=settings.seed) if writer else None
            estimate = forecast.estimates.get(one.entrant.key)
            forgetting = retained.measure(one, predictor)
            tested.append(Tested(one, marks, speed, size, estimate, answered, paid, perplexity, forgetting))
            passages = writer.passages(rows) if writer else [[] for _ in rows]
            write_lines(one.folder / "predictions.jsonl", _predictions(rows, marks, right_labels(rows, task.labels), passages))
            bar.advance()
    return tested


def _perplexity(predictor: TextPredictor, rows: Sequence[Example], *, seed: int) -> Metric | None:
    """Of the right answers, where a model that tells likelihoods is asked for texts."""
    found = predictor.likelihoods(rows)
    if not found:
        return None
    interval = perplexity_interval([one.log_likelihood for one in found], [one.tokens for one in found], seed=seed)
    return Metric(value=interval.mid, low=interval.low, high=interval.high, n=len(found))


def _predictions(
    rows: Sequence[Example], marks: Marks, labels: Sequence[str], passages: Sequence[Sequence[Passage]]
) -> Iterator[dict[str, object]]:
    """One record per row: what was asked, what is right, what was answered, and which passages were looked up for it."""
    for at, example in enumerate(rows):
        record: dict[str, object] = {"file": example.file, "line": example.line, "text": example.text, "label": example.label}
        if isinstance(marks, LabelMarks):
            record |= {
                "predicted": None if marks.is_open[at] else labels[int(marks.predicted[at])],
                "confidence": round(float(marks.confidence[at]), 6),
                "probabilities": dict(zip(labels, np.round(marks.probabilities[at], 6).tolist(), strict=True)),
            }
        elif isinstance(marks, ScoreMarks):
            record |= {"predicted": marks.words[at], marks.metric: round(float(marks.per_row[at]), 6)}
        if passages[at]:
            record["passages"] = [{"document": one.document, "start": one.start, "end": one.end} for one in passages[at]]
        yield record


def _curve(finished: Sequence[Finished], name: str, folder: Path) -> LearningCurve | None:
    if (known := _kept_curve(folder, name)) is not None:
        return known
    found = learning_curve(next(one for one in finished if one.entrant.key == name))
    if found is not None:
        write_atomic(folder / _CURVE, found.to_json())
    return found


def _kept_curve(folder: Path, name: str) -> LearningCurve | None:
    """The learning curve of a strategy, where the last that was measured in this run is its."""
    path = folder / _CURVE
    known = read_record(path, LearningCurve) if path.exists() else None
    return known if known is not None and known.strategy == name else None


def _model_info(model: Encoder | TextBase) -> ModelInfo:
    if isinstance(model, TextBase) and not model.is_local:
        return ModelInfo(
            name=model.name, revision=None, sha256="", parameters=None, context_length=model.context_length, licence=None
        )
    folder = model.folder
    return ModelInfo(
        name=folder.name,
        revision=folder.revision,
        sha256=folder.sha256,
        parameters=model.parameters,
        context_length=model.reader.context_length,
        licence=folder.licence,
    )


def _data(settings: CompareSettings, prepared: Prepared, task: Task) -> Data:
    return Data(
        train=len(task.split.train),
        validation=len(task.split.validation),
        test=len(task.split.test),
        removed=prepared.removed,
        source=settings.data,
        columns=task.columns,
        split_digest=task.split.digest,
        findings=task.findings,
    )


def _machine(bench: Bench) -> Machine:
    import torch

    device = bench.device
    return Machine(
        processor=processor_name(),
        cores=core_count(),
        memory_bytes=total_memory(),
        accelerator=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        arithmetic=bench.precision,
        versions={name: version(name) for name in ("torch", "transformers", "peft", "scikit-learn", "numpy")},
    )


def _mistakes(tested: Sequence[Tested], task: Task, labels: Sequence[str]) -> tuple[Mistake, ...]:
    """Test rows that most strategies get wrong, the most confidently wrong first; of texts those that score lowest."""
    racing = [one for one in tested if one.finished.outcome.stopped_early is None] or list(tested)
    marks = [one.marks for one in racing]
    wrong = np.stack([1.0 - one.per_row for one in marks])  # [S, n]
    confidence = np.stack([one.confidence if isinstance(one, LabelMarks) else np.zeros(len(one.per_row)) for one in marks])
    order = np.lexsort((-(wrong * confidence).sum(axis=0), -wrong.sum(axis=0)))
    mistakes = []
    for index in order[:MISTAKES]:
        if not wrong[:, index].any():
            break
        example = task.split.test[index]
        keys = [one.finished.entrant.key for one in racing]
        mistakes.append(
            Mistake(
                place=example.place,
                text=example.text,
                label=example.label,
                answers={key: _said(one, int(index), labels) for key, one in zip(keys, marks, strict=True)},
                confidence={
                    key: float(one.confidence[index]) for key, one in zip(keys, marks, strict=True) if isinstance(one, LabelMarks)
                },
            )
        )
    return tuple(mistakes)


def _said(marks: Marks, index: int, labels: Sequence[str]) -> str:
    """The answer to a row, in words."""
    if isinstance(marks, LabelMarks):
        return str(labels[int(marks.predicted[index])])
    assert isinstance(marks, ScoreMarks)
    return marks.words[index]
