"""How long OpenMP's threads spin before they sleep. Read when torch loads its OpenMP runtime, so it is asked before any import of torch.

A thread that spins is there at once when the next operation comes, and in the gaps between them holds a core that others may need.
"""

import time
from pathlib import Path

__all__ = ["spin_count"]

_ALONE, _BESIDE_OTHERS = 100_000, 1_000  # rounds: some milliseconds, some ten microseconds
_LOOKS = 3  # a millisecond apart


def spin_count(loads: Path = Path("/proc/loadavg")) -> int:
    """Rounds to spin: many where nothing else wants to run on this machine now, else few.

    Measured on two cores (docs/log.md): alone 15% more tokens a second with many; two that both spin long get a seventh of what they get with
    few, and a second that spins little stands well beside a first that spins long. `loads`: proc(5), whose fourth field counts the runnable.
    """
    try:
        for look in range(_LOOKS):
            if look:
                time.sleep(0.001)
            if int(loads.read_text().split()[3].split("/")[0]) > 1:  # this process is one
                return _BESIDE_OTHERS
    except (OSError, IndexError, ValueError):
        return _BESIDE_OTHERS
    return _ALONE
