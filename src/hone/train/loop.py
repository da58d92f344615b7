"""The only training loop.

It draws examples, forms batches of like length, steps AdamW, scores on validation data now and then, keeps the
best parameters and can be killed at any moment: a run that resumes from its checkpoint ends with the same bits.
It knows no objective, trainable, mixture or regulariser by name.
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

from hone.core.awake import stay_awake
from hone.core.console import Bar
from hone.core.device import return_freed_pages
from hone.core.errors import Failed, Usage
from hone.core.seeds import derive_seed
from hone.model import Network, autocast, token_batches
from hone.train.checkpoint import BestParameters, Moving, Progress, load_checkpoint, save_checkpoint
from hone.train.contracts import LogitObjective, Mixture, Objective, Regulariser
from hone.train.frozen import find_frozen
from hone.train.optimiser import make_optimiser, rate_share, trained_parameters
from hone.train.plan import StepEvent, StepLog, TrainPlan, TrainRecord
from hone.train.processes import Alone, Processes
from hone.train.words import only_these_words

__all__ = ["Listener", "Score", "ease", "fit", "rows_a_step"]

_POOL = 16  # batches drawn and sorted by length together: like lengths, yet every pass mixes anew
_TRIM_STEPS = 16  # batches of other lengths leave holes in the heap: without this the peak grew by a third
_SPIKES = 3  # steps in a row
_SPIKE_LEAST = 5.0  # what a loss must be above its mean, beside being many times as large: small losses jump

Score = Callable[[nn.Module], float]
Namer = Callable[[Sequence[int]], str]
Listener = Callable[[StepEvent], None]


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
            count = _pooled(self.mixture, self.rows)
            drawn = sorted((self.mixture.draw(self.rng) for _ in range(count)), key=lambda index: self.encoded[index].length)
            self.waiting = [drawn[at : at + self.rows] for at in range(0, len(drawn), self.rows)]
            self.rng.shuffle(self.waiting)
        return self.waiting.pop()


def _pooled(mixture: Mixture, rows: int) -> int:
    """Examples that are drawn together."""
    return min(_POOL * rows, mixture.epoch)


def rows_a_step(mixture: Mixture, batch_rows: int) -> float:
    """Examples of a step on average: of those drawn together, a pass over few rows or 16 batches, the last batch holds what is left."""
    together = _pooled(mixture, batch_rows)
    return together / math.ceil(together / batch_rows)


def fit(
    net: nn.Module,
    encoded: Sequence[Any],
    *,
    plan: TrainPlan,
    objective: Objective,
    mixture: Mixture,
    regulariser: Regulariser | None = None,
    score: Score | None = None,
    checkpoint: Path | None = None,
    bar: Bar | None = None,
    listener: Listener | None = None,
    processes: Processes | None = None,
    name: Namer | None = None,
) -> TrainRecord:
    """Train the parameters of `net` that require a gradient; on return they are those of the best validation score.

    Args:
        net: prepared by a trainable; moved nowhere. encoded: what `objective.encode` made of the examples.
        score: higher is better; None keeps the last parameters. checkpoint: file to write and to resume from.
        listener: hears of every step. processes: the others that train with this one; alone where left out.
        name: what a message calls a batch of these indices, as its reader finds the rows; their numbers where left out.
    Raises:
        Failed: the loss is not a number, or has left its course; the message names the step and the examples of the batch.
    """
    trainable = sum(parameter.numel() for parameter in trained_parameters(net).values())
    processes = processes or Alone()
    with only_these_words(net, (lambda: _words(objective, encoded, regulariser)) if isinstance(processes, Alone) else None):
        run = _Run(net, encoded, plan, objective, mixture, regulariser, processes, name or _by_number)
        with run.frozen.open(), stay_awake(run.device):
            return run.go(score, checkpoint, bar, listener, trainable=trainable)


def _words(objective: Objective, encoded: Sequence[Any], regulariser: Regulariser | None) -> set[int] | None:
    """All that the network may read in this run; None where any word may come."""
    words = objective.words(encoded)
    return words if words is None or regulariser is None else words | regulariser.words()


class _Run:
    """One run under way."""

    def __init__(
        self,
        net: nn.Module,
        encoded: Sequence[Any],
        plan: TrainPlan,
        objective: Objective,
        mixture: Mixture,
        regulariser: Regulariser | None,
        processes: Processes,
        name: Namer,
    ) -> None:
        assert regulariser is None or not regulariser.needs_logits or isinstance(objective, LogitObjective)
        torch.manual_seed(plan.seed)
        self.net, self.plan, self.objective, self.mixture = net, plan, objective, mixture
        self.regulariser, self.processes, self.name = regulariser, processes, name
        self.device = next(net.parameters()).device
        if regulariser is not None:
            with autocast(plan.precision, self.device):
                regulariser.start(net, objective, encoded)
        ease(net, plan)
        is_alone = isinstance(processes, Alone)
        if isinstance(net, Network):
            net.train_alone(alone=is_alone)
        processes.shard(net)
        is_held = regulariser is not None
        self.frozen = find_frozen(net, encoded, plan=plan, objective=objective, is_held=is_held, is_alone=is_alone)
        self.optimiser = make_optimiser(net, plan)
        self.rng = random.Random(plan.seed)
        self.feeder = _Feeder(encoded, mixture, plan.batch_rows, self.rng)
        self.progress = Progress()
        self.module, self.optimiser = processes.wrap(_LossModule(net, objective, regulariser), self.optimiser)

    def go(
        self, score: Score | None, checkpoint: Path | None, bar: Bar | None, listener: Listener | None, *, trainable: int
    ) -> TrainRecord:
        plan, progress, net = self.plan, self.progress, self.net
        best = BestParameters(checkpoint, self.processes.part)
        moving = Moving(net, self.optimiser, self.mixture, self.rng, progress, self.regulariser)
        if checkpoint is not None and checkpoint.exists():
            load_checkpoint(checkpoint, moving, self.processes)
            self.feeder.waiting = [list(batch) for batch in progress.waiting]
            if bar:
                bar.advance(progress.step)
        evaluate_at = (
            {math.ceil(plan.steps * (index + 1) / plan.evaluations) for index in range(plan.evaluations)} if score else set()
        )
        started = last_saved = time.perf_counter()
        before = progress.seconds
        if bar and self.frozen.keeps:
            bar.describe("frozen blocks, once for all rows")
        self.frozen.fill(self.feeder.encoded)
        while progress.step < plan.steps and not progress.is_over:
            rate = rate_share(progress.step, plan)
            for group in self.optimiser.param_groups:
                group["lr"] = group["peak"] * rate
            event = self._step(plan.learning_rate * rate)
            progress.step += 1
            if progress.step % _TRIM_STEPS == 0:
                return_freed_pages()
            if score and progress.step in evaluate_at:
                event["score"] = self._evaluate(score, best, plan.learning_rate * rate)
            now = time.perf_counter()
            progress.seconds = before + now - started
            if bar:
                bar.advance()
                bar.describe(f"loss {event['loss']:.3f}, {progress.tokens / max(progress.seconds, 1e-9):,.0f} tokens/s")
            if listener:
                listener(
                    StepEvent(step=progress.step, steps=plan.steps, seconds=progress.seconds, tokens=progress.tokens, **event)
                )
            if checkpoint is not None and self.processes.saves(is_due=now - last_saved >= plan.checkpoint_seconds):
                progress.waiting = self.feeder.waiting
                save_checkpoint(checkpoint, moving, self.processes)
                best.tidy(progress.best_step)
                last_saved = time.perf_counter()
        if progress.best_step:
            best.put_back(net, progress.best_step)
        self.processes.gather(net)
        return TrainRecord(
            steps=progress.step,
            best_step=progress.best_step or progress.step,
            best_score=progress.best_score,
            examples_seen=progress.examples,
            tokens_seen=progress.tokens,
            terms_seen=progress.terms,
            padding=1 - progress.tokens / max(progress.positions, 1),
            seconds=before + time.perf_counter() - started,
            trainable_parameters=trainable,
            log=tuple(progress.log),
            stopped_early=progress.is_over,
        )

    def _step(self, rate: float) -> dict[str, Any]:
        """One optimiser step: the gradient of the mean loss over the whole batch, in parts that fit the token budget."""
        plan, progress, encoded = self.plan, self.progress, self.feeder.encoded
        self.module.train()
        self.frozen.rest()
        self.processes.part_chance(plan.seed, progress.step)
        indices = self.feeder.next()
        parts = self._parts(indices)
        total, extra, count, tokens, positions = 0.0, 0.0, 0, 0, 0
        for at, part in enumerate(parts):
            items = [encoded[index] for index in part]
            with self.processes.accumulate(self.module, is_last=at + 1 == len(parts)), self.frozen.rows(part):
                with autocast(plan.precision, self.device):
                    loss, penalty, terms = self.module(items)
                (loss if penalty is None else loss + penalty).backward()
            total += loss.item()
            extra += 0.0 if penalty is None else penalty.item()
            count += terms
            lengths = [item.length for item in items]
            tokens += sum(lengths)
            positions += sum(lengths) if getattr(self.net, "packs", False) else len(lengths) * max(lengths)
        total, extra, *counts = self.processes.sum(total, extra, count, tokens, positions)
        count, tokens, positions = (int(number) for number in counts)
        progress.tokens += tokens
        progress.positions += positions
        assert count > 0, "a batch without a trained term"
        self._require_number("training loss", total if not math.isfinite(total) else extra, indices)
        self._watch(total / count, indices)
        parameters = [parameter for parameter in self.net.parameters() if parameter.grad is not None]
        pull, terms = 0.0, count
        if self.regulariser:
            self.processes.divide(parameters, count)
            pull, terms = self._hold(self.regulariser), 1
        norm = self.processes.clip(parameters, plan.clip, terms=terms)
        self._require_number("gradient", norm, indices)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        progress.examples += len(indices)
        progress.terms += count
        progress.loss_sum += total
        progress.loss_count += count
        return {
            "loss": total / count,
            "penalty": extra / count + pull,
            "gradient_norm": norm,
            "learning_rate": rate,
            "score": None,
        }

    def _hold(self, regulariser: Regulariser) -> float:
        """Add the gradient of a penalty, the same in all processes, and return the penalty."""
        with self.processes.alike(derive_seed(self.plan.seed, "on_step", self.progress.step)):
            pull = regulariser.on_step(self.net)
        if isinstance(self.net, Network):
            self.net.balance = None  # of a pass over samples, which nobody adds
        self.processes.average([parameter for parameter in self.net.parameters() if parameter.grad is not None])
        return pull

    def _parts(self, indices: list[int]) -> list[list[int]]:
        """The batch in parts that fit the token budget; with several processes, this one's share of them."""
        mine = self.processes.share(indices)
        if not self.objective.is_divisible:
            return [mine]
        lengths = [self.feeder.encoded[index].length for index in mine]
        is_packed = bool(getattr(self.net, "packs", False))
        parts = token_batches(lengths, max_tokens=self.plan.forward_tokens, is_packed=is_packed)
        return self.processes.level([[mine[at] for at in part] for part in parts])

    def _require_number(self, what: str, value: float, indices: list[int]) -> None:
        """Stop before the weights become no numbers, too, and a checkpoint keeps them."""
        if not math.isfinite(value):
            raise Failed(
                f"The {what} is {value} at step {self.progress.step + 1}, in {self.name(indices)}. "
                "Nothing was saved from this step. Lower the learning rate, or look at these rows."
            )

    def _watch(self, loss: float, indices: list[int]) -> None:
        """Stop when the loss has left its course: three steps in a row far above the running mean."""
        progress = self.progress
        mean = progress.mean_loss
        if mean is not None and loss > self.plan.spike * mean and loss > mean + _SPIKE_LEAST:
            progress.spikes += 1
            if progress.spikes >= _SPIKES:
                raise Failed(
                    f"The training loss has jumped to {loss:.3g}, from {mean:.3g} before, and stayed there for {_SPIKES} steps up to step "
                    f"{progress.step + 1}, in {self.name(indices)}. Nothing was saved from these steps. Lower the learning rate."
                )
            return
        progress.spikes = 0
        progress.mean_loss = loss if mean is None else 0.95 * mean + 0.05 * loss

    def _evaluate(self, score: Score, best: BestParameters, rate: float) -> float:
        """Take the validation score, keep the parameters when it is the best so far, and decide whether to go on."""
        progress = self.progress
        self.net.eval()
        value = score(self.net)
        return_freed_pages()
        mean = progress.loss_sum / max(progress.loss_count, 1)
        progress.log.append(StepLog(step=progress.step, loss=mean, score=value, learning_rate=rate))
        progress.loss_sum, progress.loss_count = 0.0, 0
        worth = -math.inf if math.isnan(value) else value  # a correlation of answers that are all alike: any number is better
        is_better = progress.highest is None or worth > progress.highest
        if progress.highest is None or is_better:
            progress.highest, progress.misses = worth, 0
        else:
            progress.misses += 1
            progress.is_over = progress.misses >= self.plan.patience
        if is_better or (self.plan.tie and worth >= progress.highest - self.plan.tie):
            progress.best_score, progress.best_step = value, progress.step
            best.keep(self.net, progress.step)
        return value


