"""Peak memory of one contender of `benchmarks/train.py`, in a process of its own: none inherits what another left behind.

    python benchmarks/train_memory.py PART MODELS DATA ROWS CONTENDER

prints one JSON object. The whole process is counted, libraries included. What hone tells glibc for its own sake (keep freed memory) is
taken back for peers.
"""

import ctypes
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from hone.core.device import best_device, peak_memory
from train_ours import Ours
from train_parts import PARTS, prepared_rows
from train_peers import Peer, candidates, default_setting

__all__ = ["measure_peak"]

_LIMIT = 900  # seconds


def measure_peak(part: str, models: Path, data: Path, *, rows: int, contender: str) -> dict[str, Any]:
    """Train the contender of that name on the first rows of a part, in a new process.

    Returns:
        `peak_bytes`, and `before_bytes` resident when its training began.
    """
    command = [sys.executable, __file__, part, str(models), str(data), str(rows), contender]
    # stderr is the caller's: what went wrong there is seen
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=_LIMIT, check=True, env=os.environ)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Measure and print."""
    import psutil

    name, models, data, rows, contender = sys.argv[1:]
    part = PARTS[name]
    prepared = prepared_rows(part, Path(models), Path(data))
    items = prepared.items[: int(rows)]
    trainer: Ours | Peer
    if contender.startswith("hone"):
        trainer = Ours(part, Path(models), prepared, forward_tokens=int(contender.rsplit(" ", 1)[1]))
    else:
        known = [*candidates(part, is_quick=False), *([found] if (found := default_setting(part)) else [])]
        trainer = Peer(part, Path(models), prepared, next(setting for setting in known if setting.name == contender))
        _as_glibc_does()
    before = psutil.Process().memory_info().rss
    with peak_memory(best_device()) as peak:
        trainer.train(items)
    print(json.dumps({"peak_bytes": peak.bytes, "before_bytes": before}))
    return 0


def _as_glibc_does() -> None:
    """Large blocks come from the kernel and go back to it when freed: glibc's own thresholds, 128 KiB."""
    if platform.libc_ver()[0] == "glibc":
        trim_threshold, mmap_threshold = -1, -3  # malloc.h
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(trim_threshold, 128 * 1024)
        libc.mallopt(mmap_threshold, 128 * 1024)


if __name__ == "__main__":
    sys.exit(main())
