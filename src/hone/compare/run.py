"""`hone compare`, start to end: prepare, plan, race, test once, judge, recommend, write the run folder.

The same settings on the same rows lead to the same folder, where what is finished is read back.
"""

import datetime
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from hone.compare.bundle import write_bundle
from hone.compare.curve import learning_curve
from hone.compare.effort import Forecast, plan_effort, plan_text, usable_rows
from hone.compare.prepare import Prepared, look_closer, prepare
from hone.compare.race import Finished, race
from hone.compare.records import Comparison, Data, LearningCurve, Machine, Mistake, ModelInfo, TaskInfo
from hone.compare.report import render_report
from hone.compare.settings import COMPARE, CompareSettings
from hone.compare.table import findings_text
from hone.compare.verdict import Tested, judge, recommend
from hone.core.configuration import write_settings
from hone.core.console import note, progress
from hone.core.device import core_count, processor_name, release_memory, total_memory
from hone.core.seeds import derive_seed
from hone.core.store import claim_folder, digest_text, folder_bytes, write_atomic, write_lines
from hone.evaluate import ask, measure_speed
from hone.measure import human_count
from hone.model import Encoder, Precision, load_encoder, locate_model
from hone.strategy import Bench, Effort, Strategy, choose_strategies
from hone.task import Example, Finding, Task

__all__ = ["compare_rows"]

MISTAKES = 20


def compare_rows(settings: CompareSettings) -> Comparison:
    """Run every strategy on the same rows and write the run folder.

    Raises:
        HoneError: with what is wrong and what to do; nothing that was finished is lost.
    """
    started, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
    strategies = choose_strategies(settings.strategies)
    encoder = load_encoder(locate_model(settings.model), precision=settings.precision)
    prepared = prepare(settings)
    folder = _run_folder(settings, prepared.task, encoder)
    bench = _bench(prepared.task, encoder, settings, folder)
    task, bench = _fit_budget(prepared.task, bench, settings)
    note(f"\n{_what(task, encoder)}\n{findings_text(task.findings)}\n")
    forecast = _forecast(bench, strategies, settings, folder)
    bench = replace(bench, effort=forecast.effort)
    note(f"\n{plan_text(forecast, strategies)}\nKept in {folder}; after an interruption the same command goes on.\n")
    _write_config(settings, forecast, folder)
    embed_seconds = _embed(bench)
    before = task.findings
    task = look_closer(task, encoder, seed=settings.seed)
    if task.findings != before:
        note(findings_text(task.findings[len(before) :]))
    if prepared.rejected:
        write_lines(
            folder / "rejected.jsonl", ({name: getattr(row, name) for name in row.__slots__} for row in prepared.rejected)
        )
    finished = race(bench, strategies, folder / "strategies", embed_seconds=embed_seconds)
    tested = _test(finished, task, forecast, folder, precision=encoder.reader.precision)
    rows = judge(tested, labels=task.labels, metric=settings.metric, seed=settings.seed)
    curve = _curve(bench, finished, recommend(rows, metric=settings.metric, curve=None).strategy, folder)
    comparison = Comparison(
        hone_version=version("hone-lm"),
        command=f"hone compare --config {shlex.quote(str(folder / 'config.yaml'))}",
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        seed=settings.seed,
        task=TaskInfo(kind="text-classification", labels=task.labels, metric=settings.metric),
        model=_model_info(encoder),
        data=_data(settings, prepared, task),
        rows=tuple(rows),
        recommended=recommend(rows, metric=settings.metric, curve=curve),
        learning_curve=curve,
        mistakes=_mistakes(tested, task),
        machine=_machine(encoder),
        folder=str(folder),
        not_run={s.name: "not asked for" for s in choose_strategies(()) if s not in strategies},
    )
    write_atomic(folder / "comparison.json", comparison.to_json())
    write_atomic(folder / "report.html", render_report(comparison))
    write_bundle(comparison, folder / "strategies", folder / "best")
    shutil.rmtree(bench.work, ignore_errors=True)
    return comparison


