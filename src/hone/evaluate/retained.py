"""What a model could do before: small tasks by which forgetting is measured, hone's own and the user's.

An item is a prompt with choices, of which the likeliest counts as the answer, or a text whose likelihood counts. Both are read off
log-likelihoods, so a model that has learnt another format of answering is not taken for one that has forgotten. Where it once learnt to
write one of the choices, what it writes is looked at besides, so that another format is seen for itself.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hone.core.console import progress
from hone.core.errors import Usage
from hone.core.seeds import derive_seed

if TYPE_CHECKING:
    from hone.model import Backend  # brings torch, which reports do without

__all__ = ["RetainedAnswers", "RetainedTask", "answer_retained", "chosen_among", "followed", "joined", "thin"]

_REPEATS = 3  # times that an answer stands there on average, where the answers are choices
_SPARE = 8  # tokens of the context left to special tokens and the end of a prompt


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
    is_written: bool = False
    """Whether the answer is one of the choices as it stands, and nothing else, so that what a model writes can be held against them."""

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
    written: npt.NDArray[np.int64] | None = None
    """Index of the choice that the model writes, -1 where it writes something else, [n]; None where nothing was written."""


def followed(name: str, pairs: Sequence[tuple[str, str]]) -> RetainedTask:
    """Prompts with what should follow: a choice where the answers are few and repeat, as labels in words do, else texts.

    The likelihood of a whole choice counts: it is what would be written.
    """
    prompts = tuple(prompt for prompt, _ in pairs)
    answers = tuple(sorted({answer for _, answer in pairs}))
    if not 2 <= len(answers) <= len(pairs) / _REPEATS:
        return RetainedTask(name, prompts, tuple((answer,) for _, answer in pairs), (0,) * len(pairs), None)
    right = tuple(answers.index(answer) for _, answer in pairs)
    return RetainedTask(name, prompts, (answers,) * len(pairs), right, 1 / len(answers), is_long=False, is_written=True)


def chosen_among(
    name: str, prompts: Sequence[str], choices: Sequence[tuple[str, ...]], right: Sequence[int], *, is_long: bool = True
) -> RetainedTask:
    """Prompts with the choices of each, of which there may be more or fewer: by guessing one in so many is right on average."""
    chance = float(np.mean([1 / len(few) for few in choices]))
    return RetainedTask(name, tuple(prompts), tuple(choices), tuple(right), chance, is_long=is_long)


def joined(name: str, tasks: Sequence[RetainedTask]) -> RetainedTask:
    """Several tasks of one kind as one.

    Raises:
        Usage: some have right and wrong answers, others are texts.
    """
    if len({task.chance is None for task in tasks}) > 1:
        known = ", ".join(task.name for task in tasks[:8])
        raise Usage(f"Some tasks of '{name}' have right and wrong answers and others are texts. Name one of them: {known}.")
    sizes = [len(task) for task in tasks]
    chance = None if tasks[0].chance is None else float(np.average([task.chance or 0.0 for task in tasks], weights=sizes))
    return RetainedTask(
        name,
        tuple(prompt for task in tasks for prompt in task.prompts),
        tuple(few for task in tasks for few in task.choices),
        tuple(right for task in tasks for right in task.right),
        chance,
        is_long=all(task.is_long for task in tasks),
        is_written=all(task.is_written for task in tasks),
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


def answer_retained(
    tasks: Sequence[RetainedTask], backend: "Backend", *, title: str, writes: bool = False
) -> dict[str, RetainedAnswers]:
    """A model's answers to all items, by task. Of choices that are as likely the first counts, as the harness has it; what is no number is wrong.

    Args:
        backend: reads prompts as they are: template '{prompt}', no chat template. writes: whether it also writes where `is_written` says so.
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
            is_right.append(values.index(max(values)) == right and not any(map(math.isnan, values)))
            losses.append(-scored[right].log_likelihood / scored[right].tokens)
            tokens.append(scored[right].tokens)
        answers[task.name] = RetainedAnswers(
            np.array(is_right if task.chance is not None else [], dtype=bool),
            np.array(losses),
            np.array(tokens),
            _written(task, backend) if writes and task.is_written else None,
        )
    return answers


def _written(task: RetainedTask, backend: "Backend") -> npt.NDArray[np.int64]:
    """Which choice the model writes after each prompt, -1 for none."""
    from hone.model import Sampling

    longest = max(backend.count_tokens([choice for few in set(task.choices) for choice in few]))
    sampling = Sampling(max_new_tokens=longest + 1)
    with progress(f"Written to {task.name}", len(task)) as bar:
        texts = [answers[0].text for answers in backend.generate(task.prompts, sampling, bar=bar)]
    return np.array([_named(text, few) for text, few in zip(texts, task.choices, strict=True)], dtype=np.int64)


def _named(text: str, choices: Sequence[str]) -> int:
    """Index of the choice that a text begins with, the longest where several fit; -1 where it begins with another word."""
    said = text.strip().casefold()
    names = [choice.strip().casefold() for choice in choices]
    fits = [at for at, name in enumerate(names) if said.startswith(name) and not said[len(name) : len(name) + 1].isalnum()]
    return max(fits, key=lambda at: len(names[at]), default=-1)


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
