"""Rows of other kinds as prompts and completions, for models that answer in words. The one place where a choice becomes text."""

from hone.task.kinds import Choice, Completion
from hone.task.templates import Template, bundled_templates

__all__ = ["as_completion", "choice_template"]


def choice_template() -> Template:
    """What `as_completion` writes choices with: they stand in the prompt, and the answer is the text of the right one."""
    return next(one for one in bundled_templates("multiple-choice") if one.name == "plain")


def as_completion(row: Completion | Choice, *, template: Template | None = None) -> Completion:
    """A row as a prompt and what follows it; a completion as it is.

    Args:
        template: of the shape multiple-choice; none means `choice_template`. With an inverted one the question is written.
    """
    if isinstance(row, Completion):
        return row
    prompt, answer = (template or choice_template()).pair(row.question, row.choices[row.answer], options=row.choices)
    return Completion(prompt, answer, row.file, row.line, group=row.group)
