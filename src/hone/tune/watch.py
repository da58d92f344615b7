"""What the model could do before, watched over one run: retained tasks and divergences, before the first step and after the last.

With a budget for what may be lost the retained items are divided: on one half the dial is chosen, on the other the loss is reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hone.core.seeds import derive_seed
from hone.evaluate import (
    Forgetting,
    RetainedAnswers,
    RetainedTask,
    answer_retained,
    find_tasks,
    measure_forgetting,
    thin,
)
from hone.measure import Certificate
from hone.model import LanguageModel, LocalBackend, Network, Seq2SeqModel, TextReader
from hone.train import (
    Gauge,
    LogitObjective,
    OwnSample,
    StartingPoint,
    draw_own_samples,
)
from hone.tune.promise import halves, keep_promise, require_items
from hone.tune.settings import TuneSettings

__all__ = ["Watch", "begin_watch", "can_be_watched", "divide"]

_GAUGED = 64  # own samples, and rows of the task, at which divergences are measured


@dataclass
class Watch:
    """Everything that was taken down before the first step."""

    tasks: list[RetainedTask]
    """Reported."""
    held_back: list[RetainedTask]
    """On which the dial is chosen; empty without a budget."""
    before: Mapping[str, RetainedAnswers]
    again: Mapping[str, RetainedAnswers]
    held_before: Mapping[str, RetainedAnswers]
    own: Gauge
    inputs: Gauge | None
    start: StartingPoint | None
    """Of what moves: for the dial, and for looking at an adapter's base."""
    seed: int
    samples: list[OwnSample] = field(default_factory=list)

    def end(self, net: Network, reader: TextReader, *, comes_off: bool) -> Forgetting:
        """The same again, after the last step.

        Args:
            comes_off: whether what was learnt can be taken off, so that the base must be found unchanged below it.
        """
        after = _answer(net, reader, self.tasks, title="Retained tasks after training", writes=True)
        found = measure_forgetting(
            self.tasks,
            self.before,
            after,
            again=self.again,
            own=self.own.read(net),
            inputs=self.inputs.read(net) if self.inputs else (),
            seed=self.seed,
        )
        if not comes_off or self.start is None:
            return found
        with self.start.put_back(net):
            off = _answer(net, reader, self.tasks, title="Retained tasks without it")
        differs = sum(int((off[name].losses != one.losses).sum()) for name, one in self.before.items())
        return found.model_copy(update={"is_base_when_off": differs == 0, "off_differs": differs})

    def keep_promise(self, net: Network, reader: TextReader, settings: TuneSettings) -> Certificate | None:
        """Turn the dial down to where the budget is kept, on the items held back; None where no budget was named."""
        if not self.held_back or self.start is None:
            return None

        def lost(title: str) -> npt.NDArray[np.bool_]:
            after = _answer(net, reader, self.held_back, title=title)
            return np.concatenate([self.held_before[task.name].is_right & ~after[task.name].is_right for task in self.held_back])

        return keep_promise(net, self.start, settings, lost)


def can_be_watched(net: Network) -> bool:
    """Whether it writes texts: encoders are watched elsewhere."""
    return isinstance(net, Seq2SeqModel) or (isinstance(net, LanguageModel) and net.head == "causal")


def begin_watch(
    net: Network, reader: TextReader, objective: LogitObjective[Any], validation: Sequence[Any], settings: TuneSettings
) -> Watch:
    """Take everything down while the network is the base.

    Raises:
        Usage: a retained task is not known, or the budget cannot be certified with the items there are.
    """
    assert isinstance(net, LanguageModel | Seq2SeqModel)
    tasks = find_tasks(settings.retain, replayed=Path(settings.model))
    held_back: list[RetainedTask] = []
    if settings.may_lose is not None:
        tasks, held_back = divide(tasks, seed=settings.seed)
        require_items(sum(map(len, held_back)), settings)
    tasks = thin(tasks, most=settings.retain_items, seed=settings.seed)
    before = _answer(net, reader, tasks, title="Retained tasks before training", writes=True)
    again = _answer(net, reader, [_turned(task) for task in tasks], title="The same again")
    samples = draw_own_samples(net, reader, count=_GAUGED, seed=derive_seed(settings.seed, "gauge"))
    return Watch(
        tasks=tasks,
        held_back=held_back,
        before=before,
        again={name: _turned_back(one) for name, one in again.items()},
        held_before=_answer(net, reader, held_back, title="Items held back for the promise") if held_back else {},
        own=Gauge(net, objective, samples, reader),
        inputs=Gauge(net, objective, list(validation)[:_GAUGED], reader) if validation else None,
        start=StartingPoint(net)
        if settings.may_lose is not None or settings.method not in ("full", "top", "head", "bias")
        else None,
        seed=settings.seed,
    )


def divide(tasks: Sequence[RetainedTask], *, seed: int) -> tuple[list[RetainedTask], list[RetainedTask]]:
    """Each task in two halves: to report on, and to choose the dial on. Tasks of texts, which have no right and wrong, are only reported."""
    reported, held_back = [], []
    for task in tasks:
        if task.chance is None:
            reported.append(task)
            continue
        told, held = halves(len(task), task=task.name, seed=seed)
        reported.append(_part(task, told))
        held_back.append(_part(task, held))
    return reported, held_back


def _part(task: RetainedTask, items: Sequence[int]) -> RetainedTask:
    return replace(
        task,
        prompts=tuple(task.prompts[at] for at in items),
        choices=tuple(task.choices[at] for at in items),
        right=tuple(task.right[at] for at in items),
    )


def _turned(task: RetainedTask) -> RetainedTask:
    """The items the other way round: other neighbours in each pass, and nothing else."""
    return _part(task, range(len(task))[::-1])


def _turned_back(answers: RetainedAnswers) -> RetainedAnswers:
    return RetainedAnswers(answers.is_right[::-1], answers.losses[::-1], answers.tokens[::-1])


def _answer(
    net: Network, reader: TextReader, tasks: Sequence[RetainedTask], *, title: str, writes: bool = False
) -> dict[str, RetainedAnswers]:
    assert isinstance(net, LanguageModel | Seq2SeqModel)
    was_training = net.training
    backend = LocalBackend(net, reader, template="{prompt}", chat=False, takes_over=False)
    found = answer_retained(tasks, backend, title=title, writes=writes)
    net.train(was_training)
    return found
