"""`hone compare`, start to end: prepare, plan, race, test once, judge, recommend, write the run folder.

The same settings on the same rows lead to the same folder, where what is finished is read back.
"""

import datetime
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hone.compare.bundle import write_bundle
from hone.compare.conclude import at_price, conclude
from hone.compare.effort import Forecast, embeds, plan_effort, plan_text, usable_rows
from hone.compare.forgotten import find_retained
from hone.compare.line_up import LineUp, Models, benches, line_up, open_documents, open_rows
from hone.compare.prepare import Prepared, look_closer
from hone.compare.race import any_trained, race
from hone.compare.records import Comparison
from hone.compare.report import render_report
from hone.compare.report.words import metric_name
from hone.compare.settings import COMPARE, CompareSettings
from hone.compare.table import findings_text
from hone.core.claim import claim_folder, released_if_refused
from hone.core.configuration import write_settings
from hone.core.console import note, progress
from hone.core.seeds import derive_seed
from hone.core.store import digest_file, digest_text, read_back, read_errors, read_record, write_atomic, write_lines
from hone.measure import human_count, human_seconds
from hone.model import Encoder
from hone.retrieve import Index
from hone.strategy import EncoderBench, Entrant, TextBase, TextBench, encoder_strategies
from hone.task import Example, Finding, Task

__all__ = ["compare_rows"]

_RECORD = "comparison.json"
_FINISHED = "finished.key"
_DOCUMENTS = "documents.key"
_PLAN = "plan.json"


def compare_rows(settings: CompareSettings) -> Comparison:
    """Run every strategy on the same rows and write the run folder.

    Raises:
        HoneError: with what is wrong and what to do; nothing that was finished is lost.
    """
    begun = _Begun()
    settings, models, prepared = open_rows(settings)
    with ExitStack() as held:
        folder = _run_folder(settings, prepared.task, models, held)
        return _compare(settings, models, prepared, folder, begun)


@dataclass(frozen=True)
class _Begun:
    """When the command was given."""

    started: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    clock: float = field(default_factory=time.perf_counter)


def _compare(settings: CompareSettings, models: Models, prepared: Prepared, folder: Path, begun: _Begun) -> Comparison:
    with released_if_refused(folder):
        index = open_documents(settings, folder) if models.texts else None
        asked = _asked(settings, index)
        if _is_finished(folder, asked):
            return _read_back(settings, folder, asked)
        lined_up = line_up(models, prepared.task, settings, folder, index=index)
        _forget_other_documents(lined_up.entrants, index, folder)
        retained = find_retained(settings, models, folder, passes=_passes(lined_up.entrants))
    task, lined_up = _fit_budget(prepared.task, lined_up, settings, folder)
    entrants = lined_up.entrants
    note(f"\n{_what(task, models)}\n{findings_text(task.findings)}\n")
    retained_texts = sum(task.texts for task in retained.vectors)
    forecast = _forecast(
        entrants, settings, folder, test_rows=len(task.split.test), retained_texts=retained_texts, clock=begun.clock
    )
    entrants = [
        replace(one, bench=replace(one.bench, effort=forecast.effort)) for one in entrants if one.key in forecast.estimates
    ]
    not_run = lined_up.not_run | dict.fromkeys(
        forecast.left_out, f"the budget of {human_seconds(settings.budget_seconds)} carries the others"
    )
    note(
        f"\n{plan_text(forecast, entrants, budget=settings.budget_seconds)}\nKept in {folder}; after an interruption the same command goes on.\n"
    )
    _write_config(settings, forecast, folder)
    embed_seconds = _embed(entrants)
    if task.kind == "text-classification" and models.encoders:
        before = task.findings
        task = look_closer(task, next(iter(models.encoders.values())), seed=settings.seed)
        if task.findings != before:
            note(findings_text(task.findings[len(before) :]))
    if prepared.rejected:
        write_lines(
            folder / "rejected.jsonl", ({name: getattr(row, name) for name in row.__slots__} for row in prepared.rejected)
        )
    finished = race(entrants, folder / "strategies", embed_seconds=embed_seconds)
    comparison = conclude(settings, prepared, task, models, forecast, finished, retained, folder)
    comparison = comparison.model_copy(
        update={
            "started": begun.started.isoformat(timespec="seconds"),
            "seconds": time.perf_counter() - begun.clock,
            "not_run": not_run,
        }
    )
    _write(comparison, folder, asked)
    shutil.rmtree(folder / "work", ignore_errors=True)
    return comparison


def _write(comparison: Comparison, folder: Path, asked: str) -> None:
    (folder / _FINISHED).unlink(missing_ok=True)  # it speaks of the record that stands there until now
    write_atomic(folder / _RECORD, comparison.to_json())
    write_atomic(folder / "report.html", render_report(comparison))
    write_bundle(comparison, folder / "strategies", folder / "best")
    write_atomic(folder / _FINISHED, asked)  # last: it alone says that all that was asked is there


