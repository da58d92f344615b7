"""One comparison of ways to remember: the same rows learnt once per way, each in a run folder of its own, then put side by side.

A way that is finished is not run again, and one that was interrupted goes on, so the same command may be given until all are done.
"""

import gc
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from hone.catalogue import ModelFolder, count_parameters, locate_model
from hone.core.claim import claim_folder
from hone.core.configuration import write_settings
from hone.core.console import note
from hone.core.errors import Failed, Usage
from hone.core.store import digest_file, digest_text, read_errors, write_atomic
from hone.evaluate import RetainedTask, VectorTask, find_tasks, find_vector_tasks
from hone.measure import Interval, human_seconds
from hone.model import family, read_config
from hone.remember.conclude import advise, judge
from hone.remember.page import render_page
from hone.remember.records import UNITS, RememberRecord, Unit, WayResult
from hone.remember.settings import REMEMBER, RememberSettings
from hone.remember.told import write_readme
from hone.remember.ways import Way, choose_ways, way_rate, way_settings
from hone.task import names_mixture
from hone.train import join_processes
from hone.tune import TuneRecord, TuneSettings, tune_rows

__all__ = ["remember_rows"]


def remember_rows(settings: RememberSettings) -> RememberRecord:
    """Learn the same rows once per way, and compare what was gained and what was forgotten.

    Returns:
        The record, which also stands as `remember.json` beside `README.md`, `report.html` and the run folders, `ways/NAME`.
    Raises:
        HoneError: rows, model, ways and retained tasks do not fit one another, or no way came to its end.
    """
    with ExitStack() as held:
        return _remember(settings, held)


def _remember(settings: RememberSettings, held: ExitStack) -> RememberRecord:
    base = _model(settings)
    is_encoder = family(read_config(base)) == "encoder"
    ways = choose_ways(settings, is_encoder=is_encoder)
    tasks = _retained(settings, is_encoder=is_encoder)
    if not join_processes().is_alone:
        raise Usage("hone remember runs one way after the other in one process: start without torchrun.")
    out = claim_folder(settings.out, settings.data, key=_key(settings, base), until=held)
    write_atomic(out / "config.yaml", write_settings(REMEMBER, settings.model_copy(update={"out": None})))
    parameters = count_parameters(base)
    runs: dict[str, TuneRecord] = {}
    failed: dict[str, Failed | Usage] = {}
    for place, way in enumerate(ways, 1):
        rate = way_rate(way, settings, parameters=parameters, is_headed=is_encoder)
        asked = way_settings(way, settings, rate=rate, out=str(out / "ways" / way.name))
        note(f"\n{place} of {len(ways)}, {way.name}: {way.said}.")
        try:
            runs[way.name] = _finished(asked) or tune_rows(asked)
        except (Failed, Usage) as error:
            # A way may leave its course or not fit the model; a full disk, which has a cause below it, is no matter of the way.
            if error.__cause__ is not None:
                raise
            failed[way.name] = error
            note(f"{way.name} has no result: {error}")
        gc.collect()  # the network of a way is not to stand in memory beside the next one's
    if not runs:
        raise next(iter(failed.values()))
    found = _compare(settings, [way for way in ways if way.name in runs], runs, tasks=tasks, failed=failed)
    write_atomic(out / "remember.json", found.to_json())
    write_atomic(out / "README.md", write_readme(found))
    write_atomic(out / "report.html", render_page(found))
    note(f"\nWritten to {out}: report.html, remember.json, and a run folder per way.")
    return found


def _retained(settings: RememberSettings, *, is_encoder: bool) -> Sequence[RetainedTask | VectorTask]:
    """The retained tasks: of sentence vectors for an encoder.

    Raises:
        HoneError: one is not known or cannot be read. Usage: a budget, and no task with right answers to hold against it.
    """
    if is_encoder:
        return find_vector_tasks(settings.retain)[0]
    tasks = find_tasks(settings.retain)
    if settings.may_lose is not None and all(task.chance is None for task in tasks):
        raise Usage(
            "--may-lose is a share of right answers, and the retained tasks are texts, which have none. Name a task with choices: "
            "--retain bundled."
        )
    return tasks


def _model(settings: RememberSettings) -> ModelFolder:
    """The model.

    Raises:
        Usage: the data are a mixture of tasks.
    """
    if names_mixture(settings.data):
        raise Usage(f"{settings.data} is a mixture of tasks, and ways are compared on the rows of one. Give a file of rows.")
    return locate_model(settings.model)


