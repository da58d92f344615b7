"""A run that is killed in the middle of its steps and started again, beside one that was left alone."""

import os
import signal
import subprocess
import sys
import time

__all__ = ["CHECKPOINT_EACH_STEP", "run_whole_and_killed"]

CHECKPOINT_EACH_STEP = (
    "import hone.train.plan as plan\n"
    "plan.TrainPlan.model_fields['checkpoint_seconds'].default = 0.0\n"
    "plan.TrainPlan.model_rebuild(force=True)\n"
)
"""For commands whose plan takes the usual interval."""


def run_whole_and_killed(arguments, folder, *, after, always=CHECKPOINT_EACH_STEP):
    """Folders `whole` and `killed` of the same `hone` command: one in peace, one that gets SIGKILL after so many steps and is run again.

    `always`: code that makes the run to be killed write a checkpoint after each step.
    """
    environment = os.environ | {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1"}  # processes of their own
    hone = [sys.executable, "-m", "hone", *arguments, "--quiet", "--out"]
    subprocess.run([*hone, str(folder / "whole")], check=True, env=environment)
    script = f"import sys\n{always}from hone.cli.main import main\nmain(sys.argv[1:])"
    killed = [sys.executable, "-c", script, *arguments, "--out", str(folder / "killed")]
    process = subprocess.Popen(killed, stderr=subprocess.DEVNULL, env=environment)
    log = folder / "killed" / "log.jsonl"
    deadline = time.time() + 120
    while time.time() < deadline and not (log.exists() and len(log.read_text().splitlines()) > after):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (folder / "killed" / "work" / "run.checkpoint").exists()
    assert not (folder / "killed" / "hone.json").exists()
    subprocess.run([*hone, str(folder / "killed")], check=True, env=environment)
    return folder / "whole", folder / "killed"
