"""Tuned encoders: the base with a head, of which a trainable moves all, a few per cent, or the biases."""

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hone.core.console import Bar
from hone.core.device import peak_memory, release_memory
from hone.model import Network, load_classifier
from hone.strategy.bench import Bench, EncoderBench
from hone.strategy.contracts import Fitted, Pace, Settings
from hone.strategy.heads import make_head
from hone.strategy.predictors import NetPredictor
from hone.task import Example
from hone.train import (
    Objective,
    SingleTask,
    TrainPlan,
    TrainRecord,
    fit,
    make_trainable,
    remove_checkpoint,
    virtual_tokens,
)

__all__ = [
    "TUNED",
    "TUNED_HEAD",
    "Tune",
    "checkpoint_path",
    "effort_settings",
    "make_plan",
    "rehearsal_rows",
    "rehearse",
    "told",
    "training_steps",
]

REHEARSAL_STEPS = 4
_TIE = 0.5  # of the largest standard error of a validation score: checkpoints of one run answer alike, so their difference varies less


class Tune:
    """Train with one trainable; learning rates are tried on short runs."""

    moves_weights = True
    learns_from_rows = True
    reads_train_vectors = False
    reads_model = True

    def __init__(
        self, trainable: str, *, title: str, rates: tuple[float, ...], head_rate: float, by_default: bool = True
    ) -> None:
        """
        Args:
            rates: peak learning rates in the order in which a tight budget gives them up, best guess first.
            by_default: whether it runs without being named.
        """
        self.name = trainable
        self.title = title
        self._trainable = trainable
        self._rates = rates
        self._head_rate = head_rate
        self.by_default = by_default

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """As many learning rates as the effort allows."""
        return [{"learning_rate": rate, **effort_settings(bench)} for rate in self._rates[: bench.effort.arms]]

    def steps(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0) -> int:
        """Optimiser steps of a full run, times the share."""
        return training_steps(bench, settings, rows=len(bench.train), share=share)

    def network(self, bench: EncoderBench) -> Network:
        """The base with a fresh head, prepared by the trainable; the same weights for the same seed."""
        torch.manual_seed(bench.seed_for(self.name, "init"))
        head = make_head(bench.kind, bench.labels, bench.encoder.reader)
        net = load_classifier(bench.encoder.folder, head.outputs, per_token=head.per_token)
        return make_trainable(self._trainable).prepare(net).to(bench.encoder.reader.device)

    def rehearse(self, bench: EncoderBench) -> Pace | None:
        """A few steps on a few batches."""
        reader = bench.encoder.reader.leaving_room(virtual_tokens(make_trainable(self._trainable)))
        head = make_head(bench.kind, bench.labels, reader)
        sample = head.encode(rehearsal_rows(bench))
        return rehearse(bench, lambda: self.network(bench), head.objective, sample, self.candidates(bench)[0])

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Train, keeping the parameters with the best validation score."""
        net = self.network(bench)
        reader = bench.encoder.reader.leaving_room(net.virtual)
        head = make_head(bench.kind, bench.labels, reader)
        encoded, answering = head.encode(bench.train), head.asked(bench.validation)
        checkpoint = checkpoint_path(bench, self.name, settings, share)
        record = fit(
            net,
            encoded,
            plan=make_plan(
                bench,
                settings,
                steps=self.steps(bench, settings, share=share),
                head_rate=max(self._head_rate, float(settings["learning_rate"])),
                evaluations=bench.effort.evaluations(share),
            ),
            objective=head.objective,
            mixture=SingleTask(len(encoded)),
            score=lambda net: bench.score(answering(net)),
            checkpoint=checkpoint,
            bar=bar,
        )
        head.finish(net)
        answers = answering(net)
        remove_checkpoint(checkpoint)
        base = bench.encoder.folder
        return Fitted(
            predictor=NetPredictor(net, reader, bench.labels, trainable=self._trainable, base=base, kind=bench.kind),
            settings=settings,
            validation=answers,
            score=bench.score(answers),
            trainable_parameters=record.trainable_parameters,
            note=told(record),
        )


def rehearsal_rows(bench: Bench) -> list[Example]:
    """Training rows for a rehearsal: enough batches that their lengths are typical."""
    return bench.train[: bench.effort.batch_rows * REHEARSAL_STEPS]


def rehearse(
    bench: Bench, network: Callable[[], nn.Module], objective: Objective, encoded: Sequence[Any], settings: Settings
) -> Pace:
    """Time some steps of a network that is thrown away, after one that warms up."""
    release_memory()
    with peak_memory(bench.device) as peak:
        net = network()
        for steps in (1, REHEARSAL_STEPS):
            plan = make_plan(bench, settings, steps=steps, head_rate=float(settings["learning_rate"]), evaluations=0)
            record = fit(net, encoded, plan=plan, objective=objective, mixture=SingleTask(len(encoded)))
    best_copy = 4 * record.trainable_parameters
    return Pace(record.seconds / record.steps, (peak.bytes or 0) + best_copy, record.trainable_parameters)


def effort_settings(bench: Bench) -> dict[str, str | int | float]:
    """What a training strategy's settings say beside its learning rate."""
    return {"epochs": round(bench.effort.epochs, 2), "batch_rows": bench.effort.batch_rows}


