"""What a model could do before: small tasks by which forgetting is measured, hone's own and the user's.

An item is a prompt with choices, of which the likeliest counts as the answer, or a text whose likelihood counts. Both are read off
log-likelihoods, so a model that has learnt another format of answering is not taken for one that has forgotten.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hone.core.console import progress
from hone.core.errors import BadData, Usage, did_you_mean
from hone.core.seeds import derive_seed
from hone.core.store import read_lines
from hone.task import Choice, Completion, Dialogue, Example, Material, MaterialRow, Plain, load_material

if TYPE_CHECKING:
    from hone.model import Backend  # brings torch, which reports do without

__all__ = ["RetainedAnswers", "RetainedTask", "answer_retained", "bundled_tasks", "find_tasks", "read_retained", "thin"]

_SPARE = 8  # tokens of the context left to special tokens and the end of a prompt
_ANSWERS = "answers.jsonl"
_REPEATS = 3  # times that an answer stands there on average, where the answers are choices
_FOLDER = Path(__file__).parent / "suite"
_CHOSEN = ("everyday", "words", "knowledge", "numbers", "feelings", "reading")
BUNDLED = ("grammar", *_CHOSEN, "texts")
"""Names of hone's own tasks."""


@dataclass(frozen=True)
class RetainedTask:
    """One task: what is read, what may follow, and which of it is right."""

    name: str
    prompts: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]
    """What may follow each prompt; of a task of texts one, whose likelihood counts."""
    right: tuple[int, ...]
    """Index of the right choice."""
    chance: float | None
    """Share of right answers by guessing; None for a task of texts."""
    is_long: bool = True
    """Whether the likelihood of a choice counts per token, so that long ones stand a chance."""

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class RetainedAnswers:
    """A model's answers to one task, item by item."""

    is_right: npt.NDArray[np.bool_]
    """[n]; empty for a task of texts."""
    losses: npt.NDArray[np.float64]
    """Cross-entropy of the right choice or text, nats per token, [n]."""
    tokens: npt.NDArray[np.int64]
    """Tokens of it, [n]."""


@cache
def bundled_tasks() -> tuple[RetainedTask, ...]:
    """hone's own tasks, written for it; `evaluate/suite/README.md` says how."""
    return tuple(_bundled(name) for name in BUNDLED)


def _bundled(name: str) -> RetainedTask:
    rows: list[dict[str, Any]] = [dict(row) for row in read_lines(_FOLDER / f"{name}.jsonl")]
    if name == "texts":
        return RetainedTask(name, ("",) * len(rows), tuple((str(row["text"]),) for row in rows), (0,) * len(rows), None)
    if name == "grammar":
        pairs = tuple((str(row["good"]), str(row["bad"])) for row in rows)
        return RetainedTask(name, ("",) * len(rows), pairs, (0,) * len(rows), 0.5, is_long=False)
    prompts = tuple(_framed(row) for row in rows)
    choices = tuple(tuple(f" {choice}" for choice in row["choices"]) for row in rows)
    return RetainedTask(name, prompts, choices, tuple(int(row["answer"]) for row in rows), 1 / len(choices[0]))


def _framed(row: dict[str, Any]) -> str:
    """A beginning to go on with as it is; a question as one; a message with what is asked about it."""
    before = f"{row['context']}\n" if "context" in row else ""
    if set(row["choices"]) == {"positive", "negative"}:
        return f"{row['question']}\nThis message is"
    return f"{before}Question: {row['question']}\nAnswer:" if row["question"].endswith("?") else f"{before}{row['question']}"


def read_retained(source: str) -> RetainedTask:
    """The rows of a file or Hub data set as a task: multiple choice and classes by their choices, everything else by its likelihood.

    Raises:
        HoneError: it cannot be read. Usage: rows whose answers are no words (tags, numbers, several labels, places in a text).
    """
    material = load_material(source)
    name = Path(source).stem
    rows = material.rows
    if material.kind == "classify":
        return _classes(name, [row for row in rows if isinstance(row, Example)])
    if material.kind == "choice":
        asked = [row for row in rows if isinstance(row, Choice)]
        choices = tuple(tuple(f" {choice}" for choice in row.choices) for row in asked)
        prompts = tuple(f"Question: {row.question}\nAnswer:" for row in asked)
        chance = float(np.mean([1 / len(one) for one in choices]))
        return RetainedTask(name, prompts, choices, tuple(row.answer for row in asked), chance)
    return _followed(name, [_pair(row, material) for row in rows])


def _earlier(run: Path) -> RetainedTask:
    """What a run of `hone tune` learnt: the rows that it answered at its end, put as it put them.

    Raises:
        Usage: it learnt several tasks.
    """
    rows = list(read_lines(run / _ANSWERS))
    if "task" in rows[0]:
        raise Usage(f"{run} learnt several tasks. Name the files of those that are to be asked again.")
    return _followed(run.name, [(str(row["read"]), str(row["right"])) for row in rows])


