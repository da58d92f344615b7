"""`hone tune tasks.yaml`: one model learns many tasks as prompts and completions (FLAN, https://arxiv.org/abs/2109.01652).

Takes a mixture's file; gives what a run needs in place of one source's rows: encoded examples, the mixture that draws them, counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hone.core.errors import BadData, Usage
from hone.core.store import digest_text
from hone.model import Family, TextReader
from hone.task import Material, TaskMixture, read_mixture
from hone.train import Mixed, Objective, mixed
from hone.tune.prepare import Rows, count_rows, trainable_items
from hone.tune.settings import TuneSettings
from hone.tune.task_prompts import Put, Putter
from hone.tune.task_records import MixtureRecord, TaskRecord
from hone.tune.task_rows import TaskRow, TaskRows, read_tasks

__all__ = ["OpenTasks", "PutTasks", "encode_puts", "open_tasks", "put_tasks", "putter_for", "shares_of", "task_record"]

_MOST_COPIES = 8
_SPARE, _SPARE_ROWS = 1.05, 100  # more draws than the mean
_ELSEWHERE = ("kind", "prompt", "completion", "text", "label", "validation", "template", "replay")


@dataclass(frozen=True)
class OpenTasks:
    """A mixture and its rows."""

    mixture: TaskMixture
    tasks: tuple[TaskRows, ...]

    @property
    def material(self) -> Material:
        """What the rows will be once they are put in words; without the rows."""
        trained = sum(not task.is_held_out for task in self.tasks)
        because = f"{trained} tasks to train on, {len(self.tasks) - trained} held out."
        return Material(str(self.mixture.path), "completion", [], [], because)


@dataclass(frozen=True)
class PutTasks:
    """The tasks as one model reads them."""

    tasks: tuple[TaskRows, ...]
    putter: Putter
    rows: Rows
    mixture: Mixed
    record: MixtureRecord


def open_tasks(settings: TuneSettings) -> OpenTasks:
    """Read a mixture's file and the rows of all its tasks.

    Raises:
        Usage: the file is wrong, or options say of the rows what belongs into it. BadData: rows that cannot be used.
    """
    named = [name for name in _ELSEWHERE if getattr(settings, name) not in (None, ())]
    if named:
        raise Usage(
            f"{settings.data} is a mixture of tasks, and {', '.join(named)} would speak of all of them. "
            "Write these into the file, task by task; older rows to be replayed are a task of their own, with a weight."
        )
    if settings.objective not in (None, "completion") or settings.train_on_prompt:
        raise Usage(
            f"{settings.data} is a mixture of tasks, which trains completions alone. Leave out objective and train_on_prompt."
        )
    if settings.test:
        raise Usage(
            f"{settings.data} is a mixture of tasks, whose file says with `evaluate` which rows are answered at the end. Leave out --test."
        )
    if settings.answers not in (0, TuneSettings.model_fields["answers"].default):
        raise Usage(
            f"{settings.data} is a mixture of tasks, whose file says with `evaluate` how many rows are answered. Leave out --answers."
        )
    mixture = read_mixture(settings.data)
    return OpenTasks(mixture, read_tasks(mixture, seed=settings.seed))


def putter_for(settings: TuneSettings, opened: OpenTasks, has: Family, reader: TextReader) -> Putter:
    """What puts the rows for a model of this family."""
    is_pair = has == "encoder-decoder"
    chat = bool(reader.tokenizer.chat_template) if settings.chat is None else settings.chat
    return Putter(opened.mixture, reader, is_pair=is_pair, chat=chat and not is_pair, seed=settings.seed)


def put_tasks(settings: TuneSettings, opened: OpenTasks, has: Family, reader: TextReader, objective: Objective) -> PutTasks:
    """All training rows as encoded examples, one task after the other, and the rows that choose the checkpoint.

    Raises:
        BadData: nothing is left to train in a task once its rows are cut to the context.
    """
    putter = putter_for(settings, opened, has, reader)
    tasks = _reached(settings, opened)
    trained = [task for task in tasks if not task.is_held_out]
    copies = {
        name: min(_MOST_COPIES, max(1, round(passes))) for name, passes in _passes(settings, opened.mixture, trained).items()
    }
    put = {task.name: [putter.train(task, copy=copy) for copy in range(copies[task.name])] for task in trained}
    items, origins, dropped = _encode(put, objective)
    empty = [name for name, mine in items.items() if not mine[0]]
    asked = [one for task in trained for one in putter.ask(task, task.trained, rows=task.evaluated)]
    held = trainable_items(encode_puts(objective, asked))
    if empty or not held:
        raise BadData(
            f"{settings.data}: once prompts are cut to the model's context, nothing is left to train in {', '.join(empty) or 'validation rows'}. "
            "Give a larger --length, or leave these tasks out."
        )
    mixture = _mix(opened.mixture, {name: len(mine[0]) for name, mine in items.items()}, trained, copies)
    counts = count_rows(
        [item for mine in items.values() for item in mine[0]],
        held,
        read=sum(task.read for task in opened.tasks),
        rejected=sum(task.rejected for task in opened.tasks),
        duplicates=sum(task.leaked for task in opened.tasks),
        dropped=dropped,
        cut=sum(one.is_cut for mine in put.values() for one in mine[0]),
    )
    every = {name: [one for copy in mine for one in copy] for name, mine in put.items()}
    how = opened.mixture.settings
    record = MixtureRecord(
        mixing=how.mixing,
        cap=how.cap,
        temperature=how.temperature,
        tasks=tuple(task_record(task, every.get(task.name, []), mixture.shares.get(task.name, 0.0)) for task in tasks),
    )
    train = [item for mine in items.values() for copy in mine for item in copy]
    rows = Rows(train, 0, held, [], counts, _digest(opened, every, asked), origins=origins)
    return PutTasks(opened.tasks, putter, rows, mixture, record)


def _passes(settings: TuneSettings, mixture: TaskMixture, trained: Sequence[TaskRows]) -> dict[str, float]:
    """How often the rows of each task will be drawn, on average."""
    once = _mix(mixture, {task.name: len(task.train) for task in trained}, trained, None)
    draws = settings.steps * settings.batch_rows if settings.steps else settings.epochs * once.epoch
    return once.effective_epochs(round(draws))


def _reached(settings: TuneSettings, opened: OpenTasks) -> tuple[TaskRows, ...]:
    """The tasks without the rows that so many draws do not come to: those need not be put in words. No share changes, for the cap stays."""
    passes = _passes(settings, opened.mixture, [task for task in opened.tasks if not task.is_held_out])
    made = []
    for task in opened.tasks:
        drawn = math.ceil(_SPARE * passes.get(task.name, 0.0) * len(task.train)) + _SPARE_ROWS
        kept = task.train[: max(drawn, opened.mixture.settings.cap)]  # they are in an order of chance already
        made.append(replace(task, train=kept, unreached=len(task.train) - len(kept)))
    return tuple(made)


def _mix(mixture: TaskMixture, sizes: dict[str, int], trained: Sequence[TaskRows], copies: dict[str, int] | None) -> Mixed:
    how = mixture.settings
    weights = {task.name: task.weight for task in trained}
    return mixed(sizes, mixing=how.mixing, cap=how.cap, degrees=how.temperature, weights=weights, copies=copies)


def shares_of(mixture: TaskMixture, tasks: Sequence[TaskRows]) -> dict[str, float]:
    """Each trained task's share of the draws, as far as no row is dropped later."""
    trained = [task for task in tasks if not task.is_held_out]
    return _mix(mixture, {task.name: len(task.train) for task in trained}, trained, None).shares


