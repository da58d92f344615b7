"""Passages that rows ask something about: questions on one passage belong together, and are no copies of one another.

A passage is known by its column's name and by its length: short texts that repeat are names of sources or topics.
"""

from collections.abc import Sequence

from hone.task.profile import name_words

__all__ = ["LEAST_LETTERS", "PASSAGE_NAMES", "as_passage", "passage_column"]

PASSAGE_NAMES = ("context", "passage", "article", "paragraph", "premise", "dialogue", "support")
"""Columns of what a question is about, the likeliest first."""

LEAST_LETTERS = 60


def passage_column(columns: Sequence[str]) -> int | None:
    """The place of the first column that is called as passages are, where another stands beside it."""
    called = ["_".join(name_words(column)) in PASSAGE_NAMES for column in columns]
    return called.index(True) if True in called and len(columns) > 1 else None


def as_passage(cell: object) -> str | None:
    """The passage in a cell, without blanks around it; None where what stands there is too short, or no text."""
    text = cell.strip() if isinstance(cell, str) else ""
    return text if len(text) >= LEAST_LETTERS else None
