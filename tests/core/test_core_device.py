"""Peak memory sees what is already gone when the block ends; the machine is described without torch."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hone.core import device
from hone.core.device import available_memory, core_count, peak_memory, processor_name, total_memory

MEGABYTES = 200


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def allocate_and_free(seconds=0.0):
    """Touch 200 MB straight from the kernel, past any allocator that keeps freed memory."""
    import time

    with mmap.mmap(-1, MEGABYTES * 2**20) as memory:
        for at in range(0, len(memory), mmap.PAGESIZE):
            memory[at] = 1
        time.sleep(seconds)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_that_is_freed_inside_the_block_is_seen():
    before = resident()
    with peak_memory() as peak:
        allocate_and_free()
    assert before + MEGABYTES * 2**20 * 0.95 < peak.bytes < before + MEGABYTES * 2**20 * 1.5
    assert resident() < before + MEGABYTES * 2**20 / 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_an_earlier_higher_peak_does_not_count():
    allocate_and_free()
    before = resident()
    with peak_memory() as peak:
        pass
    assert peak.bytes < before + MEGABYTES * 2**20 / 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_without_the_kernels_counter_a_thread_samples(monkeypatch, tmp_path):
    monkeypatch.setattr(device, "_CLEAR", tmp_path / "no" / "such" / "file")
    before = resident()
    with peak_memory() as peak:
        allocate_and_free(seconds=0.2)
    assert peak.bytes > before + MEGABYTES * 2**20 * 0.95


def test_the_machine_has_a_name_cores_and_memory():
    assert processor_name() and core_count() >= 1
    assert 0 < available_memory() <= total_memory()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_only_the_cores_this_process_may_use_are_counted():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from hone.core.device import core_count; print(core_count())"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "1\n"
