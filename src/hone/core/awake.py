"""Processors kept awake while the network computes on them, so that threads of torch that wait for a moment are woken at once.

hone asks OpenMP's threads to sleep early, for those that spin hold what other programs need. Alone on a machine that costs time: a
processor with nothing to run sleeps, and wakes late. `awake.c`, which is built when hone is installed, where there is a C compiler, lets
threads of idle priority spin meanwhile, on Linux; beside other programs they do not run.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hone.core.compiled import built_library

if TYPE_CHECKING:
    import torch

__all__ = ["has_processor_quota", "stay_awake"]


@contextlib.contextmanager
def stay_awake(device: "torch.device") -> Iterator[None]:
    """Keep the processors awake inside this block, where it computes on a CPU and has a thread for each processor; nothing elsewhere.

    Nothing either where the process may use but a share of their time (it would be spent on waiting), or with `OMP_WAIT_POLICY=passive`,
    which asks for threads that wait to sleep. Blocks may lie within one another.
    """
    library = _library() if device.type == "cpu" and _has_a_thread_for_each_processor() else None
    if library is None:
        yield
        return
    library.hone_awake(1)
    try:
        yield
    finally:
        library.hone_awake(-1)


def _has_a_thread_for_each_processor() -> bool:
    """A thread that is woken may land on any processor, so all of them would have to spin."""
    import torch

    return 1 < torch.get_num_threads() == len(os.sched_getaffinity(0)) if sys.platform == "linux" else False


@cache
def _library() -> ctypes.PyDLL | None:
    if sys.platform != "linux" or os.environ.get("OMP_WAIT_POLICY", "").strip().lower() == "passive" or has_processor_quota():
        return None
    path = built_library("awake")
    return ctypes.PyDLL(str(path)) if path else None


def has_processor_quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> bool:
    """Whether a control group lets this process use less than all of its processors' time, as containers may.

    Args:
        root: where control groups are mounted. own: lists those of this process.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return False
    for _, controllers, place in (line.split(":", 2) for line in lines):
        if not controllers:
            mounted, name = root, "cpu.max"
        elif "cpu" in controllers.split(","):
            mounted, name = root / controllers, "cpu.cfs_quota_us"
        else:
            continue
        within = mounted / place.lstrip("/")
        for folder in (within, *within.parents):
            with contextlib.suppress(OSError):
                if (folder / name).read_text().split()[0] not in ("max", "-1"):
                    return True
            if folder == mounted:
                break
    return False
