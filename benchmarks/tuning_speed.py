"""Part `speed`: hone's training loop against transformers' `Trainer` on the same rows of AG News, full fine-tuning and LoRA.

Both train the same block of rows in turn, in one process, so that other work on the machine slows both; the first turn
warms up and is left out. Then both train to the end on the same rows and answer rows that neither saw.
What hone sets for the process (memory kept by glibc, OpenMP threads that do not spin) helps the Trainer here too.
"""

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hone.catalogue import locate_model
from hone.core.console import note
from hone.measure import paired_interval
from hone.model import Encoder, load_encoder
from hone.strategy import STRATEGIES, Effort, EncoderBench
from hone.strategy.heads import net_probabilities
from hone.strategy.tune import Tune, make_plan
from hone.task import Example
from hone.train import Classify, SingleTask, TrainRecord, fit
from labelled_rows import ag_news
from trainer_baseline import TrainerBaseline

__all__ = ["TARGET", "measure_speed"]

TARGET = 2.0
_BATCH_ROWS = 16  # hone's default below 2,000 training rows
_HELD_OUT = slice(1500, 3500)  # the test rows of part `quality`


@dataclass(frozen=True)
class _Length:
    block_rows: int
    """Rows per turn: 256 are one pool of the loop's batches, so that both see each row once."""
    turns: int
    rows: int
    epochs: int
    held_out: int


_FULL = _Length(block_rows=256, turns=6, rows=1000, epochs=4, held_out=2000)
_QUICK = _Length(block_rows=96, turns=4, rows=192, epochs=2, held_out=300)


class _Ours:
    """hone's loop with the defaults of a strategy."""

    def __init__(self, name: str, encoder: Encoder, labels: tuple[str, ...]) -> None:
        strategy = STRATEGIES[name]
        assert isinstance(strategy, Tune)
        self._strategy, self._encoder, self._labels = strategy, encoder, labels
        self._objective = Classify(labels, encoder.reader)
        self.net: nn.Module = strategy.network(self._bench([], epochs=1))

    def train(self, examples: list[Example], *, epochs: int) -> TrainRecord:
        """Train without validation scores: the last parameters stay, as the Trainer's do."""
        bench = self._bench(examples, epochs=epochs)
        settings = self._strategy.candidates(bench)[0]
        head_rate = max(self._strategy._head_rate, float(settings["learning_rate"]))
        steps = math.ceil(len(examples) * epochs / _BATCH_ROWS)
        plan = make_plan(bench, settings, steps=steps, head_rate=head_rate, evaluations=0)
        encoded = self._objective.encode(examples)
        return fit(self.net, encoded, plan=plan, objective=self._objective, mixture=SingleTask(len(examples)))

    def predict(self, ids: list[list[int]]) -> NDArray[np.int64]:
        """Index of the likeliest class per row, [n]."""
        answers = net_probabilities(self.net, self._encoder.reader, ids, classes=len(self._labels))  # [n, C]
        return np.asarray(answers.argmax(axis=1), dtype=np.int64)

    def _bench(self, train: list[Example], *, epochs: int) -> EncoderBench:
        effort = Effort(epochs=epochs, arms=1, batch_rows=_BATCH_ROWS)
        return EncoderBench(self._labels, {}, train, [], self._encoder, "accuracy", 0, effort, Path())


def measure_speed(data: Path, *, is_quick: bool) -> tuple[list[dict[str, Any]], dict[str, float], dict[str, bool]]:
    """Rows, ratios (ours over theirs in rows per second) and checks, for `full` and `lora`."""
    length = _QUICK if is_quick else _FULL
    examples = ag_news(data)
    labels = tuple(sorted({example.label for example in examples}))
    encoder = load_encoder(locate_model("starter/encoder"))
    rows: list[dict[str, Any]] = []
    ratios: dict[str, float] = {}
    checks: dict[str, bool] = {}
    for name in ("full", "lora"):
        speed = _turns(name, encoder, labels, examples, length)
        quality = _to_the_end(name, encoder, labels, examples, length)
        rows += [speed, quality]
        ratios[f"{name}_vs_trainer_default"] = speed["ratio"]
        checks[f"{name}_at_least_{TARGET:g}x"] = speed["ratio"] >= TARGET
        checks[f"{name}_same_examples_seen"] = speed["is_same_examples"] and quality["is_same_examples"]
        checks[f"{name}_like_trainable_parameters"] = 0.5 <= quality["ours_parameters"] / quality["theirs_parameters"] <= 2
        checks[f"{name}_equal_or_better_validation_accuracy"] = quality["difference"]["high"] >= 0
    return rows, ratios, checks