def _run_folder(settings: CompareSettings, task: Task, encoder: Encoder) -> Path:
    """The run's folder; one that holds another run is refused."""
    asked = settings.model_dump_json(exclude={"out", "strategies"})
    return claim_folder(settings.out, settings.data, key=digest_text(asked, task.split.digest, encoder.folder.sha256))


def _bench(task: Task, encoder: Encoder, settings: CompareSettings, folder: Path) -> Bench:
    return Bench(
        labels=task.labels,
        descriptions=task.descriptions,
        train=task.split.train,
        validation=task.split.validation,
        encoder=encoder,
        metric=settings.metric,
        seed=settings.seed,
        effort=Effort(epochs=1.0, arms=1, batch_rows=settings.batch_rows or 16),
        work=folder / "work",
    )


def _fit_budget(task: Task, bench: Bench, settings: CompareSettings) -> tuple[Task, Bench]:
    """Leave out rows that the budget cannot carry, evenly over the classes, and say so."""
    split = task.split
    keep = usable_rows(bench, test_rows=len(split.test), budget=settings.budget_seconds)
    parts = (split.train, split.validation, split.test)
    if all(count >= len(part) for count, part in zip(keep, parts, strict=True)):
        return task, bench
    train, validation, test = (_thin(part, count, settings.seed) for part, count in zip(parts, keep, strict=True))
    dropped = sum(map(len, parts)) - len(train) - len(validation) - len(test)
    finding = Finding(
        kind="unused_rows",
        severity="info",
        message=f"{dropped:,} rows are not used: a budget of {settings.budget_seconds / 60:g} min carries {len(train):,} training, "
        f"{len(validation):,} validation and {len(test):,} test rows on this machine. A larger --budget uses more.",
        count=dropped,
    )
    split = replace(split, train=train, validation=validation, test=test)
    return replace(task, split=split, findings=(*task.findings, finding)), replace(bench, train=train, validation=validation)


def _thin(examples: list[Example], count: int, seed: int) -> list[Example]:
    """About `count` rows, the same share of each class and at least one, in their order."""
    if count >= len(examples):
        return examples
    by_class: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        by_class.setdefault(example.label, []).append(index)
    rng = np.random.default_rng(derive_seed(seed, "thin"))
    kept: list[int] = []
    for mine in by_class.values():
        size = max(1, round(count * len(mine) / len(examples)))
        kept += rng.permutation(mine)[:size].tolist()
    return [examples[index] for index in sorted(kept)]


def _what(task: Task, encoder: Encoder) -> str:
    """What is compared: rows, columns, classes and the model, as inferred or named."""
    split, columns = task.split, task.columns
    text = " + ".join(f"'{name}'" for name in columns.text)
    because = f" {columns.because}" if columns.because else ""
    return (
        f"{task.name}: {len(split.train):,} rows to train on, {len(split.validation):,} to choose on, {len(split.test):,} to test on; "
        f"{len(task.labels)} labels.\nText is column {text}, label is column '{columns.label}'.{because}\n"
        f"Model: {encoder.folder.name}, {human_count(encoder.parameters)} parameters, arithmetic {encoder.reader.precision}."
    )


def _embed(bench: Bench) -> float:
    """Sentence vectors of the training and validation rows, once for all strategies; returns the seconds they took."""
    texts = [example.text for example in (*bench.train, *bench.validation)]
    started = time.perf_counter()
    with progress("Sentence vectors", len(texts)) as bar:
        bench.encoder.embed(texts, advance=bar.advance)
    return time.perf_counter() - started


def _forecast(bench: Bench, strategies: Sequence[Strategy], settings: CompareSettings, folder: Path) -> Forecast:
    """The plan; once made it is kept, so that a run that goes on does not change its course with the machine's speed."""
    path = folder / "plan.json"
    if path.exists():
        known = Forecast.model_validate_json(path.read_text(encoding="utf-8"))
        if all(strategy.name in known.estimates for strategy in strategies):
            return known
        settings = settings.model_copy(update={"epochs": known.epochs, "arms": known.arms, "batch_rows": known.batch_rows})
    forecast = plan_effort(bench, strategies, settings)
    write_atomic(path, forecast.to_json())
    return forecast