def encode_puts(objective: Objective, put: Sequence[Put]) -> list[Any]:
    """Examples as the objective reads them."""
    encode: Any = objective
    found: list[Any] = encode.encode([one.as_completion() for one in put])
    return found


def _encode(put: dict[str, list[list[Put]]], objective: Objective) -> tuple[dict[str, list[list[Any]]], list[TaskRow], int]:
    """Encoded examples of each task and copy, the row of each, and how many rows were dropped because a copy has nothing left to train."""
    items, origins, dropped = {}, list[TaskRow](), 0
    for name, copies in put.items():
        encoded = [encode_puts(objective, mine) for mine in copies]
        whole = [len(trainable_items(each)) == len(each) for each in zip(*encoded, strict=True)]
        items[name] = [[item for item, is_whole in zip(mine, whole, strict=True) if is_whole] for mine in encoded]
        origins += [one.row for mine in copies for one, is_whole in zip(mine, whole, strict=True) if is_whole]
        dropped += whole.count(False)
    return items, origins, dropped


def _digest(opened: OpenTasks, put: dict[str, list[Put]], asked: Sequence[Put]) -> str:
    """Of everything in the file and the rows that decides what the run will do."""
    mixture = opened.mixture
    return digest_text(
        mixture.settings.model_dump_json(),
        mixture.formats.model_dump_json(),
        repr([(task.name, task.weight) for task in opened.tasks]),
        *(f"{one.prompt}\x1f{one.completion}" for mine in (*put.values(), asked) for one in mine),
        *(repr((row.text, row.answer, row.options, row.more)) for task in opened.tasks for row in task.evaluated),
        *(one.digest for task in opened.tasks for one in task.unseen),
    )


def task_record(task: TaskRows, put: Sequence[Put], share: float) -> TaskRecord:
    """What became of one task's rows, and how often its prompts are of which kind."""
    return TaskRecord(
        name=task.name,
        kind=task.kind,
        shape=task.shape,
        held_out=task.is_held_out,
        because=task.because,
        read=task.read,
        rejected=task.rejected,
        repeated=task.repeated,
        leaked=task.leaked,
        unreached=task.unreached,
        train=len(task.train),
        evaluated=len(task.evaluated),
        share=share,
        trained_templates=tuple(one.id for one in task.trained),
        unseen_templates=tuple(one.id for one in task.unseen),
        inverted_templates=tuple(one.id for one in task.inverted),
        prompts=len(put),
        few_shot=sum(bool(one.shots) for one in put),
        listed=sum(one.template.shows_options and not one.template.is_inverted for one in put),
        inverted=sum(one.template.is_inverted for one in put),
        cut=sum(one.is_cut for one in put),
    )
