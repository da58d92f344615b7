"""What a person gets wrong: one clear message, exit status 3, no traceback, nothing lost."""

import subprocess
import sys
from pathlib import Path

import pytest
from notes import sentences, write_csv

from hone.cli import options
from hone.cli.main import run
from hone.task import KINDS

QUICK = ["--strategies", "head", "--budget", "60s", "--quiet"]


def refused(capsys, *arguments: object) -> str:
    """Run a command that must be refused, and return what it said."""
    assert run([str(one) for one in arguments]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return str(said.err)


def test_an_unknown_command_names_the_nearest(capsys):
    assert "Did you mean 'compare'?" in refused(capsys, "comapre", "x.csv")


def test_an_unknown_strategy_names_the_nearest(capsys, rows_csv: Path):
    assert "Did you mean 'lora'?" in refused(capsys, "compare", rows_csv, "--strategies", "loora")


def test_a_file_that_is_not_there_says_so(capsys, tmp_path: Path):
    assert "does not exist" in refused(capsys, "compare", tmp_path / "none.csv")


def test_a_missing_file_is_told_before_torch_is_there(tmp_path: Path):
    commands = [
        ["compare"],
        ["check"],
        ["plan"],
        ["tune", "--model", "starter/encoder"],
        ["remember", "--model", "starter/encoder"],
    ]
    asks = f"""
import sys
from hone.cli.main import run
answers = [run([verb, {str(tmp_path / "none.csv")!r}, *rest]) for verb, *rest in {commands}]
print(answers, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[3, 3, 3, 3, 3] False"
    assert done.stderr.count("does not exist") == len(commands)


@pytest.mark.parametrize("verb", ["compare", "check"])
def test_rows_that_only_train_are_named_with_the_command_that_trains_them(verb, capsys, tmp_path: Path):
    plain = tmp_path / "plain.jsonl"
    plain.write_text("".join(f'{{"text": "{text} {n}"}}\n' for n, (text, _) in enumerate(sentences(30))))
    said = refused(capsys, verb, plain)
    assert "plain texts" in said and f"'hone tune {plain}' trains" in said and "Read as classes:" in said


def test_an_empty_file_says_so(capsys, tmp_path: Path):
    (tmp_path / "empty.csv").write_text("")
    assert "empty" in refused(capsys, "compare", tmp_path / "empty.csv")


def test_a_missing_column_names_the_nearest(capsys, rows_csv: Path):
    assert "Did you mean 'label'?" in refused(capsys, "compare", rows_csv, "--label", "lable")


def test_one_class_cannot_be_compared(capsys, tmp_path: Path):
    rows = [(text, "same") for text, _ in sentences(10)]
    assert "All 30 rows have the label 'same'" in refused(capsys, "compare", write_csv(tmp_path / "one.csv", rows), *QUICK)


def test_a_class_with_one_row_is_named_with_its_line_and_the_cure(capsys, tmp_path: Path):
    said = refused(capsys, "compare", write_csv(tmp_path / "rare.csv", [*sentences(10), ("a lonely row", "rare")]), *QUICK)
    assert "rare" in said
    assert "line 32" in said
    assert "--drop-rare" in said


def test_a_budget_that_is_no_duration_is_refused(capsys, rows_csv: Path):
    assert "10m" in refused(capsys, "compare", rows_csv, "--budget", "soon")


def test_a_description_of_an_unknown_label_is_refused(capsys, rows_csv: Path):
    assert "'boat'" in refused(capsys, "compare", rows_csv, "--describe", "boat=things that float", *QUICK)


@pytest.mark.parametrize("verb", ["predict", "report"])
def test_a_folder_that_holds_nothing_is_refused(capsys, tmp_path: Path, verb: str):
    refused(capsys, verb, tmp_path, *(["a text"] if verb == "predict" else []))


def test_a_configuration_tells_all_its_errors_at_once(capsys, tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_text("data: x.csv\nmetrik: accuracy\nseed: many\n")
    said = refused(capsys, "compare", "--config", path)
    assert "line 2: key 'metrik' is not known. Did you mean 'metric'?" in said
    assert "line 3" in said


def test_a_pickle_model_is_refused(capsys, rows_csv: Path, tmp_path: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert "safetensors" in refused(capsys, "compare", rows_csv, "--model", folder, *QUICK)


def test_a_very_long_row_is_cut_by_the_model_and_reported(capsys, tmp_path: Path):
    rows = [*sentences(20), ("mast " * 20_000, "boats")]
    assert run(["check", str(write_csv(tmp_path / "long.csv", rows))]) == 0
    assert "256" in capsys.readouterr().out


def test_the_kinds_that_options_name_are_those_of_rows():
    assert tuple(options.KINDS) == KINDS


def test_a_message_cannot_steer_the_terminal(capsys):
    assert run(["report", "a\x1b[2Jrun"]) == 3
    assert "a␛[2Jrun does not exist" in capsys.readouterr().err


SERVER = ["--price", "1,2"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["compare", "ROWS", "--templates", "mine.toml"], "--templates holds prompts for models that answer in words"),
        (["compare", "ROWS", *SERVER], "--price and --api are about a server"),
        (["compare", "ROWS", "--api", "completions"], "--price and --api are about a server"),
        (
            ["compare", "ROWS", "--label", "label", "--prompt", "text"],
            "--prompt and --completion name columns of written answers",
        ),
        (["check", "ROWS", "--template", "x {prompt}"], "--template is what --show-mask shows rows in"),
        (["check", "ROWS", "--show-mask", "--json"], "Leave out the one or the other"),
        (["check", "ROWS", "--show-mask", "--group", "text", "--drop-rare"], "--group, --drop-rare would do nothing"),
        (["plan", "ROWS", "--prices", "mine.toml"], "--prices is a list of GPUs, and none is asked about"),
        (["remember", "ROWS", "--model", "starter/encoder", "--ways", "plain", "--replay", "ROWS"], "which --ways leaves out"),
        (["ask", "index", "who?", "--dial", "0.5", "--max-tokens", "9"], "--dial, --max-tokens would do nothing without a model"),
        (["ask", "index", "who?", *SERVER], "--price would do nothing without a model"),
        (["eval", "some/model", "--leaderboard", ".", "--limit", "3"], "--limit, MODEL would do nothing"),
        (["models", "--search", "bert", "--family", "decoder", "--why"], "--why, --family would do nothing beside --search"),
        (["models", "starter/encoder", "--sort", "mmlu"], "--sort would do nothing beside names"),
        (["curate", "ROWS", "--only", "exact", "--not-in", "ROWS"], "Error: not_in names evaluation sets for the step overlap"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(command, said, capsys, rows_csv: Path, starter):
    assert said in refused(capsys, *(str(rows_csv) if one == "ROWS" else one for one in command))


def test_the_kind_and_columns_of_choices_are_heeded_by_check_too(capsys, tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(
            f'{{"stem": "what is {n} plus one", "choices": ["{n}", "{n + 1}", "{n + 2}"], "key": "B", "other": "z{n}"}}\n'
            for n in range(60)
        )
    )
    assert run(["check", str(rows), "--kind", "choice", "--text", "stem", "--label", "key"]) == 0
    assert "text from stem, answer from key" in capsys.readouterr().out
