"""Files that are either whole or absent: atomic writes, digests, and one clear line when the disk is full."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, TypeVar

from hone.core.console import note
from hone.core.errors import BadData, Failed, HoneError, Usage
from hone.core.record import Record

__all__ = [
    "digest_file",
    "digest_text",
    "disk_errors",
    "folder_bytes",
    "open_atomic",
    "read_back",
    "read_errors",
    "read_lines",
    "read_record",
    "refuse_place",
    "replace_folder",
    "share_files",
    "write_atomic",
    "write_lines",
]

R = TypeVar("R", bound=Record)

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # a system without such locks: what a kill leaves there is the user's to remove
    fcntl = None

_JUST_MADE = 5.0  # seconds between making a temporary file and marking it as held, generously
_ANEW = "Remove it, and the same command makes it anew."


def _read_umask() -> int:
    umask = os.umask(0)  # there is no way to read it but to set it
    os.umask(umask)
    return umask


_UMASK = _read_umask()  # temporary files are made for their owner alone; what they become is for whom the user says


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says while writing into one line that names the file and the cure.

    Raises:
        Failed: no space, no permission, read-only; exit status 1.
    """
    try:
        yield
    except Exception as error:  # safetensors, tokenizers and torch hide the operating system's number behind errors of their own
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
            free = _free_space(path)
            raise Failed(
                f"The disk is full while writing {path} ({free} free). "
                "What was finished is kept. Free some space, or name another folder with --out, and run the same command again."
            ) from error
        if isinstance(error, OSError) and number in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise Failed(f"Cannot write {path}: {error.strerror}. Name another folder with --out.") from error
        raise


@contextlib.contextmanager
def read_errors(path: Path, *, cure: str = _ANEW) -> Iterator[None]:
    """Turn what is raised while a file or folder of hone's own is read into one line that names it and the cure.

    Raises:
        BadData: it is damaged, or was written by another version of hone.
    """
    try:
        yield
    except (HoneError, AssertionError, MemoryError, RuntimeError):  # not of the file
        raise
    except Exception as error:  # JSON, text, records, numpy and safetensors each raise errors of their own
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise BadData(f"{path} cannot be read: {said}. It is damaged, or of another version of hone. {cure}") from error


def read_record(path: Path, kind: type[R], *, cure: str = _ANEW) -> R:
    """A record that hone wrote.

    Raises:
        BadData: as `read_errors` does.
    """
    with read_errors(path, cure=cure):
        return kind.model_validate_json(path.read_text(encoding="utf-8"))


def read_back(path: Path, kind: type[R], *, verb: str, told: Callable[[R], str]) -> R:
    """The record of a run that the same command has finished before, which is told; what is left of its work goes.

    Args:
        path: of the record, in the run folder. verb: what was done: train. told: how long that took.
    Raises:
        BadData: as `read_errors` does.
    """
    out = path.parent
    done = read_record(path, kind, cure=f"Remove {out}, and the same command {verb}s anew.")
    shutil.rmtree(out / "work", ignore_errors=True)
    note(f"Finished before, in {told(done)}, and read back from {out}. To {verb} anew, remove it or name another --out.")
    return done


def _free_space(path: Path) -> str:
    for folder in (path, *path.parents):
        if folder.exists():
            return f"{shutil.disk_usage(folder).free / 2**20:,.0f} MB"
    return "unknown space"


def refuse_place(path: Path, *, is_file: bool = True) -> None:
    """Refuse a place where what is to be written cannot lie: a file in a folder's place, or a folder in a file's.

    Raises:
        Usage: with what to name instead.
    """
    if blocking := next((one for one in path.parents if one.exists() and not one.is_dir()), None):
        raise Usage(f"{blocking} is a file, and a folder is needed there to write {path}. Name another place with --out.")
    if is_file and path.is_dir():
        raise Usage(f"{path} is a folder, and a file is to be written. Name a file with --out, such as one in {path}.")
    if not is_file and path.exists() and not path.is_dir():
        raise Usage(f"{path} is a file, and a folder is to be written. Name a folder with --out.")


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """A file to write so that a reader, or a kill at any moment, sees the old one or the new one and never a part.

    Raises:
        Failed: the disk is full or not writable. Usage: the path is a folder, or lies in a file.
    """
    with disk_errors(path):
        refuse_place(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                _hold(handle)
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_UMASK)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sweep(path)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file through `open_atomic`."""
    with open_atomic(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def write_lines(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write JSON lines atomically, in the order given."""
    write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_lines(path: Path) -> Iterator[dict[str, object]]:
    """Read JSON lines written by `write_lines`, one at a time."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


@contextlib.contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Fill a temporary folder; on success it takes the place of `path`, on failure it vanishes. `path` is never there in part.

    Raises:
        Failed: the disk is full or not writable. Usage: `path` is a file, or lies in one.
    """
    with disk_errors(path):
        refuse_place(path, is_file=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        handle = os.open(temporary, os.O_RDONLY) if fcntl else None
        try:
            if handle is not None:
                _hold(handle)
            yield temporary
            temporary.chmod(0o777 & ~_UMASK)
            share_files(temporary)
            _swap(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        finally:
            if handle is not None:
                os.close(handle)
        _sweep(path)


def _hold(handle: int) -> None:
    """Mark what is being written as such, until it is closed or this process ends, however it ends."""
    if fcntl:
        with contextlib.suppress(OSError):  # a file system without locks: then nothing is swept there either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sweep(path: Path) -> None:
    """Remove what killed processes left half written beside a path that is now whole."""
    if not fcntl:
        return
    left = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}(\.old)?")
    found: list[Path] = []
    with contextlib.suppress(OSError):  # a folder that may be written and not listed
        found = [one for one in path.parent.iterdir() if left.fullmatch(one.name)]
    for one in found:
        with contextlib.suppress(OSError):  # another process was quicker, or the file system has no locks
            if one.stat().st_mtime < time.time() - _JUST_MADE:
                handle = os.open(one, os.O_RDONLY)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(one) if one.is_dir() else one.unlink()
                finally:
                    os.close(handle)


def share_files(folder: Path) -> None:
    """Let the umask say who reads the files below a folder: safetensors makes its files for their owner alone."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.stat().st_mode & 0o077:
            path.chmod(path.stat().st_mode & 0o777 | 0o666 & ~_UMASK)


def _swap(new: Path, path: Path) -> None:
    """Move the old folder aside before the new one comes: removing it takes time, in which a kill would leave a part."""
    if not path.exists():
        new.replace(path)
        return
    old = new.with_name(f"{new.name}.old")
    path.replace(old)
    try:
        new.replace(path)
    except BaseException:
        old.replace(path)
        raise
    shutil.rmtree(old)


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; reads it in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_text(*parts: str) -> str:
    """SHA-256 over texts; a separator keeps ("ab", "c") and ("a", "bc") apart."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def folder_bytes(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
