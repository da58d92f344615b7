"""Prompts of lm-evaluation-harness that a model does not read whole."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hone.core.console import warn

__all__ = ["CutPrompts"]

_NAMED = 4  # tasks


class CutPrompts:
    """Questions whose prompts lost their beginning, since the model reads less."""

    def __init__(self) -> None:
        self._places: dict[str, set[Any]] = {}

    def of(self, task: str) -> int:
        """Questions of a task."""
        return len(self._places.get(task, ()))

    def tell(self, requests: Sequence[Any], *, among: int, room: int) -> None:
        """Say so, and keep it for the record.

        Args:
            requests: those whose prompts were cut. among: so many that were asked alike. room: tokens that are left of each.
        """
        if not requests:
            return
        counts = Counter(str(request.task_name) for request in requests)
        for request in requests:
            self._places.setdefault(str(request.task_name), set()).add(request.doc_id)
        names = [f"{name} {count:,}" for name, count in counts.most_common(_NAMED)]
        more = f" and of {len(counts) - _NAMED} more tasks" if len(counts) > _NAMED else ""
        warn(
            f"{len(requests):,} of {among:,} prompts are longer than the {room:,} tokens that this model has room for, and lost their "
            f"beginning, as in lm-evaluation-harness ({', '.join(names)}{more}): solved examples, or the question itself, were not read in "
            "whole. Fewer --shots, or a model that reads more, ask such questions properly."
        )
