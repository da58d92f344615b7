"""A training step tried without numbers: hone's own network, method, objective and passes, on tensors that have shapes only.

Nothing is modelled by a formula but AdamW's moments, which are two numbers of 4 bytes for each parameter that moves. So what hone does
otherwise than others (no padding, attention and cross-entropy with ways back of their own, one copy of the table of words) is counted as it is.
"""

import contextlib
import gc
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException

from hone.core.allocator import has_allocator
from hone.core.errors import Failed, HoneError
from hone.model import DryHead, Network, TextReader, dry_network, plain_autocast, token_batches, weights_of, without_numbers
from hone.train.contracts import Objective
from hone.train.estimate.few_blocks import few_blocks, repeat_passes, stand_ins
from hone.train.estimate.ledger import Ledger
from hone.train.estimate.records import DryRun, MemoryEstimate, RowLength
from hone.train.loop import ease
from hone.train.objective import Classify, Labelled, Placed, SourceTarget, Tag
from hone.train.objective.language import PlacedObjective
from hone.train.objective.seq2seq import PairObjective
from hone.train.optimiser import trained_parameters
from hone.train.plan import TrainPlan
from hone.train.trainable import make_trainable

__all__ = ["bare_objective", "dry_run", "items_of_lengths"]

_MOMENTS = 2 * 4  # bytes for each parameter that moves
# Fitted, for processes without hone's allocator: with them eight runs of three shapes come within 7% of the whole process (docs/log.md, glibc 2.36).
_HOLES, _FILLED, _LEAST_HOLES = 0.5, 0.6, 0.1


def dry_run(config: Any, asked: DryRun, *, process: int = 0) -> MemoryEstimate:
    """The memory of a training run with a model that is known by its configuration alone.

    Args:
        config: transformers' configuration. process: bytes that the process takes beside the tensors.
    Raises:
        BadModel: transformers makes no such model. Usage: the method means nothing on it.
        Failed: an operation of the model cannot be tried without numbers.
    """
    with without_numbers(), _uncollected():
        try:
            return _try_step(config, asked, process)
        except HoneError:
            raise
        except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
            first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            if isinstance(error, DataDependentOutputException):
                first = f"it asks what stands in a tensor ({error.func})."
            raise Failed(
                f"A step of {config.model_type} with '{asked.method}' cannot be tried without numbers: {first} "
                "hone tune measures it with the real model before it starts."
            ) from error


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cycles of objects within: it takes a fifth of a dry run, and when it comes is chance."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _try_step(config: Any, asked: DryRun, process: int) -> MemoryEstimate:
    short = few_blocks(config, asked)
    config, net = short.config, _prepared(short.config, asked)
    objective = bare_objective(asked.head, asked.outputs)
    parts = _parts(asked, is_packed=net.packs)
    part = max(parts, key=lambda rows: sum(row.read + row.learnt for row in rows))
    standing = stand_ins(net, short)
    alike = {
        id(one): 1 + others
        for blocks, _, others in standing
        for block in blocks
        for one in (*block.parameters(), *block.buffers())
    }
    with _few_words(net, asked.words):
        ledger = Ledger(words=getattr(config, "vocab_size", None) if asked.has_words else None)
        moving = list(trained_parameters(net).values())
        _enter_standing(ledger, net, moving if len(parts) > 1 else [], alike)
        for one in standing:
            repeat_passes(ledger, one)
        items = items_of_lengths(asked.head, part)
        with ledger:
            with plain_autocast(asked.precision, torch.device("cpu")):
                loss, _ = objective.loss(net, objective.collate(items))
            ledger.phase = "backward"
            loss.backward()  # type: ignore[no-untyped-call]
    moved, parameters = (sum(alike.get(id(one), 1) * weights_of(one) for one in some) for some in (moving, net.parameters()))
    highest = {kind: size for kind, size in ledger.highest.items() if kind != "optimiser"}
    return MemoryEstimate(
        **highest,
        holes=0 if has_allocator() else _holes(ledger.heap_peak, _MOMENTS * moved),
        optimiser=_MOMENTS * moved,
        best=4 * moved if asked.keeps_best else 0,
        process=process,
        parameters=parameters,
        trainable_parameters=moved,
        flops=ledger.flops,
        tokens=sum(item.length for item in items),
    )


