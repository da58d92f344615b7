"""One training run, end to end: rows, model, plan with its expected cost, training, what was measured, the folder."""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

from hone.core.claim import released_if_refused
from hone.core.configuration import write_settings
from hone.core.console import note, progress, set_quiet
from hone.core.device import peak_memory, release_memory
from hone.core.errors import Usage
from hone.core.store import disk_errors, share_files, write_atomic
from hone.measure import ERRORS, score_texts
from hone.model import HeadedNetwork
from hone.train import (
    UNSEEN,
    Answers,
    Measured,
    Placed,
    Processes,
    Regress,
    TrainRecord,
    fit,
    join_processes,
    measure_loss,
    remove_checkpoint,
)
from hone.tune.answers import answer_length, asked_rows, write_answers
from hone.tune.before_after import take_down
from hone.tune.card import write_card
from hone.tune.expect import expect, frozen_blocks
from hone.tune.finished import RECORD
from hone.tune.hold import hold
from hone.tune.metrics import head_metrics, is_written
from hone.tune.named import name_rows, name_texts
from hone.tune.promise import fit_head_anew
from hone.tune.ready import Ready, make_ready, require_divisible
from hone.tune.records import Commonest, Expected, HeadScore, TuneRecord
from hone.tune.settings import TUNE, TuneSettings
from hone.tune.told import told_end, told_plan
from hone.tune.track import open_trackers, require_trackers

__all__ = ["tune_rows"]


def tune_rows(settings: TuneSettings) -> TuneRecord:
    """Train one method on one source of rows.

    Returns:
        The record, which also stands as `hone.json` in the run folder beside what was trained. A finished run is read back.
    Raises:
        HoneError: rows, model and method do not fit one another, or the run left its course.
    """
    require_trackers(settings.track)
    if settings.shard:
        require_divisible(settings)
    processes = join_processes(shard=settings.shard)
    if not processes.is_first:
        set_quiet(True)
    if settings.may_lose is not None and not processes.is_alone:
        raise Usage("--may-lose chooses a position of the dial in one process: start without torchrun.")
    if processes.part is not None:
        require_divisible(settings)  # accelerate's configuration may have asked for it
    with ExitStack() as held:
        with processes.in_turn():
            ready = make_ready(settings, until=held if processes.is_first else None)
        if isinstance(ready, TuneRecord):
            return ready
        with released_if_refused(ready.out):
            return _train(ready, processes)


def _train(ready: Ready, processes: Processes) -> TuneRecord:
    """From the first rehearsed step to the written folder; the folder is marked as in use once nothing can be refused any more."""
    settings, plan, out = ready.settings, ready.plan, ready.out
    frozen = frozen_blocks(ready, processes)
    expected = expect(ready, processes, frozen)
    parts = processes.world if processes.part else 1
    note(told_plan(settings, plan, ready.net, expected, out, parts=parts, frozen=frozen))
    base = ready.measure()
    first = take_down(ready, is_first=processes.is_first)
    regulariser = hold(ready)
    release_memory()  # what came before leaves nothing to the peak
    with (
        peak_memory(ready.reader.device) as peak,
        open_trackers(settings.track if processes.is_first else (), out, settings) as tell,
        progress("Training", plan.steps) as bar,
    ):
        write_atomic(out / "config.yaml", write_settings(TUNE, settings.model_copy(update={"out": None})))
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
            name=lambda indices: _named(ready, indices),
        )
    full = ready.measure()
    certificate, kept = first.keep_promise(), full
    if certificate and certificate.dial < 1:
        kept = fit_head_anew(ready) if isinstance(ready.net, HeadedNetwork) else ready.measure()
    done = _record(ready, record, expected, base, kept, peak.bytes)
    held: dict[str, object] = {"held_bytes": regulariser.bytes if regulariser else 0, "certificate": certificate}
    if certificate and full:
        held["loss_at_full"] = full.loss
    done = first.finish(done.model_copy(update=held), kept)
    if processes.is_first:
        _write(done, ready)
    note(told_end(done, base, out))
    return done


