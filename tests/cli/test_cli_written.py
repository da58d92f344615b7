"""The commands on rows with written answers, from end to end with a tiny decoder."""

import json
from pathlib import Path

import pytest

from hone.cli.main import run
from hone.compare.records import Comparison
from tiny_words import save_word_model, written_rows


@pytest.fixture
def rows_jsonl(tmp_path: Path) -> Path:
    """Thirty rows, one of them given twice with another answer, and one without an answer."""
    rows = [{"prompt": row.text, "completion": row.label} for row in written_rows(30)]
    rows += [{"prompt": rows[4]["prompt"], "completion": "also this"}, {"prompt": "and this?", "completion": "  "}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


CHECKED = """\
rows.jsonl: 18 rows to train on, 6 to choose on, 6 to test on, written answers; text from prompt, answer from completion.
Completions: 'prompt' to 'completion', by the columns' names.
Taken out of the run:
  - 1 row that cannot be used left out: empty text (1).
    rows.jsonl line 32: empty text
  - 1 row joined with an earlier one that asks the same; a different answer counts as right too.
    rows.jsonl line 31

In all: 2 rows taken out, 0 things to look at, 0 worth knowing.
"""


def test_written_rows_are_checked_and_what_is_left_out_is_named_with_its_line(rows_jsonl: Path, tmp_path: Path, capsys):
    model = str(save_word_model(tmp_path / "llama", "llama"))
    assert run(["check", str(rows_jsonl), "--model", model]) == 0
    assert capsys.readouterr().out == CHECKED
    assert run(["check", str(rows_jsonl), "--model", model, "--json"]) == 0
    assert [one["kind"] for one in json.loads(capsys.readouterr().out)] == ["rejected_row", "exact_duplicate"]


def test_of_dialogues_and_choices_the_check_says_where_answers_stand_and_which_columns_were_taken(tmp_path: Path, capsys):
    model = str(save_word_model(tmp_path / "llama", "llama"))
    well = {"role": "assistant", "content": "well"}
    rows = [{"messages": [{"role": "user", "content": f"hello {n}"}, well]} for n in range(20)]
    talks, asked = tmp_path / "talks.jsonl", tmp_path / "asked.jsonl"
    talks.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    rows = [{"question": f"how many are {n}?", "options": ["one", f"all {n}", "none"], "answer": "ABC"[n % 3]} for n in range(20)]
    asked.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert run(["check", str(talks), "--model", model]) == 0
    assert (
        "written answers; text from messages, answer from the assistant's last turn.\nDialogues: 'messages'"
        in capsys.readouterr().out
    )
    assert run(["check", str(asked), "--model", model]) == 0
    told = capsys.readouterr().out
    assert (
        "up to 3 choices; text from question, answer from answer.\nMultiple choice: 'question', the choices in 'options'" in told
    )


def test_written_rows_lead_to_a_table_a_record_and_a_bundle_that_writes(rows_jsonl: Path, tmp_path: Path, capsys):
    model, out = save_word_model(tmp_path / "llama", "llama"), tmp_path / "run"
    config = tmp_path / "quick.yaml"
    config.write_text("strategies: first_sentences,zero_shot,lora\nepochs: 1\narms: 1\nbatch_rows: 8\nprecision: fp32\n")
    compare = ["compare", str(rows_jsonl), "--model", str(model), "--config", str(config), "--out", str(out), "--budget", "20s"]
    assert run([*compare, "--quiet"]) == 0
    table = capsys.readouterr().out
    lines = table.splitlines()
    title = " ".join(lines[: next(at for at, line in enumerate(lines) if not line)])
    assert title.endswith("rows.jsonl: 3 strategies, written answers, 6 test rows")
    rule = next(at for at, line in enumerate(lines) if line.startswith("───"))
    assert "Exact match" in lines[rule - 2] and "Token" in lines[rule - 2]
    assert sorted(line[2:17].strip() for line in lines[rule + 1 : rule + 4]) == ["LoRA", "first sentences", "zero-shot"]
    assert ("Recommended:" in table or "No strategy beats" in table) and f'hone predict {out}/best "a text of yours"' in table
    record = Comparison.model_validate_json((out / "comparison.json").read_text(encoding="utf-8"))
    assert (record.data.train, record.data.validation, record.data.test, record.data.removed) == (18, 6, 6, 2)
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["line"], one["reason"]) for one in rejected] == [(32, "empty text")]

    assert run(["predict", str(out / "best"), "sail mast rope tide"]) == 0
    assert "\t" not in capsys.readouterr().out
    assert run([*compare, "--quiet", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {row["strategy"]: row["metrics"] for row in again["rows"]} == {
        row.strategy: row.model_dump(mode="json")["metrics"] for row in record.rows
    }
    assert run(["report", str(out), "--out", str(tmp_path / "again.html")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == lines[0]


def test_a_metric_that_does_not_fit_is_one_clear_error(rows_jsonl: Path, tmp_path: Path, capsys):
    model = save_word_model(tmp_path / "llama", "llama")
    assert run(["compare", str(rows_jsonl), "--model", str(model), "--metric", "macro_f1", "--quiet"]) == 3
    said = capsys.readouterr()
    assert said.out == "" and "The metric 'macro_f1' does not fit these rows." in said.err and "Traceback" not in said.err
