"""How long threads spin before they sleep."""

import pytest

from hone.core.threads import spin_count


@pytest.mark.parametrize(
    ("said", "spins_long"),
    [
        ("0.20 0.18 0.12 1/80 11206\n", True),
        ("0.20 0.18 0.12 2/80 11206\n", False),
        ("8.00 8.00 8.00 1/80 11206\n", True),  # what ran before does not count
        ("something else\n", False),
        ("", False),
    ],
)
def test_threads_spin_long_only_where_nothing_else_runs(said, spins_long, tmp_path):
    loads = tmp_path / "loadavg"
    loads.write_text(said)
    few = spin_count(tmp_path / "no such system")
    assert (spin_count(loads) > 10 * few) == spins_long
