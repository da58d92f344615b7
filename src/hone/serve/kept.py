"""Answers of a file that is under way, kept beside what will hold them, so that the same command goes on where it was stopped.

`.NAME.answered` holds what tells this command from another, then a line per row in their order; it goes once the target is whole.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from hone.core.store import disk_errors
from hone.serve.answering import Said

__all__ = ["KeptAnswers"]


class KeptAnswers:
    """The answers so far, None for rows that ask nothing."""

    def __init__(self, target: Path, *, key: str) -> None:
        """
        Args:
            key: of what is answered by what; answers of another are dropped when the first new one comes.
        """
        self._path = target.with_name(f".{target.name}.answered")
        self._key = key
        self.answers = self._read()

    def _read(self) -> list[Said | None]:
        """Whole lines in their order; a kill may have left half a line, and two processes lines of both."""
        found: list[Said | None] = []
        try:
            first, *lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
            if json.loads(first) != self._key:
                return []
            for line in lines:
                at, said = json.loads(line)
                if at != len(found) or not line.endswith("\n"):
                    break
                found.append(None if said is None else _said(*said))
        except (OSError, ValueError, TypeError):
            return found
        return found

    def add(self, answers: Sequence[Said | None]) -> None:
        """Keep those of the next rows; raises Failed where the disk is full."""
        with disk_errors(self._path):
            if not self.answers:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_text(f"{json.dumps(self._key)}\n", encoding="utf-8")
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(f"{json.dumps([at, one])}\n" for at, one in enumerate(answers, len(self.answers)))
        self.answers += answers

    def drop(self) -> None:
        """The target is whole."""
        self._path.unlink(missing_ok=True)


def _said(predicted: str | float | list[str], confidence: float | None, text: str | None) -> Said:
    return Said(tuple(predicted) if isinstance(predicted, list) else predicted, confidence, text)
