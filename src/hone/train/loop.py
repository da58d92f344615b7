"""The only training loop.

It draws examples, forms batches of like length, steps AdamW, scores on validation data now and then, keeps the
best parameters and can be killed at any moment: a run that resumes from its checkpoint ends with the same bits.
It knows no objective, trainable or mixture by name.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hone.core.console import Bar
from hone.core.device import return_freed_pages
from hone.core.errors import Failed
from hone.model import autocast, token_batches
from hone.train.checkpoint import BestParameters, Progress, load_checkpoint, save_checkpoint
from hone.train.contracts import Mixture, Objective
from hone.train.optimiser import make_optimiser, rate_share, trained_parameters
from hone.train.plan import StepLog, TrainPlan, TrainRecord

__all__ = ["fit"]

_POOL = 16  # batches drawn and sorted by length together: like lengths, yet every pass mixes anew
_TRIM_STEPS = 16  # batches of other lengths leave holes in the heap: without this the peak grew by a third

Score = Callable[[nn.Module], float]


@dataclass
class _Feeder:
    """Turns a mixture's draws into batches of like length."""

    encoded: Sequence[Any]
    mixture: Mixture
    rows: int
    rng: random.Random
    waiting: list[list[int]] = field(default_factory=list)

    def next(self) -> list[int]:
        if not self.waiting:
            count = min(_POOL * self.rows, self.mixture.epoch)
            drawn = sorted((self.mixture.draw(self.rng) for _ in range(count)), key=lambda index: self.encoded[index].length)
            self.waiting = [drawn[at : at + self.rows] for at in range(0, len(drawn), self.rows)]
            self.rng.shuffle(self.waiting)
        return self.waiting.pop()


def fit(
    net: nn.Module,
    encoded: Sequence[Any],
    *,
    plan: TrainPlan,
    objective: Objective,
    mixture: Mixture,
    score: Score | None = None,
    checkpoint: Path | None = None,
    bar: Bar | None = None,
) -> TrainRecord:
    """Train the parameters of `net` that require a gradient; on return they are those of the best validation score.

    Args:
        net: prepared by a trainable; moved nowhere. encoded: what `objective.encode` made of the examples.
        score: higher is better; None keeps the last parameters. checkpoint: file to write and to resume from.
    Raises:
        Failed: the loss is not a number; the message names the step and the examples of the batch.
    """
    device = next(net.parameters()).device
    optimiser = make_optimiser(net, plan)
    rng = random.Random(plan.seed)
    torch.manual_seed(plan.seed)
    feeder = _Feeder(encoded, mixture, plan.batch_rows, rng)
    progress, best = Progress(), BestParameters(checkpoint)
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(checkpoint, net, optimiser, mixture, rng, progress)
        feeder.waiting = [list(batch) for batch in progress.waiting]
    evaluate_at = (
        {math.ceil(plan.steps * (index + 1) / plan.evaluations) for index in range(plan.evaluations)} if score else set()
    )
    started = last_saved = time.perf_counter()
    before = progress.seconds
    while progress.step < plan.steps and not progress.is_over:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * rate_share(progress.step, plan)
        _step(net, feeder, plan, objective, optimiser, progress, device)
        progress.step += 1
        if bar:
            bar.advance()
        if progress.step % _TRIM_STEPS == 0:
            return_freed_pages()
        if score and progress.step in evaluate_at:
            _evaluate(net, score, plan, progress, best)
        now = time.perf_counter()
        if checkpoint is not None and now - last_saved >= plan.checkpoint_seconds:
            progress.seconds, progress.waiting = before + now - started, feeder.waiting
            save_checkpoint(checkpoint, net, optimiser, mixture, rng, progress)
            best.tidy(progress.best_step)
            last_saved = time.perf_counter()
    if progress.best_step:
        best.put_back(net, progress.best_step)
    return TrainRecord(
        steps=progress.step,
        best_step=progress.best_step or progress.step,
        best_score=progress.best_score,
        examples_seen=progress.examples,
        tokens_seen=progress.tokens,
        padding=1 - progress.tokens / max(progress.positions, 1),
        seconds=before + time.perf_counter() - started,
        trainable_parameters=sum(parameter.numel() for parameter in trained_parameters(net).values()),
        log=tuple(progress.log),
        stopped_early=progress.is_over,
    )


def _step(
    net: nn.Module,
    feeder: _Feeder,
    plan: TrainPlan,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    device: torch.device,
) -> None:
    """One optimiser step: the gradient of the mean loss over the whole batch, in parts that fit the token budget."""
    net.train()
    indices = feeder.next()
    lengths = [feeder.encoded[index].length for index in indices]
    parts = token_batches(lengths, max_tokens=plan.forward_tokens) if objective.is_divisible else [list(range(len(indices)))]
    total, count = 0.0, 0
    for part in parts:
        with autocast(plan.precision, device):
            loss, terms = objective.loss(net, [feeder.encoded[indices[at]] for at in part])
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
        count += terms
        progress.tokens += sum(lengths[at] for at in part)
        progress.positions += len(part) * max(lengths[at] for at in part)
    assert count > 0, "a batch without a trained term"
    if not math.isfinite(total):
        raise Failed(
            f"The training loss is {total} at step {progress.step + 1}, in the batch of examples {indices}. "
            "Nothing was saved from this step. Lower the learning rate, or look at these rows."
        )
    parameters = [parameter for parameter in net.parameters() if parameter.grad is not None]
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad.div_(count)
    torch.nn.utils.clip_grad_norm_(parameters, plan.clip)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    progress.examples += len(indices)
    progress.loss_sum += total
    progress.loss_count += count


def _evaluate(net: nn.Module, score: Score, plan: TrainPlan, progress: Progress, best: BestParameters) -> None:
    """Take the validation score, keep the parameters when it is the best so far, and decide whether to go on."""
    net.eval()
    value = score(net)
    return_freed_pages()
    progress.log.append(
        StepLog(
            step=progress.step,
            loss=progress.loss_sum / max(progress.loss_count, 1),
            score=value,
            learning_rate=plan.learning_rate * rate_share(progress.step, plan),
        )
    )
    progress.loss_sum, progress.loss_count = 0.0, 0
    if progress.best_score is None or value > progress.best_score:
        progress.best_score, progress.best_step, progress.misses = value, progress.step, 0
        best.keep(net, progress.step)
    else:
        progress.misses += 1
        progress.is_over = progress.misses >= plan.patience

