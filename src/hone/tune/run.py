"""One training run, end to end: rows, model, plan with its expected cost, training, what was measured, the folder."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hone.core.configuration import write_settings
from hone.core.console import note, progress, set_quiet
from hone.core.device import peak_memory, release_memory
from hone.core.errors import Usage
from hone.core.store import claim_folder, digest_text, write_atomic, write_lines
from hone.measure import Marks, human_bytes, human_count, human_seconds
from hone.model import ModelFolder, Network, TextReader, family, load_reader, locate_model, read_config
from hone.task import names_mixture
from hone.train import (
    LogitObjective,
    Measured,
    Mixture,
    SingleTask,
    Trainable,
    TrainPlan,
    TrainRecord,
    fit,
    join_processes,
    make_regulariser,
    make_trainable,
    measure_loss,
    remove_checkpoint,
    replay,
    trained_parameters,
    usual_rate,
)
from hone.tune.answers import Asked, asked_rows, score_answers, write_answers
from hone.tune.card import write_card
from hone.tune.choose import Chosen, choose, default_tokens, load_network
from hone.tune.prepare import Rows, encode_rows, read_rows
from hone.tune.records import AnswerScore, Expected, TuneRecord
from hone.tune.settings import TUNE, TuneSettings
from hone.tune.task_check import task_table
from hone.tune.task_scores import Sheet, answer_sheets, answers_told, make_sheets, score_sheets, score_table
from hone.tune.tasks import PutTasks, open_tasks, put_tasks
from hone.tune.track import open_trackers

__all__ = ["tune_rows"]

_REHEARSED = 6  # steps
_SCORED = 64  # validation rows, the longest


@dataclass(frozen=True)
class _Ready:
    """Everything that a run needs, before its first step."""

    settings: TuneSettings
    base: ModelFolder
    reader: TextReader
    chosen: Chosen
    objective: LogitObjective[Any]
    rows: Rows
    trainable: Trainable
    net: Network
    plan: TrainPlan
    mixture: Mixture
    out: Path
    tasks: PutTasks | None
    """Where the data is a mixture of tasks."""


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
        ready = _make_ready(settings)
    plan, out = ready.plan, ready.out
    write_atomic(out / "config.yaml", write_settings(TUNE, settings.model_copy(update={"out": None})))
    expected = _rehearse(ready)
    note(_told_plan(ready, expected))
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
    note(_told_end(done, base, out))
    return done


def _make_ready(settings: TuneSettings) -> _Ready:
    opened = open_tasks(settings) if names_mixture(settings.data) else None
    read = None if opened else read_rows(settings)
    folder = locate_model(settings.model)
    reader = load_reader(folder, precision=settings.precision)
    trainable = _trainable(settings)
    reader.context_length -= settings.tokens if settings.method == "prompt" else 0
    tasks = None
    if opened:
        material = opened.material
        chosen = choose(settings.model_copy(update={"template": "{prompt}"}), material, folder, reader)
        tasks = put_tasks(settings, opened, family(read_config(folder)), reader, chosen.objective)
        rows = tasks.rows
    else:
        assert read is not None
        material, train, validation, duplicates = read
        chosen = choose(settings, material, folder, reader)
        rows = encode_rows(settings, material, train, validation, duplicates, chosen.objective)
    assert isinstance(chosen.objective, LogitObjective)
    out = claim_folder(settings.out, settings.data, key=_key(settings, rows, folder))
    net = trainable.prepare(load_network(chosen, folder, reader, settings))
    if reader.precision == "bf16":
        net.narrow_frozen()
    mixture = tasks.mixture if tasks else _mixture(rows, settings)
    own = len(rows.train) - rows.replayed
    draws = settings.epochs * (mixture.epoch if tasks else own / (1 - settings.replay_rate if rows.replayed else 1))
    plan = _plan(settings, draws, reader, net)
    note(_told_rows(settings, material.because, rows, mixture, plan, tasks))
    return _Ready(settings, folder, reader, chosen, chosen.objective, rows, trainable, net, plan, mixture, out, tasks)


def _measure(ready: _Ready) -> Measured | None:
    """On the validation rows, where any score was asked for."""
    return measure_loss(ready.net, ready.objective, ready.rows.validation, ready.reader) if ready.plan.evaluations else None


def _sheets(ready: _Ready) -> list[Sheet]:
    """What is asked of every task; nothing where no answers are wanted."""
    return make_sheets(ready.tasks.tasks, ready.tasks.putter) if ready.tasks and ready.settings.answers else []


def _answer_tasks(ready: _Ready, sheets: Sequence[Sheet], *, is_tuned: bool) -> list[Marks]:
    """Marked answers to the evaluated rows of every task; none where the data is one source of rows."""
    if not sheets:
        return []
    assert ready.tasks is not None
    title = "Tasks after training" if is_tuned else "Tasks before training"
    return answer_sheets(ready.net, ready.reader, ready.tasks.putter, sheets, is_tuned=is_tuned, title=title)


def _asked(ready: _Ready) -> list[Asked]:
    """Validation rows to be answered in words; none where rows are not completions."""
    if ready.objective.name != "completion" or ready.tasks:
        return []
    return asked_rows(ready.rows.validation, ready.reader, most=ready.settings.answers)


def _record(
    ready: _Ready, record: TrainRecord, expected: Expected, base: Measured | None, found: Measured | None, peak: int | None
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


def _trainable(settings: TuneSettings) -> Trainable:
    """The method with the options that are its own."""
    options: dict[str, dict[str, Any]] = {
        "lora": {
            "rank": settings.rank,
            "alpha": settings.alpha,
            "dropout": settings.dropout,
            "rank_stabilised": settings.rslora,
            "dora": settings.dora,
        },
        "top": {"count": settings.layers},
        "prompt": {"tokens": settings.tokens},
        "prefix": {"tokens": settings.tokens},
    }
    if settings.load != "plain" and settings.method not in ("lora", "ia3", "adapter", "prompt", "prefix"):
        raise Usage(
            f"--load {settings.load} holds the base in few bits, which '{settings.method}' would have to move. Choose lora."
        )
    return make_trainable(settings.method, **options.get(settings.method, {}))


def _key(settings: TuneSettings, rows: Rows, folder: ModelFolder) -> str:
    asked = settings.model_dump_json(exclude={"out", "track"})
    return digest_text(asked, rows.digest, folder.sha256)


def _plan(settings: TuneSettings, draws: float, reader: TextReader, net: Network) -> TrainPlan:
    steps = settings.steps or max(1, round(draws / settings.batch_rows))
    size = sum(parameter.numel() for parameter in net.parameters())
    rate = settings.learning_rate or usual_rate(settings.method, parameters=size, is_headed=hasattr(net, "classifier"))
    return TrainPlan(
        learning_rate=rate,
        head_learning_rate=max(rate, 2e-3) if settings.learning_rate is None else rate,
        steps=steps,
        batch_rows=settings.batch_rows,
        forward_tokens=settings.forward_tokens or default_tokens(net),
        schedule=settings.schedule,
        warmup=settings.warmup,
        lora_plus=settings.lora_plus,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        evaluations=min(settings.evaluations, steps),
        patience=settings.patience,
        gradient_checkpointing=settings.gradient_checkpointing,
        compile=settings.compile,
        precision=reader.precision,
        seed=settings.seed,
    )


def _mixture(rows: Rows, settings: TuneSettings) -> Mixture:
    own = len(rows.train) - rows.replayed
    return replay(own, rows.replayed, rate=settings.replay_rate) if rows.replayed else SingleTask(own)


def _score(ready: _Ready) -> Callable[[Any], float]:
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


def _rehearse(ready: _Ready) -> Expected:
    """A few steps that move nothing (their learning rate is 0): seconds per token and peak memory.

    The first batch holds the longest rows, so that memory is at its peak; the timed ones are typical.
    """
    plan, rows, net = ready.plan, ready.rows, ready.net
    release_memory()
    longest = sorted(rows.train, key=lambda item: -item.length)[: plan.batch_rows]
    typical = rows.train[:: max(1, len(rows.train) // (plan.batch_rows * _REHEARSED))][: plan.batch_rows * _REHEARSED]
    with peak_memory(net.device) as peak:
        for items, steps in ((longest, 1), (typical, _REHEARSED)):
            still = plan.model_copy(update={"learning_rate": 0.0, "head_learning_rate": 0.0, "steps": steps, "evaluations": 0})
            record = fit(net, items, plan=still, objective=ready.objective, mixture=SingleTask(len(items)))
        if plan.evaluations:
            measure_loss(net, ready.objective, sorted(rows.validation, key=lambda item: -item.length)[:_SCORED], ready.reader)
    per_token = record.seconds / max(record.tokens_seen, 1)
    mean = sum(item.length for item in rows.train) / len(rows.train)
    checked = plan.evaluations * sum(item.length for item in rows.validation) / 3  # a forward pass is a third of a step
    return Expected(seconds=per_token * (plan.steps * plan.batch_rows * mean + checked), peak_bytes=peak.bytes or 0)


def _write(done: TuneRecord, ready: _Ready) -> None:
    out = ready.out
    ready.trainable.save(ready.net, out)
    ready.reader.save(out)
    write_atomic(out / "hone.json", done.to_json())
    write_atomic(out / "README.md", write_card(done, ready.base))
    remove_checkpoint(out / "work" / "run.checkpoint")
    shutil.rmtree(out / "work", ignore_errors=True)


def _told_rows(
    settings: TuneSettings, because: str, rows: Rows, mixture: Mixture, plan: TrainPlan, tasks: PutTasks | None
) -> str:
    counts = rows.counts
    lines = [
        f"{settings.data}: {because}",
        *([task_table(tasks.record.tasks, mixture.effective_epochs(plan.steps * plan.batch_rows)), ""] if tasks else []),
        f"{counts.train:,} rows to train on, {counts.validation:,} to choose on; {counts.tokens:,} tokens a pass, {counts.trained_tokens:,} "
        f"trained terms ({counts.trained_tokens / max(counts.tokens, 1):.1%}).",
        f"{counts.cut:,} rows cut to the context, {counts.dropped:,} dropped because nothing was left to train, {counts.rejected:,} unusable, "
        f"{counts.duplicates:,} left out because validation holds them too.",
    ]
    epochs = mixture.effective_epochs(plan.steps * plan.batch_rows)
    if len(epochs) > 1 and not tasks:
        lines.append("Effective epochs: " + ", ".join(f"{name} {value:.2f}" for name, value in epochs.items()) + ".")
    return "\n".join(lines)


def _told_plan(ready: _Ready, expected: Expected) -> str:
    settings, plan, net = ready.settings, ready.plan, ready.net
    moving = sum(parameter.numel() for parameter in trained_parameters(net).values())
    whole = sum(parameter.numel() for parameter in net.parameters())
    held = "" if settings.hold == "none" else f", held by {settings.hold} ({settings.hold_strength:g})"
    tied = (
        " The output layer is tied to the embedding, which therefore moves too."
        if settings.method == "head" and _is_tied(net)
        else ""
    )
    return (
        f"{settings.method}: {human_count(moving)} of {human_count(whole)} parameters move ({moving / whole:.2%}){held}. "
        f"{plan.steps:,} steps of {plan.batch_rows} rows at a rate of {plan.learning_rate:g}, {plan.precision}, "
        f"{'packed without padding' if net.packs else 'padded'}.{tied}\n"
        f"Expected: {human_seconds(expected.seconds)} and {human_bytes(expected.peak_bytes)} at the peak. Kept in {ready.out}; "
        "after an interruption the same command goes on.\n"
    )


def _is_tied(net: Network) -> bool:
    output = net.base.get_output_embeddings()
    return output is not None and output.weight is net.base.get_input_embeddings().weight


def _told_end(done: TuneRecord, base: Measured | None, out: Path) -> str:
    lines = [
        f"Took {human_seconds(done.seconds)} (expected {human_seconds(done.expected.seconds)}), "
        f"peak {human_bytes(done.peak_bytes or 0)} (expected {human_bytes(done.expected.peak_bytes)}); "
        f"{done.training.tokens_seen / max(done.training.seconds, 1e-9):,.0f} tokens a second."
    ]
    if base is not None and done.loss is not None:
        right = "" if done.accuracy is None else f", {done.accuracy:.1%} of the terms right"
        lines.append(f"Validation loss {base.loss:.4f} before, {done.loss:.4f} after{right}.")
    if done.answers:
        lines.append(f"Answers to {done.answers[0].n} validation rows:")
        lines += [f"  {_told_answer(score)}" for score in done.answers]
    if done.mixture:
        lines.append(
            f"Passes over each task: {', '.join(f'{name} {value:.2f}' for name, value in done.effective_epochs.items())}."
        )
        lines += ["", score_table(done.mixture.scores), ""] if done.mixture.scores else []
    lines.append(f"Written to {out}.")
    return "\n".join(lines)


def _told_answer(score: AnswerScore) -> str:
    gain = "" if score.gain_low is None else f" (gain {score.gain_low:+.3f} to {score.gain_high:+.3f})"
    return f"{score.metric} {score.base:.3f} before, {score.value:.3f} after{gain}, first sentences {score.first_sentences:.3f}"