def _prepared(config: Any, asked: DryRun) -> Network:
    """The network as the loop has it before its first step."""
    bare = dry_network(config, asked.head, outputs=asked.outputs, held=asked.held)
    net = make_trainable(asked.method, **asked.options).prepare(bare)
    if asked.precision == "bf16":
        net.narrow_frozen()
    ease(net, TrainPlan(learning_rate=0, head_learning_rate=0, steps=1, gradient_checkpointing=asked.gradient_checkpointing))
    net.train().train_alone(alone=True)
    return net


def _enter_standing(ledger: Ledger, net: Network, accumulated: Sequence[nn.Parameter], alike: Mapping[int, int]) -> None:
    """What is there before the pass: weights, and the gradients that earlier parts of the batch left."""
    for one in (*net.parameters(), *net.buffers()):
        ledger.enter(one, "weights", times=alike.get(id(one), 1))
    whole = getattr(net.base.get_input_embeddings(), "whole", None)
    if whole is not None:
        ledger.enter(whole, "weights")
    for moving in accumulated:
        moving.grad = torch.zeros_like(moving)
        ledger.enter(moving.grad, "gradients", times=alike.get(id(moving), 1))


def _holes(passing: int, moments: int) -> int:
    """Memory of glibc's heap between tensors, where nothing better is loaded: measured, not derived.

    After a pass a fifth to a third of the heap is free in hundreds of pieces that the next tensors do not fit (docs/log.md). AdamW's moments,
    made after the first step, fill some of them.
    """
    return round(max(_LEAST_HOLES * passing, _HOLES * passing - _FILLED * moments))


def _parts(asked: DryRun, *, is_packed: bool) -> list[list[RowLength]]:
    lengths = [row.read + (row.learnt if asked.head == "seq2seq" else 0) for row in asked.rows]
    batches = token_batches(lengths, max_tokens=asked.forward_tokens, is_packed=is_packed)
    return [[asked.rows[index] for index in batch] for batch in batches]


def items_of_lengths(head: DryHead, rows: Sequence[RowLength]) -> list[Any]:
    """Rows of these lengths; which words stand in them makes no difference."""
    if head == "seq2seq":
        return [SourceTarget([0] * row.read, [0] * row.learnt) for row in rows]
    if head == "pooled":
        return [Labelled([0] * row.read, 0) for row in rows]
    return [Placed([0] * row.read, list(range(row.read - row.learnt, row.read)), [0] * row.learnt) for row in rows]


def bare_objective(head: DryHead, outputs: int) -> Objective:
    """The loss alone: nothing is encoded, so no tokenizer is needed."""
    no_reader = cast(TextReader, None)
    labels = tuple(map(str, range(outputs)))
    if head == "seq2seq":
        return cast(Objective, PairObjective())
    if head == "pooled":
        return Classify(labels, no_reader)
    return Tag(labels, no_reader) if head == "token" else cast(Objective, PlacedObjective())


@contextlib.contextmanager
def _few_words(net: Network, words: int | None) -> Iterator[None]:
    """As `only_these_words` has it, without asking which words they are: a table of so many rows is trained beside the whole one."""
    table = net.base.get_input_embeddings()
    if words is None or not table.weight.requires_grad or words > len(table.weight) // 2:
        yield
        return
    whole = table.weight

    def forward(self: Any, ids: torch.Tensor) -> torch.Tensor:
        return nn.functional.embedding(ids.clamp(max=words - 1), self.weight)

    table.whole, table.weight = whole.detach(), nn.Parameter(whole.detach()[:words].clone())
    table.forward = types.MethodType(forward, table)
    yield