def _by_number(indices: Sequence[int]) -> str:
    shown = ", ".join(str(index) for index in indices[:20])
    return f"the batch of examples {shown}{' and more' if len(indices) > 20 else ''}"


class _LossModule(nn.Module):
    """Network, objective and regulariser as one module: items in, summed loss and penalty out. What several processes wrap."""

    def __init__(self, net: nn.Module, objective: Objective, regulariser: Regulariser | None) -> None:
        super().__init__()
        self.net = net
        self._objective = objective
        self._regulariser = regulariser

    def forward(self, items: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor | None, int]:
        batch = self._objective.collate(items)
        if self._regulariser is None:
            loss, terms = self._objective.loss(self.net, batch)
            return loss, self._balance(terms), terms
        logits = None
        if self._regulariser.needs_logits and isinstance(self._objective, LogitObjective):
            logits = self._objective.logits(self.net, batch)
            loss, terms = self._objective.loss_from(logits, batch)
        else:
            loss, terms = self._objective.loss(self.net, batch)
        balance, penalty = self._balance(terms), self._regulariser.on_batch(self.net, self._objective, batch, logits)
        return loss, balance if penalty is None else penalty if balance is None else penalty + balance, terms

    def _balance(self, terms: int) -> torch.Tensor | None:
        """What a mixture of experts that is to be kept in balance adds to the loss of a pass, summed over its terms as that is."""
        balance, net = None, self.net
        if isinstance(net, Network) and net.balance is not None:
            balance, net.balance = net.balance * terms, None
        return balance


def ease(net: nn.Module, plan: TrainPlan) -> None:
    """What spares memory or time and changes no result.

    Raises:
        Usage: the architecture cannot compute its blocks again.
    """
    if plan.gradient_checkpointing and isinstance(net, Network):
        base = net.base
        if not base.supports_gradient_checkpointing:
            raise Usage(
                f"{type(base).__name__} keeps what its blocks compute: transformers knows no gradient checkpointing for it. Leave "
                "--gradient-checkpointing out; fewer --forward-tokens spare memory, too."
            )
        net.recomputes = True
        enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable  # its old name
        enable({"use_reentrant": False})
        # What makes the embedding's answer ask for a gradient is for the reentrant kind: frozen blocks would keep activations for it.
        base.disable_input_require_grads()
    if plan.compile:
        if isinstance(net, Network):
            net.narrows = False  # what a compiled block is handed must be tensors
        for module in net.modules():
            if isinstance(module, nn.ModuleList) and len(module) > 1:
                for block in module:
                    block.compile(dynamic=True)
