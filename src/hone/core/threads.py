"""How long OpenMP's threads spin before they sleep. Read when torch loads its OpenMP runtime, so it is asked before any import of torch.

A thread that spins is there at once when the next operation comes, and in the gaps between them holds a core that others may need.
"""

import os
import socket
import time
from pathlib import Path

__all__ = ["spin_count"]

_ALONE, _BESIDE_OTHERS = 100_000, 1_000  # rounds: some milliseconds, some ten microseconds
_LOOKS = 3  # a millisecond apart


def spin_count(loads: Path = Path("/proc/loadavg"), *, name: str = "hone-spins") -> int:
    """Rounds to spin: many where nothing else wants to run on this machine now and no other process of hone's does so, else few.

    Measured on two cores (docs/log.md): alone 15% more tokens a second with many; two that both spin long get a seventh of what they get with
    few, and a second that spins little stands well beside a first that spins long.

    Args:
        loads: proc(5), whose fourth field counts the runnable. name: by which processes of one user know that one of them spins, until it ends.
    """
    return _ALONE if _is_idle(loads) and _is_first(name) else _BESIDE_OTHERS


def _is_idle(loads: Path) -> bool:
    try:
        for look in range(_LOOKS):
            if look:
                time.sleep(0.001)
            if int(loads.read_text().split()[3].split("/")[0]) > 1:  # this process is one
                return False
    except (OSError, IndexError, ValueError):
        return False
    return True


def _is_first(name: str) -> bool:
    """Whether no other process has taken the name; it is an address that only Linux has, no file, and free again when this process ends."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0{name}-{os.getuid()}")
    except OSError:
        held.close()
        return False
    held.detach()  # it stays open until the process ends
    return True
