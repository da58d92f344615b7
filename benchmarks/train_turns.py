"""One part of `benchmarks/train.py`: choose the best peer and our batch size in short trials, then train block after block in turn.

In every turn all contenders train the same rows once, from the same weights, each in a process of its own, in an order that rotates: other
work on the machine slows all of them. Beside the time, the processor seconds are kept, which other work hardly touches.
"""

import contextlib
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone.core.console import note
from train_ours import FORWARD_TOKENS
from train_parts import Part, Prepared
from train_peers import candidates, default_setting
from train_worker import Timed, Worker

__all__ = ["FULL", "QUICK", "Length", "measure_part"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Length:
    """How much is measured."""

    steps: int
    """Optimiser steps of a turn."""
    turns: int
    seconds: float
    """After which a part begins no further turn; the first is always finished."""
    trial_steps: int
    is_quick: bool

    def block(self, part: Part) -> int:
        """Rows of a turn; fewer where a step takes long, more where it is short."""
        factor = {"large_vocabulary": 0.5, "encoder": 4}.get(part.model, 1)
        return max(1, int(self.steps * factor)) * part.batch_rows


FULL = Length(steps=8, turns=3, seconds=600, trial_steps=4, is_quick=False)
QUICK = Length(steps=2, turns=2, seconds=20, trial_steps=1, is_quick=True)


def measure_part(part: Part, models: Path, data: Path, prepared: Prepared, length: Length) -> list[Row]:
    """A row per trial, one per contender, and one of ratios."""
    trials, best = _trials(part, models, data, len(prepared.items), length)
    default = default_setting(part)
    names = {"best_peer": best, **({"default": default.name} if default else {})}
    with contextlib.ExitStack() as stack:
        workers = {"ours": _ours(part, models, data, FORWARD_TOKENS)}
        workers |= {role: Worker(part.name, models, data, name) for role, name in names.items()}
        for worker in workers.values():
            stack.enter_context(worker)
        timed = _turns(part, workers, len(prepared.items), length)
    rows = [_row(part, role, workers[role].name, timed[role]) for role in workers]
    return [*trials, *rows, _ratios(part, timed)]


def _ours(part: Part, models: Path, data: Path, forward_tokens: int) -> Worker:
    name = "hone" if forward_tokens == FORWARD_TOKENS else f"hone, forward_tokens {forward_tokens}"
    return Worker(part.name, models, data, name, forward_tokens=forward_tokens)


def _trials(part: Part, models: Path, data: Path, items: int, length: Length) -> tuple[list[Row], str]:
    """Each candidate on the same rows, after a step to warm up; the name of the peer that took the least processor time."""
    names = [setting.name for setting in candidates(part, is_quick=length.is_quick)]
    if length.is_quick and part.name == "large_vocabulary":
        names = [
            name for name in names if " x 4 rows" in name
        ]  # whole batches took nearly twice as long: 323 and 352, not 593 tokens/s
    sizes = [] if length.is_quick else sorted({FORWARD_TOKENS, 1024, 2048, 4096})
    asked = length.trial_steps * part.batch_rows
    rows: list[Row] = []
    rates: dict[str, float] = {}
    for name in [*names, *sizes]:
        worker = Worker(part.name, models, data, name) if isinstance(name, str) else _ours(part, models, data, name)
        with worker:
            worker.train(0, part.batch_rows)
            trained = worker.train(items - asked, asked)
        rates[worker.name] = trained.tokens / trained.processor_seconds
        rows.append(
            {
                "part": "trial",
                "name": part.name,
                "contender": worker.name,
                "tokens_per_second": trained.tokens / trained.seconds,
                "tokens_per_processor_second": rates[worker.name],
            }
        )
        note(
            f"  {part.name}, trial: {worker.name}: {trained.tokens / trained.seconds:,.0f} tokens/s, "
            f"{rates[worker.name]:,.0f} per processor second"
        )
    # The plan's own default is what is measured; a better size is reported, for the default to be changed.
    ours = {name: rate for name, rate in rates.items() if name not in names}
    if ours and (quickest := max(ours, key=ours.__getitem__)) != "hone":
        note(f"  {part.name}: {quickest} was faster than the default, {FORWARD_TOKENS}")
    return rows, max(names, key=rates.__getitem__)


def _turns(part: Part, workers: Mapping[str, Worker], items: int, length: Length) -> dict[str, list[Timed]]:
    timed: dict[str, list[Timed]] = {role: [] for role in workers}
    block = length.block(part)
    for worker in workers.values():
        worker.train(items - part.batch_rows, part.batch_rows)
    started = time.perf_counter()
    for turn in range(length.turns):
        if turn and time.perf_counter() - started > length.seconds:
            break
        first = turn * block % max(1, items - block)
        roles = list(workers)
        for role in roles[turn % len(roles) :] + roles[: turn % len(roles)]:
            timed[role].append(workers[role].train(first, block))
        rates = ", ".join(f"{workers[role].name} {_rate(timed[role][-1]):,.0f} tokens/s" for role in roles)
        note(f"  {part.name}, turn {turn + 1}: {rates}; load {os.getloadavg()[0]:.1f}")
    return timed


def _rate(one: Timed) -> float:
    return one.tokens / one.seconds


def _row(part: Part, role: str, name: str, timed: list[Timed]) -> Row:
    rates = [_rate(one) for one in timed]
    return {
        "part": "speed",
        "name": part.name,
        "role": role,
        "contender": name,
        "tokens_per_second": statistics.median(rates),
        "low": min(rates),
        "high": max(rates),
        "tokens_per_processor_second": statistics.median(one.tokens / one.processor_seconds for one in timed),
        "turns": len(rates),
        "tokens": [one.tokens for one in timed],
        "batch_rows": part.batch_rows,
        "peak_bytes": max(one.peak_bytes for one in timed),
    }


def _ratios(part: Part, timed: Mapping[str, list[Timed]]) -> Row:
    """Theirs over ours in time, turn by turn: medians with their range."""
    row: Row = {
        "part": "ratio",
        "name": part.name,
        "is_same_tokens": len({tuple(one.tokens for one in found) for found in timed.values()}) == 1,
    }
    ours = timed["ours"]
    for role in timed.keys() - {"ours"}:
        found = [other.seconds / mine.seconds for mine, other in zip(ours, timed[role], strict=True)]
        processor = [other.processor_seconds / mine.processor_seconds for mine, other in zip(ours, timed[role], strict=True)]
        row[role] = {
            "ratio": statistics.median(found),
            "low": min(found),
            "high": max(found),
            "processor_seconds": statistics.median(processor),
        }
    highest = {role: max(one.peak_bytes for one in found) for role, found in timed.items()}
    row["peak_memory"] = highest["best_peer"] / highest["ours"]
    return row