def _write_config(settings: CompareSettings, forecast: Forecast, folder: Path) -> None:
    exact = settings.model_copy(
        update={"epochs": forecast.epochs, "arms": forecast.arms, "batch_rows": forecast.batch_rows, "out": None}
    )
    write_atomic(folder / "config.yaml", write_settings(COMPARE, exact))


def _test(finished: Sequence[Finished], task: Task, forecast: Forecast, folder: Path, *, precision: Precision) -> list[Tested]:
    """Every strategy answers the test rows, once; each answer is written down."""
    tested = []
    with progress("Test rows", len(finished)) as bar:
        for one in finished:
            release_memory()
            predictor = one.predictor(precision)
            answers = ask(predictor, task.split.test)
            speed = measure_speed(predictor, [example.text for example in task.split.test])
            size = folder_bytes(one.folder / "predictor")
            tested.append(Tested(one, answers, speed, size, forecast.estimates.get(one.strategy.name)))
            lines = zip(task.split.test, answers.predicted, answers.confidence, answers.probabilities, strict=True)
            write_lines(
                folder / "strategies" / one.strategy.name / "predictions.jsonl",
                (
                    {
                        "file": example.file,
                        "line": example.line,
                        "text": example.text,
                        "label": example.label,
                        "predicted": task.labels[predicted],
                        "confidence": round(float(confidence), 6),
                        "probabilities": dict(zip(task.labels, np.round(row, 6).tolist(), strict=True)),
                    }
                    for example, predicted, confidence, row in lines
                ),
            )
            bar.advance()
    return tested


def _curve(bench: Bench, finished: Sequence[Finished], name: str, folder: Path) -> LearningCurve | None:
    path = folder / "curve.json"
    if path.exists():
        curve = LearningCurve.model_validate_json(path.read_text(encoding="utf-8"))
        if curve.strategy == name:
            return curve
    found = learning_curve(bench, next(one for one in finished if one.strategy.name == name))
    if found is not None:
        write_atomic(path, found.to_json())
    return found


def _model_info(encoder: Encoder) -> ModelInfo:
    folder = encoder.folder
    return ModelInfo(
        name=folder.name,
        revision=folder.revision,
        sha256=folder.sha256,
        parameters=encoder.parameters,
        context_length=encoder.reader.context_length,
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


def _machine(encoder: Encoder) -> Machine:
    import torch

    device = encoder.reader.device
    return Machine(
        processor=processor_name(),
        cores=core_count(),
        memory_bytes=total_memory(),
        accelerator=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        arithmetic=encoder.reader.precision,
        versions={name: version(name) for name in ("torch", "transformers", "peft", "scikit-learn", "numpy")},
    )


def _mistakes(tested: Sequence[Tested], task: Task) -> tuple[Mistake, ...]:
    """Test rows that most strategies get wrong, the most confidently wrong first."""
    racing = [one for one in tested if one.finished.outcome.stopped_early is None]
    wrong = np.stack([~one.answers.correct for one in racing])  # [S, n]
    confidence = np.stack([one.answers.confidence for one in racing])
    order = np.lexsort((-(wrong * confidence).sum(axis=0), -wrong.sum(axis=0)))
    mistakes = []
    for index in order[:MISTAKES]:
        if not wrong[:, index].any():
            break
        example = task.split.test[index]
        names = [one.finished.strategy.name for one in racing]
        mistakes.append(
            Mistake(
                place=example.place,
                text=example.text,
                label=example.label,
                answers={name: task.labels[one.answers.predicted[index]] for name, one in zip(names, racing, strict=True)},
                confidence={name: float(one.answers.confidence[index]) for name, one in zip(names, racing, strict=True)},
            )
        )
    return tuple(mistakes)