def training_steps(bench: Bench, settings: Settings, *, rows: int, share: float) -> int:
    """Steps for `epochs` passes over `rows` rows, times the share, at least one."""
    per_epoch = math.ceil(rows / int(settings["batch_rows"]))
    return max(1, round(per_epoch * float(settings["epochs"]) * share))


def make_plan(bench: Bench, settings: Settings, *, steps: int, head_rate: float, evaluations: int) -> TrainPlan:
    """The loop's plan from a strategy's settings."""
    return TrainPlan(
        learning_rate=float(settings["learning_rate"]),
        head_learning_rate=head_rate,
        steps=steps,
        batch_rows=int(settings["batch_rows"]),
        evaluations=min(evaluations, steps),
        tie=_TIE * math.sqrt(0.25 / len(bench.validation)) if bench.validation else 0.0,
        precision="bf16" if bench.precision == "bf16" else "fp32",
        seed=bench.seed_for("order"),
    )


def checkpoint_path(bench: Bench, name: str, settings: Settings, share: float) -> Path:
    """Where a run under way keeps its state: one file per strategy, settings, length and set of training rows."""
    key = repr((sorted(settings.items()), share, bench.seed, bench.rows_digest))
    return bench.work / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.checkpoint"


def told(record: TrainRecord) -> str:
    """A sentence on how training ended."""
    if record.stopped_early:
        return f"Stopped after {record.steps} steps without a better validation score; kept step {record.best_step}."
    return f"Kept step {record.best_step} of {record.steps}."


TUNED = (
    Tune("bias", title="biases + head", rates=(3e-3, 1e-2, 1e-3), head_rate=3e-3),
    Tune("lora", title="LoRA", rates=(1e-3, 3e-3, 3e-4), head_rate=2e-3),
    Tune("adapter", title="bottleneck adapter", rates=(1e-3, 3e-3, 3e-4), head_rate=2e-3),
    Tune("full", title="full fine-tuning", rates=(1e-4, 5e-5, 2e-4), head_rate=2e-3),
    Tune("ia3", title="IA3", rates=(1e-2, 3e-2, 3e-3), head_rate=3e-3, by_default=False),
    Tune("top", title="top layers", rates=(1e-4, 3e-4, 5e-5), head_rate=2e-3, by_default=False),
    Tune("prompt", title="prompt tuning", rates=(3e-2, 1e-1, 1e-2), head_rate=3e-3, by_default=False),
    Tune("prefix", title="prefix tuning", rates=(1e-2, 3e-2, 3e-3), head_rate=3e-3, by_default=False),
)

TUNED_HEAD = Tune("head", title="frozen encoder + head", rates=(1e-2, 3e-2, 3e-3), head_rate=1e-2)
"""For answers of every word, whose vectors are too many to be kept."""
