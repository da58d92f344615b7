"""What a run will cost, from a few of its own steps that move nothing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import nn

from hone.core.device import peak_memory, release_memory
from hone.train.contracts import Objective
from hone.train.loop import fit
from hone.train.mixture import SingleTask
from hone.train.plan import TrainPlan
from hone.train.processes import Processes

__all__ = ["REHEARSED", "Rehearsal", "rehearse"]

REHEARSED = 6
"""Steps that are timed."""


class Rehearsal(NamedTuple):
    """Measured on this machine, with this network and these rows."""

    seconds_per_token: float
    peak_bytes: int


def rehearse(
    net: nn.Module,
    longest: Sequence[Any],
    typical: Sequence[Any],
    *,
    plan: TrainPlan,
    objective: Objective,
    processes: Processes | None = None,
) -> Rehearsal:
    """One step on the longest items, where memory is at its peak, then the timed ones on typical items; the learning rate is 0.

    Each process rehearses for itself, but where they divide the network, which one alone may not have the memory for.
    """
    others = processes if processes is not None and processes.part is not None else None
    release_memory()
    with peak_memory(next(net.parameters()).device) as peak:
        for items, steps in ((longest, 1), (typical, REHEARSED)):
            still = plan.model_copy(update={"learning_rate": 0.0, "head_learning_rate": 0.0, "steps": steps, "evaluations": 0})
            record = fit(net, items, plan=still, objective=objective, mixture=SingleTask(len(items)), processes=others)
    return Rehearsal(record.seconds / max(record.tokens_seen, 1), peak.bytes or 0)
