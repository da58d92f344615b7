"""Contrastive few-shot: the encoder learns, from pairs, to put rows of a class together; a head is then fitted on its vectors.

The SetFit recipe (Tunstall 2022, https://arxiv.org/abs/2209.11055): few rows per class suffice, since they give many pairs. The encoder is
tuned on at most 32 rows per class; the head uses all training rows.
"""

import math

import torch
from torch import nn

from hone.core.console import Bar
from hone.model import Encoder, load_backbone
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Fitted, Pace, Probabilities, Settings
from hone.strategy.head import fit_linear
from hone.strategy.predictors import VectorPredictor
from hone.strategy.scorers import LinearHead
from hone.strategy.tune import checkpoint_path, effort_settings, make_plan, rehearsal_rows, rehearse, told, training_steps
from hone.train import Contrast, SingleTask, fit, remove_checkpoint

__all__ = ["Contrastive"]

ROWS_PER_CLASS = 32
RATES = (5e-5, 1e-4, 2e-5)


class Contrastive:
    """Pairs, then a head."""

    name = "contrastive"
    title = "contrastive few-shot"
    moves_weights = True
    learns_from_rows = True
    by_default = True
    reads_train_vectors = True
    reads_model = True

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """As many learning rates as the effort allows."""
        halved = max(2, bench.effort.batch_rows // 2)  # each row brings a partner
        effort = {**effort_settings(bench), "batch_rows": halved, "rows_per_class": ROWS_PER_CLASS}
        return [{"learning_rate": rate, **effort} for rate in RATES[: bench.effort.arms]]

    def steps(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0) -> int:
        """Optimiser steps of a full run over the drawn rows, times the share."""
        drawn = bench.draw_per_class(int(settings["rows_per_class"]), seed=0)
        return math.ceil(training_steps(bench, settings, rows=len(drawn), share=share) / 2)  # a pass shows each row twice

    def network(self, bench: EncoderBench) -> nn.Module:
        """A copy of the encoder's backbone, all of it free to move."""
        torch.manual_seed(bench.seed_for(self.name, "init"))
        return load_backbone(bench.encoder.folder).to(bench.encoder.reader.device)

    def rehearse(self, bench: EncoderBench) -> Pace | None:
        """A few steps on a few batches."""
        objective = self._objective(bench)
        return rehearse(
            bench, lambda: self.network(bench), objective, objective.encode(rehearsal_rows(bench)), self.candidates(bench)[0]
        )

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Tune the encoder on pairs, then fit the head on all rows."""
        chosen = bench.draw_per_class(int(settings["rows_per_class"]), seed=bench.seed_for(self.name, "rows"))
        examples = [bench.train[index] for index in chosen]
        net = self.network(bench)
        objective = self._objective(bench)
        encoded = objective.encode(examples)
        checkpoint = checkpoint_path(bench, self.name, settings, share)
        rate = float(settings["learning_rate"])
        plan = make_plan(bench, settings, steps=self.steps(bench, settings, share=share), head_rate=rate, evaluations=0)
        record = fit(
            net, encoded, plan=plan, objective=objective, mixture=SingleTask(len(encoded)), checkpoint=checkpoint, bar=bar
        )
        remove_checkpoint(checkpoint)
        encoder = bench.encoder.with_net(net)
        head, answers = self._head(bench, encoder)
        predictor = VectorPredictor(encoder, head, bench.labels, is_own=True)
        moved = record.trainable_parameters + head.weight.size + head.bias.size
        return Fitted(predictor, settings, answers, bench.score(answers), moved, note=told(record))

    def _objective(self, bench: EncoderBench) -> Contrast:
        return Contrast(bench.labels, bench.encoder.reader, pooling=bench.encoder.pooling)

    def _head(self, bench: EncoderBench, encoder: Encoder) -> tuple[LinearHead, Probabilities]:
        """The head whose penalty does best on the validation rows."""
        vectors = encoder.embed([example.text for example in bench.train])
        validation = encoder.embed([example.text for example in bench.validation])
        heads = [
            fit_linear(vectors, bench.train_targets, classes=len(bench.labels), inverse_penalty=penalty)
            for penalty in (0.1, 1.0, 10.0)
        ]
        answers = [head.probabilities(validation) for head in heads]
        best = max(range(len(heads)), key=lambda index: bench.score(answers[index]))
        return heads[best], answers[best]
