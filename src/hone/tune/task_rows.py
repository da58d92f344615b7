"""The rows of each task of a mixture: read, divided, freed of what any task is evaluated on, with the templates that put them.

Whatever the rows are, a row becomes what is read, what is right, and what else might be answered. The one surprise: a training row goes
wherever its text stands among the evaluated rows of any task, whatever its answer there.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hone.core.errors import BadData, HoneError, Usage, did_you_mean
from hone.core.seeds import derive_seed
from hone.strategy.label_words import label_words
from hone.task import (
    ANSWERED_KINDS,
    LETTERS,
    Example,
    Kind,
    Material,
    MixtureTask,
    TaskMixture,
    TaskShape,
    Template,
    as_examples,
    bundled_templates,
    find_duplicates,
    hold_back,
    join_references,
    load_material,
    normalise,
    read_templates,
    usual_metric,
)

__all__ = ["TaskRow", "TaskRows", "read_tasks"]

_SHARE = 0.1  # of the rows, where none are named for evaluation


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A row of any kind."""

    text: str
    answer: str
    options: tuple[str, ...]
    """What may be answered; empty where answers are written freely."""
    more: tuple[str, ...]
    """Other right answers."""
    file: str
    line: int
    group: str | None


@dataclass(frozen=True)
class TaskRows:
    """One task, ready to be put in words."""

    name: str
    is_held_out: bool
    weight: float
    kind: Kind
    shape: TaskShape
    because: str
    metric: str
    train: list[TaskRow]
    evaluated: list[TaskRow]
    trained: tuple[Template, ...]
    """Templates of training prompts; of a task that is held out, none."""
    unseen: tuple[Template, ...]
    """Templates that never train."""
    inverted: tuple[Template, ...]
    """Those that ask for the text from the answer; only in training."""
    read: int
    rejected: int
    repeated: int
    """Rows that repeat or contradict another of their task."""
    leaked: int = 0
    """Training rows taken out because some task is evaluated on what they ask, or this one on their passage."""
    unreached: int = 0
    """Training rows that stay out because the run's draws do not come to them."""

    @property
    def is_chosen(self) -> bool:
        """Whether answers are chosen among options rather than written."""
        return self.kind in ("classify", "choice")


def read_tasks(mixture: TaskMixture, *, seed: int) -> tuple[TaskRows, ...]:
    """All tasks of a mixture.

    Raises:
        BadData: rows that cannot be read or put in words, templates that do not exist, too few rows; of all tasks at once.
    """
    tasks: list[TaskRows] = []
    problems: list[str] = []
    for task, place in zip(mixture.tasks, mixture.places, strict=True):
        try:
            tasks.append(_read(task, mixture, seed))
        except HoneError as error:
            problems.append(f"{place}{error}")
    if problems:
        raise BadData("\n".join(problems))
    known = {_key(task, row) for task in tasks for row in task.evaluated}
    cleared = [_without(task, known) for task in tasks]
    for one, place in zip(cleared, mixture.places, strict=True):
        if not one.is_held_out and len(one.train) < 2:
            problems.append(
                f"{place}{one.read} rows were read and {len(one.train)} are left to train on: {one.rejected} are unusable, {one.repeated} "
                f"repeat another, {len(one.evaluated)} are evaluated, {one.leaked} ask what some task is evaluated on. Add rows."
            )
    if problems:
        raise BadData("\n".join(problems))
    return tuple(cleared)


def _without(task: TaskRows, known: set[str]) -> TaskRows:
    train = [row for row in task.train if _key(task, row) not in known]
    return replace(task, train=train, leaked=task.leaked + len(task.train) - len(train))


def _key(task: TaskRows, row: TaskRow) -> str:
    """What a row asks, case and blanks aside. The choices of a question are part of it, the classes of a task are not."""
    return normalise("\x1f".join((row.text, *sorted(row.options))) if task.kind == "choice" else row.text)


def _read(task: MixtureTask, mixture: TaskMixture, seed: int) -> TaskRows:
    assert task.name is not None
    material = _load(task, task.data)
    examples, unusable, repeated = _distinct(material)
    draw = random.Random(derive_seed(seed, "rows", task.name))
    examples = draw.sample(examples, min(task.limit or len(examples), len(examples)))
    most = task.evaluate or mixture.settings.evaluate
    held: list[Example]
    train: list[Example]
    labels = _labels(material)
    if task.held_out:
        held, train = examples[:most], []
    elif task.validation is not None:
        other = _load(task, task.validation)
        if other.kind != material.kind:
            raise BadData(f"{task.validation} holds rows of the kind '{other.kind}', and {task.data} of '{material.kind}'.")
        held = _distinct(other)[0]
        labels |= _labels(other)
        held, train = draw.sample(held, min(most, len(held))), examples
    else:
        held, train = _divide(examples, min(most, max(2, round(_SHARE * len(examples)))))
    if len(held) < 2:
        raise BadData(f"{len(held)} of its rows can be evaluated, and at least 2 are needed. Add rows.")
    rows = _as_rows(task, labels, [*held, *train])
    shape = task.shape or material.shape or ("instruction" if material.kind == "chat" else "text-to-text")
    trained, unseen, inverted = _templates(task, material, shape, mixture.settings.held_out_templates, seed)
    metric = "accuracy" if material.kind in ("classify", "choice") else usual_metric(shape, [*held, *train])
    return TaskRows(
        name=task.name,
        is_held_out=task.held_out,
        weight=task.weight,
        kind=material.kind,
        shape=shape,
        because=material.because,
        metric=metric,
        train=rows[len(held) :],
        evaluated=rows[: len(held)],
        trained=trained,
        unseen=unseen,
        inverted=inverted,
        read=len(material.rows) + len(material.rejected),
        rejected=len(material.rejected) + unusable,
        repeated=repeated,
    )


