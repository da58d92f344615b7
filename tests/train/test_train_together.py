"""Two processes that train one network data-parallel and hold it back: both end with the same parameters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiny import save_encoder


@pytest.mark.timeout(300)
def test_processes_that_hold_a_network_with_dropout_keep_the_same_parameters(tmp_path):
    """Their generators go apart with the rows they read; what is held is drawn alike in both, and its gradient shared."""
    base = save_encoder(tmp_path / "base")
    script = Path(__file__).with_name("held_together.py")
    folders = os.pathsep.join([str(script.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1", "PYTHONPATH": folders}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(script), str(base), str(tmp_path / "told.json")],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["apart"] == 0.0
    assert max(told["penalties"]) > 0
