"""Which of datatrove's executors runs the recipe: this machine's processes, Slurm, or Ray. The stages are the same for all.

On this machine and on Ray the stages run here, one after another, each skipping the tasks that an earlier run finished. Slurm gets them as
a chain of array jobs, each waiting for the one before, and hone does not wait: the same command, given again, gathers what they made.
"""

import copy
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hone.core.console import note, progress
from hone.core.errors import Failed, HoneError, need
from hone.core.store import write_atomic
from hone.curate.recipe import Stage
from hone.curate.settings import CurateSettings
from hone.curate.steps import Quiet

__all__ = ["build_executors", "is_finished", "run_stages", "unfinished"]

_SUBMITTED = "submitted"


def build_executors(settings: CurateSettings, stages: Sequence[Stage], work: Path) -> list[Any]:
    """One executor per stage, logging below `work`.

    Raises:
        MissingPackage: Ray is asked for and not installed.
    """
    executors: list[Any] = []
    for stage in stages:
        logs = str(work / "logs" / stage.name.replace(" ", "-"))
        workers = min(settings.workers, stage.tasks)
        # A job's log is read when it fails, so there datatrove may speak.
        aloud = [step for step in stage.pipeline if not isinstance(step, Quiet)]
        if settings.executor == "local":
            from datatrove.executor import LocalPipelineExecutor

            executors.append(LocalPipelineExecutor(stage.pipeline, tasks=stage.tasks, workers=workers, logging_dir=logs))
        elif settings.executor == "slurm":
            from datatrove.executor import SlurmPipelineExecutor

            executors.append(
                SlurmPipelineExecutor(
                    aloud,
                    tasks=stage.tasks,
                    workers=workers,
                    time=settings.time,
                    partition=settings.partition,
                    mem_per_cpu_gb=settings.memory_gb,
                    job_name=f"hone-{stage.name.replace(' ', '-')}",
                    logging_dir=logs,
                    depends=executors[-1] if executors else None,
                    venv_path=_environment(),
                )
            )
        else:
            need("ray", extra="ray")
            from datatrove.executor.ray import RayPipelineExecutor

            executors.append(
                RayPipelineExecutor(
                    stage.pipeline, tasks=stage.tasks, workers=workers, logging_dir=logs, mem_per_cpu_gb=settings.memory_gb
                )
            )
    return executors


def run_stages(settings: CurateSettings, stages: Sequence[Stage], work: Path) -> bool:
    """Run what is not finished; False where it was handed to Slurm and is not done.

    Raises:
        Failed: a task failed; what was finished is kept. Jobs that were handed over before and are not done.
    """
    if is_finished(stages, work):
        return True
    submitted = work / _SUBMITTED
    if submitted.exists():
        left = ", ".join(
            f"{stage.name} {len(unfinished(stage, work))} of {stage.tasks}" for stage in stages if unfinished(stage, work)
        )
        raise Failed(
            f"The jobs handed to Slurm are not done. Tasks left: {left}. Give the same command again when they are. "
            f"If they have failed (logs in {work / 'logs'}), remove {submitted} first: what is left is then handed over again."
        )
    executors = build_executors(settings, stages, work)
    if settings.executor == "slurm":
        executors[-1].run()  # launches those before it, and waits for none
        write_atomic(submitted, f"{executors[-1].job_id}\n")
        note(f"Handed to Slurm; the last job is {executors[-1].job_id}. Give the same command again when it has ended.")
        return False
    with progress("Curating", sum(_WEIGHTS.get(stage.name, 1) for stage in stages)) as bar:
        for stage, executor in zip(stages, executors, strict=True):
            bar.describe(stage.name)
            weight = _WEIGHTS.get(stage.name, 1)
            for share in _run(stage, executor, is_local=settings.executor == "local"):
                bar.advance(share * weight)
    return True


_WEIGHTS = {"rules": 60, "near signatures": 30, "corpus": 15, "exact signatures": 4}
"""How long the stages take beside each other, for the bar."""


def _run(stage: Stage, executor: Any, *, is_local: bool) -> Iterator[float]:
    """Run the tasks of a stage that are not done; yields the share of the stage that was done.

    One worker is this process: datatrove's own loop would start a server for its queue, which outlives a kill.
    """
    try:
        if executor.workers > 1 or not is_local:
            executor.run()
            yield 1
            return
        left = executor.get_incomplete_ranks()
        yield 1 - len(left) / stage.tasks
        for rank in left:
            executor.pipeline = copy.deepcopy(stage.pipeline)  # what a step has counted belongs to one task
            executor._run_for_rank(rank)
            yield 1 / stage.tasks
    except (HoneError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise Failed(
            f"The stage '{stage.name}' failed: {type(error).__name__}: {error}. "
            "What was finished is kept: the same command goes on from there."
        ) from error


def unfinished(stage: Stage, work: Path) -> list[int]:
    """The tasks of a stage that no run has finished."""
    done = work / "logs" / stage.name.replace(" ", "-") / "completions"
    return [rank for rank in range(stage.tasks) if not (done / f"{rank:05d}").exists()]


def is_finished(stages: Sequence[Stage], work: Path) -> bool:
    """Whether all tasks of all stages are done."""
    return not any(unfinished(stage, work) for stage in stages)


def _environment() -> str | None:
    """What activates the virtual environment of this process on another machine."""
    active = os.environ.get("VIRTUAL_ENV")
    return str(Path(active) / "bin" / "activate") if active else None
