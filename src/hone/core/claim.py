"""A run's folder: claimed for one run by its key, and for one process at a time by a lock that ends with the process, however it ends."""

import contextlib
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import IO

from hone.core.errors import Failed, HoneError, Usage
from hone.core.store import disk_errors, refuse_place, write_atomic

__all__ = ["LOCK", "RUN_STAMP", "claim_folder", "only_process", "release_folder", "released_if_refused"]

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # a system without such locks: two processes at once are then the user's to avoid
    fcntl = None

RUN_STAMP = "run.key"
"""The file by which a folder is known to be that of a run."""
LOCK = ".lock"
"""The file that a process holds while it works in a folder."""


@contextlib.contextmanager
def only_process(folder: Path, *, doing: str = "working in") -> Iterator[None]:
    """Inside this block no other process works in the folder; a killed process leaves no lock behind.

    Raises:
        Failed: another one is at work there now. Usage: the folder is a file.
    """
    with disk_errors(folder):
        refuse_place(folder, is_file=False)
        folder.mkdir(parents=True, exist_ok=True)
        file = _lock(folder, doing)
    try:
        yield
    finally:
        if file is not None:
            with contextlib.suppress(OSError), file:
                if _lies_at(file, folder / LOCK):
                    (folder / LOCK).unlink()  # while it is held, so that nobody else can hold what is removed


def _lock(folder: Path, doing: str) -> IO[str] | None:
    """The held file; None on a system, or a file system, without such locks."""
    path = folder / LOCK
    while fcntl:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            with file:
                file.seek(0)
                holder = file.read()
            raise Failed(
                f"Another process is {doing} {folder}{holder and f' (process {holder})'}. Wait for it to end, or name another folder "
                "with --out."
            ) from error
        except OSError:
            file.close()
            return None
        if _lies_at(file, path):
            file.truncate(0)
            file.write(f"{os.getpid()} on {platform.node()}")
            file.flush()
            return file
        file.close()  # who held it has just removed it
    return None


def _lies_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def claim_folder(out: str | None, data: str, *, key: str, until: contextlib.ExitStack | None = None) -> Path:
    """The folder of a run: the one asked for, else `runs/` and a name made of the data's name and the key.

    Args:
        key: digest of everything that decides the run's results; the same key goes on where a run stopped.
        until: no other process works in the folder until it closes; None where another process of the same run sees to that.
    Raises:
        Usage: the folder holds another run, or other files, or is a file. Failed: another process is at work there.
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(data).stem).strip("-") or "data"
    folder = Path(out) if out else Path("runs") / f"{stem}-{key[:8]}"
    refuse_place(folder, is_file=False)
    _refuse_other_run(folder, key)
    if until is not None:
        until.enter_context(only_process(folder))
        _refuse_other_run(folder, key)  # one that has begun meanwhile
    write_atomic(folder / RUN_STAMP, key)
    return folder


def _refuse_other_run(folder: Path, key: str) -> None:
    stamp = folder / RUN_STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8", errors="replace") != key:
        raise Usage(
            f"{folder} holds a run with other rows or settings. Name another folder with --out, or remove it to start anew."
        )
    if not stamp.exists() and folder.exists() and not all(map(_is_of_claiming, folder.iterdir())):
        raise Usage(f"{folder} is not empty and holds no run. Name another folder with --out.")


def _is_of_claiming(path: Path) -> bool:
    """Whether it is what a kill leaves between the first look at a folder and its stamp, or the stamp itself."""
    return path.name in (LOCK, RUN_STAMP) or path.name.startswith(f".{RUN_STAMP}.")


def release_folder(folder: Path) -> None:
    """Give a claimed folder back, as long as nothing else lies in it: what was refused leaves nothing behind."""
    if (folder / RUN_STAMP).exists() and all(map(_is_of_claiming, folder.iterdir())):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


@contextlib.contextmanager
def released_if_refused(folder: Path) -> Iterator[None]:
    """Give a claimed folder back when what is asked for in this block is refused."""
    try:
        yield
    except HoneError:
        release_folder(folder)
        raise
