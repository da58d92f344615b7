"""An encoder watched over one run: its sentence vectors on retained tasks, before the first step and after the last.

With a budget for what may be lost questions and texts with classes are divided: on one half the dial is chosen, on the other the loss is
reported. Both halves search all passages. Pairs of sentences, which are not right or wrong one by one, are only reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from hone.core.errors import Usage
from hone.evaluate import (
    VectorAnswers,
    VectorForgetting,
    VectorTask,
    answer_vectors,
    find_tasks,
    find_vector_tasks,
    measure_vector_forgetting,
)
from hone.measure import Certificate
from hone.model import HeadedNetwork, TextReader, Vectors
from hone.train import StartingPoint
from hone.tune.promise import halves, keep_promise, require_items
from hone.tune.settings import TuneSettings

__all__ = ["VectorWatch", "begin_vector_watch"]


@dataclass(frozen=True)
class VectorWatch:
    """What the base's vectors said."""

    tasks: Sequence[VectorTask]
    """Reported."""
    before: Mapping[str, VectorAnswers]
    seed: int
    held_back: Sequence[VectorTask] = ()
    """On which the dial is chosen; empty without a budget."""
    held_before: Mapping[str, VectorAnswers] = field(default_factory=dict)
    start: StartingPoint | None = None
    """Of what moves: for the dial."""

    def end(self, net: HeadedNetwork, reader: TextReader) -> VectorForgetting:
        """The same again, after the last step."""
        return measure_vector_forgetting(self.tasks, self.before, _answer(self.tasks, net, reader), seed=self.seed)

    def keep_promise(self, net: HeadedNetwork, reader: TextReader, settings: TuneSettings) -> Certificate | None:
        """Turn the dial down to where the budget is kept, on the questions held back; None where no budget was named."""
        if self.start is None:
            return None

        def lost(_title: str) -> npt.NDArray[np.bool_]:
            after = _answer(self.held_back, net, reader)
            return np.concatenate([self.held_before[task.name].found & ~after[task.name].found for task in self.held_back])

        return keep_promise(net, self.start, settings, lost)


def begin_vector_watch(net: HeadedNetwork, reader: TextReader, settings: TuneSettings) -> VectorWatch:
    """Take the answers down while the encoder is the base.

    Raises:
        HoneError: a retained task is not known, none of them is about sentence vectors, or the budget cannot be certified with the questions
            there are.
    """
    tasks, others = find_vector_tasks(settings.retain)
    find_tasks(others)  # a name that nobody knows is told
    if not tasks:
        raise Usage(
            f"--retain {','.join(settings.retain)} names tasks of models that write texts, and {settings.model} is an encoder. Name 'bundled', "
            "'similar', 'find', a file with sentence1, sentence2 and score or with query and passage, or an earlier run that learnt classes."
        )
    held_back: list[VectorTask] = []
    if settings.may_lose is not None:
        tasks, held_back = _divide(tasks, seed=settings.seed)
        if not held_back:
            raise Usage(
                "--may-lose counts questions that no longer find their passage and texts that lose their class, and "
                f"--retain {','.join(settings.retain)} names pairs of sentences alone. Name 'find', a file with query and passage, or an earlier "
                "run that learnt classes."
            )
        require_items(sum(map(len, held_back)), settings)
    return VectorWatch(
        tasks,
        _answer(tasks, net, reader),
        settings.seed,
        held_back=held_back,
        held_before=_answer(held_back, net, reader),
        start=StartingPoint(net) if held_back else None,
    )


def _divide(tasks: Sequence[VectorTask], *, seed: int) -> tuple[list[VectorTask], list[VectorTask]]:
    reported: list[VectorTask] = []
    held_back: list[VectorTask] = []
    for task in tasks:
        if task.metric == "spearman":
            reported.append(task)
            continue
        told, held = halves(len(task), task=task.name, seed=seed)
        reported.append(_part(task, told))
        held_back.append(_part(task, held))
    return reported, held_back


def _part(task: VectorTask, items: Sequence[int]) -> VectorTask:
    """Some of its questions or texts; all passages stay among those to find."""
    return replace(
        task,
        left=tuple(task.left[at] for at in items),
        right=tuple(task.right[at] for at in items) if task.right else (),
        classes=tuple(task.classes[at] for at in items) if task.classes else (),
        others=(*task.right, *task.others),
    )


def _answer(tasks: Sequence[VectorTask], net: HeadedNetwork, reader: TextReader) -> dict[str, VectorAnswers]:
    def embed(texts: Sequence[str]) -> Vectors:
        return net.embed(reader.tokenize(texts), reader)

    return answer_vectors(tasks, embed)
