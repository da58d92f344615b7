"""One contender of `benchmarks/train.py` in a process of its own, with the settings that its user would have.

    python benchmarks/train_worker.py PART MODELS DATA CONTENDER

reads lines of JSON, `{"first": 0, "rows": 64}`, trains on those rows of the part, and answers each with a line: seconds, processor seconds,
tokens, and the highest resident memory of the process until then, libraries included. What hone asks of glibc, OpenMP and oneDNN for its
own sake (keep freed memory, do not spin, keep little code) holds for hone alone, and so does its allocator.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hone.core.allocator import preload_allocator

__all__ = ["Timed", "Worker"]

_OURS = "hone "
_DEFAULTS = {
    "GOMP_SPINCOUNT": "300000",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "1024",
}  # of libgomp and oneDNN, which hone's import leaves alone


@dataclass(frozen=True)
class Timed:
    """What a worker says of one block of rows."""

    seconds: float
    processor_seconds: float
    tokens: int
    peak_bytes: int


class Worker:
    """The other process, from here; it waits while others train."""

    def __init__(self, part: str, models: Path, data: Path, name: str, *, forward_tokens: int | None = None) -> None:
        """`name`: of a peer's setting; `forward_tokens` says that it is hone."""
        self.name = name
        told = name if forward_tokens is None else f"{_OURS}{forward_tokens}"
        command = [sys.executable, __file__, part, str(models), str(data), told]
        settings = {} if forward_tokens is not None else _DEFAULTS
        # stderr is the caller's: what went wrong there is seen
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | settings
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def train(self, first: int, rows: int) -> Timed:
        """Train once on some rows of the part, from the part's own weights."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({"first": first, "rows": rows}), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, f"the process of {self.name} has ended with {self._process.wait()}"
        return Timed(**json.loads(answer))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> int:
    """Answer until the input ends."""
    if sys.argv[4].startswith(_OURS):
        preload_allocator()
    answers = os.fdopen(os.dup(1), "w")  # what libraries print goes elsewhere
    os.dup2(2, 1)
    contender, prepared = _contender(*sys.argv[1:])
    from hone.core.device import best_device, peak_memory, release_memory

    for line in sys.stdin:
        asked = json.loads(line)
        with peak_memory(best_device()) as peak:
            done = contender.train(prepared.items[asked["first"] : asked["first"] + asked["rows"]])
        timed = {"seconds": done.seconds, "processor_seconds": done.processor_seconds, "tokens": done.tokens}
        print(json.dumps(timed | {"peak_bytes": peak.bytes}), file=answers, flush=True)
        release_memory()  # of networks that were thrown away: another one waits while its neighbours train
    return 0


def _contender(part_name: str, models: str, data: str, told: str) -> tuple[Any, Any]:
    import hone.model.reader
    from train_ours import Ours
    from train_parts import PARTS, prepared_rows
    from train_peers import Peer, candidates, default_setting

    part = PARTS[part_name]
    if not told.startswith(_OURS):
        hone.model.reader.keep_freed_memory = lambda: None  # type: ignore[assignment]
    prepared = prepared_rows(part, Path(models), Path(data))
    if told.startswith(_OURS):
        return Ours(part, Path(models), prepared, forward_tokens=int(told.removeprefix(_OURS))), prepared
    known = [*candidates(part, is_quick=False), *([found] if (found := default_setting(part)) else [])]
    return Peer(part, Path(models), prepared, next(setting for setting in known if setting.name == told)), prepared


if __name__ == "__main__":
    sys.exit(main())