def _named(ready: Ready, indices: Sequence[int]) -> str:
    """A batch, as the user finds its rows."""
    rows = ready.rows
    return name_rows(indices, rows.origins) if rows.origins else name_texts(indices, rows.train, ready.reader)


def _record(
    ready: Ready, record: TrainRecord, expected: Expected, base: Measured | None, found: Measured | None, peak: int | None
) -> TuneRecord:
    return TuneRecord(
        settings=ready.settings,
        objective=ready.chosen.name,
        base=ready.base.name,
        base_sha256=ready.base.sha256,
        labels=ready.chosen.labels,
        kind=ready.read.material.kind if ready.read else None,
        columns=ready.read.material.inputs if ready.read else (),
        choice_columns=ready.read.material.choices if ready.read else (),
        answer_tokens=max(map(answer_length, ready.rows.train)) if ready.chosen.name == "completion" else None,
        answers_always=ready.objective.always if isinstance(ready.objective, Answers) else None,
        score_mean=ready.objective.mean if isinstance(ready.objective, Regress) else None,
        score_deviation=ready.objective.deviation if isinstance(ready.objective, Regress) else None,
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
        scores=_head_scores(ready, found),
        commonest=_commonest(ready) if found else None,
        answers=(),
        mixture=ready.tasks.record if ready.tasks else None,
        held_bytes=0,
        versions={name: version(name) for name in ("hone-lm", "torch", "transformers", "peft")},
    )


def _commonest(ready: Ready) -> Commonest | None:
    """Of rows with a class or tags; None of others, whose terms are no few that repeat."""
    if ready.chosen.name not in ("classify", "tag"):
        return None
    rows = ready.rows.validation
    terms = Counter(label for row in rows for label in (row.labels if isinstance(row, Placed) else (row.target,)))
    label, count = max(((label, count) for label, count in terms.items() if label != UNSEEN), key=lambda one: one[1])
    return Commonest(label=ready.chosen.labels[label], share=count / terms.total())


def _head_scores(ready: Ready, found: Measured | None) -> tuple[HeadScore, ...]:
    key = ready.key(ready.rows.validation)
    return key.score(found.answers, metric=ready.settings.metric, seed=ready.settings.seed) if key and found else ()


def _score(ready: Ready) -> Callable[[Any], float]:
    """Higher is better: a share of what is right, or a loss or error turned round."""
    settings, metric = ready.settings, ready.settings.metric
    key = ready.key(ready.rows.validation)
    writes = is_written(settings, ready.chosen.name)
    asked = asked_rows(ready.rows.validation, ready.reader, most=settings.answers) if writes else []

    def score(net: Any) -> float:
        if writes:
            written = write_answers(net, asked, ready.reader, title="Answers")
            return score_texts(written, [[row.right] for row in asked], [metric])[metric].value
        found = measure_loss(net, ready.objective, ready.rows.validation, ready.reader)
        if metric == "loss":
            return -found.loss
        if key is None or metric not in head_metrics(ready.chosen.name, ready.chosen.labels):
            assert metric == "accuracy" and found.accuracy is not None, "refused before the first step"
            return found.accuracy
        value = key.value(found.answers, metric)
        return -value if metric in ERRORS else value

    return score


def _write(done: TuneRecord, ready: Ready) -> None:
    out = ready.out
    if isinstance(ready.objective, Regress) and isinstance(ready.net, HeadedNetwork):
        ready.objective.unscale(ready.net)
    with disk_errors(out):
        ready.trainable.save(ready.net, out)
        ready.reader.save(out)
    share_files(out)
    write_atomic(out / "README.md", write_card(done, ready.base))
    write_atomic(out / RECORD, done.to_json())  # last: it alone says that the run is finished
    remove_checkpoint(out / "work" / "run.checkpoint")
    shutil.rmtree(out / "work", ignore_errors=True)
