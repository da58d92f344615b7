"""Processors are kept awake by threads of idle priority, while something computes and only where that costs nobody anything."""

import os
import subprocess
import sys

import pytest

from hone.core.awake import has_processor_quota
from hone.core.compiled import built_library

needs_library = pytest.mark.skipif(
    built_library("awake") is None
    or not hasattr(os, "sched_getaffinity")
    or len(os.sched_getaffinity(0)) < 2
    or has_processor_quota(),
    reason="hone was installed without a C compiler, not on Linux, or may use one processor or a share of several",
)

THREADS = """
import os, time, torch
from pathlib import Path
from hone.core.awake import stay_awake

CPU = torch.device("cpu")
torch.set_num_threads(len(os.sched_getaffinity(0)))

def spinning():
    "Of each thread of idle priority: its state, its processor, and whether a signal may reach it."
    found = []
    for task in Path("/proc/self/task").iterdir():
        if os.sched_getscheduler(int(task.name)) == os.SCHED_IDLE:
            status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
            found.append((status["State"].split()[0], status["Cpus_allowed_list"].strip(), int(status["SigBlk"], 16) >> 1 & 1))
    return sorted(found)

def until(wanted):
    "A thread of idle priority gets to run when nothing else wants to."
    end = time.monotonic() + 120
    while time.monotonic() < end and (set(state for state, *_ in spinning()) or {"none"}) != {wanted}:
        time.sleep(0.01)
    return "".join(sorted(set(state for state, *_ in spinning()))) or "none"

def until_found(wanted):
    "The same, of all that `spinning` says: beside other work a thread may wait for a moment between two looks."
    end = time.monotonic() + 120
    while time.monotonic() < end and spinning() != wanted:
        time.sleep(0.01)
    return time.monotonic() < end
"""
BEGINS_AND_ENDS = """
print(until("none"))
with stay_awake(CPU):
    print(until("R"))
    with stay_awake(CPU):
        pass
    print(until("R"))
    print(until_found(sorted(("R", str(processor), 1) for processor in os.sched_getaffinity(0))))
print(until("S"))
try:
    with stay_awake(CPU):
        1 / 0
except ZeroDivisionError:
    print(until("S"))
with stay_awake(CPU):
    print(until("R"), len(spinning()) == len(os.sched_getaffinity(0)))
"""
FORKS = """
with stay_awake(CPU):
    until("R")
    if (child := os.fork()) == 0:
        none = until("none")
        with stay_awake(CPU):
            begun = until("R")
        os._exit(0 if (none, begun, until("S")) == ("none", "R", "S") else 1)
    print(os.waitpid(child, 0)[1], until("R"))
"""
STAYS_ASLEEP = """
with stay_awake(CPU):
    time.sleep(0.1)
    print(len(spinning()))
"""


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", THREADS + code], check=False, capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_library
def test_each_processor_has_a_thread_of_idle_priority_while_something_computes():
    assert python(BEGINS_AND_ENDS) == ["none", "R", "R", "True", "S", "S", "R True"]


@needs_library
def test_a_forked_process_has_threads_of_its_own():
    assert python(FORKS) == ["0 R"]


@needs_library
@pytest.mark.parametrize(
    ("code", "environment"),
    [
        (STAYS_ASLEEP, {"OMP_WAIT_POLICY": "PASSIVE"}),
        ("torch.set_num_threads(1)" + STAYS_ASLEEP, {}),
        (STAYS_ASLEEP.replace("CPU", 'torch.device("meta")'), {}),
    ],
    ids=["asked not to", "one thread", "another device"],
)
def test_nothing_spins_where_it_would_not_help_or_is_not_wanted(code, environment):
    assert python(code, **environment) == ["0"]


@pytest.mark.parametrize(
    ("files", "groups", "is_limited"),
    [
        ({}, "0::/\n", False),
        ({"cpu.max": "max 100000\n"}, "0::/\n", False),
        ({"cpu.max": "200000 100000\n"}, "0::/\n", True),
        ({"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, "0::/a/b\n", True),
        ({"a/cpu.max": "50000 100000\n"}, "0::/b\n", False),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "-1\n"}, "4:cpu,cpuacct:/x\n2:memory:/x\n0::/\n", False),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "150000\n"}, "4:cpu,cpuacct:/not/seen/from/here\n", True),
    ],
)
def test_a_quota_is_seen_in_this_group_and_all_above_it(files, groups, is_limited, tmp_path):
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text)
    (tmp_path / "own").write_text(groups)
    assert has_processor_quota(tmp_path / "fs", tmp_path / "own") == is_limited
    assert not has_processor_quota(tmp_path / "fs", tmp_path / "not there")
