"""Labels as words: what a model reads and writes in their place."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

__all__ = ["described", "label_words"]


def label_words(labels: Sequence[str]) -> dict[str, str]:
    """Words of each label: 'order_change' and 'OrderChange' become 'order change'.

    A label without letters ('-1', '1-3') stays as it is, and so do labels that would have the same words.
    """
    return dict(_words(tuple(labels)))


@lru_cache(maxsize=64)
def _words(labels: tuple[str, ...]) -> Mapping[str, str]:
    words = {label: _separated(label) for label in labels}
    times = Counter(text.casefold() for text in words.values())
    return {label: text if times[text.casefold()] == 1 else label for label, text in words.items()}


def _separated(label: str) -> str:
    if not any(letter.isalpha() for letter in label):
        return label
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    return re.sub(r"[_\-/]+", " ", words).strip()


def described(words: str, description: str | None) -> str:
    """A label's words, with what it means behind a colon."""
    return f"{words}: {description}" if description else words
