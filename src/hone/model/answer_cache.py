"""Finished answers of a server, on disk as they come, so that a run that was killed asks nothing twice.

One line per answer, appended: a kill at any moment costs the line being written, and no other.
"""

import json
import threading
from pathlib import Path
from typing import Any

from hone.core.console import warn
from hone.core.store import disk_errors
from hone.measure import Tokens

__all__ = ["FILE", "AnswerCache", "known_tokens"]

FILE = "remote-answers.jsonl"


class AnswerCache:
    """Answers by the digest of what was asked; in memory alone where no folder is given. Threads may share it."""

    def __init__(self, folder: Path | None) -> None:
        """Read what earlier runs have left; lines that cannot be read are counted, told, and asked again."""
        self.path = None if folder is None else folder / FILE
        self._known: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._is_torn = False
        if self.path is not None and self.path.exists():
            self._read(self.path)
        self.earlier = frozenset(self._known)
        """Keys that earlier runs answered."""

    def _read(self, path: Path) -> None:
        raw = path.read_bytes()
        self._is_torn = bool(raw) and not raw.endswith(b"\n")
        lost = 0
        for line in raw.splitlines():
            try:
                entry = json.loads(line)
                self._known[entry["key"]] = entry["answer"]
            except (ValueError, KeyError, TypeError):
                lost += bool(line.strip())
        if lost:
            lines = "line" if lost == 1 else "lines"
            warn(f"{path}: {lost} {lines} cannot be read; those answers are asked for again.", once=str(path))

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._known[key]

    def tokens(self, payer: str | None = None) -> Tokens:
        """Of all answers that were asked for someone; None: for anyone."""
        mine = [answer for answer in list(self._known.values()) if payer is None or answer.get("payer") == payer]
        return Tokens(
            read=sum(one["read"] for one in mine),
            written=sum(one["written"] for one in mine),
            is_estimate=any("is_estimate" in one for one in mine),
        )

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer, at once.

        Raises:
            Failed: the disk is full or not writable.
        """
        with self._lock:
            self._known[key] = answer
            if self.path is None:
                return
            line = json.dumps({"key": key, "answer": answer}, ensure_ascii=False) + "\n"
            with disk_errors(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab") as file:
                    file.write((b"\n" if self._is_torn else b"") + line.encode("utf-8", "surrogatepass"))
            self._is_torn = False


def known_tokens(folder: Path) -> Tokens | None:
    """Of all answers that were kept in a folder; None where there are none."""
    return AnswerCache(folder).tokens() if (folder / FILE).exists() else None
