"""The commands from end to end, with the real starter encoder on rows whose answer is known."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from notes import sentences, write_csv
from safetensors.numpy import load_file

import hone
from hone.cli.main import run
from hone.compare.records import Comparison
from hone.core.errors import Failed

QUICK = ["--strategies", "zero_shot,head", "--budget", "60s", "--quiet"]
ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "GOMP_SPINCOUNT": "1000"}


def test_a_table_leads_to_a_measured_recommendation_and_a_bundle_that_answers(rows_csv: Path, tmp_path: Path, capsys):
    out = tmp_path / "run"
    config = tmp_path / "quick.yaml"
    config.write_text("strategies: zero_shot,few_shot,nearest,head,contrastive,lora,full\nepochs: 2\narms: 1\n")
    assert run(["compare", str(rows_csv), "--config", str(config), "--out", str(out), "--quiet"]) == 0
    table = capsys.readouterr().out
    assert "Recommended:" in table
    assert max(len(line) for line in table.splitlines() if "/" not in line) <= 100
    record = Comparison.model_validate_json((out / "comparison.json").read_text())
    schema = json.loads((Path(hone.__file__).parent / "compare" / "comparison.schema.json").read_text())
    jsonschema.validate(json.loads((out / "comparison.json").read_text()), schema)
    best = next(row for row in record.rows if row.strategy == record.recommended.strategy)
    assert best.metrics["accuracy"].value >= 0.9
    assert {row.strategy for row in record.rows} == {"zero_shot", "few_shot", "nearest", "head", "contrastive", "lora", "full"}
    for row in record.rows:
        lines = (out / "strategies" / row.strategy / "predictions.jsonl").read_text().splitlines()
        right = [json.loads(line)["label"] == json.loads(line)["predicted"] for line in lines]
        assert len(lines) == record.data.test
        assert sum(right) / len(right) == pytest.approx(row.metrics["accuracy"].value)
        assert row.cost.train_seconds > 0
        assert row.cost.bytes_on_disk > 0
    assert (out / "report.html").read_text().startswith("<!doctype html>") or "<html" in (out / "report.html").read_text()[:200]
    assert not (out / "work").exists()

    assert run(["predict", str(out / "best"), "the rook takes a pawn, check", "knead the dough, then the oven"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["chess", "bread"]

    assert run(["report", str(out), "--out", str(tmp_path / "again.html")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == table.splitlines()[0]
    assert (tmp_path / "again.html").read_text() == (out / "report.html").read_text()

    moved = out.rename(tmp_path / "moved")
    assert run(["report", str(moved)]) == 0
    assert f'hone predict {moved}/best "a text of yours"' in capsys.readouterr().out
    assert str(out) not in (moved / "report.html").read_text()


def test_json_on_stdout_is_the_record_and_nothing_else(rows_csv: Path, tmp_path: Path, capsys):
    assert run(["compare", str(rows_csv), *QUICK, "--out", str(tmp_path / "run"), "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads((tmp_path / "run" / "comparison.json").read_text())


def test_the_written_configuration_repeats_the_numbers(rows_csv: Path, tmp_path: Path):
    assert run(["compare", str(rows_csv), *QUICK, "--out", str(tmp_path / "one")]) == 0
    assert run(["compare", "--config", str(tmp_path / "one" / "config.yaml"), "--out", str(tmp_path / "two"), "--quiet"]) == 0
    first, second = (Comparison.model_validate_json((tmp_path / name / "comparison.json").read_text()) for name in ("one", "two"))
    assert {row.strategy: row.metrics for row in first.rows} == {row.strategy: row.metrics for row in second.rows}
    assert first.data.split_digest == second.data.split_digest


def test_from_python_the_same_comes_back_as_a_record(rows_csv: Path, tmp_path: Path):
    compared = hone.compare(str(rows_csv), strategies="head,nearest", budget="60s", out=str(tmp_path / "run"))
    assert "Recommended:" in compared.table()
    assert compared.best.predict(["a mast, a sail and the tide"])[0].label == "boats"
    compared.report(tmp_path / "mine.html")
    assert (tmp_path / "mine.html").stat().st_size > 10_000
    assert hone.load(str(tmp_path / "run" / "best")).labels == ("boats", "bread", "chess")


def test_a_killed_run_goes_on_where_it_was(rows_csv: Path, tmp_path: Path):
    out = tmp_path / "run"
    config = tmp_path / "slow.yaml"
    config.write_text("strategies: head,nearest,full\nepochs: 400\narms: 1\n")
    command = [sys.executable, "-m", "hone", "compare", str(rows_csv), "--config", str(config), "--out", str(out)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    finished = [out / "strategies" / name / "outcome.json" for name in ("head", "nearest")]
    deadline = time.monotonic() + 120
    while not all(path.exists() for path in finished):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = [path.stat().st_mtime_ns for path in finished]
    vectors = load_file(out / "strategies" / "head" / "validation.safetensors")
    assert not (out / "comparison.json").exists()
    # The same command, with fewer passes planned, so that the test ends: the plan of a run is a file, as is all else.
    plan = json.loads((out / "plan.json").read_text())
    (out / "plan.json").write_text(json.dumps({**plan, "epochs": 1.0}))
    again = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=200, check=False)
    assert again.returncode == 0, again.stderr
    assert "Already finished, read back: nearest neighbours, frozen encoder + head" in again.stderr
    assert [path.stat().st_mtime_ns for path in finished] == kept
    assert (load_file(out / "strategies" / "head" / "validation.safetensors")["probabilities"] == vectors["probabilities"]).all()
    assert (out / "comparison.json").exists()


def test_an_interrupt_says_that_the_same_command_goes_on(rows_csv: Path, tmp_path: Path, capsys, monkeypatch):
    from hone.strategy.head import FrozenHead

    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FrozenHead, "fit", interrupted)
    assert run(["compare", str(rows_csv), *QUICK, "--out", str(tmp_path / "run")]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert (tmp_path / "run" / "strategies" / "zero_shot" / "outcome.json").exists()
    monkeypatch.undo()
    assert run(["compare", str(rows_csv), *QUICK, "--out", str(tmp_path / "run")]) == 0


def test_a_full_disk_gives_one_line_and_keeps_what_was_finished(rows_csv: Path, tmp_path: Path, capsys, monkeypatch):
    import errno

    import hone.compare.run as story

    def full(path: Path, _content: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    real = story.write_atomic

    def full_for_the_report(path: Path, content: str) -> None:
        if path.name == "report.html":
            from hone.core.store import disk_errors

            with disk_errors(path):
                full(path, content)
        real(path, content)

    monkeypatch.setattr(story, "write_atomic", full_for_the_report)
    assert run(["compare", str(rows_csv), *QUICK, "--out", str(tmp_path / "run")]) == Failed.exit_code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "disk is full" in said
    assert "report.html" in said
    assert (tmp_path / "run" / "strategies" / "head" / "outcome.json").exists()


def test_another_data_set_is_not_written_over_a_finished_run(rows_csv: Path, tmp_path: Path, capsys):
    out = tmp_path / "run"
    assert run(["compare", str(rows_csv), *QUICK, "--out", str(out)]) == 0
    other = write_csv(tmp_path / "other.csv", sentences(25, seed=5))
    assert run(["compare", str(other), *QUICK, "--out", str(out)]) == 3
    assert "holds a run with other rows or settings" in capsys.readouterr().err


def test_a_given_test_file_is_respected_and_leaks_into_training_are_removed(tmp_path: Path, capsys):
    rows = sentences(30)
    data = write_csv(tmp_path / "train.csv", rows)
    test = write_csv(tmp_path / "test.csv", [*sentences(10, seed=9), *rows[:4]])
    assert run(["compare", str(data), "--test", str(test), *QUICK, "--out", str(tmp_path / "run"), "--json"]) == 0
    record = Comparison.model_validate_json(capsys.readouterr().out)
    assert record.data.test == 34
    assert record.data.train + record.data.validation == 86
    assert sum(finding.count for finding in record.data.findings if finding.kind == "leak") == 4
