"""What a run will cost, said before its first step: a few of its own steps on its own rows, held back as the run will be."""

import copy
import random
import time
from collections.abc import Sequence
from typing import Any

from hone.core.device import peak_memory
from hone.train import REHEARSED, Frozen, Processes, find_frozen, measure_loss, rehearse
from hone.tune.hold import hold_few
from hone.tune.ready import Ready
from hone.tune.records import Expected

__all__ = ["expect", "frozen_blocks"]

_SCORED = 64  # validation rows, the longest
_DRAWN = 8192  # training rows of which the mean length is taken


def frozen_blocks(ready: Ready, processes: Processes) -> Frozen:
    """The lower blocks that no step moves, and whether their work is kept."""
    is_held = ready.settings.hold != "none" or ready.settings.remember != "none"
    return find_frozen(
        ready.net, ready.rows.train, plan=ready.plan, objective=ready.objective, is_held=is_held, is_alone=processes.is_alone
    )


def expect(ready: Ready, processes: Processes, frozen: Frozen) -> Expected:
    """A few steps that move nothing (their learning rate is 0): seconds per token and peak memory.

    The first batch holds the longest rows, so that memory is at its peak; the timed ones are typical.

    Raises:
        Usage: the run cannot be held back as it was asked to be.
    """
    plan, rows, net = ready.plan, ready.rows, ready.net
    longest = sorted(rows.train, key=lambda item: -item.length)[: plan.batch_rows]
    drawn = _drawn(ready)
    count = plan.batch_rows * REHEARSED
    typical = drawn[:: max(1, len(drawn) // count)][:count]
    passes = ready.draws / len(rows.train) if frozen.keeps else 1.0
    held = hold_few(ready)
    found = rehearse(
        net,
        longest,
        typical,
        plan=plan,
        objective=ready.objective,
        regulariser=held.regulariser,
        processes=processes,
        passes=passes,
    )
    highest = found.peak_bytes + held.bytes_to_come
    highest += frozen.bytes if frozen.keeps and net.device.type == "cpu" else 0  # they lie in main memory
    seconds = found.seconds_per_token * ready.draws * _tokens(drawn) / len(drawn)
    if plan.evaluations:
        scored = sorted(rows.validation, key=lambda item: -item.length)[:_SCORED]
        started = time.perf_counter()
        with peak_memory(net.device) as peak:
            measure_loss(net, ready.objective, scored, ready.reader)
        once = (time.perf_counter() - started) * _tokens(rows.validation) / _tokens(scored)
        seconds += plan.evaluations * once
        highest = max(highest, peak.bytes or 0)
    return Expected(seconds=seconds, peak_bytes=highest)


def _drawn(ready: Ready) -> list[Any]:
    """Rows as the run will show them: of several tasks each comes at its share, however many rows it has."""
    mixture, rng = copy.deepcopy(ready.mixture), random.Random(ready.plan.seed)
    return [ready.rows.train[mixture.draw(rng)] for _ in range(min(_DRAWN, max(ready.draws, mixture.epoch)))]


def _tokens(items: Sequence[Any]) -> int:
    return sum(item.length for item in items)
