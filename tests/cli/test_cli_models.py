"""`hone models` as a person meets it: tables that fit, cards, comparisons, JSON, and one line for each mistake."""

import json

import pytest

from hone.catalogue import choose, read_catalogue, read_wanted
from hone.catalogue.table import choice_text
from hone.cli.main import run


def shown(capsys, *arguments: str) -> str:
    assert run(["models", *arguments]) == 0
    return str(capsys.readouterr().out)


def refused(capsys, *arguments: str) -> str:
    assert run(["models", *arguments]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    return str(said.err)


def test_the_question_of_the_manual_is_answered_with_models_and_what_was_left_out(capsys):
    question = "--task summarization --licence commercial --max-memory 8GB --context 4096 --language de --max-disk 1TB"
    text = shown(capsys, *question.split())
    assert "Qwen/Qwen2.5-1.5B-Instruct" in text
    assert "opt-" not in text
    assert f"of {len(read_catalogue())} models" in text
    assert "for licence" in text
    assert "for memory" in text


def test_why_names_each_model_that_is_left_out(capsys):
    text = shown(capsys, "--licence", "commercial", "--family", "decoder", "--max-disk", "10TB", "--why")
    assert "facebook/opt-125m" in text
    assert "opt forbids commercial use" in text


def test_the_starter_has_a_card(capsys):
    text = shown(capsys, "starter/encoder", "--no-hub")
    for fact in ("sentence-transformers/all-MiniLM-L6-v2", "22,713,216", "apache-2.0", "MTEB 56.26", "https://"):
        assert fact in text


def test_several_models_stand_side_by_side(capsys):
    text = shown(capsys, "gpt2", "flan-t5-small", "--no-hub")
    header = text.splitlines()[0]
    assert "openai-community/gpt2" in header
    assert "google/flan-t5-small" in header
    (licences,) = [line for line in text.splitlines() if line.startswith("licence")]
    assert licences.split()[1:] == ["mit-modified", "apache-2.0"]


def test_json_gives_models_and_reasons(capsys):
    record = json.loads(shown(capsys, "--task", "retrieval", "--language", "de", "--json"))
    names = [model["entry"]["name"] for model in record["models"]]
    assert "BAAI/bge-m3" in names
    assert "task" in record["left_out"]["openai-community/gpt2"]
    assert record["models"][0]["bytes_needed"]["full"] > record["models"][0]["bytes_needed"]["inference"]


def test_scores_of_different_settings_are_said_to_be_no_comparison(capsys):
    mixed = " ".join(shown(capsys, "--family", "decoder", "--sort", "mmlu", "--max-disk", "10TB").split())
    assert "OLMES (2)" in mixed
    assert "different settings cannot be compared" in mixed
    alike = shown(capsys, "--family", "encoder-decoder", "--sort", "mmlu", "--max-disk", "10TB")
    assert "MMLU as published: 5-shot (5)." in alike
    assert "cannot be compared" not in alike


def test_nothing_that_passes_is_an_answer_that_says_what_to_drop(capsys):
    text = shown(capsys, "--max-memory", "1KB", "--max-disk", "10TB")
    assert "Nothing passes." in text
    of_known_size = sum(one.bytes_on_disk is not None for one in read_catalogue())
    assert f"Without the filter on memory alone there would be {of_known_size}." in text


def test_a_disk_too_small_for_any_model_leaves_none_of_unknown_size_either(capsys):
    assert "Nothing passes." in shown(capsys, "--max-disk", "1MB", "--no-hub")


def test_without_a_network_a_card_is_shown_and_one_line_says_so(capsys):
    assert run(["models", "gpt2"]) == 0
    said = capsys.readouterr()
    assert "openai-community/gpt2" in said.out
    assert said.err.count("\n") == 1
    assert "The Hub is not asked" in said.err


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("filters", [{}, {"task": "retrieval"}, {"family": "decoder", "language": "de"}])
def test_a_table_fits_its_terminal_and_no_name_is_cut(width, filters):
    choice = choose(read_catalogue(), read_wanted(**filters))
    text = choice_text(choice, sort="mmlu", why=False, live={}, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert all(one.name in text for one in choice.kept)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-model"], "There is no model 'no-such-model' in the catalogue."),
        (["bert-base"], "Did you mean google-bert/bert-base-uncased"),
        (["Qwen2.5-3B", "--licence", "commercial"], "qwen-research forbids commercial use"),
        (["Llama-3.1-70B", "--max-disk", "100GB"], "its weights take 131 GB, and 100 GB are free"),
        (["--task", "summarization", "--family", "encoder"], "contradict each other"),
        (["--sort", "mlu"], "Did you mean 'mmlu'"),
        (["gpt2", "--search", "bert"], "not both"),
        (["--language", "Klingon"], "No model of the catalogue names the language 'Klingon'"),
    ],
)
def test_a_mistake_is_one_clear_line(capsys, arguments, message):
    said = refused(capsys, *arguments, "--no-hub")
    assert message in said
    assert said.count("\n") == 1
