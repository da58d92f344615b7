"""How a row is put to a model: a template, solved examples before the question, and the blank between prompt and answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hone.core.record import Record
from hone.model import Backend
from hone.task import Example, Template, few_shot_prompt

__all__ = ["Form", "Shot", "fitting", "shot_of"]


class Shot(Record):
    """A solved example."""

    text: str
    answer: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """A way to ask; the answer of the same row is written the same way when it is scored and when it is trained."""

    template: Template
    joins: bool
    """Whether the answer follows the prompt as one text."""
    shots: tuple[Shot, ...] = ()
    intro: str = ""
    """Said before everything else: what the labels mean."""

    @cached_property
    def _parts(self) -> list[tuple[str, str, Sequence[str]]]:
        return [(shot.text, shot.answer, shot.options) for shot in self.shots]

    def prompt(self, text: str, options: Sequence[str] = ()) -> str:
        """What the model reads; it never ends with a blank, which tokenizers take together with the word after it."""
        asked = few_shot_prompt(self.template, self._parts, text, options=options)
        asked = f"{self.intro}\n\n{asked}" if self.intro else asked
        return asked + self.template.separator.rstrip(" ") if self.joins else asked

    def written(self, answer: str, options: Sequence[str] = ()) -> str:
        """What it should write."""
        blank = " " if self.joins and self.template.separator.endswith(" ") else ""
        return blank + self.template.answer_of(answer, options=options)


def shot_of(example: Example, answer: str, options: Sequence[str]) -> Shot:
    """A training row as a solved example."""
    return Shot(text=example.text, answer=answer, options=tuple(options))


def fitting(form: Form, backend: Backend, text: str, options: Sequence[str], *, room: int) -> Form:
    """The form with as many of its last examples as leave the prompt within `room` tokens; all of them where they fit."""
    while form.shots and backend.count_tokens([form.prompt(text, options)])[0] > room:
        form = Form(form.template, form.joins, form.shots[1:], form.intro)
    return form
