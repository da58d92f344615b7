"""The process's allocator: tensors without holes between them, on Linux with glibc.

`allocator.c` is built when hone is installed, where there is a C compiler, and has to be loaded before anything else. So the `hone` command
starts itself once more with it in `LD_PRELOAD`, as launchers of torch do with jemalloc. A program that imports hone gets it by setting
`LD_PRELOAD` to `allocator_path()`; without it all works, and training takes up to a quarter more memory.
"""

import os
import sys
from pathlib import Path

from hone.core.compiled import built_library

__all__ = ["allocator_path", "has_allocator", "has_glibc", "preload_allocator"]

_PRELOAD, _MARK = "LD_PRELOAD", "HONE_PRELOADED"


def has_glibc() -> bool:
    """Whether this process's C library is glibc."""
    return sys.platform == "linux" and (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")


def allocator_path() -> Path | None:
    """The built `allocator.c`; None where it could not be built, `LD_PRELOAD` cannot name it, or the C library is not glibc."""
    if not has_glibc():
        return None
    path = built_library("allocator")
    return None if path is None or set(str(path)) & set(" :") else path  # they part names there


def has_allocator() -> bool:
    """Whether this process's tensors come from `allocator.c`."""
    import ctypes

    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "hone_allocator")


def preload_allocator() -> None:
    """Start this very command again with the allocator loaded; returns where it is already, cannot be, or another one is asked for.

    The process stays the same (its number, its open files), and what it starts in turn is not told to load anything.
    """
    if os.environ.pop(_MARK, None):
        os.environ.pop(_PRELOAD, None)
        return
    path = allocator_path()
    if path is None or _PRELOAD in os.environ or not sys.executable:
        return
    os.environ.update({_PRELOAD: str(path), _MARK: "1"})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
