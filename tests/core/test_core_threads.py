"""How long threads spin before they sleep."""

import subprocess
import sys
from uuid import uuid4

import pytest

from hone.core.threads import spin_count

IDLE = "0.20 0.18 0.12 1/80 11206\n"


def few(tmp_path):
    return spin_count(tmp_path / "no such system")


@pytest.mark.parametrize(
    ("said", "spins_long"),
    [
        (IDLE, True),
        ("0.20 0.18 0.12 2/80 11206\n", False),
        ("8.00 8.00 8.00 1/80 11206\n", True),  # what ran before does not count
        ("something else\n", False),
        ("", False),
    ],
)
def test_threads_spin_long_only_where_nothing_else_runs(said, spins_long, tmp_path):
    loads = tmp_path / "loadavg"
    loads.write_text(said)
    assert (spin_count(loads, name=uuid4().hex) > 10 * few(tmp_path)) == spins_long


def test_of_two_processes_only_the_first_spins_long(tmp_path):
    """Though both found the machine idle; when the first has ended, the name is free."""
    loads, name = tmp_path / "loadavg", uuid4().hex
    loads.write_text(IDLE)
    code = f"from pathlib import Path; from hone.core.threads import spin_count; print(spin_count(Path({str(loads)!r}), name={name!r}))"

    def other():
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    assert other() > 10 * few(tmp_path)
    assert spin_count(loads, name=name) > 10 * few(tmp_path)
    assert other() == few(tmp_path)