def _their_rows(encoder: Encoder, labels: tuple[str, ...], examples: Sequence[Example]) -> list[dict[str, Any]]:
    """The same token ids as ours, in the Trainer's form."""
    ids = encoder.reader.tokenize([example.text for example in examples])
    return [{"input_ids": row, "labels": labels.index(example.label)} for row, example in zip(ids, examples, strict=True)]


def _turns(name: str, encoder: Encoder, labels: tuple[str, ...], examples: list[Example], length: _Length) -> dict[str, Any]:
    """Train block after block, ours and theirs in turn; medians over the turns after the first."""
    ours = _Ours(name, encoder, labels)
    theirs = TrainerBaseline(name, encoder.folder, encoder.reader, classes=len(labels))
    seconds: list[tuple[float, float]] = []
    tokens: list[int] = []
    is_same = True
    for turn in range(length.turns):
        block = examples[turn * length.block_rows : (turn + 1) * length.block_rows]
        their_rows = _their_rows(encoder, labels, block)
        record = ours.train(block, epochs=1)
        their_record = theirs.train(their_rows, epochs=1)
        seconds.append((record.seconds, their_record.seconds))
        tokens.append(record.tokens_seen)
        is_same = is_same and record.examples_seen == their_record.examples_seen == len(block)
        is_same = is_same and record.tokens_seen == their_record.tokens_seen
        note(
            f"  {name}, turn {turn}{' (warms up)' if not turn else ''}: ours {len(block) / record.seconds:.1f} rows/s, "
            f"Trainer {len(block) / their_record.seconds:.1f} rows/s, load {os.getloadavg()[0]:.1f}"
        )
    kept = list(zip(seconds[1:], tokens[1:], strict=True))
    ratios = [their / our for (our, their), _ in kept]

    def median(index: int, amounts: Sequence[int]) -> float:
        return statistics.median(amount / pair[index] for (pair, _), amount in zip(kept, amounts, strict=True))

    return {
        "part": "speed",
        "name": name,
        "ours_rows_per_second": median(0, [length.block_rows] * len(kept)),
        "theirs_rows_per_second": median(1, [length.block_rows] * len(kept)),
        "ours_tokens_per_second": median(0, tokens[1:]),
        "theirs_tokens_per_second": median(1, tokens[1:]),
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "turns": len(kept),
        "block_rows": length.block_rows,
        "is_same_examples": is_same,
        "load_average": os.getloadavg()[0],
    }


def _to_the_end(name: str, encoder: Encoder, labels: tuple[str, ...], examples: list[Example], length: _Length) -> dict[str, Any]:
    """Train both on the same rows for as many passes, and compare their answers to rows that neither saw."""
    train, held_out = examples[: length.rows], examples[_HELD_OUT][: length.held_out]
    truth = np.array([labels.index(example.label) for example in held_out])
    their_rows, their_held_out = _their_rows(encoder, labels, train), _their_rows(encoder, labels, held_out)
    ours = _Ours(name, encoder, labels)
    record = ours.train(train, epochs=length.epochs)
    our_right = ours.predict([row["input_ids"] for row in their_held_out]) == truth
    theirs = TrainerBaseline(name, encoder.folder, encoder.reader, classes=len(labels))
    their_record = theirs.train(their_rows, epochs=length.epochs)
    their_right = theirs.predict(their_held_out) == truth
    difference = paired_interval(our_right, their_right, seed=0)
    note(
        f"  {name}, to the end: ours {our_right.mean():.1%} in {record.seconds:.0f} s, Trainer {their_right.mean():.1%} in "
        f"{their_record.seconds:.0f} s; difference {100 * difference.low:+.1f} to {100 * difference.high:+.1f} points"
    )
    return {
        "part": "speed_quality",
        "name": name,
        "rows": length.rows,
        "epochs": length.epochs,
        "held_out": length.held_out,
        "ours_accuracy": float(our_right.mean()),
        "theirs_accuracy": float(their_right.mean()),
        "difference": {"low": difference.low, "mid": difference.mid, "high": difference.high},
        "ours_seconds": record.seconds,
        "theirs_seconds": their_record.seconds,
        "ours_parameters": record.trainable_parameters,
        "theirs_parameters": theirs.trainable_parameters,
        "is_same_examples": record.examples_seen == their_record.examples_seen,
    }