def _load(task: MixtureTask, source: str) -> Material:
    material = load_material(
        source, kind=task.kind, prompt=task.prompt, completion=task.completion, text=task.text, label=task.label
    )
    if material.kind != "classify" and material.kind not in ANSWERED_KINDS:
        raise BadData(
            f"its rows are of the kind '{material.kind}', which no prompt asks for. Known: classify, {', '.join(ANSWERED_KINDS)}. "
            "Leave the task out, or say with kind and columns what else the rows are."
        )
    return material


def _distinct(material: Material) -> tuple[list[Example], int, int]:
    """Examples that ask different things, how many rows ask nothing, and how many went because they repeat another."""
    if material.kind == "classify":
        examples = [row for row in material.rows if isinstance(row, Example)]
        kept, _ = find_duplicates(examples)
        return kept, 0, len(examples) - len(kept)
    examples, rejected = as_examples(material)
    kept, _ = join_references(examples)
    return kept, len(rejected), len(examples) - len(kept)


def _divide(examples: Sequence[Example], count: int) -> tuple[list[Example], list[Example]]:
    """About `count` rows to be evaluated, of whole groups where there are enough, and the rest."""
    held = set(hold_back([row.group for row in examples], count))
    return [row for at, row in enumerate(examples) if at in held], [row for at, row in enumerate(examples) if at not in held]


def _labels(material: Material) -> set[str]:
    """The classes; none where answers are written or chosen row by row."""
    return {row.label for row in material.rows if isinstance(row, Example)}


def _as_rows(task: MixtureTask, labels: set[str], examples: Sequence[Example]) -> list[TaskRow]:
    if labels:
        words = {label: task.words.get(label) or word for label, word in label_words(sorted(labels)).items()}
        if strange := sorted(task.words.keys() - labels):
            raise Usage(f"`words` names the class '{strange[0]}'. {did_you_mean(strange[0], labels)}")
        if len(set(words.values())) < len(words):
            raise Usage(f"`words` must call each class something of its own; as it is: {', '.join(words.values())}.")
        options = tuple(words.values())
        return [TaskRow(row.text, words[row.label], options, (), row.file, row.line, row.group) for row in examples]
    if task.words:
        raise Usage("`words` names classes, and these rows have none. Leave it out.")
    made = []
    for row in examples:
        answer = row.choices[LETTERS.index(row.label)] if row.choices else row.label
        made.append(TaskRow(row.text, answer, row.choices, row.more, row.file, row.line, row.group))
    return made


def _templates(
    task: MixtureTask, material: Material, shape: TaskShape, held: int, seed: int
) -> tuple[tuple[Template, ...], tuple[Template, ...], tuple[Template, ...]]:
    """Templates that train, that never do, and inverted ones. At least one trains, and one of each kind where there are two kinds."""
    plain, inverted = _named_templates(task, material, shape)
    if material.kind == "answers":
        inverted = ()  # the text is the context and the question: nobody would write these from an answer
    if task.held_out:
        return (), plain, ()
    order = random.Random(derive_seed(seed, "templates", task.name)).sample(plain, len(plain))
    unseen: list[Template] = []
    for one in order:
        left = [other for other in plain if other not in unseen and other is not one]
        if len(unseen) < held and any(other.shows_options == one.shows_options for other in left):
            unseen.append(one)
    return tuple(one for one in plain if one not in unseen), tuple(unseen), inverted


def _named_templates(
    task: MixtureTask, material: Material, shape: TaskShape
) -> tuple[tuple[Template, ...], tuple[Template, ...]]:
    """The templates that the task names, else those of its shape: those that ask for the answer, and inverted ones."""
    plain, inverted = bundled_templates(shape), bundled_templates(shape, inverted=True)
    if task.templates:
        known = {one.name: one for one in (*plain, *inverted)}
        chosen: list[Template] = []
        for name in task.templates:
            if name.endswith(".toml"):
                chosen += read_templates(Path(name))
            elif name in known:
                chosen.append(known[name])
            else:
                raise Usage(f"the template '{name}' is not known for {shape}. {did_you_mean(name, known)}")
        plain = tuple(one for one in chosen if not one.is_inverted)
        inverted = tuple(one for one in chosen if one.is_inverted)
        if not plain:
            raise Usage(
                f"of its templates, {', '.join(task.templates)}, none asks for the answer. Name one that is not inverted."
            )
    elif material.inputs == ("prompt",) and task.shape is None and material.kind == "completion":
        plain, inverted = plain[:1], ()  # prompts stand in the rows as they should be put
    if material.kind not in ("classify", "choice"):
        plain = tuple(one for one in plain if not one.shows_options)
        inverted = tuple(one for one in inverted if not one.shows_options)
        if not plain:
            raise Usage("its templates list options, which only classes and choices have. Name others.")
    return plain, inverted