def _read_back(settings: CompareSettings, folder: Path, asked: str) -> Comparison:
    """What was finished before, with money at the price that is named now."""
    done = read_back(folder / _RECORD, Comparison, verb="compare", told=lambda done: human_seconds(done.seconds))
    if done.price == settings.price:
        return done
    note(
        f"Money is told at the price {settings.price}; no question was asked again."
        if settings.price
        else "No price is named now."
    )
    done = at_price(done, settings.price, folder)
    _write_config(settings, read_record(folder / _PLAN, Forecast), folder)
    _write(done, folder, asked)
    return done


def _passes(entrants: Sequence[Entrant]) -> int:
    """Over the retained tasks, by text models: of each that is tuned once untouched, and once per strategy that tunes it."""
    tuned = [one for one in entrants if one.strategy.moves_weights and isinstance(one.bench, TextBench)]
    return len(tuned) + len({one.model for one in tuned})


def _asked(settings: CompareSettings, index: Index | None) -> str:
    """Digest of what decides the record and not the folder: other strategies, retained tasks or documents go on in the same one.

    A price decides neither: its money is told of the same answers.
    """
    told = settings.model_dump_json(include={"strategies", "retain", "may_lose"})
    return digest_text(told, index.record.table if index else "", *_digests(*settings.retain))


def _digests(*names: str) -> list[str]:
    """Of those that are files; what is missing is told by who reads it."""
    return [digest_file(Path(name)) for name in names if Path(name).is_file()]


def _is_finished(folder: Path, asked: str) -> bool:
    """Whether the record answers what is asked, and all that it speaks of is still there."""
    done = folder / _FINISHED
    if not done.exists() or done.read_text(encoding="utf-8", errors="replace") != asked or not (folder / _RECORD).exists():
        return False
    found = read_record(folder / _RECORD, Comparison)
    told = [folder / "best" / "hone.json", *(folder / "strategies" / row.strategy / "predictions.jsonl" for row in found.rows)]
    return found.folder == str(folder) and all(path.exists() for path in told)


def _run_folder(settings: CompareSettings, task: Task, models: Models, held: ExitStack) -> Path:
    """The run's folder, for this process alone as long as it is held; one that holds another run is refused."""
    asked = settings.model_dump_json(exclude={"out", "strategies", "retain", "may_lose", "price"})
    prompts = _digests(settings.templates or "")
    key = digest_text(asked, task.split.digest, *models.digests, *prompts)
    return claim_folder(settings.out, settings.data, key=key, until=held)


def _forget_other_documents(entrants: Sequence[Entrant], index: Index | None, folder: Path) -> None:
    """Remove what strategies found in documents that have changed since: they run again, the others stay."""
    if index is None:
        return
    path = folder / _DOCUMENTS
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != index.record.table:
        stale = [one for one in entrants if one.strategy.name == "retrieval" and (folder / "strategies" / one.key).exists()]
        for one in stale:
            shutil.rmtree(folder / "strategies" / one.key)
        if stale:
            note(f"The documents have changed, so these run again: {', '.join(one.title for one in stale)}.")
    write_atomic(path, index.record.table)


def _fit_budget(task: Task, lined_up: LineUp, settings: CompareSettings, folder: Path) -> tuple[Task, LineUp]:
    """Leave out rows that the budget cannot carry, evenly over the classes, and say so."""
    split = task.split
    keep = _kept_rows(task, lined_up, settings, folder / "rows.json")
    parts = (split.train, split.validation, split.test)
    if all(count >= len(part) for count, part in zip(keep, parts, strict=True)):
        return task, lined_up
    by_class = task.kind == "text-classification"
    train, validation, test = (
        _thin(part, count, settings.seed, by_class=by_class) for part, count in zip(parts, keep, strict=True)
    )
    dropped = sum(map(len, parts)) - len(train) - len(validation) - len(test)
    finding = Finding(
        kind="unused_rows",
        severity="info",
        message=f"{dropped:,} rows are not used: a budget of {human_seconds(settings.budget_seconds)} carries {len(train):,} training, "
        f"{len(validation):,} validation and {len(test):,} test rows on this machine. A larger --budget uses more.",
        count=dropped,
    )
    split = replace(split, train=train, validation=validation, test=test)
    thinner = {name: replace(bench, train=train, validation=validation) for name, bench in benches(lined_up.entrants).items()}
    entrants = [replace(one, bench=thinner[one.model]) for one in lined_up.entrants]
    return replace(task, split=split, findings=(*task.findings, finding)), LineUp(entrants, lined_up.not_run)


