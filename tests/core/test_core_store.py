"""A file is the old one or the new one, never a part: through exceptions, kills, and full disks."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from hone.core.claim import claim_folder
from hone.core.errors import BadData, Failed, Usage
from hone.core.store import (
    digest_file,
    digest_text,
    disk_errors,
    folder_bytes,
    read_errors,
    read_lines,
    replace_folder,
    write_atomic,
    write_lines,
)


def full_disk(*_arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


def killed_while(code):
    """Run code in another process that ends itself with SIGKILL at the point marked by `die`."""
    preamble = "import os, shutil, signal, sys\nfrom pathlib import Path\nfrom hone.core import store\n"
    preamble += "def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", preamble + code], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize("content", ["grüße\n", b"\x00\xff", ""])
def test_what_is_written_is_read_back(tmp_path, content):
    path = tmp_path / "deep" / "er" / "file"
    write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_exception_while_writing_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, error):
    path = tmp_path / "result.json"
    write_atomic(path, "old")

    def interrupted(_handle):
        raise error

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(error):
        write_atomic(path, "new, and longer")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("door", ["store.os.fsync", "store.Path.replace"])
def test_a_kill_while_writing_leaves_the_old_file_whole(tmp_path, door):
    path = tmp_path / "result.json"
    write_atomic(path, "old")
    killed_while(f"{door} = die\nstore.write_atomic(Path({str(path)!r}), 'new' * 100_000)")
    assert path.read_text() == "old"
    write_atomic(path, "newer")
    assert path.read_text() == "newer"


def test_a_full_disk_is_one_line_with_the_file_and_the_cure_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_atomic(path, "old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(Failed) as caught:
        write_atomic(path, "new")
    message = str(caught.value)
    assert caught.value.exit_code == 1
    assert message.startswith(f"The disk is full while writing {path} (") and " MB free" in message and "--out" in message
    assert "\n" not in message
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_before_the_first_byte_is_the_same_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: full_disk())
    with pytest.raises(Failed, match="The disk is full"):
        write_atomic(tmp_path / "result.json", "new")


@pytest.mark.parametrize(
    "error",
    [
        Exception("No space left on device (os error 28)"),  # tokenizers
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0, No space left on device"),
    ],
)
def test_a_full_disk_is_recognised_where_a_library_hides_the_error_number(tmp_path, error):
    with pytest.raises(Failed, match="The disk is full"), disk_errors(tmp_path / "model"):
        raise error


def test_safetensors_own_error_for_a_full_disk_is_recognised(tmp_path):
    from safetensors import SafetensorError

    with pytest.raises(Failed, match="The disk is full"), disk_errors(tmp_path / "model"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, number):
    with pytest.raises(Failed, match=r"Cannot write .*--out"), disk_errors(tmp_path):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone"), ValueError("our own mistake"), KeyError("x")])
def test_other_errors_pass_unchanged(tmp_path, error):
    with pytest.raises(type(error)) as caught, disk_errors(tmp_path):
        raise error
    assert caught.value is error


def test_a_folder_where_a_file_is_wanted_and_the_other_way_round_is_one_line_with_the_cure(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Usage, match=r"is a folder, .* Name a file with --out"):
        write_atomic(tmp_path, "new")
    with pytest.raises(Usage, match=r"file is a file, and a folder is needed there"):
        write_atomic(tmp_path / "file" / "deeper" / "report.html", "new")
    for claim in (lambda: claim_folder(str(tmp_path / "file"), "rows.csv", key="k"), lambda: fill(tmp_path / "file", "new")):
        with pytest.raises(Usage, match="file is a file, and a folder is to be written"):
            claim()
    with pytest.raises(Usage, match="file is a file, and a folder is needed there"):
        claim_folder(str(tmp_path / "file" / "run"), "rows.csv", key="k")
    assert (tmp_path / "file").read_text() == "mine" and list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_lines_come_back_in_order_with_their_letters(tmp_path):
    rows = [{"text": "größe\nzwei"}, {"n": 1, "inner": {"a": [1.5, None]}}, {}]
    write_lines(tmp_path / "rows.jsonl", rows)
    assert list(read_lines(tmp_path / "rows.jsonl")) == rows
    assert "größe" in (tmp_path / "rows.jsonl").read_text(encoding="utf-8")


def fill(path, content):
    with replace_folder(path) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text(content)


def test_the_umask_says_who_reads_the_files_of_a_folder_however_they_were_made(tmp_path, monkeypatch):
    monkeypatch.setattr("hone.core.store._UMASK", 0o027)
    with replace_folder(tmp_path / "best") as folder:
        (folder / "inner").mkdir()
        for name, mode in (("model.safetensors", 0o600), ("run.sh", 0o700), ("given.txt", 0o604)):
            (folder / "inner" / name).write_text("x")
            (folder / "inner" / name).chmod(mode)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "best" / "inner").iterdir()}
    assert modes == {"model.safetensors": 0o640, "run.sh": 0o740, "given.txt": 0o604}


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    path = tmp_path / "runs" / "best"
    fill(path, "old")
    (path / "stale").write_text("of the old one")
    fill(path, "new")
    assert (path / "inner" / "file").read_text() == "new" and not (path / "stale").exists()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_folder_that_fails_leaves_the_old_one_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "best"
    fill(path, "old")
    with pytest.raises(error), replace_folder(path) as folder:
        (folder / "half").write_text("new")
        raise error
    assert (path / "inner" / "file").read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_while_a_folder_is_written_keeps_the_old_one(tmp_path):
    path = tmp_path / "best"
    fill(path, "old")
    with pytest.raises(Failed, match="The disk is full"), replace_folder(path):
        full_disk()
    assert (path / "inner" / "file").read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_kill_while_the_old_folder_is_removed_leaves_the_new_one_in_place(tmp_path):
    path = tmp_path / "best"
    fill(path, "old")
    killed_while(
        "shutil.rmtree = die\n"
        f"with store.replace_folder(Path({str(path)!r})) as folder:\n"
        "    (folder / 'inner').mkdir()\n"
        "    (folder / 'inner' / 'file').write_text('new')\n"
    )
    assert (path / "inner" / "file").read_text() == "new"


def test_the_old_folder_returns_when_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    path = tmp_path / "best"
    fill(path, "old")
    move, moves = os.replace, []

    def second_fails(source, target, **named):
        moves.append(target)
        if len(moves) == 2:
            full_disk()
        move(source, target, **named)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(Failed, match="The disk is full"):
        fill(path, "new")
    assert (path / "inner" / "file").read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_digests_keep_neighbouring_texts_apart(tmp_path):
    assert digest_text("ab", "c") != digest_text("a", "bc") != digest_text("abc")
    (tmp_path / "abc").write_bytes(b"abc")
    # The example of FIPS 180-2, appendix B.1
    assert (
        digest_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" == digest_text("abc")
    )


def test_a_folders_bytes_are_those_of_all_files_below(tmp_path):
    write_atomic(tmp_path / "a", b"x" * 10)
    write_atomic(tmp_path / "deep" / "b", b"x" * 5)
    assert folder_bytes(tmp_path) == 15
    shutil.rmtree(tmp_path / "deep")
    assert folder_bytes(tmp_path) == 10


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00", b"[]"])
def test_a_damaged_file_of_a_run_is_one_line_with_the_cure(tmp_path, content):
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with (
        pytest.raises(BadData, match=r"plan.json cannot be read: .+ Remove it, and the same command makes it anew"),
        read_errors(path),
    ):
        json.loads(path.read_text(encoding="utf-8"))["a"]


def test_a_fault_that_is_not_the_files_stays_what_it_is(tmp_path):
    for error in (AssertionError, MemoryError, RuntimeError, Usage, PermissionError):
        with pytest.raises(error), read_errors(tmp_path):
            raise error("x")


def test_a_run_folder_with_a_damaged_stamp_is_that_of_another_run(tmp_path):
    (tmp_path / "run.key").write_bytes(b"\xff\xfe")
    with pytest.raises(Usage, match="other rows or settings"):
        claim_folder(str(tmp_path), "rows.csv", key="k")


@pytest.mark.skipif(os.name != "posix", reason="needs locks that end with their process")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_a_kill_left_half_written_goes_when_the_same_place_is_written_again(tmp_path, what):
    import fcntl

    place = tmp_path / "best"
    writing = {"file": "store.open_atomic(p) as f", "folder": "store.replace_folder(p) as f"}[what]
    killed_while(f"p = Path({str(place)!r})\nwith {writing}: die()")
    (litter,) = tmp_path.iterdir()
    os.utime(litter, (0, 0))
    held = tmp_path / ".best.abcd_123"
    held.write_text("of a process that is at work")
    other = tmp_path / ".best.of-the-user"
    other.write_text("kept")
    for path in (held, other):
        os.utime(path, (0, 0))
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if what == "file":
            write_atomic(place, "whole")
        else:
            with replace_folder(place) as new:
                write_atomic(new / "whole", "")
        assert sorted(tmp_path.iterdir()) == [held, other, place]
