"""What the operating system refuses or asks for: one line and an exit status, never a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hone.cli.main import run


@pytest.mark.parametrize(
    "command",
    [
        ["check", "NAME.csv"],
        ["compare", "rows.csv", "--strategies", "zero_shot", "--out", "NAME"],
        ["predict", "NAME", "a text"],
        ["card", "NAME"],
        ["index", "NAME", "--out", "index"],
        ["curate", "NAME"],
        ["report", "NAME"],
    ],
    ids=lambda command: command[0],
)
def test_a_name_longer_than_a_file_may_have_is_one_line(command, rows_csv: Path, capsys, monkeypatch):
    monkeypatch.chdir(rows_csv.parent)
    rows_csv.rename("rows.csv")
    assert run([part.replace("NAME", 300 * "n") for part in command]) == 3
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("Error: nnn") and said.endswith("Give it a shorter name.")


def test_a_folder_that_is_removed_while_a_command_runs_is_one_line(tmp_path: Path, capsys, monkeypatch):

    def gone(*_arguments, **_named):
        raise FileNotFoundError(2, "No such file or directory", str(tmp_path / "run" / "outcome.json"))

    monkeypatch.setattr("hone.serve.load_answering", gone)
    assert run(["predict", str(tmp_path), "a text"]) == 1
    assert "outcome.json: No such file or directory. Look whether it was removed" in capsys.readouterr().err


def test_a_letter_that_the_terminal_lacks_is_written_as_its_code():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    code = "import sys; from hone.cli import main; main.run = lambda _: print('gr\u00fc\u00dfe') or 0; main.main([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "gr\\xfc\\xdfe\n", "")


def test_a_command_that_is_asked_to_end_tidies_up_and_says_that_it_goes_on(tmp_path: Path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom hone.cli import main\nfrom hone.core.store import replace_folder\n"
        "class Slow:\n    def main(self, **_):\n        with replace_folder(Path(sys.argv[1]) / 'run'):\n            time.sleep(60)\n"
        "main.cli = Slow()\nmain.main([])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 60
    while time.time() < deadline and not list(tmp_path.iterdir()):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on from there" in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())
