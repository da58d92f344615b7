"""Part `start`: wall time of `hone --help` and of `import hone`, each in a fresh process, beside a bare Python."""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["measure_start"]

_RUNS = 10
_TARGET_SECONDS = 0.15


def measure_start() -> tuple[list[dict[str, Any]], dict[str, bool]]:
    """A row per command, taken in turn; the check is on `hone --help`."""
    commands = {
        "hone --help": [str(Path(sys.executable).parent / "hone"), "--help"],
        "import hone": [sys.executable, "-c", "import hone"],
        "bare python": [sys.executable, "-c", "pass"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_RUNS + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - started)
    kept = {name: taken[1:] for name, taken in seconds.items()}  # the first may read from a cold disk
    rows = [
        {
            "part": "start",
            "name": name,
            "seconds": statistics.median(taken),
            "low": min(taken),
            "high": max(taken),
            "runs": len(taken),
        }
        for name, taken in kept.items()
    ]
    return rows, {f"help_within_{_TARGET_SECONDS:g}_s": statistics.median(kept["hone --help"]) <= _TARGET_SECONDS}
