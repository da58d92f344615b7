"""hone's side of `benchmarks/train.py`: its loop on the same token ids, with the defaults of a plan."""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from hone.catalogue import locate_model
from hone.core.device import best_device
from hone.model import load_classifier, load_language_model, resolve_precision
from hone.train import SingleTask, StepEvent, TrainPlan, fit, make_trainable
from train_parts import Part, Prepared

__all__ = ["FORWARD_TOKENS", "Ours", "Trained"]

FORWARD_TOKENS = 2048  # what `hone tune` takes for models below 1,000 M parameters (hone.tune.choose.default_tokens)


@dataclass(frozen=True)
class Trained:
    """One pass over some rows."""

    seconds: float
    """From the first step to the last."""
    processor_seconds: float
    """Of all threads in that time: what other work on the machine hardly touches."""
    tokens: int
    """Real tokens that went in, counted where they go in."""
    losses: list[float]
    """Mean loss of each step; empty where it was not asked for."""


class _InOrder:
    """Rows as they come: the loop sorts within one pass, so a pass is one batch."""

    def __init__(self, size: int, *, batch_rows: int) -> None:
        self._size, self.epoch, self._next = size, batch_rows, 0

    def draw(self, _: random.Random) -> int:
        """The next row."""
        self._next += 1
        return (self._next - 1) % self._size

    def state(self) -> int:
        """Where it stands."""
        return self._next

    def restore(self, state: int) -> None:
        """Continue there."""
        self._next = state


class Ours:
    """`hone.train.fit`, from the part's own weights in every call."""

    def __init__(
        self,
        part: Part,
        models: Path,
        prepared: Prepared,
        *,
        forward_tokens: int = FORWARD_TOKENS,
        precision: Literal["auto", "bf16", "fp32"] = "auto",
    ) -> None:
        self.forward_tokens = forward_tokens
        self._part, self._folder, self._prepared = part, locate_model(str(models / part.model)), prepared
        self.precision = resolve_precision(precision, best_device())

    def network(self) -> Any:
        """The network before its first step."""
        torch.manual_seed(0)
        part, tokenizer = self._part, self._prepared.reader.tokenizer
        if part.head == "classify":
            net: Any = load_classifier(self._folder, self._prepared.labels)
            net.dropout.p = 0.0
        else:
            assert part.head in ("causal", "seq2seq")
            net = load_language_model(self._folder, part.head, pad_id=tokenizer.pad_token_id)  # type: ignore[arg-type]
        net = make_trainable(part.trainable).prepare(net.to(best_device()))
        if self.precision == "bf16":
            net.narrow_frozen()
        return net

    def train(self, items: Sequence[Any], *, in_order: bool = False, net: nn.Module | None = None) -> Trained:
        """One pass; `in_order` takes the rows as they stand, and notes the loss of every step."""
        part, losses = self._part, []

        def listen(event: StepEvent) -> None:
            losses.append(event.loss)

        plan = TrainPlan(
            learning_rate=part.rate,
            head_learning_rate=part.rate,
            steps=math.ceil(len(items) / part.batch_rows),
            batch_rows=part.batch_rows,
            forward_tokens=self.forward_tokens,
            schedule="constant",
            warmup=0.0,
            weight_decay=0.0,
            evaluations=0,
            precision=self.precision,
        )
        net = self.network() if net is None else net
        before = time.process_time()
        record = fit(
            net,
            items,
            plan=plan,
            objective=self._prepared.objective,
            mixture=_InOrder(len(items), batch_rows=part.batch_rows) if in_order else SingleTask(len(items)),
            listener=listen if in_order else None,
        )
        return Trained(record.seconds, time.process_time() - before, record.tokens_seen, losses)
