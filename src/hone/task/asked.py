"""Rows to be answered: what a model reads of them, whatever else they hold. What is right need not stand there."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from hone.core.errors import BadData, Usage
from hone.task.cells import read_row
from hone.task.dialogues import SYSTEM_COLUMNS, read_messages
from hone.task.kinds import Completion, Dialogue, Kind, Message, Passage, Plain, Tagged
from hone.task.profile import name_words
from hone.task.reader import Reader
from hone.task.rejects import Unusable
from hone.task.spans import read_tokens

__all__ = ["AskedRow", "as_asked", "read_asked", "refuse_other_than_texts"]

AskedRow: TypeAlias = Plain | Completion | Dialogue | Tagged | Passage
"""Of a text to classify or score: `Plain`. Answers, tags and completions are empty."""


def as_asked(text: str, kind: Kind) -> AskedRow:
    """A single text as a row: words between blanks to be tagged, what a user says to be answered.

    Raises:
        BadData: it takes more than a text.
    """
    if kind == "answers":
        raise BadData(
            "A question is answered from a passage. Give a file of rows with both, and say with --out where the answers go."
        )
    if kind == "tag":
        return Tagged(tuple(text.split()), (), "", 1)
    if kind == "chat":
        return Dialogue((Message("user", text),), "", 1)
    return Completion(text, "", "", 1) if kind == "completion" else Plain(text, "", 1)


def read_asked(
    reader: Reader, cells: Sequence[object], columns: Sequence[str], *, kind: Kind, line: int
) -> tuple[dict[str, object], AskedRow | None]:
    """One row for prediction: its cells by column, and what is asked; None where the columns are empty.

    Args:
        cells: in the order of `reader.headers`. columns: what the model reads, in the order of training.
    Raises:
        BadData: a cell that cannot be used; names the column.
    """
    between = "\n\n" if kind == "completion" else "\n"  # as training joined them
    if kind not in ("tag", "answers", "chat"):
        row, text = read_row(reader, cells, columns, between=between)
        return row, as_asked(text, kind) if text else None
    row, _ = read_row(reader, cells, ())
    mine = [row[name] for name in columns]
    if any(cell in (None, "", []) for cell in mine) and kind != "chat":
        return row, None
    try:
        if kind == "tag":
            return row, Tagged(read_tokens(mine[0], columns[0], reader.file), (), "", line)
        if kind == "answers":
            question, context = (read_row(reader, cells, [name])[1] for name in columns)
            return row, Passage(question, context, (), (), "", line)
        return row, _dialogue(reader, row, columns, line)
    except Unusable as unusable:
        raise BadData(f"column '{unusable.column}': {unusable.reason}") from None


def _dialogue(reader: Reader, row: dict[str, object], columns: Sequence[str], line: int) -> Dialogue | None:
    """What was said before the last answer where a row ends in one, else all of it."""
    filled = [name for name in columns if row[name] not in (None, "", [])]
    if not filled:
        return None
    system = next((row[name] for name in reader.headers if "_".join(name_words(name)) in SYSTEM_COLUMNS), None)
    messages = read_messages([row[name] for name in filled], filled, reader.file, system=system, is_learnt=False)
    return Dialogue(messages[:-1] if messages[-1].role == "assistant" else messages, "", line)


def refuse_other_than_texts(texts: object) -> None:
    """Raises Usage for a single text, whose letters would be answered one by one, and for a cell that is no text."""
    if isinstance(texts, str):
        raise Usage(f"predict takes a list of texts, and got one text. Put it in a list: predict([{texts[:40]!r}]).")
    if not isinstance(texts, Iterable) or not hasattr(texts, "__len__"):
        raise Usage(f"predict takes a list of texts, and got a {type(texts).__name__}. Give a list: predict([...]).")
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            raise Usage(
                f"predict takes a list of texts, and number {at} (from 0) is {text!r}, a {type(text).__name__}. "
                "Leave it out, or make a text of it with str()."
            )
