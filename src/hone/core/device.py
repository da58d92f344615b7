"""The machine: cores, memory, arithmetic, and the peak memory of a stretch of code.

torch is imported inside the functions that need it. The one surprise: on Linux the kernel's own peak
counter is reset and read (`/proc/self/clear_refs`), so a short peak is not missed; elsewhere a thread samples.
"""

import contextlib
import ctypes
import gc
import os
import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hone.core.allocator import has_glibc

if TYPE_CHECKING:
    import torch

__all__ = [
    "Peak",
    "available_memory",
    "best_device",
    "core_count",
    "has_fast_bf16",
    "keep_freed_memory",
    "peak_memory",
    "processor_name",
    "release_memory",
    "resident_memory",
    "return_freed_pages",
    "total_memory",
]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def core_count() -> int:
    """Cores this process may use (respects taskset and cgroup affinity)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory() -> int:
    """Bytes of main memory in the machine."""
    import psutil

    return int(psutil.virtual_memory().total)


def available_memory() -> int:
    """Bytes of main memory free for new work now."""
    import psutil

    return int(psutil.virtual_memory().available)


@cache
def _cpu_flags() -> frozenset[str]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return frozenset()
    for line in info.read_text(errors="replace").splitlines():
        if line.startswith("flags"):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def processor_name() -> str:
    """The processor's name as the system gives it, with the core count left out."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def best_device() -> "torch.device":
    """CUDA when it is there, else the CPU. `CUDA_VISIBLE_DEVICES` is respected by torch itself."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_fast_bf16(device: "torch.device") -> bool:
    """Whether bf16 matrix products run on units made for them: AVX512-BF16 or AMX on a CPU, compute capability 8 on a GPU.

    Elsewhere bf16 is emulated and slower than fp32.
    """
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_capability(device)[0] >= 8
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16"})


@cache
def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory instead of returning it to the kernel at each step.

    Large short-lived tensors otherwise page-fault again and again. A no-op outside glibc.
    """
    if not has_glibc():
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD in malloc.h
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(trim_threshold, 512 * 2**20)
    libc.mallopt(mmap_threshold, 32 * 2**20)  # the most that glibc takes; more is refused, and 128 KiB then holds


def release_memory() -> None:
    """Give memory that nothing uses any more back to the system: networks that were thrown away, and glibc's free pages.

    Without it the peak of each training adds to what the last one left behind.
    """
    gc.collect()
    return_freed_pages()


def return_freed_pages() -> None:
    """Give glibc's free pages back to the system: a millisecond, where a whole collection takes hundreds."""
    if has_glibc():
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def resident_memory() -> int:
    """Bytes of main memory that this process holds now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


@dataclass
class Peak:
    """Filled when the `peak_memory` block ends: resident bytes of this process at their highest, or GPU bytes on CUDA."""

    bytes: int | None = None


@contextlib.contextmanager
def peak_memory(device: "torch.device | None" = None) -> Iterator[Peak]:
    """Measure the peak memory of a block: of this process on a CPU, of torch's allocator on a GPU."""
    peak = Peak()
    if device is not None and device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device)
    elif _reset_kernel_peak():
        yield peak
        peak.bytes = _kernel_peak()
    else:
        with _sampled_peak(peak):
            yield peak


def _reset_kernel_peak() -> bool:
    try:
        _CLEAR.write_text("5")  # proc(5): 5 resets the peak resident set size
    except OSError:
        return False
    return True


def _kernel_peak() -> int | None:
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


@contextlib.contextmanager
def _sampled_peak(peak: Peak) -> Iterator[None]:
    done, highest = threading.Event(), resident_memory()

    def sample() -> None:
        nonlocal highest
        while not done.wait(0.02):
            highest = max(highest, resident_memory())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        peak.bytes = highest
