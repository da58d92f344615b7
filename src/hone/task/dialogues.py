"""Dialogues as chat models take them, from the ways of writing that are in use: role/content, from/value (ShareGPT) and
speaker/utterance (MultiWOZ, SGD).

The one surprise: a *role* system is the text before a dialogue, a *speaker* system is the machine that a user talks to.
"""

from collections.abc import Sequence

from hone.task.decode import TextFile
from hone.task.kinds import Message, Role
from hone.task.nested import nested, string
from hone.task.rejects import Unusable

__all__ = ["SYSTEM_COLUMNS", "read_messages"]

SYSTEM_COLUMNS = ("system", "system_prompt")
"""Where a dialogue's system text may stand in a column of its own."""

_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
    "function_call": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "function_response": "tool", "tool_response": "tool",
}  # fmt: skip
_SPEAKERS: dict[str, Role] = {**_ROLES, "system": "assistant", "agent": "assistant", "customer": "user"}
_CONTENTS = ("content", "value", "utterance")
_MISSING = object()


def read_messages(
    cells: Sequence[object], columns: Sequence[str], file: TextFile | None, *, system: object = None, is_learnt: bool = True
) -> tuple[Message, ...]:
    """The messages of one row.

    Args:
        cells: the columns that hold messages; several are put one after the other. system: the text of a column of its
            own, which goes first where the messages have no system text themselves. is_learnt: an answer must be among them.
    Raises:
        Unusable: a message without a known role or without text, or no message of the assistant where one is learnt.
    """
    messages: list[Message] = []
    for cell, column in zip(cells, columns, strict=True):
        items = nested(cell, column)
        # A single message stands for a list of one.
        for number, item in enumerate(items if isinstance(items, list) else [items], 1):
            if (message := _message(item, number, column, file)) is not None:
                messages.append(message)
    if isinstance(system, str) and system.strip() and not any(message.role == "system" for message in messages):
        messages.insert(0, Message("system", string(system, "system", file)))
    if not messages:
        raise Unusable(", ".join(columns), "no messages: the list is empty")
    if is_learnt and not any(message.role == "assistant" for message in messages):
        raise Unusable(", ".join(columns), "no assistant message: there is nothing to learn")
    return tuple(messages)


def _message(item: object, number: int, column: str, file: TextFile | None) -> Message | None:
    """One message; None for an empty system text, which many files put before every dialogue."""
    if not isinstance(item, dict):
        raise Unusable(column, f"not a message: number {number} is no object with role and content")
    given = item.get("role", item.get("from"))
    roles, known = _ROLES, "system, user, assistant, tool (or human, gpt, function)"
    if given is None and "speaker" in item:
        given, roles, known = item["speaker"], _SPEAKERS, "user, system (or customer, agent)"
    role = roles.get(given.strip().lower()) if isinstance(given, str) else None
    if role is None:
        what = "has no role" if given is None else f"has the role '{str(given)[:40]}'"
        raise Unusable(column, f"unknown role: message {number} {what}. Known: {known}")
    content = next((item[key] for key in _CONTENTS if key in item), _MISSING)
    if isinstance(content, list):
        content = _parts(content, number, column)
    if content is _MISSING or content is None or (isinstance(content, str) and not content.strip()):
        if role == "system":
            return None
        calls = ", only calls of tools, which cannot be trained on yet" if item.get("tool_calls") else ""
        raise Unusable(column, f"empty message: number {number} ({role}) has no text{calls}")
    return Message(role, string(content, column, file, what="message text"))


def _parts(parts: list[object], number: int, column: str) -> str:
    """The text of a message that is written in parts; an image or a sound among them cannot be used."""
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type", "text") == "text" else part
        if not isinstance(text, str):
            raise Unusable(column, f"not text: message {number} holds something else than text, such as an image")
        texts.append(text)
    return "\n".join(texts)
