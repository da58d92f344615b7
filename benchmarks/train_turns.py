"""One part of `benchmarks/train.py`: choose the best peer and our batch size in short trials, then train block after block in turn.

In every turn all contenders train the same rows once, from the same weights, in one process, in an order that rotates: other work on the
machine slows all of them. Beside the time, the processor seconds are kept, which other work hardly touches.
"""

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone.core.console import note
from hone.core.device import release_memory
from train_memory import measure_peak
from train_ours import FORWARD_TOKENS, Ours
from train_parts import Part, Prepared
from train_peers import Peer, candidates, default_setting

__all__ = ["FULL", "QUICK", "Length", "measure_part"]

Row = dict[str, Any]
Contender = Ours | Peer


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


@dataclass
class _Timed:
    seconds: list[float]
    processor_seconds: list[float]
    tokens: list[int]


def measure_part(part: Part, models: Path, data: Path, prepared: Prepared, length: Length) -> list[Row]:
    """A row per trial, one per contender, and one of ratios; peaks in processes of their own."""
    trials, best, ours = _trials(part, models, prepared, length)
    contenders: dict[str, Contender] = {"ours": ours, "best_peer": best}
    default = default_setting(part)
    if default:
        contenders["default"] = Peer(part, models, prepared, default)
    timed = _turns(part, contenders, prepared.items, length)
    peaks = _peaks(part, models, data, contenders, length)
    rows = [_row(part, role, contenders[role].name, timed[role], peaks.get(role)) for role in contenders]
    return [*trials, *rows, _ratios(part, timed, peaks)]


def _trials(part: Part, models: Path, prepared: Prepared, length: Length) -> tuple[list[Row], Peer, Ours]:
    """Each candidate once on the same rows; the first call warms up. One short pass each, so processor seconds decide."""
    items = prepared.items[-length.trial_steps * part.batch_rows :]
    peers = [Peer(part, models, prepared, setting) for setting in candidates(part, is_quick=length.is_quick)]
    sizes = [FORWARD_TOKENS] if length.is_quick else sorted({FORWARD_TOKENS, 1024, 2048, 4096})
    ours = [Ours(part, models, prepared, forward_tokens=size) for size in sizes]
    if (
        length.is_quick and part.name == "large_vocabulary"
    ):  # whole batches took nearly twice as long: 323 and 352, not 593 tokens/s
        peers = [peer for peer in peers if " x 4 rows" in peer.name]
    ours[0].train(items[: part.batch_rows])
    rows: list[Row] = []
    rates: dict[str, float] = {}
    for contender in [*peers, *(ours if len(ours) > 1 else [])]:
        trained = contender.train(items)
        rates[contender.name] = trained.tokens / trained.processor_seconds
        rows.append(
            {
                "part": "trial",
                "name": part.name,
                "contender": contender.name,
                "tokens_per_second": trained.tokens / trained.seconds,
                "tokens_per_processor_second": rates[contender.name],
            }
        )
        note(
            f"  {part.name}, trial: {contender.name}: {trained.tokens / trained.seconds:,.0f} tokens/s, "
            f"{rates[contender.name]:,.0f} per processor second"
        )
        release_memory()
    best = max(peers, key=lambda peer: rates[peer.name])
    quickest = max(ours, key=lambda one: rates.get(one.name, 0.0))
    # The plan's own default is what is measured; a better size is reported, for the default to be changed.
    if quickest.forward_tokens != FORWARD_TOKENS:
        note(f"  {part.name}: forward_tokens {quickest.forward_tokens} was faster than the default, {FORWARD_TOKENS}")
    return rows, best, next(one for one in ours if one.forward_tokens == FORWARD_TOKENS)


def _turns(part: Part, contenders: dict[str, Contender], items: Sequence[Any], length: Length) -> dict[str, _Timed]:
    timed = {role: _Timed([], [], []) for role in contenders}
    block, started = length.block(part), time.perf_counter()
    for turn in range(length.turns):
        if turn and time.perf_counter() - started > length.seconds:
            break
        at = turn * block % max(1, len(items) - block)
        roles = list(contenders)
        for role in roles[turn % len(roles) :] + roles[: turn % len(roles)]:
            trained = contenders[role].train(items[at : at + block])
            timed[role].processor_seconds.append(trained.processor_seconds)
            timed[role].seconds.append(trained.seconds)
            timed[role].tokens.append(trained.tokens)
            release_memory()
        rates = ", ".join(
            f"{contenders[role].name} {timed[role].tokens[-1] / timed[role].seconds[-1]:,.0f} tokens/s" for role in roles
        )
        note(f"  {part.name}, turn {turn + 1}: {rates}; load {os.getloadavg()[0]:.1f}")
    return timed


def _peaks(part: Part, models: Path, data: Path, contenders: dict[str, Contender], length: Length) -> dict[str, dict[str, int]]:
    """A quick run takes them of one part only: each costs a process."""
    if length.is_quick and part.name != "decoder_full":
        return {}
    peaks = {}
    for role, contender in contenders.items():
        if length.is_quick and role == "default":
            continue
        name = f"hone {contender.forward_tokens}" if isinstance(contender, Ours) else contender.name
        rows = part.batch_rows * (1 if length.is_quick else 2)
        peaks[role] = measure_peak(part.name, models, data, rows=rows, contender=name)
        note(f"  {part.name}, peak memory: {contender.name} {peaks[role]['peak_bytes'] / 2**20:,.0f} MiB")
    return peaks


def _row(part: Part, role: str, name: str, timed: _Timed, peak: dict[str, int] | None) -> Row:
    rates = [tokens / seconds for tokens, seconds in zip(timed.tokens, timed.seconds, strict=True)]
    return {
        "part": "speed",
        "name": part.name,
        "role": role,
        "contender": name,
        "tokens_per_second": statistics.median(rates),
        "low": min(rates),
        "high": max(rates),
        "tokens_per_processor_second": statistics.median(
            tokens / seconds for tokens, seconds in zip(timed.tokens, timed.processor_seconds, strict=True)
        ),
        "turns": len(rates),
        "tokens": timed.tokens,
        "batch_rows": part.batch_rows,
        "peak_bytes": peak["peak_bytes"] if peak else None,
        "before_bytes": peak["before_bytes"] if peak else None,
    }


def _ratios(part: Part, timed: dict[str, _Timed], peaks: dict[str, dict[str, int]]) -> Row:
    """Theirs over ours in time, turn by turn: medians with their range."""
    row: Row = {"part": "ratio", "name": part.name, "is_same_tokens": len({tuple(one.tokens) for one in timed.values()}) == 1}
    ours = timed["ours"]
    for role in timed.keys() - {"ours"}:
        found = [other / mine for mine, other in zip(ours.seconds, timed[role].seconds, strict=True)]
        processor = [other / mine for mine, other in zip(ours.processor_seconds, timed[role].processor_seconds, strict=True)]
        row[role] = {
            "ratio": statistics.median(found),
            "low": min(found),
            "high": max(found),
            "processor_seconds": statistics.median(processor),
        }
    if "best_peer" in peaks:
        row["peak_memory"] = peaks["best_peer"]["peak_bytes"] / peaks["ours"]["peak_bytes"]
    return row
