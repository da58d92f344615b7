"""Rows whose answers are written or chosen, as examples: what is asked, what is right, and what else would be.

Takes a `Material` of completions, dialogues, answers from a context or choices. Rows that ask the same are one example: its further
answers are as right as the first. Of a dialogue the last answer is asked, after all that was said before.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hone.measure import count_words
from hone.task.asked import read_asked
from hone.task.choices import LETTERS
from hone.task.duplicates import text_key
from hone.task.kinds import Choice, Completion, Dialogue, Kind, Material, Message, Passage, TaskShape
from hone.task.reader import Reader
from hone.task.records import Example, Finding, Rejected
from hone.task.wording import counted

__all__ = ["ANSWERED_KINDS", "as_examples", "join_references", "read_dialogue", "usual_metric"]

_PLACES = 20
_SHORT_WORDS = 3  # up to so many words an answer is right or wrong rather than like or unlike


def as_examples(material: Material) -> tuple[list[Example], list[Rejected]]:
    """Examples in the order of the rows, and rows that ask for nothing that can be marked."""
    made, rejected = [], []
    make = ANSWERED_KINDS[material.kind]
    for row in material.rows:
        found = make(row)
        if isinstance(found, Example):
            made.append(found)
        else:
            rejected.append(Rejected(row.file, row.line, "", found))
    return made, rejected


def _completion(row: Completion) -> Example | str:
    answers = dict.fromkeys(text.strip() for text in (row.completion, *row.more) if text.strip())
    if not answers:
        return "empty answer"
    first, *more = answers
    return Example(row.prompt, first, row.file, row.line, row.group, more=tuple(more))


def _dialogue(row: Dialogue) -> Example | str:
    last = max(place for place, message in enumerate(row.messages) if message.role == "assistant")
    before = row.messages[:last]
    if not before:
        return "nothing is said before the answer"
    return Example(_said(before), row.messages[last].content.strip(), row.file, row.line, row.group)


def _said(before: Sequence[Message]) -> str:
    """A dialogue as one text: what the system says, then the one thing said, or else who says what."""
    spoken = [message for message in before if message.role != "system"]
    told = [message.content for message in before if message.role == "system"]
    if len(spoken) <= 1:
        told += [message.content for message in spoken]
    else:
        told.append("\n".join(f"{message.role.capitalize()}: {message.content}" for message in spoken))
    return "\n\n".join(told)


def read_dialogue(reader: Reader, cells: Sequence[object], text: Sequence[str]) -> tuple[dict[str, object], str]:
    """As `read_row`, of a row that holds a dialogue: what is asked is the last answer where it ends in one, else the next.

    Args:
        cells: in the order of `reader.headers`. text: the columns that hold messages.
    Raises:
        BadData: a cell whose characters cannot be used, or that holds no messages; names the column.
    """
    row, asked = read_asked(reader, cells, text, kind="chat", line=0)
    return row, _said(asked.messages) if isinstance(asked, Dialogue) else ""


def _passage(row: Passage) -> Example | str:
    if not row.answers:
        return "no answer in the context"
    first, *more = dict.fromkeys(row.answers)
    text = f"{row.context}\n\n{row.question}"
    return Example(text, first, row.file, row.line, row.group or row.context, more=tuple(more), row=row)


def _choice(row: Choice) -> Example | str:
    if len(row.choices) > len(LETTERS):
        return f"{len(row.choices)} choices, more than there are letters"
    return Example(row.question, LETTERS[row.answer], row.file, row.line, row.group, row.choices)


ANSWERED_KINDS: dict[Kind, Callable[[Any], Example | str]] = {
    "completion": _completion,
    "chat": _dialogue,
    "answers": _passage,
    "choice": _choice,
}
"""The kinds of rows that a model answers in words."""


def join_references(examples: Sequence[Example]) -> tuple[list[Example], list[Finding]]:
    """One example for rows that ask the same of the same choices; the finding says how many were joined."""
    copies: defaultdict[bytes, list[Example]] = defaultdict(list)
    for example in examples:
        copies[text_key(example.asked)].append(example)
    kept = []
    joined: list[Example] = []
    for first, *others in copies.values():
        answers = dict.fromkeys([*first.more, *(text for other in others for text in (other.label, *other.more))])
        kept.append(replace(first, more=tuple(text for text in answers if text != first.label)) if not first.choices else first)
        joined += others
    if not joined:
        return kept, []
    finding = Finding(
        kind="exact_duplicate",
        severity="removed",
        message=f"{counted(len(joined), 'row')} joined with an earlier one that asks the same; a different answer counts as right too.",
        count=len(joined),
        places=tuple(example.place for example in joined[:_PLACES]),
    )
    return kept, [finding]


def usual_metric(shape: TaskShape | None, examples: Sequence[Example]) -> str:
    """The metric by which answers of this shape are usually ranked."""
    words = statistics.median(count_words(example.label) for example in examples[:5000])
    if shape == "summarization":
        return "rougeL"
    if shape == "translation":
        return "chrf"
    if shape == "question-answering" and words <= 4 * _SHORT_WORDS:
        return "token_f1"
    return "exact_match" if words <= _SHORT_WORDS else "rougeL"
