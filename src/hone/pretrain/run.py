"""One pretraining, end to end: texts, tokenizer, model, the plan with its price, training, what was measured, the folder."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hone.catalogue import locate_model
from hone.core.claim import claim_folder, released_if_refused
from hone.core.configuration import write_settings
from hone.core.console import note, progress, set_quiet, warn
from hone.core.device import peak_memory, processor_name, release_memory
from hone.core.errors import Usage
from hone.core.store import (
    digest_file,
    digest_text,
    disk_errors,
    read_back,
    read_errors,
    read_lines,
    share_files,
    write_atomic,
    write_lines,
)
from hone.measure import bits_per_byte, human_bytes, human_count, human_seconds
from hone.pretrain.advise import Pace, tell_cost
from hone.pretrain.begin import Begun, Counted, begin, count_texts, rehearse_pieces
from hone.pretrain.card import write_card
from hone.pretrain.records import PretrainRecord, Sample
from hone.pretrain.samples import write_samples
from hone.pretrain.settings import PRETRAIN, PretrainSettings
from hone.train import (
    Listener,
    Measured,
    Processes,
    Rehearsal,
    SingleTask,
    StepEvent,
    TrainPlan,
    TrainRecord,
    fit,
    join_processes,
    measure_loss,
    remove_checkpoint,
)
from hone.tune import name_texts, open_trackers

__all__ = ["pretrain"]

_RATE, _RATE_SIZE, _RATE_MOST = 3e-3, 10e6, 4e-3
_RECORD = "hone.json"
_CHECKPOINT = 120.0  # seconds: weights and their moments are written each time


@dataclass(frozen=True)
class _Ready:
    settings: PretrainSettings
    begun: Begun
    plan: TrainPlan
    tokens: int
    counted: Counted
    digest: str
    out: Path


def pretrain(settings: PretrainSettings) -> PretrainRecord:
    """Train a language model on texts, from scratch or from a base.

    Returns:
        The record, which also stands as `hone.json` in the run folder beside model and tokenizer. A finished run is read back.
    Raises:
        HoneError: texts, base and objective do not fit one another, or the run left its course.
    """
    processes = join_processes()
    if not processes.is_first:
        set_quiet(True)
    if settings.optimiser == "muon" and not processes.is_alone:
        raise Usage("Muon steps whole matrices and trains in one process here. Choose --optimiser adamw for several.")
    with ExitStack() as held:
        with processes.in_turn():
            ready = _make_ready(settings, until=held if processes.is_first else None)
        return ready if isinstance(ready, PretrainRecord) else _train(ready, processes)


def _train(ready: _Ready, processes: Processes) -> PretrainRecord:
    settings = ready.settings
    begun, plan, out = ready.begun, ready.plan, ready.out
    write_atomic(out / "config.yaml", write_settings(PRETRAIN, settings.model_copy(update={"out": None})))
    expected = rehearse_pieces(begun, plan)
    note(_told_plan(ready, expected))
    start = _measure(begun)
    release_memory()  # what came before leaves nothing to the peak
    with (
        peak_memory(begun.reader.device) as peak,
        open_trackers(settings.track if processes.is_first else (), out, settings) as tell,
        progress("Pretraining", plan.steps) as bar,
    ):
        record = fit(
            begun.net,
            begun.train,
            plan=plan,
            objective=begun.objective,
            mixture=SingleTask(len(begun.train)),
            score=lambda _net: -_measure(begun).loss,
            checkpoint=out / "work" / "run.checkpoint",
            bar=bar,
            listener=_listener(ready, tell) if processes.is_first else None,
            processes=processes,
            name=lambda indices: name_texts(indices, begun.train, begun.reader),
        )
    done = _record(ready, record, expected, start, _measure(begun), peak.bytes)
    if processes.is_first:
        _write(done, ready)
    note(_told_end(done, out))
    return done


def _make_ready(settings: PretrainSettings, *, until: ExitStack | None) -> _Ready | PretrainRecord:
    """What the run needs, or the record of one that the same command has finished before."""
    counted = count_texts(settings)
    digest = digest_text(*(digest_file(source.path) if source.path else source.name for source in counted.sources))
    base = locate_model(settings.base).sha256 if settings.base else ""
    asked = settings.model_dump_json(exclude={"out", "track"})
    out = claim_folder(settings.out, settings.data[0], key=digest_text(asked, digest, base), until=until)
    if (out / _RECORD).exists():
        return read_back(out / _RECORD, PretrainRecord, verb="train", told=lambda done: human_seconds(done.seconds))
    note(f"{len(counted.sources)} sources, {counted.texts:,} texts, {human_bytes(counted.bytes)} of text.")
    if counted.unread:
        reasons = "".join(f"\n  {one.told}" for one in counted.unread_examples)
        warn(f"{counted.unread:,} files and rows cannot be read and are not trained on; the first:{reasons}")
    trial = TrainPlan(
        learning_rate=0.0,
        head_learning_rate=0.0,
        steps=1,
        batch_rows=max(1, settings.batch_tokens // settings.length),
        forward_tokens=settings.forward_tokens,
        optimiser=settings.optimiser,
    )
    with released_if_refused(out):
        begun, tokens = begin(settings, counted, out / "work", trial)
    return _Ready(settings, begun, _plan(settings, begun, tokens), tokens, counted, digest, out)


def _plan(settings: PretrainSettings, begun: Begun, tokens: int) -> TrainPlan:
    mean = begun.train.tokens / len(begun.train)
    rows = max(1, round(settings.batch_tokens / mean))
    steps = max(1, round(tokens / (rows * mean)))
    usual = min(_RATE_MOST, _RATE * (_RATE_SIZE / begun.parameters) ** 0.5) / (10 if settings.base else 1)
    rate = settings.learning_rate or usual
    evaluations = min(settings.evaluations, steps)
    return TrainPlan(
        learning_rate=rate,
        head_learning_rate=rate,
        steps=steps,
        batch_rows=rows,
        forward_tokens=settings.forward_tokens,
        schedule=settings.schedule,
        warmup=settings.warmup,
        optimiser=settings.optimiser,
        beta2=0.95,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        evaluations=evaluations,
        patience=evaluations,
        checkpoint_seconds=_CHECKPOINT,
        gradient_checkpointing=settings.gradient_checkpointing,
        compile=settings.compile,
        precision=begun.reader.precision,
        seed=settings.seed,
    )


def _measure(begun: Begun) -> Measured:
    return measure_loss(begun.net, begun.objective, begun.validation, begun.reader)


def _listener(ready: _Ready, tell: Listener) -> Listener:
    """Tells each step on, and at each validation score what the model writes by now."""
    begun, path = ready.begun, ready.out / "samples.jsonl"
    asked = [begun.validation[at] for at in range(min(ready.settings.samples, len(begun.validation)))]

    def heard(event: StepEvent) -> None:
        tell(event)
        if event.score is None:
            return
        found = write_samples(begun.net, asked, begun.reader, begun.objective, step=event.step)
        earlier = [row for row in _earlier_samples(path) if row["step"] != event.step]
        write_lines(path, [*earlier, *(one.model_dump() for one in found)])
        shown = f" {found[0].read} ... {found[0].written}" if found else ""
        note(f"Step {event.step:,}: validation loss {-event.score:.4f}.{' '.join(shown.split())[:300]}")

    return heard


def _earlier_samples(path: Path) -> list[dict[str, object]]:
    with read_errors(path, cure="Remove it; its samples are lost, and the same command goes on."):
        return [dict(row) for row in read_lines(path)] if path.exists() else []


def _record(
    ready: _Ready, record: TrainRecord, expected: Rehearsal, start: Measured, found: Measured, peak: int | None
) -> PretrainRecord:
    begun, path = ready.begun, ready.out / "samples.jsonl"
    bits = None
    if begun.objective_name == "causal":
        bits = bits_per_byte(found.loss, tokens=begun.validation.tokens, size=begun.validation_bytes)
    return PretrainRecord(
        settings=ready.settings,
        objective=begun.objective_name,
        base=ready.settings.base,
        base_sha256=begun.folder.sha256 if ready.settings.base else None,
        parameters=begun.parameters,
        vocabulary=len(begun.reader.tokenizer),
        sources=tuple(source.name for source in ready.counted.sources),
        texts=begun.train_texts,
        validation_texts=begun.validation_texts,
        duplicates=len(begun.corpus.ends) - begun.train_texts - begun.validation_texts,
        unread=ready.counted.unread,
        unread_examples=tuple(one.told for one in ready.counted.unread_examples),
        corpus_bytes=ready.counted.bytes,
        corpus_tokens=begun.train.tokens,
        expected_seconds=expected.seconds_per_token * ready.tokens,
        expected_bytes=expected.peak_bytes,
        training=record,
        seconds=record.seconds,
        peak_bytes=peak,
        start_loss=start.loss,
        loss=found.loss,
        accuracy=found.accuracy,
        bits_per_byte=bits,
        samples=tuple(Sample.model_validate(row) for row in _earlier_samples(path)),
        data_sha256=ready.digest,
        processor=processor_name(),
        versions={name: version(name) for name in ("hone-lm", "torch", "transformers", "tokenizers")},
    )


def _write(done: PretrainRecord, ready: _Ready) -> None:
    out, begun = ready.out, ready.begun
    with disk_errors(out):
        begun.net.base.save_pretrained(out)
        begun.reader.save(out)
    share_files(out)
    write_atomic(out / "README.md", write_card(done, begun.folder))
    write_atomic(out / _RECORD, done.to_json())  # last: it alone says that the run is finished
    remove_checkpoint(out / "work" / "run.checkpoint")
    shutil.rmtree(out / "work", ignore_errors=True)


def _told_plan(ready: _Ready, expected: Rehearsal) -> str:
    begun, plan = ready.begun, ready.plan
    pace = Pace(begun.parameters, 1 / expected.seconds_per_token)
    cost = tell_cost(parameters=begun.parameters, tokens=ready.tokens, corpus_tokens=begun.train.tokens, pace=pace)
    return (
        f"{cost}\n{begun.train_texts:,} texts in {len(begun.train):,} pieces to train on, {begun.validation_texts:,} texts "
        f"({human_count(begun.validation.tokens)} tokens) to validate on. "
        f"{plan.steps:,} steps of {plan.batch_rows} pieces with {plan.optimiser} at a rate of {plan.learning_rate:.2g}, {plan.precision}.\n"
        f"Peak memory {human_bytes(expected.peak_bytes)}. Kept in {ready.out}; after an interruption the same command goes on.\n"
    )


def _told_end(done: PretrainRecord, out: Path) -> str:
    bits = f", {done.bits_per_byte:.3f} bits per byte" if done.bits_per_byte is not None else ""
    return (
        f"Took {human_seconds(done.seconds)} (expected {human_seconds(done.expected_seconds)}), peak {human_bytes(done.peak_bytes or 0)}; "
        f"{done.training.tokens_seen / max(done.seconds, 1e-9):,.0f} tokens a second.\n"
        f"Validation loss {done.start_loss:.4f} before, {done.loss:.4f} after{bits}.\n"
        f"Written to {out}. Next: hone eval {out} --tasks blimp, or hone tune YOUR.jsonl --model {out}"
    )
