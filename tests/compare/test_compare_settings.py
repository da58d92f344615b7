"""Settings of a comparison: read from YAML with all mistakes told at once, written so that reading gives the same."""

from pathlib import Path

import pytest

from hone.compare.settings import COMPARE, CompareSettings
from hone.core.configuration import parse_duration, read_settings, settings_from, write_settings
from hone.core.errors import Usage

EVERYTHING = CompareSettings(
    data="my tickets: 2024.csv",
    model=("models/tiny", "openai:m"),
    strategies=("head", "lora"),
    budget_seconds=90.5,
    seed=7,
    metric="macro_f1",
    text=("title", "body, in full"),
    label="null",
    group="yes",
    test="test.csv",
    validation="validation.csv",
    descriptions={"billing": "Money: what it costs # and why", "no": "A 'no' in \"quotes\"\nand a second line", "1": "é"},
    drop_rare=True,
    precision="fp32",
    retain=("grammar", "mine.jsonl"),
    may_lose=0.02,
    out="runs/x",
    epochs=2.5,
    arms=2,
    batch_rows=8,
    kind="completion",
    prompt="asked",
    completion="said",
    templates="mine.toml",
    base_url="http://localhost:1/v1",
    api="completions",
    price="1,2",
    docs="handbook",
    max_tokens=64,
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(Usage) as caught:
        read_settings(COMPARE, written(tmp_path, text), {})
    return str(caught.value).splitlines()


def test_every_field_differs_from_its_default_in_the_round_trip():
    defaults = CompareSettings(data="x")
    assert [name for name in CompareSettings.model_fields if getattr(EVERYTHING, name) == getattr(defaults, name)] == []


@pytest.mark.parametrize("settings", [EVERYTHING, CompareSettings(data="tickets.csv"), CompareSettings(data="12", label="1.0")])
def test_what_is_written_is_read_back_the_same(tmp_path: Path, settings: CompareSettings):
    assert read_settings(COMPARE, written(tmp_path, write_settings(COMPARE, settings)), {}) == settings


def test_keys_at_their_defaults_are_left_out():
    lines = write_settings(COMPARE, CompareSettings(data="tickets.csv", seed=0)).splitlines()
    assert lines == ["# Repeats this run: hone compare --config config.yaml", "data: tickets.csv"]


def test_names_from_other_tools_mean_the_same(tmp_path: Path):
    text = "data: a.csv\nbase_model: m\nnum_train_epochs: 3\nper_device_train_batch_size: 4\nlabel_column: y\noutput_dir: o\nbudget: 2m\n"
    assert read_settings(COMPARE, written(tmp_path, text), {}) == CompareSettings(
        data="a.csv", model=("m",), epochs=3, batch_rows=4, label="y", out="o", budget_seconds=120
    )


def test_one_text_column_and_a_comma_list_are_lists(tmp_path: Path):
    text = "data: a.csv\ntext: subject, body\nstrategies: head\n"
    settings = read_settings(COMPARE, written(tmp_path, text), {})
    assert (settings.text, settings.strategies) == (("subject", "body"), ("head",))


def test_unknown_keys_are_all_told_with_line_and_nearest_name(tmp_path: Path):
    path = tmp_path / "config.yaml"
    assert complaint(tmp_path, "data: a.csv\nmodle: x\n\n# a comment\nbudgt: 3m\nzzzzzzz: 1\n") == [
        f"{path} line 2: key 'modle' is not known. Did you mean 'model'?",
        f"{path} line 5: key 'budgt' is not known. Did you mean 'budget'?",
        f"{path} line 6: key 'zzzzzzz' is not known. Known: {', '.join(CompareSettings.model_fields)}.",
    ]


def test_unknown_keys_and_wrong_values_are_told_together_with_their_lines(tmp_path: Path):
    told = complaint(tmp_path, "seed: -1\nmodle: x\nmetric: f1\narms: 9\nbudget: soon\n")
    assert len(told) == 6
    for line, part in ((1, "'seed' is -1"), (2, "'modle'"), (3, "'metric' is 'f1'"), (4, "'arms' is 9"), (5, "'soon'")):
        assert sum(f"line {line}: " in one and part in one for one in told) == 1, (line, told)
    assert any("'data' is missing" in one for one in told)
    assert any("accuracy, macro_f1, weighted_f1" in one for one in told)


def test_two_names_for_one_key_are_refused(tmp_path: Path):
    told = complaint(tmp_path, "data: a.csv\nmodel: a\nbase_model: b\n")
    assert told == [f"{tmp_path / 'config.yaml'} line 3: 'base_model' and another key both mean 'model'. Keep one."]


def test_a_key_that_is_a_number_is_told_with_its_line(tmp_path: Path):
    assert complaint(tmp_path, "data: a.csv\n3: x\n")[0].startswith(f"{tmp_path / 'config.yaml'} line 2: key '3' is not known.")


def test_the_command_line_wins_over_the_file(tmp_path: Path):
    path = written(tmp_path, "data: a.csv\nseed: 1\nmodel: m\n")
    assert read_settings(COMPARE, path, {"seed": 2, "data": "b.csv"}) == CompareSettings(data="b.csv", seed=2, model=("m",))


def test_a_wrong_value_of_the_command_line_is_not_blamed_on_the_file(tmp_path: Path):
    path = written(tmp_path, "data: a.csv\nseed: 1\n")
    with pytest.raises(Usage) as caught:
        read_settings(COMPARE, path, {"seed": -2})
    assert str(caught.value).startswith("'seed' is -2")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n"])
def test_a_file_without_keys_is_refused(tmp_path: Path, text: str):
    assert "must hold keys and values" in complaint(tmp_path, text)[0]


@pytest.mark.parametrize("text", ["data: [a\n", "data: a\ndata: b\n", "a: b: c\n"])
def test_broken_yaml_is_named_as_such(tmp_path: Path, text: str):
    assert "is not valid YAML" in complaint(tmp_path, text)[0]


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(Usage, match=r"no configuration file .*nowhere\.yaml"):
        read_settings(COMPARE, tmp_path / "nowhere.yaml", {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("10min", 600), ("1.5h", 5400), (" 2 m ", 120), ("0.5s", 0.5)]
)
def test_durations_are_seconds_minutes_or_hours(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "0", "0m", "-3m", "3d", "1h30m", "ten", "1e3", "1,5h"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(Usage, match="is not a duration"):
        parse_duration(text)


def test_loose_values_need_no_file():
    assert settings_from(COMPARE, {"data": "a.csv", "budget": "1m", "text": ["a", "b"]}) == CompareSettings(
        data="a.csv", budget_seconds=60, text=("a", "b")
    )


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        EVERYTHING.seed = 3  # type: ignore[misc]


def test_a_model_named_on_the_command_line_wins_over_the_configuration(tmp_path: Path):
    path = written(tmp_path, "data: a.csv\nmodel: m\n")
    assert read_settings(COMPARE, path, {"model": "one,two"}).model == ("one", "two")
    assert read_settings(COMPARE, path, {"budget_seconds": 20.0}) == CompareSettings(
        data="a.csv", model=("m",), budget_seconds=20
    )


def test_none_retains_nothing_also_in_a_file_and_paths_are_texts(tmp_path: Path):
    found = settings_from(COMPARE, {"data": "a.csv", "retain": "none"}, {"out": tmp_path / "run", "test": tmp_path / "t.csv"})
    assert found.retain == () and found.out == str(tmp_path / "run") and found.test == str(tmp_path / "t.csv")
    assert settings_from(COMPARE, {"data": "a.csv", "retain": "grammar, none"}).retain == ("grammar", "none")
