"""Two processes that train one network data-parallel and hold it back: both end with the same parameters, after a kill, too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiny import save_encoder


def launch(name, tmp_path):
    """What a script of this folder tells when two processes run it with a tiny encoder that drops out."""
    base = save_encoder(tmp_path / "base")
    script = Path(__file__).with_name(name)
    folders = os.pathsep.join([str(script.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1", "PYTHONPATH": folders}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(script), str(base), str(tmp_path / "told.json")],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((tmp_path / "told.json").read_text())


@pytest.mark.timeout(300)
def test_processes_that_hold_a_network_with_dropout_keep_the_same_parameters(tmp_path):
    """Their generators go apart with the rows they read; what is held is drawn alike in both, and its gradient shared."""
    told = launch("held_together.py", tmp_path)
    assert told["apart"] == 0.0
    assert max(told["penalties"]) > 0


@pytest.mark.timeout(300)
def test_processes_with_dropout_go_on_with_the_same_bits(tmp_path):
    """One process writes the checkpoint, and what falls by chance in the other must come back, too."""
    told = launch("resumed_together.py", tmp_path)
    assert len(told["losses"]) == 8 and len(told["later"]) == 4
    assert told["later"] == told["losses"][4:]
    assert told["apart"] == 0.0
