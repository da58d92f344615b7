"""One training run, end to end: rows, model, plan with its expected cost, training, what was measured, the folder."""

import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from hone.core.configuration import write_settings
from hone.core.console import note, progress, set_quiet
from hone.core.device import peak_memory
from hone.core.errors import Usage
from hone.core.store import write_atomic, write_lines
from hone.measure import Marks
from hone.train import Measured, TrainRecord, fit, join_processes, make_regulariser, measure_loss, remove_checkpoint
from hone.tune.answers import Asked, asked_rows, score_answers, write_answers
from hone.tune.card import write_card
from hone.tune.ready import Ready, expect, make_ready
from hone.tune.records import Expected, TuneRecord
from hone.tune.settings import TUNE, TuneSettings
from hone.tune.task_scores import Sheet, answer_sheets, answers_told, make_sheets, score_sheets
from hone.tune.told import told_end, told_plan
from hone.tune.track import open_trackers

__all__ = ["tune_rows"]


def tune_rows(settings: TuneSettings) -> TuneRecord:
    """Train one method on one source of rows.

    Returns:
        The record, which also stands as `hone.json` in the run folder beside what was trained.
    Raises:
        HoneError: rows, model and method do not fit one another, or the run left its course.
    """
    processes = join_processes()
    if not processes.is_first:
        set_quiet(True)
    with processes.in_turn():
        ready = make_ready(settings)
    plan, out = ready.plan, ready.out
    write_atomic(out / "config.yaml", write_settings(TUNE, settings.model_copy(update={"out": None})))
    expected = expect(ready)
    note(told_plan(ready.settings, ready.plan, ready.net, expected, ready.out))
    base = _measure(ready)
    sheets = _sheets(ready) if processes.is_first else []
    first = _answer_tasks(ready, sheets, is_tuned=False)
    asked = _asked(ready) if processes.is_first else []
    before = write_answers(ready.net, asked, ready.reader, title="Answers of the base") if asked else []
    regulariser = make_regulariser(settings.hold, settings.hold_strength)
    with (
        peak_memory(ready.reader.device) as peak,
        open_trackers(settings.track, out, settings) as tell,
        progress("Training", plan.steps) as bar,
    ):
        record = fit(
            ready.net,
            ready.rows.train,
            plan=plan,
            objective=ready.objective,
            mixture=ready.mixture,
            regulariser=regulariser,
            score=_score(ready) if plan.evaluations else None,
            checkpoint=out / "work" / "run.checkpoint",
            bar=bar,
            listener=tell if processes.is_first else None,
            processes=processes,
        )
    done = _record(ready, record, expected, base, _measure(ready), peak.bytes)
    if regulariser:
        done = done.model_copy(update={"held_bytes": regulariser.bytes})
    if asked:
        after = write_answers(ready.net, asked, ready.reader, title="Answers after training")
        done = done.model_copy(update={"answers": score_answers(asked, before, after, seed=settings.seed)})
        told = zip(asked, before, after, strict=True)
        write_lines(
            out / "answers.jsonl", ({"read": row.text, "right": row.right, "base": old, "tuned": new} for row, old, new in told)
        )
    if sheets and done.mixture:
        last = _answer_tasks(ready, sheets, is_tuned=True)
        scores = score_sheets(sheets, first, last, seed=settings.seed)
        done = done.model_copy(update={"mixture": done.mixture.model_copy(update={"scores": scores})})
        write_lines(out / "answers.jsonl", answers_told(sheets, first, last))
    if processes.is_first:
        _write(done, ready)
    note(told_end(done, base, out))
    return done


def _measure(ready: Ready) -> Measured | None:
    """On the validation rows, where any score was asked for."""
    return measure_loss(ready.net, ready.objective, ready.rows.validation, ready.reader) if ready.plan.evaluations else None


def _sheets(ready: Ready) -> list[Sheet]:
    """What is asked of every task; nothing where no answers are wanted."""
    return make_sheets(ready.tasks.tasks, ready.tasks.putter) if ready.tasks and ready.settings.answers else []


def _answer_tasks(ready: Ready, sheets: Sequence[Sheet], *, is_tuned: bool) -> list[Marks]:
    """Marked answers to the evaluated rows of every task; none where the data is one source of rows."""
    if not sheets:
        return []
    assert ready.tasks is not None
    title = "Tasks after training" if is_tuned else "Tasks before training"
    return answer_sheets(ready.net, ready.reader, ready.tasks.putter, sheets, is_tuned=is_tuned, title=title)


def _asked(ready: Ready) -> list[Asked]:
    """Validation rows to be answered in words; none where rows are not completions."""
    if ready.objective.name != "completion" or ready.tasks:
        return []
    return asked_rows(ready.rows.validation, ready.reader, most=ready.settings.answers)


def _record(
    ready: Ready, record: TrainRecord, expected: Expected, base: Measured | None, found: Measured | None, peak: int | None
) -> TuneRecord:
    return TuneRecord(
        settings=ready.settings,
        objective=ready.chosen.name,
        base=ready.base.name,
        base_sha256=ready.base.sha256,
        labels=ready.chosen.labels,
        template=ready.chosen.template,
        choices_template=ready.chosen.choices_template,
        rows=ready.rows.counts,
        data_sha256=ready.rows.digest,
        effective_epochs=ready.mixture.effective_epochs(record.examples_seen),
        expected=expected,
        training=record,
        seconds=record.seconds,
        peak_bytes=peak,
        base_loss=base.loss if base else None,
        loss=found.loss if found else None,
        accuracy=found.accuracy if found else None,
        answers=(),
        mixture=ready.tasks.record if ready.tasks else None,
        held_bytes=0,
        versions={name: version(name) for name in ("hone-lm", "torch", "transformers", "peft")},
    )


def _score(ready: Ready) -> Callable[[Any], float]:
    """Higher is better: the accuracy, or the loss turned round."""

    def score(net: Any) -> float:
        found = measure_loss(net, ready.objective, ready.rows.validation, ready.reader)
        if ready.settings.metric == "accuracy":
            if found.accuracy is None:
                raise Usage(
                    f"The objective '{ready.chosen.name}' has no accuracy, for its answers are numbers. Choose --metric loss."
                )
            return found.accuracy
        return -found.loss

    return score


def _write(done: TuneRecord, ready: Ready) -> None:
    out = ready.out
    ready.trainable.save(ready.net, out)
    ready.reader.save(out)
    write_atomic(out / "hone.json", done.to_json())
    write_atomic(out / "README.md", write_card(done, ready.base))
    remove_checkpoint(out / "work" / "run.checkpoint")
    shutil.rmtree(out / "work", ignore_errors=True)