def _key(settings: RememberSettings, base: ModelFolder) -> str:
    """Of everything that each way shares: ways, older rows and a budget may be added in the same folder later."""
    shared = settings.model_dump_json(exclude={"out", "ways", "may_lose", "replay"})
    files = [Path(name).expanduser() for name in (settings.data, settings.validation, *settings.retain) if name]
    return digest_text(shared, base.sha256, *(digest_file(file) for file in files if file.is_file()))


def _finished(asked: TuneSettings) -> TuneRecord | None:
    """The record of a way that came to its end.

    Raises:
        Usage: it was run with other settings.
    """
    assert asked.out is not None
    path = Path(asked.out) / "hone.json"
    if not path.exists():
        return None
    with read_errors(path.parent, cure="Remove this folder, and the same command runs this way again."):
        done = TuneRecord.model_validate_json(path.read_text(encoding="utf-8"))
    if done.settings.model_copy(update={"out": asked.out}) != asked:
        raise Usage(f"{path.parent} holds a run with other settings. Remove it to run this way anew, or name another --out.")
    note(f"Finished before, in {human_seconds(done.seconds)}.")
    return done


def _compare(
    settings: RememberSettings,
    ways: Sequence[Way],
    runs: dict[str, TuneRecord],
    *,
    tasks: Sequence[RetainedTask | VectorTask],
    failed: dict[str, Failed | Usage],
) -> RememberRecord:
    results = judge([_result(way, runs[way.name]) for way in ways], budget=settings.may_lose)
    kinds = {task.name: _unit(task) for task in tasks}
    unit: Unit = next((one for one in UNITS if one in kinds.values()), "nats")
    counted = [task for task in tasks if kinds[task.name] == unit]
    advised, advice = advise(results, budget=settings.may_lose, unit=unit)
    first = runs[ways[0].name]
    drops = first.forgetting.drops if first.forgetting else None
    return RememberRecord(
        settings=settings,
        base=first.base,
        base_sha256=first.base_sha256,
        rows=first.rows.train,
        validation=first.rows.validation,
        retained=tuple(task.name for task in counted),
        items=sum(len(task) if unit == "score" else min(len(task), settings.retain_items) for task in counted),
        floor_tasks=drops.floor_tasks if drops else (),
        unit=unit,
        ways=results,
        failed={name: str(error) for name, error in failed.items()},
        advised=advised,
        advice=advice,
        versions=first.versions,
    )


def _unit(task: RetainedTask | VectorTask) -> Unit:
    """In which a loss on it is told."""
    if isinstance(task, VectorTask):
        return "score"
    return "nats" if task.chance is None else "accuracy"


def _result(way: Way, done: TuneRecord) -> WayResult:
    assert done.base_loss is not None and done.loss is not None, "scores are asked for"
    found, rises = done.vectors, done.forgetting.rises if done.forgetting else None
    drops = found or (done.forgetting.drops if done.forgetting else None)
    lost_interval: Interval | None
    worst_interval: Interval | None
    if drops:
        lost, lost_interval = drops.mean.mid, drops.mean
        worst, worst_interval, worst_task = drops.worst.mid, drops.worst, drops.worst_task
    elif rises:
        lost, lost_interval = rises.mean, rises.mean_interval
        worst, worst_interval, worst_task = rises.worst, rises.worst_interval, rises.worst_task
    else:
        raise Usage(f"What is forgotten cannot be measured here. {done.forgetting_not_measured}")
    rate = done.settings.learning_rate
    assert rate is not None
    return WayResult(
        way=way.name,
        said=way.said,
        folder=f"ways/{way.name}",
        learning_rate=rate,
        steps=done.training.steps,
        base_loss=done.base_loss,
        loss=done.loss,
        answer=done.answers[0] if done.answers else None,
        lost=lost,
        lost_interval=lost_interval,
        worst=worst,
        worst_interval=worst_interval,
        worst_task=worst_task,
        perplexity_rise=_perplexity(rises.mean) if rises else None,
        divergence=done.forgetting.divergence if done.forgetting else None,
        seconds=done.seconds,
        peak_bytes=done.peak_bytes,
    )


def _perplexity(rise: float) -> float:
    """The share by which the perplexity rose, from nats; infinite where it is beyond all numbers."""
    return math.expm1(rise) if rise < 700 else math.inf
