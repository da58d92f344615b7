"""What a run will cost, from a few of its own steps that move nothing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import nn

from hone.core.allocator import has_allocator
from hone.core.device import peak_memory, release_memory, resident_memory
from hone.train.contracts import Objective, Regulariser
from hone.train.loop import fit
from hone.train.mixture import SingleTask
from hone.train.plan import StepEvent, TrainPlan
from hone.train.processes import Processes

__all__ = ["REHEARSED", "Rehearsal", "rehearse"]

REHEARSED = 6
"""Steps that are timed."""

_HOLES, _FEW_HOLES = 0.5, 0.1
"""Of what the steps take, on a CPU: glibc's heap grows by it over a run, in pieces that later tensors do not fit. The second: with hone's
allocator (docs/log.md)."""


class Rehearsal(NamedTuple):
    """Measured on this machine, with this network and these rows."""

    seconds_per_token: float
    peak_bytes: int
    """Of the run: the highest that was measured, and what the heap will grow by."""


def rehearse(
    net: nn.Module,
    longest: Sequence[Any],
    typical: Sequence[Any],
    *,
    plan: TrainPlan,
    objective: Objective,
    regulariser: Regulariser | None = None,
    processes: Processes | None = None,
    passes: float = 1.0,
) -> Rehearsal:
    """One step on the longest items, where memory is at its peak, then the timed ones on typical items; the learning rate is 0.

    Each process rehearses for itself, but where they divide the network, which one alone may not have the memory for. `regulariser`:
    of this rehearsal alone, for it starts anew with each of the two. `passes`: over the
    rows of the run, where those after the first are quicker because frozen blocks are computed once; two are timed.
    """
    others = processes if processes is not None and processes.part is not None else None
    release_memory()
    heard: list[StepEvent] = []
    device, before = next(net.parameters()).device, resident_memory()
    with peak_memory(device) as peak:
        for items, steps in ((longest, 1), (typical, REHEARSED * (2 if passes > 1 else 1))):
            still = plan.model_copy(update={"learning_rate": 0.0, "head_learning_rate": 0.0, "steps": steps, "evaluations": 0})
            heard.clear()
            fit(
                net,
                items,
                plan=still,
                objective=objective,
                mixture=SingleTask(len(items)),
                regulariser=regulariser,
                processes=others,
                listener=heard.append,
            )
    first, last = heard[REHEARSED - 1], heard[-1]
    seconds = first.seconds + (passes - 1) * (last.seconds - first.seconds)
    tokens = first.tokens + (passes - 1) * (last.tokens - first.tokens)
    highest = peak.bytes or 0
    holes = (_FEW_HOLES if has_allocator() else _HOLES) if device.type == "cpu" else 0.0
    return Rehearsal(seconds / max(tokens, 1), highest + round(holes * max(0, highest - before)))
