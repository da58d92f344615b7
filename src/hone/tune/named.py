"""What a batch of training rows is called where something is wrong with it: the rows by their lines, pieces of texts by how they begin."""

from collections.abc import Sequence
from typing import Any

from hone.model import TextReader

__all__ = ["name_rows", "name_texts"]

_SHOWN = 20  # rows
_TEXTS, _TOKENS = 5, 12  # that a text is known by


def name_rows(indices: Sequence[int], origins: Sequence[Any]) -> str:
    """Rows by file and line. `origins`: the row, with `file` and `line`, of each training example."""
    lines: dict[str, list[str]] = {}
    for row in (origins[index] for index in indices[:_SHOWN]):
        lines.setdefault(row.file, []).append(str(row.line))
    named = "; ".join(f"{file} line{'s' if len(mine) > 1 else ''} {', '.join(mine)}" for file, mine in lines.items())
    return f"the batch of {named}{_rest(indices, _SHOWN)}"


def name_texts(indices: Sequence[int], items: Sequence[Any], reader: TextReader) -> str:
    """Pieces of texts by their first words."""
    begun = []
    for index in indices[:_TEXTS]:
        item = items[index]
        ids = item.source if hasattr(item, "source") else item.ids
        begun.append(repr(" ".join(reader.tokenizer.decode(ids[:_TOKENS], skip_special_tokens=True).split())))
    return f"the batch of texts that begin with {', '.join(begun)}{_rest(indices, _TEXTS)}"


def _rest(indices: Sequence[int], shown: int) -> str:
    return f" and {len(indices) - shown} more" if len(indices) > shown else ""
