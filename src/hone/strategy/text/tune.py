"""Tuning: the model learns to write the answers of the training rows, with the words of the template by which it will be asked."""

import shutil
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hone.core.console import Bar
from hone.model import LanguageModel, Network, Renderer, Seq2SeqModel, TextReader
from hone.strategy.contracts import Fitted, Pace, Settings
from hone.strategy.text.base import backend_of
from hone.strategy.text.bench import TextBench
from hone.strategy.text.form import Form
from hone.strategy.text.predictor import Asker, Fixed, TextPredictor, Tuned
from hone.strategy.tune import (
    checkpoint_path,
    effort_settings,
    make_plan,
    rehearsal_rows,
    rehearse,
    told,
    training_steps,
)
from hone.task import Completion, Example
from hone.train import (
    Complete,
    LogitObjective,
    SingleTask,
    WriteTarget,
    fit,
    make_trainable,
    measure_loss,
    remove_checkpoint,
    usual_rate,
    virtual_tokens,
)

__all__ = ["TUNED_TEXT", "TuneText"]

_AROUND = (1.0, 3.0, 1 / 3)
"""Learning rates tried, as multiples of the method's usual one, in the order in which a tight budget gives them up."""


class TuneText:
    """Train with one trainable; learning rates are tried on short runs."""

    moves_weights = True
    learns_from_rows = True
    reads_train_vectors = False
    reads_model = True

    def __init__(self, trainable: str, *, title: str, by_default: bool = True) -> None:
        """`by_default`: whether it runs without being named."""
        self.name = trainable
        self.title = title
        self.by_default = by_default

    def suits(self, bench: TextBench) -> str | None:
        """Weights must be here, and of the kind that is trained."""
        if not bench.base.is_local:
            return "its weights are not here to be trained"
        return "the model has no biases" if self.name == "bias" and not bench.base.has_biases else None

    def asked(self, bench: TextBench) -> float:
        """Counted by its training steps."""
        return 0.0

    def candidates(self, bench: TextBench) -> list[Settings]:
        """As many learning rates as the effort allows."""
        usual = usual_rate(self.name, parameters=bench.base.parameters, is_headed=False)
        return [
            {"learning_rate": float(f"{usual * times:.2g}"), **effort_settings(bench)} for times in _AROUND[: bench.effort.arms]
        ]

    def steps(self, bench: TextBench, settings: Settings, *, share: float = 1.0) -> int:
        """Optimiser steps of a full run, times the share."""
        return training_steps(bench, settings, rows=len(bench.train), share=share)

    def network(self, bench: TextBench) -> Network:
        """A fresh copy of the model, prepared by the trainable; the same weights for the same seed."""
        bench.base.release()
        torch.manual_seed(bench.seed_for(self.name, "init"))
        net = make_trainable(self.name).prepare(bench.base.load())
        if bench.base.reader.precision == "bf16":
            net.narrow_frozen()
        return net

    def rehearse(self, bench: TextBench) -> Pace | None:
        """A few steps on a few batches."""
        objective = self._objective(bench, bench.base.reader.leaving_room(virtual_tokens(make_trainable(self.name))))
        encoded = self._encoded(bench, objective, rehearsal_rows(bench))
        return rehearse(bench, lambda: self.network(bench), objective, encoded, self.candidates(bench)[0])

    def fit(self, bench: TextBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Train, keeping the parameters with the least validation loss; then answer the validation rows."""
        sampling = bench.sampling  # asks the untouched model's tokenizer, before its weights are let go
        net = self.network(bench)
        reader = bench.base.reader.leaving_room(net.virtual)
        objective = self._objective(bench, reader)
        can_tell = [row for row, target in zip(bench.validation, bench.validation_targets, strict=True) if target >= 0]
        train, held = (self._encoded(bench, objective, rows) for rows in (bench.train, can_tell))
        checkpoint = checkpoint_path(bench, self.name, settings, share)

        def score(net: nn.Module) -> float:
            return -measure_loss(net, objective, held, reader).loss

        rate = float(settings["learning_rate"])
        steps = self.steps(bench, settings, share=share)
        plan = make_plan(bench, settings, steps=steps, head_rate=rate, evaluations=bench.effort.evaluations(share))
        record = fit(
            net,
            train,
            plan=plan.model_copy(update={"tie": 0.0}),
            objective=objective,
            mixture=SingleTask(len(train)),
            score=score,
            checkpoint=checkpoint,
            bar=bar,
        )
        saved = bench.work / f"{self.name}-trained"
        shutil.rmtree(saved, ignore_errors=True)
        make_trainable(self.name).save(net, saved)  # before it is put to use, which lays its weights out in bf16
        remove_checkpoint(checkpoint)
        assert isinstance(net, LanguageModel | Seq2SeqModel)
        asker = Asker(
            backend_of(net, reader, is_tuned=True),
            bench.templates[0],
            bench.base.joins,
            bench.reading(sampling=sampling),
            Fixed(),
        )
        if bench.kind == "text-generation":
            answers = asker.answer(bench.validation)
        else:
            asker, answers = bench.tempered(asker, asker.scores(bench.validation, ["sum"]))
        return Fitted(
            predictor=TextPredictor(asker, bench.base, tuned=Tuned(self.name, saved)),
            settings={**settings},
            validation=answers,
            score=bench.score(answers),
            trainable_parameters=record.trainable_parameters,
            note=told(record),
        )

    def _objective(self, bench: TextBench, reader: TextReader) -> LogitObjective[Any]:
        if bench.base.is_decoder:
            renderer = Renderer(reader.tokenizer, length=reader.context_length, template="{prompt}")
            return Complete(renderer)
        return WriteTarget(reader, template="{prompt}")

    def _encoded(self, bench: TextBench, objective: Any, rows: Sequence[Example]) -> list[Any]:
        """Rows as they will be asked, with their right answers."""
        form = Form(bench.templates[0], bench.base.joins, intro=bench.reading().intro)
        written = [
            Completion(
                form.prompt(row.text, bench.options(row)), form.written(bench.right(row), bench.options(row)), row.file, row.line
            )
            for row in rows
        ]
        found: list[Any] = objective.encode(written)
        return found


TUNED_TEXT = (
    TuneText("lora", title="LoRA"),
    TuneText("adapter", title="bottleneck adapter"),
    TuneText("full", title="full fine-tuning"),
    TuneText("ia3", title="IA3", by_default=False),
    TuneText("bias", title="biases", by_default=False),
    TuneText("top", title="top layers", by_default=False),
    TuneText("prompt", title="prompt tuning", by_default=False),
    TuneText("prefix", title="prefix tuning", by_default=False),
)