def _kept_rows(task: Task, lined_up: LineUp, settings: CompareSettings, path: Path) -> list[int]:
    """Training, validation and test rows that all models can carry; once measured they are kept, so that a run that goes on has the same."""
    if path.exists():
        with read_errors(path):
            train, validation, test = json.loads(path.read_text(encoding="utf-8"))
            return [int(train), int(validation), int(test)]
    keeps = [
        usable_rows(
            [one for one in lined_up.entrants if one.model == model],
            test_rows=len(task.split.test),
            budget=settings.budget_seconds,
        )
        for model in benches(lined_up.entrants)
    ]
    keep = [min(counts) for counts in zip(*keeps, strict=True)]
    write_atomic(path, json.dumps(keep))
    return keep


def _thin(examples: list[Example], count: int, seed: int, *, by_class: bool) -> list[Example]:
    """About `count` rows in their order; of classes the same share of each and at least one."""
    if count >= len(examples):
        return examples
    groups: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        groups.setdefault(example.label if by_class else "", []).append(index)
    rng = np.random.default_rng(derive_seed(seed, "thin"))
    kept: list[int] = []
    for mine in groups.values():
        size = max(1, round(count * len(mine) / len(examples)))
        kept += rng.permutation(mine)[:size].tolist()
    return [examples[index] for index in sorted(kept)]


def _what(task: Task, models: Models) -> str:
    """What is compared: rows, columns, classes and the models, as inferred or named."""
    split, columns = task.split, task.columns
    text = " + ".join(f"'{name}'" for name in columns.text)
    because = f" {columns.because}" if columns.because else ""
    rows = f"{task.name}: {len(split.train):,} rows to train on, {len(split.validation):,} to choose on, {len(split.test):,} to test on"
    if task.kind == "text-classification":
        rows += f"; {len(task.labels)} labels.\nText is column {text}, label is column '{columns.label}'.{because}"
    elif task.columns.label and encoder_strategies(task.kind):
        answers = (
            f"{len(task.labels)} {'tags' if task.kind == 'token-classification' else 'labels'}" if task.labels else "numbers"
        )
        rows += f"; {answers}, ranked by {metric_name(task.metric)}.\n{columns.because}"
    else:
        rows += f"; {task.shape.replace('-', ' ')}, ranked by {metric_name(task.metric)}.\n{columns.because}"
    lines = [_model_line(models.encoders.get(name) or models.texts[name]) for name in models.order]
    return "\n".join([rows, *lines])


def _model_line(model: Encoder | TextBase) -> str:
    if isinstance(model, TextBase) and not model.is_local:
        return f"Model: {model.name}, behind a server: {model.base_url or 'vLLM on this machine'}."
    return f"Model: {model.folder.name}, {human_count(model.parameters)} parameters, arithmetic {model.reader.precision}."


def _embed(entrants: Sequence[Entrant]) -> float:
    """Sentence vectors of the training and validation rows, once for all strategies of an encoder; returns the seconds they took."""
    started = time.perf_counter()
    for model, bench in benches(entrants).items():
        if isinstance(bench, EncoderBench) and embeds(entrants, model):
            texts = [example.text for example in (*bench.train, *bench.validation)]
            with progress("Sentence vectors", len(texts)) as bar:
                bench.encoder.embed(texts, advance=bar.advance)
    return time.perf_counter() - started


def _forecast(
    entrants: Sequence[Entrant], settings: CompareSettings, folder: Path, *, test_rows: int, retained_texts: int, clock: float
) -> Forecast:
    """The plan; once made it is kept, so that a run that goes on does not change its course with the machine's speed.

    Other strategies get a plan of their own as long as none that trains has finished; then all train as long as that one did.
    """
    path = folder / _PLAN
    if path.exists():
        known, keys = read_record(path, Forecast), {one.key for one in entrants}
        if keys == {*known.estimates, *known.left_out}:
            return known
        if any_trained(folder / "strategies"):
            if keys < set(known.estimates):
                return known.model_copy(
                    update={"estimates": {one.key: known.estimates[one.key] for one in entrants}, "left_out": ()}
                )
            settings = settings.model_copy(update={"epochs": known.epochs, "arms": known.arms, "batch_rows": known.batch_rows})
    spent = time.perf_counter() - clock
    forecast = plan_effort(entrants, settings, test_rows=test_rows, retained_texts=retained_texts, spent=spent)
    write_atomic(path, forecast.to_json())
    return forecast


def _write_config(settings: CompareSettings, forecast: Forecast, folder: Path) -> None:
    exact = settings.model_copy(
        update={"epochs": forecast.epochs, "arms": forecast.arms, "batch_rows": forecast.batch_rows, "out": None}
    )
    if forecast.left_out:
        exact = exact.model_copy(update={"strategies": tuple(dict.fromkeys(key.partition("@")[0] for key in forecast.estimates))})
    write_atomic(folder / "config.yaml", write_settings(COMPARE, exact))
