"""A run folder belongs to one run, and to one process at a time, whatever ends the process."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

import hone.core.claim as claim
from hone.core.claim import LOCK, RUN_STAMP, claim_folder, only_process, release_folder
from hone.core.errors import Failed, Usage
from hone.core.store import disk_errors

needs_locks = pytest.mark.skipif(os.name != "posix", reason="needs locks that end with their process")
HOLDER = """
import signal, sys, time
from contextlib import ExitStack
from hone.core.claim import claim_folder
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started these tests may have it ignored
with ExitStack() as held:
    claim_folder(sys.argv[1], "rows.csv", key="k", until=held)
    print("held", flush=True)
    time.sleep(600)
"""


@needs_locks
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_second_process_is_told_who_is_at_work_until_that_one_ends(tmp_path, end):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout.readline() == b"held\n"
        with ExitStack() as mine, pytest.raises(Failed) as caught:
            claim_folder(str(tmp_path / "run"), "rows.csv", key="k", until=mine)
        assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
        assert f"is working in {tmp_path / 'run'} (process {process.pid} on " in str(caught.value)
        assert (tmp_path / "run" / RUN_STAMP).read_text() == "k"
    finally:
        process.send_signal(end)
        process.wait()
        process.stdout.close()
    with ExitStack() as mine:
        claim_folder(str(tmp_path / "run"), "rows.csv", key="k", until=mine)
        assert str(os.getpid()) in (tmp_path / "run" / LOCK).read_text()
    assert [path.name for path in (tmp_path / "run").iterdir()] == [RUN_STAMP]


@needs_locks
def test_another_run_does_not_take_a_folder_in_which_one_begins(tmp_path):
    with only_process(tmp_path / "run"), ExitStack() as mine, pytest.raises(Failed, match="Another process is working in"):
        claim_folder(str(tmp_path / "run"), "rows.csv", key="other", until=mine)
    assert not (tmp_path / "run" / RUN_STAMP).exists()


@needs_locks
def test_a_lock_that_was_removed_by_its_holder_is_not_taken_for_the_new_one(tmp_path, monkeypatch):
    """Between opening the file and locking it, its holder ends, and a third process makes a new one."""
    import fcntl

    flock, seen = fcntl.flock, []

    def replaced(file, how):
        if not seen:
            (tmp_path / LOCK).unlink()
            (tmp_path / LOCK).write_text("")
        seen.append(os.fstat(file.fileno()).st_ino)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", replaced)
    with only_process(tmp_path):
        assert len(seen) == 2 and (tmp_path / LOCK).stat().st_ino == seen[1]


@pytest.mark.parametrize("left", [LOCK, f".{RUN_STAMP}.abcd_123"])
def test_what_a_kill_leaves_before_the_stamp_keeps_nobody_from_the_folder(tmp_path, left):
    (tmp_path / left).write_text("")
    with ExitStack() as mine:
        claim_folder(str(tmp_path), "rows.csv", key="k", until=mine)
        release_folder(tmp_path)
    assert not tmp_path.exists()


def test_other_files_are_left_alone_and_no_lock_is_laid_beside_them(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with ExitStack() as mine, pytest.raises(Usage, match="is not empty and holds no run"):
        claim_folder(str(tmp_path), "rows.csv", key="k", until=mine)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("without", ["the system", "the file system"])
def test_where_there_are_no_locks_the_run_goes_on_without(tmp_path, monkeypatch, without):
    if without == "the system":
        monkeypatch.setattr(claim, "fcntl", None)
    else:
        pytest.importorskip("fcntl")

        def refused(_file, _how):
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("fcntl.flock", refused)
    with only_process(tmp_path), only_process(tmp_path), disk_errors(tmp_path):
        pass
