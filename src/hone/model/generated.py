"""What a model has written: one answer as every backend gives it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finish", "Generated"]

Finish = Literal["end", "stop", "length"]


@dataclass(frozen=True)
class Generated:
    """One answer."""

    text: str
    """Without thoughts before it, the stop text and special tokens."""
    ids: tuple[int, ...]
    """Tokens written, those of thoughts among them, the end-of-sequence token left out."""
    log_likelihood: float
    """Of these tokens and of the end, where it was written: the model's own, before temperature and penalties; beams are scored after them."""
    finish: Finish
    is_thought: bool = False
    """Whether thoughts are all that was written, so that the text is empty."""
