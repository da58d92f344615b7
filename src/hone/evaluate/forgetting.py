"""What a model forgot while it learnt: the same items before and after, with what chance alone would have changed.

Takes answers to retained tasks (`retained`) and divergences from the base. Gives one record that stands in run folders, tables and cards.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hone.core.console import render_table
from hone.core.record import Record
from hone.evaluate.retained import RetainedAnswers, RetainedTask
from hone.measure import (
    Drops,
    NoiseFloor,
    Rises,
    TaskAnswers,
    TextLosses,
    measure_drops,
    measure_rises,
    noise_floor,
)

__all__ = ["Forgetting", "WrittenAnswers", "WrittenChange", "measure_forgetting", "tell_forgetting"]


class WrittenAnswers(Record):
    """What a model writes where one of some choices, and nothing else, is the answer: numbers of items."""

    right: int
    wrong: int
    """Another choice."""
    other: int
    """None of the choices: a failure of format, whatever the model knows."""

    @property
    def told(self) -> str:
        """In words."""
        return f"{self.right} right, {self.wrong} wrong, {self.other} none of the answers"


class WrittenChange(Record):
    """Of one task, before and after."""

    task: str
    before: WrittenAnswers
    after: WrittenAnswers

    @property
    def told(self) -> str:
        """Both in words."""
        return f"{self.before.told} before, {self.after.told} after"


class Forgetting(Record):
    """Before against after, on identical items."""

    drops: Drops | None
    """Of accuracy, on tasks with right and wrong answers; None where none was asked."""
    rises: Rises | None
    """Of the loss, on texts and on answers that are texts; None where none was asked."""
    noise: NoiseFloor | None
    """The base evaluated twice, items in another order the second time."""
    divergence: float | None
    """KL(base || tuned) on samples of the base itself, nats per token: the best early warning."""
    divergence_on_inputs: float | None
    """The same on the task's own validation rows: how much was learnt, not how much forgotten."""
    is_base_when_off: bool | None = None
    """Of an adapter: whether the network without it answers every item exactly as the base; None where nothing can be taken off."""
    off_differs: int | None = None
    """Items on which it does not."""
    written: tuple[WrittenChange, ...] = ()
    """Of tasks whose answers a model learnt to write: failures of format apart from wrong answers."""


def measure_forgetting(
    tasks: Sequence[RetainedTask],
    before: Mapping[str, RetainedAnswers],
    after: Mapping[str, RetainedAnswers],
    *,
    again: Mapping[str, RetainedAnswers] | None = None,
    own: Sequence[float] = (),
    inputs: Sequence[float] = (),
    seed: int,
) -> Forgetting:
    """Put the answers of one model before and after together.

    Args:
        again: a second evaluation of the base. own, inputs: divergences per sample of the base, and per row of the task, in nats per token.
    """
    asked = [
        TaskAnswers(task.name, before[task.name].is_right, after[task.name].is_right, task.chance)
        for task in tasks
        if task.chance is not None
    ]
    read = [
        TextLosses(task.name, before[task.name].losses, after[task.name].losses, before[task.name].tokens)
        for task in tasks
        if task.chance is None
    ]
    floor = None
    if again is not None and asked:
        one, two = (np.concatenate([each[task.task].is_right for task in asked]) for each in (before, again))
        floor = noise_floor(one, two)
    return Forgetting(
        drops=measure_drops(asked, seed=seed) if asked else None,
        rises=measure_rises(read, seed=seed) if read else None,
        noise=floor,
        divergence=float(np.mean(own)) if len(own) else None,
        divergence_on_inputs=float(np.mean(inputs)) if len(inputs) else None,
        written=tuple(
            WrittenChange(task=task.name, before=_sorted(task, first), after=_sorted(task, last))
            for task in tasks
            if (first := before[task.name].written) is not None and (last := after[task.name].written) is not None
        ),
    )


def _sorted(task: RetainedTask, written: npt.NDArray[np.int64]) -> WrittenAnswers:
    right, other = int((written == np.array(task.right)).sum()), int((written < 0).sum())
    return WrittenAnswers(right=right, wrong=len(task) - right - other, other=other)


def tell_forgetting(found: Forgetting) -> str:
    """The record as text: a row per task, then what it comes to."""
    lines: list[str] = []
    if found.drops:
        rows = [
            (
                task.task,
                f"{task.before.mid:.1%}",
                f"{task.after.mid:.1%}",
                f"{task.drop.low:+.1%} to {task.drop.high:+.1%}",
                f"{task.right_to_wrong} / {task.wrong_to_right}",
                "-" if task.retention is None else f"{task.retention.mid:.0%}",
                _marks(task.is_floor, task.is_ceiling, task.p_holm),
            )
            for task in found.drops.tasks
        ]
        headers = ("task", "before", "after", "lost, 95%", "lost / gained", "kept", "")
        lines.append(render_table(headers, rows))
        drops = found.drops
        lines.append(
            f"Lost on average {drops.mean.mid:.1%} ({drops.mean.low:+.1%} to {drops.mean.high:+.1%}), most on {drops.worst_task}: "
            f"{drops.worst.mid:.1%} ({drops.worst.low:+.1%} to {drops.worst.high:+.1%})."
        )
        if seen := [task.detectable_drop for task in drops.tasks if task.detectable_drop is not None]:
            least, most = f"{min(seen):.1%}", f"{max(seen):.1%}"
            span = least if least == most else f"{least} to {most}, by task,"
            lines.append(f"A drop below {span} is missed at least one time in five.")
    if found.rises:
        lines += [
            f"Loss on {task.task}: {task.before:.3f} before, {task.after:.3f} after, perplexity {task.perplexity_rise:+.1%}."
            for task in found.rises.tasks
        ]
    lines += [f"Written to {one.task}: {one.told}." for one in found.written]
    if found.noise:
        lines.append(f"The base asked twice differs in {found.noise.flips} of {found.noise.items} items.")
    if found.divergence is not None:
        own = f"Divergence from the base on its own texts {found.divergence:.4f} nats a token"
        on = "" if found.divergence_on_inputs is None else f", on the task's rows {found.divergence_on_inputs:.4f}"
        lines.append(f"{own}{on}.")
    if found.is_base_when_off is not None:
        state = (
            "equals the base on every item" if found.is_base_when_off else f"differs from the base on {found.off_differs} items"
        )
        lines.append(f"Without what was learnt the network {state}.")
    return "\n".join(lines)


def _marks(is_floor: bool, is_ceiling: bool, p_holm: float) -> str:
    said = ["not above chance before" if is_floor else "", "all right before" if is_ceiling else ""]
    if p_holm < 0.05:
        said.append(f"p {p_holm:.2g}")
    return ", ".join(part for part in said if part)
