"""What a column's cells look like: how long, how many different, numbers, dates, addresses, identifiers.

Serves `infer`, which asks it about a sample of rows.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hone.task.sample import is_cut

__all__ = ["Profile", "is_number", "profile_column"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( .*)?|\d{1,2}:\d{2}(:\d{2})?")
_ADDRESS = re.compile(r"\S+@\S+\.\w+|(https?://|www\.)\S+")
_HEX = re.compile(r"[0-9a-fA-F-]{16,}")
_SEVERAL = (list, dict, tuple, set)
_ID_NAMES = frozenset({"", "id", "ids", "uid", "uuid", "guid", "index", "idx", "email", "mail", "phone", "url", "link"})
# These name a label as often as an identifier ("answer_key"): identifiers only where most values differ.
_SOFT_ID_NAMES = frozenset({"key", "row", "nr", "no", "number", "hash", "code"})
_DATE_NAMES = frozenset({"date", "time", "datetime", "timestamp", "created", "updated", "modified", "year", "month", "day"})


def is_number(text: str) -> bool:
    """Whether a cell is written as a decimal number."""
    return _NUMBER.fullmatch(text) is not None


def name_words(name: str) -> list[str]:
    """A column name in lower-case words: 'TicketBody' and 'ticket_body' are both ticket, body."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


@dataclass(frozen=True, slots=True)
class Profile:
    """One column of the sample; shares are in [0, 1] of the cells that are filled."""

    name: str
    values: tuple[str | None, ...]
    """The cells as stripped text, in sample order; None where the cell is empty or no single value."""
    filled: int
    distinct: int
    mean_length: float
    number_share: float
    is_address: bool
    is_date: bool
    is_identifier: bool
    holds_several: bool
    """Whether a cell holds a list or an object."""
    is_cut: bool
    """Whether a cell lacks its end, so that `mean_length` is less than the truth."""

    @property
    def is_ignored(self) -> bool:
        """Neither a text nor a label: an identifier, a date, an e-mail or web address, or empty."""
        return not self.filled or self.is_address or self.is_date or self.is_identifier

    @property
    def repeats(self) -> float:
        """How often a value occurs on average."""
        return self.filled / max(self.distinct, 1)


def profile_column(name: str, cells: Sequence[object]) -> Profile:
    """Describe one column from a sample of its cells."""
    values = tuple(_as_text(cell) for cell in cells)
    counts = Counter(value for value in values if value is not None)
    filled = sum(counts.values())
    words = name_words(name)

    def share(pattern: re.Pattern[str]) -> float:
        return sum(count for value, count in counts.items() if pattern.fullmatch(value)) / max(filled, 1)

    number_share = share(_NUMBER)
    is_unique = filled > 2 and len(counts) > 0.95 * filled
    last = words[-1] if words else ""
    named_id = last in _ID_NAMES or words[:1] == ["unnamed"] or (last in _SOFT_ID_NAMES and len(counts) > 0.5 * filled)
    return Profile(
        name=name,
        values=values,
        filled=filled,
        distinct=len(counts),
        mean_length=sum(len(value) * count for value, count in counts.items()) / max(filled, 1),
        number_share=number_share,
        is_address=share(_ADDRESS) > 0.9,
        is_date=share(_DATE) > 0.9 or (bool(_DATE_NAMES & set(words)) and number_share > 0.9),
        is_identifier=(named_id and not _is_prose(counts, filled)) or (is_unique and (number_share > 0.9 or share(_HEX) > 0.9)),
        holds_several=any(isinstance(cell, _SEVERAL) for cell in cells),
        is_cut=any(map(is_cut, cells)),
    )


def _as_text(cell: object) -> str | None:
    if cell is None or isinstance(cell, _SEVERAL) or cell != cell:
        return None
    return str(cell).strip() or None


def _is_prose(counts: Counter[str], filled: int) -> bool:
    """Mostly several words per cell, whatever the column is called."""
    return sum(count for value, count in counts.items() if value.count(" ") >= 3) > 0.5 * filled
