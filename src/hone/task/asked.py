"""Rows to be answered: what a model reads of them, whatever else they hold. What is right need not stand there."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from hone.core.errors import BadData, Usage
from hone.task.cells import read_row
from hone.task.choices import LETTERS, is_blank, read_offered
from hone.task.dialogues import SYSTEM_COLUMNS, read_messages
from hone.task.kinds import Choice, Completion, Dialogue, Kind, Message, Passage, Plain, Tagged
from hone.task.profile import name_words
from hone.task.reader import Reader
from hone.task.rejects import Unusable
from hone.task.spans import read_tokens

__all__ = ["AskedRow", "as_asked", "read_asked", "refuse_other_than_choices", "refuse_other_than_texts"]

AskedRow: TypeAlias = Plain | Completion | Dialogue | Tagged | Passage | Choice
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
    reader: Reader, cells: Sequence[object], columns: Sequence[str], *, kind: Kind, line: int, among: Sequence[str] = ()
) -> tuple[dict[str, object], AskedRow | None]:
    """One row for prediction: its cells by column, and what is asked; None where the columns are empty.

    Args:
        cells: in the order of `reader.headers`. columns: what the model reads, in the order of training.
        among: of multiple choice, the columns of the choices; none where they stand inside the question's own.
    Raises:
        BadData: a cell that cannot be used; names the column.
    """
    between = "\n\n" if kind == "completion" else "\n"  # as training joined them
    if kind not in ("tag", "answers", "chat", "choice"):
        row, text = read_row(reader, cells, columns, between=between)
        return row, as_asked(text, kind) if text else None
    row, _ = read_row(reader, cells, ())
    mine = [row[name] for name in columns]
    try:
        if kind == "choice":
            return row, _choice(reader, row, columns, among, line)
        if any(cell in (None, "", []) for cell in mine) and kind != "chat":
            return row, None
        if kind == "tag":
            return row, Tagged(read_tokens(mine[0], columns[0], reader.file), (), "", line)
        if kind == "answers":
            question, context = (read_row(reader, cells, [name])[1] for name in columns)
            return row, Passage(question, context, (), (), "", line)
        return row, _dialogue(reader, row, columns, line)
    except Unusable as unusable:
        raise BadData(f"column '{unusable.column}': {unusable.reason}") from None


def _choice(reader: Reader, row: dict[str, object], columns: Sequence[str], among: Sequence[str], line: int) -> Choice | None:
    """The question with its choices; nothing is asked where there is no question, or not one choice."""
    question, choices = [row[name] for name in columns], [row[name] for name in among]
    if all(map(is_blank, question)) or (choices and all(is_blank(cell) or cell in ([], {}) for cell in choices)):
        return None
    text, offered = read_offered([*question, *choices], columns=columns, among=among, file=reader.file)
    if len(offered.texts) > len(LETTERS):
        raise Unusable(among[0] if among else columns[0], f"{len(offered.texts)} choices, more than there are letters")
    return Choice(text, offered.texts, -1, "", line)


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


def refuse_other_than_choices(choices: Sequence[Sequence[str]], texts: int, *, chooses: bool, folder: Path) -> None:
    """Raises Usage where so many texts lack lists of two choices or more each, or have some where what answers does not choose."""
    if chooses != bool(choices) and texts:
        raise Usage(
            f"{folder} needs the choices of each text. Give them behind it, --choice ONE --choice ANOTHER, or a file of rows with --out; from "
            'Python predict(["a text"], choices=[["one", "another"]]).'
            if chooses
            else f"{folder} answers without choices, as it was trained. Leave them out."
        )
    if isinstance(choices, str) or len(choices) not in (0, texts):
        raise Usage(
            f"predict takes one list of choices for each text, and got {len(choices)} for {texts}. Give as many: "
            'predict(["a text"], choices=[["one", "another"]]).'
        )
    for at, mine in enumerate(choices):
        if isinstance(mine, str) or len(mine) < 2 or not all(isinstance(one, str) and one.strip() for one in mine):
            raise Usage(f"The choices of text {at} (from 0) are {mine!r}, and a list of two texts or more is needed.")
