"""Rows of a mixture as prompts and completions: which template, how many solved examples, whether options are listed, by seed.

What is drawn depends on the seed, the task and the row's place alone, so that a run that goes on renders the same. Solved examples are
training rows of the same task; a prompt that is too long for the context loses them first, and then the end or the beginning of its text.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hone.core.seeds import derive_seed
from hone.model import Renderer, TextReader
from hone.strategy.text.form import Form, Shot
from hone.task import Completion, TaskMixture, Template
from hone.tune.task_rows import TaskRow, TaskRows

__all__ = ["Put", "Putter"]

_LISTED = 0.25  # share of the context that a list of options may fill
_MARGIN = 8  # tokens of rounding, where pieces meet
_TRIES = 6
_LEAST = 40  # characters of a text that are left
_LONGEST = 256  # tokens of an answer
_SAMPLED = 2000
_SHORT = 24  # bytes of an answer that is not worth counting, for a token has at least one


@dataclass(frozen=True)
class Put:
    """A row as it is put to the model."""

    template: Template
    row: TaskRow
    shots: tuple[Shot, ...]
    prompt: str
    completion: str
    is_cut: bool = False

    def as_completion(self) -> Completion:
        """For training."""
        return Completion(self.prompt, self.completion, self.row.file, self.row.line)


class Putter:
    """Puts rows by what a mixture says and a model can read."""

    def __init__(self, mixture: TaskMixture, reader: TextReader, *, is_pair: bool, chat: bool, seed: int) -> None:
        """
        Args:
            is_pair: whether answers are written by a decoder of their own. chat: whether the tokenizer's chat template stands around prompts.
        """
        self._formats, self._settings, self._reader, self._seed = mixture.formats, mixture.settings, reader, seed
        self.chat, self.joins, self._is_pair = chat, not is_pair and not chat, is_pair
        around = Renderer(reader.tokenizer, length=reader.context_length, template="{prompt}", chat=True) if chat else None
        self._around = _MARGIN + (len(around.prompt("")) if around else 0)

    def train(self, task: TaskRows, *, copy: int = 0, most: int | None = None) -> list[Put]:
        """Every training row, or the first ones, with a template and a format of its own; another draw for each copy."""
        pools = self.pools(task, task.trained)
        pool = [_shot(row) for row in task.train]
        made = [self._draw(task, pools, pool, index, copy) for index in range(len(task.train[:most]))]
        return self._fit(task, made)

    def ask(self, task: TaskRows, templates: Sequence[Template], *, rows: Sequence[TaskRow]) -> list[Put]:
        """Rows without solved examples, each with one of the templates in turn."""
        pools = self.pools(task, templates)
        mine = [one for pool in pools for one in pool]
        made = [self._made(mine[index % len(mine)], row) for index, row in enumerate(rows)]
        return self._fit(task, made, leaving=0 if task.is_chosen else self.longest_answer(task))

    def written(self, put: Put, answer: str) -> str:
        """An answer as it would be written to a row that is asked."""
        return Form(put.template, self.joins).written(answer, put.row.options)

    def longest_answer(self, task: TaskRows) -> int:
        """Tokens that the model may write: somewhat more than most answers have."""
        counts = sorted(self._count([row.answer for row in (task.train or task.evaluated)[:_SAMPLED]]))
        usual = 8 + round(1.5 * counts[int(0.98 * (len(counts) - 1))])
        return min(_LONGEST, usual, self._reader.context_length // 2)

    def pools(self, task: TaskRows, templates: Sequence[Template]) -> tuple[list[Template], list[Template]]:
        """Templates that list options, where the context has room for them, and templates that do not; one of the two is not empty."""
        listing = [one for one in templates if one.shows_options]
        silent = [one for one in templates if not one.shows_options]
        if listing and silent and task.kind == "classify":
            sample = (task.train or task.evaluated)[0]
            if self._count([", ".join(sample.options)])[0] > _LISTED * self._reader.context_length:
                listing = []
        return listing, silent

    def _draw(
        self, task: TaskRows, pools: tuple[list[Template], list[Template]], pool: Sequence[Shot], index: int, copy: int
    ) -> Put:
        """A template and solved examples for one training row."""
        rng = random.Random(derive_seed(self._seed, "prompt", task.name, copy, index))
        row = task.train[index]
        if task.inverted and rng.random() < self._settings.inversion:
            made = self._made(rng.choice(task.inverted), row)
            half = self._reader.context_length // 2
            if len(made.completion.encode()) <= half or self._count([made.completion])[0] <= half:  # else most of it would be cut
                return made
        listing, silent = pools
        lists = rng.random() < self._settings.options
        template = rng.choice((listing if lists else silent) or listing or silent)
        count = rng.randint(*self._formats.shots) if rng.random() < self._formats.few_shot else 0
        others = rng.sample(range(len(pool)), min(count + 1, len(pool)))
        shots = tuple(pool[other] for other in others if other != index)[:count]
        return self._made(template, row, shots)

    def _made(self, template: Template, row: TaskRow, shots: tuple[Shot, ...] = ()) -> Put:
        if template.is_inverted:
            asked, written = template.pair(row.text, row.answer, options=row.options)
            if self.joins:
                blank = " " if template.separator.endswith(" ") else ""
                asked, written = asked + template.separator.rstrip(" "), blank + written
            return Put(template, row, (), asked, written)
        form = Form(template, self.joins, shots)
        return Put(template, row, shots, form.prompt(row.text, row.options), form.written(row.answer, row.options))

    def _fit(self, task: TaskRows, made: list[Put], *, leaving: int = 0) -> list[Put]:
        """The same within the context, first without some solved examples, then with shorter texts; at least `leaving` tokens stay free."""
        room = self._rooms(made, leaving)
        for shorten in (self._fewer_shots, self._shorter_text(task)):
            waiting = [
                index for index, one in enumerate(made) if len(one.prompt.encode()) + _MARGIN > room[index]
            ]  # a token is a byte at least
            for _ in range(_TRIES + self._formats.shots[1]):
                counts = self._count([made[index].prompt for index in waiting])
                over = {index: count for index, count in zip(waiting, counts, strict=True) if count > room[index]}
                waiting = []
                for index, count in over.items():
                    changed = shorten(made[index], count, room[index])
                    if changed is not made[index]:
                        made[index] = changed
                        waiting.append(index)
                if not waiting:
                    break
        return made

    def _rooms(self, made: Sequence[Put], leaving: int) -> list[int]:
        """Tokens that each prompt may have; with an encoder-decoder the answer stands elsewhere."""
        length = self._reader.context_length - self._around
        if self._is_pair:
            return [length] * len(made)
        counts = [len(one.completion.encode()) for one in made]
        long = [index for index, count in enumerate(counts) if count > _SHORT]
        for index, count in zip(long, self._count([made[index].completion for index in long]), strict=True):
            counts[index] = count
        return [max(length - max(count, leaving), length // 4) for count in counts]

    def _fewer_shots(self, put: Put, count: int, room: int) -> Put:
        return self._made(put.template, put.row, put.shots[1:]) if put.shots else put

    def _shorter_text(self, task: TaskRows) -> Callable[[Put, int, int], Put]:
        """The question is at the end of a passage and of a dialogue; elsewhere the beginning says most."""
        keeps_end = task.kind in ("answers", "chat") or task.shape == "question-answering"

        def shorten(put: Put, count: int, room: int) -> Put:
            text = put.row.text
            if put.template.is_inverted:
                return put  # the answer is what is read there: the renderer cuts what is written
            size = max(_LEAST, int(len(text) * (1 - 1.1 * (count - room) / max(1, self._count([text])[0]))))
            if size >= len(text):
                return put
            kept = text[-size:].partition(" ")[2] if keeps_end else text[:size].rpartition(" ")[0]
            row = replace(put.row, text=kept or text[:size])
            return replace(self._made(put.template, row, put.shots), is_cut=True)

        return shorten

    def _count(self, texts: Sequence[str]) -> list[int]:
        return self._reader.count_tokens(texts)


def _shot(row: TaskRow) -> Shot:
    return Shot(text=row.text, answer=row.answer, options=row.options)
