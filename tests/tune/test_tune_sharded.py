"""`hone tune --shard`: the command in two processes, killed and continued, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from hone.cli.main import run
from hone.core.errors import Usage
from hone.tune import TuneSettings, tune_rows
from killed import CHECKPOINT_EACH_STEP
from tiny import SENTENCES

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TO_BE_KILLED = (
    "import os, pathlib, sys\n"
    f"{CHECKPOINT_EACH_STEP}"
    "pathlib.Path(sys.argv[1], 'process-' + os.environ['RANK']).write_text(str(os.getpid()))\n"
    "from hone.cli.main import main\n"
    "main(sys.argv[2:])\n"
)


@pytest.fixture
def rows(tmp_path):
    """A file of prompts and completions."""
    path = tmp_path / "rows.jsonl"
    told = [
        {"prompt": f"{text} {n}", "completion": ("it is late", "please refund")[n % 2]} for n, text in enumerate(SENTENCES * 3)
    ]
    path.write_text("\n".join(json.dumps(row) for row in told))
    return str(path)


def log_of(folder):
    """The lines of a run's log, of as many whole ones as there are."""
    path = folder / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []


def run_killed(arguments, folder, *, after):
    """Two processes that get SIGKILL after so many steps."""
    script = folder / "to_be_killed.py"
    script.write_text(TO_BE_KILLED)
    environment = os.environ | {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1"}
    command = [*LAUNCH, str(script), str(folder), *arguments, "--out", str(folder / "killed")]
    launched = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    deadline = time.time() + 600
    while time.time() < deadline and launched.poll() is None and len(log_of(folder / "killed")) <= after:
        time.sleep(0.02)
    for rank in (0, 1):
        os.kill(int((folder / f"process-{rank}").read_text()), signal.SIGKILL)
    launched.wait(timeout=300)


@pytest.mark.timeout(900)
def test_a_divided_run_learns_as_one_process_and_goes_on_after_a_kill(rows, model, tmp_path):
    arguments = ["tune", rows, "--model", model("llama"), "--method", "full", "--steps", "24", "--precision", "fp32"]
    arguments += ["--answers", "4", "--retain", "none", "--quiet"]
    assert run([*arguments, "--out", str(tmp_path / "one")]) == 0
    run_killed([*arguments, "--shard"], tmp_path, after=8)
    work = tmp_path / "killed" / "work"
    assert (work / "run.checkpoint").exists() and {path.name[-1] for path in work.glob("*-part-*")} >= {
        "0",
        "1",
    }  # beside files half written
    environment = os.environ | {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1"}
    for name in ("killed", "whole"):
        command = [*LAUNCH, "-m", "hone", *arguments, "--shard", "--out", str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True, env=environment, timeout=600)
    for one, two in zip(log_of(tmp_path / "one"), log_of(tmp_path / "whole"), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
        assert two["tokens"] == one["tokens"]
    whole, killed, one = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed", "one"))
    assert all(torch.equal(value, killed[name]) for name, value in whole.items())
    assert whole.keys() == one.keys()
    assert not work.exists()
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "whole").state_dict()
    assert all(torch.equal(theirs[name], value) for name, value in whole.items())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"method": "prompt"}, "--method prompt does not go with a network divided"),
        ({"method": "prefix"}, "virtual tokens"),
        ({"hold": "l2sp"}, "a second copy"),
        ({"remember": "self"}, "held to them"),
        ({"method": "lora", "load": "8bit"}, "--load 8bit does not go"),
        ({"compile": True}, "--compile"),
        ({}, "one alone"),
    ],
)
def test_what_cannot_be_divided_is_said_in_one_line(more, said, rows, model, tmp_path, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(Usage, match=said):
        tune_rows(TuneSettings(data=rows, model=model("llama"), out=str(tmp_path / "run"), shard=True, **more))
    assert not (tmp_path / "run").exists()