def _followed(name: str, pairs: Sequence[tuple[str, str]]) -> RetainedTask:
    """Prompts with what should follow: a choice where the answers are few and repeat, as labels in words do, else texts.

    The likelihood of a whole choice counts: it is what would be written.
    """
    prompts = tuple(prompt for prompt, _ in pairs)
    answers = tuple(sorted({answer for _, answer in pairs}))
    if not 2 <= len(answers) <= len(pairs) / _REPEATS:
        return RetainedTask(name, prompts, tuple((answer,) for _, answer in pairs), (0,) * len(pairs), None)
    right = tuple(answers.index(answer) for _, answer in pairs)
    return RetainedTask(name, prompts, (answers,) * len(pairs), right, 1 / len(answers), is_long=False)


def _classes(name: str, rows: Sequence[Example]) -> RetainedTask:
    labels = sorted({row.label for row in rows})
    if len(labels) < 2:
        raise BadData(f"{name} holds one class, '{labels[0]}', so nothing can be answered wrongly. Give rows of several.")
    choices = tuple(f" {label.replace('_', ' ')}" for label in labels)
    prompts = tuple(f"{row.text}\nThis is about" for row in rows)
    return RetainedTask(name, prompts, (choices,) * len(rows), tuple(labels.index(row.label) for row in rows), 1 / len(labels))


def _pair(row: MaterialRow, material: Material) -> tuple[str, str]:
    """What is read and what should follow."""
    if isinstance(row, Plain):
        return "", row.text
    if isinstance(row, Completion):
        return f"{row.prompt}\n", row.completion
    if isinstance(row, Dialogue):
        last = max(index for index, message in enumerate(row.messages) if message.role == "assistant")
        before = "\n".join(f"{message.role.capitalize()}: {message.content}" for message in row.messages[:last])
        return f"{before}\nAssistant:", f" {row.messages[last].content}"
    raise Usage(
        f"{material.source} holds rows of the kind '{material.kind}', whose answers are no words that a text model writes. "
        "Give classes, choices, completions, dialogues or plain texts."
    )


def thin(tasks: Sequence[RetainedTask], *, most: int, seed: int) -> list[RetainedTask]:
    """At most so many items of each task, drawn by the seed, in their order."""
    thinned = []
    for task in tasks:
        if len(task) > most:
            chosen = sorted(random.Random(derive_seed(seed, "retained", task.name)).sample(range(len(task)), most))
            task = replace(  # noqa: PLW2901
                task,
                prompts=tuple(task.prompts[at] for at in chosen),
                choices=tuple(task.choices[at] for at in chosen),
                right=tuple(task.right[at] for at in chosen),
            )
        thinned.append(task)
    return thinned


def find_tasks(names: Sequence[str]) -> list[RetainedTask]:
    """hone's own tasks by name, 'bundled' for all of them, files, and runs of `hone tune`: what they learnt is kept in view.

    Raises:
        HoneError: a name is neither, or stands twice.
    """
    known = {task.name: task for task in bundled_tasks()}
    found: list[RetainedTask] = []
    for name in names:
        place = Path(name).expanduser()
        if name == "bundled":
            found += known.values()
        elif name in known:
            found.append(known[name])
        elif all((place / file).is_file() for file in ("hone.json", _ANSWERS)):
            found.append(_earlier(place))
        elif place.exists() or "/" in name:
            found.append(read_retained(name))
        else:
            raise Usage(f"'{name}' is no task of hone's own, no file and no run. {did_you_mean(name, ('bundled', *known))}")
    twice = [task.name for at, task in enumerate(found) if task.name in {other.name for other in found[:at]}]
    if twice:
        raise Usage(f"The retained task '{twice[0]}' is named twice. Name each once.")
    return found


def answer_retained(tasks: Sequence[RetainedTask], backend: "Backend", *, title: str) -> dict[str, RetainedAnswers]:
    """A model's answers to all items, by task.

    Args:
        backend: reads prompts as they are: template '{prompt}', no chat template.
    Raises:
        Usage: it gives no likelihoods.
    """
    prompts = [prompt for task in tasks for prompt, few in zip(task.prompts, task.choices, strict=True) for _ in few]
    follow = _cut([choice for task in tasks for few in task.choices for choice in few], backend)
    with progress(title, len(follow)) as bar:
        found = iter(backend.score(prompts, follow, bar=bar))
    answers = {}
    for task in tasks:
        is_right, losses, tokens = [], [], []
        for few, right in zip(task.choices, task.right, strict=True):
            scored = [next(found) for _ in few]
            values = [one.log_likelihood / (one.tokens if task.is_long else 1) for one in scored]
            is_right.append(max(range(len(few)), key=values.__getitem__) == right)
            losses.append(-scored[right].log_likelihood / scored[right].tokens)
            tokens.append(scored[right].tokens)
        answers[task.name] = RetainedAnswers(
            np.array(is_right if task.chance is not None else [], dtype=bool), np.array(losses), np.array(tokens)
        )
    return answers


def _cut(texts: Sequence[str], backend: "Backend") -> list[str]:
    """Texts longer than the model reads lose their end; alike before and after, so the comparison stays fair."""
    room = max(1, backend.context_length - _SPARE)
    counts = backend.count_tokens(texts)
    cut = list(texts)
    for at, tokens in enumerate(counts):
        while tokens > room:
            cut[at] = cut[at][: max(1, int(len(cut[at]) * room / tokens * 0.95))]
            tokens = backend.count_tokens([cut[at]])[0]  # noqa: PLW2901
    return cut
