"""`hone plan`: rows and a model in, rules with sources, computed costs and a configuration that the next command takes."""

import copy
import importlib
import json
import shlex
import sys

import pytest

from hone.catalogue import find_entries
from hone.cli.main import run
from hone.cli.options import KINDS
from hone.compare.settings import COMPARE
from hone.core.configuration import read_settings
from hone.core.errors import Failed, Usage
from hone.plan import PlanSettings, Survey, described, enough_rows, make_plan, plan_text, strategy_rules, write_plan
from hone.plan.base import find_base, languages_of
from hone.strategy import STRATEGIES, TEXT_STRATEGIES, encoder_strategies
from hone.task import HEAD_KINDS
from hone.tune.settings import TUNE


@pytest.fixture
def rows_csv(tmp_path):
    words = {"boats": "the harbour is calm and the sail is up", "bread": "the oven is warm and the dough is soft"}
    lines = [f"{text} {number},{label}" for label, text in words.items() for number in range(20)]
    file = tmp_path / "notes.csv"
    file.write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def planned(rows_csv, encoder_path, one_thread):
    return make_plan(PlanSettings(data=str(rows_csv), model=str(encoder_path()), gpu=("T4",), precision="fp32"))


def survey(**changes):
    known = {
        "kind": "classify",
        "because": "",
        "rows": 600,
        "labels": 3,
        "fewest": 100,
        "mean_tokens": 20.0,
        "longest_tokens": 40,
    }
    return Survey(**{**known, "answer_tokens": 1.0, "counted_with": "", **changes})


def test_the_plan_names_what_it_read_and_what_it_takes(planned, rows_csv, encoder_path):
    assert (planned.survey.rows, planned.survey.labels, planned.survey.fewest) == (40, 2, 20)
    assert planned.families[0] == "encoder"
    assert [(cost.where.split()[0], cost.method) for cost in planned.costs] == [
        ("here", "full"),
        ("T4", "full"),
        ("here", "lora"),
        ("T4", "lora"),
    ]
    here, card = planned.costs[:2]
    assert here.seconds and card.usd and here.fits and card.fits
    assert card.usd == pytest.approx(card.seconds / 3600 * 0.5)
    text = plan_text(planned)
    assert text.splitlines()[-1].strip() == planned.command
    said = " ".join(text.split())
    assert "(a rule of thumb, not a measurement)" in said and "accelerate" in said and "Prices of 2026-11-26" in said


def test_of_a_large_model_few_layers_and_words_are_rehearsed(tmp_path, monkeypatch):
    """mT5's 250,000 words alone would take minutes."""
    rehearsed = []

    def made(config, *_, **__):
        rehearsed.append(config)
        raise Failed("enough")

    monkeypatch.setattr("hone.plan.costs.random_network", made)
    (tmp_path / "pairs.csv").write_text("source,target\n" + "".join(f"text {at},answer {at}\n" for at in range(30)))
    plan = make_plan(PlanSettings(data=str(tmp_path / "pairs.csv"), model="google/mt5-small", precision="fp32"))
    assert plan.untried == "enough"
    assert rehearsed[0].vocab_size == 32_768 and rehearsed[0].num_layers == 2 and rehearsed[0].d_model == 512


def test_a_model_that_cannot_be_tried_leaves_the_rest_of_the_plan(rows_csv, encoder_path, monkeypatch):
    def untried(*_):
        raise Failed("A step cannot be tried without numbers.")

    monkeypatch.setattr(sys.modules[make_plan.__module__], "price_training", untried)
    plan = make_plan(PlanSettings(data=str(rows_csv), model=str(encoder_path()), gpu=("T4",)))
    assert plan.costs == () and plan.untried == "A step cannot be tried without numbers."
    said = " ".join(plan_text(plan).split())
    assert "without numbers. Weights, gradients and AdamW's moments alone take" in said and "hone compare" in said


def test_a_gpu_is_tried_in_its_own_arithmetic(rows_csv, encoder_path, one_thread):
    plan = make_plan(PlanSettings(data=str(rows_csv), model=str(encoder_path()), gpu=("T4", "L4")))
    told = {cost.where: cost.basis for cost in plan.costs if cost.method == "full"}
    assert told["T4"].startswith("fp32, 8.1 TFLOP/s") and told["L4"].startswith("bf16, 121 TFLOP/s")
    said = " ".join(plan_text(plan).split())
    assert told["T4"] in said and told["L4"] in said


def test_compare_takes_the_written_configuration_as_it_is(planned, rows_csv, encoder_path, tmp_path):
    write_plan(planned, tmp_path / "plan.yaml")
    settings = read_settings(COMPARE, tmp_path / "plan.yaml", {})
    assert (settings.data, settings.model) == (str(rows_csv), (str(encoder_path()),))
    assert settings.strategies == tuple(rule.strategy for rule in planned.rules if rule.runs)


def test_rows_that_are_not_compared_become_a_configuration_of_tune(tmp_path, one_thread):
    file = tmp_path / "texts.jsonl"
    rows = [json.dumps({"text": f"the harbour is calm and the sail is up on day {day} of the voyage"}) for day in range(12)]
    file.write_text("\n".join(rows), encoding="utf-8")
    plan = make_plan(PlanSettings(data=str(file), model="starter/decoder", precision="fp32"))
    write_plan(plan, tmp_path / "plan.yaml")
    assert plan.command.startswith("hone tune ")
    assert read_settings(TUNE, tmp_path / "plan.yaml", {}).method == "lora"


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("tag", {"lookup", "head", "lora"}),
        ("answers", {"first_sentences", "head", "lora"}),
        ("score", {"constant", "nearest", "head", "lora"}),
        ("multi_label", {"constant"}),
    ],
)
def test_rows_that_a_head_answers_are_compared_by_the_strategies_there_are(kind, known, monkeypatch):
    monkeypatch.setattr(sys.modules[make_plan.__module__], "price_training", lambda _: ([], None))
    plan = make_plan(PlanSettings(describe="sort 400 texts into 2 classes", kind=kind, model="starter/encoder"))
    assert plan.config_of == "hone compare" and known <= {rule.strategy for rule in plan.rules if rule.runs}
    assert {rule.strategy for rule in plan.rules} <= set(encoder_strategies(HEAD_KINDS.get(kind, "question-answering")))


@pytest.mark.parametrize(("kind", "form"), [(None, COMPARE), ("score", COMPARE), ("plain", TUNE)])
def test_what_was_priced_stands_in_the_configuration_and_in_the_command(kind, form, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[make_plan.__module__], "price_training", lambda _: ([], None))
    asked = {"epochs": 7.0, "batch_rows": 4, "precision": "fp32"}
    plan = make_plan(
        PlanSettings(
            describe="sort 40 texts into 2 classes",
            kind=kind,
            model="starter/decoder" if kind == "plain" else "starter/encoder",
            **asked,
        )
    )
    write_plan(plan, tmp_path / "plan.yaml")
    settings = read_settings(form, tmp_path / "plan.yaml", {})
    assert {name: getattr(settings, name) for name in asked} == asked
    assert "--epochs 7 --batch-rows 4 --precision fp32" in plan.command
    verb, _, *options = shlex.split(plan.command)[1:]
    command = copy.copy(importlib.import_module(f"hone.cli.{verb}").command)  # alone it would learn a help of its own
    typed = command.make_context(verb, ["rows.csv", *options]).params
    assert {name: typed[name] for name in asked} == asked
    unsaid = make_plan(PlanSettings(describe="sort 40 texts into 2 classes", model="starter/encoder"))
    assert not {"epochs", "batch_rows", "precision"} & unsaid.config.keys(), "left to the budget of the comparison"


def test_answers_in_a_passage_with_an_encoder_are_planned_for_a_comparison(tmp_path, encoder_path, one_thread):
    file = tmp_path / "squad.jsonl"
    row = {"question": "Where is the sail?", "context": "The sail is up.", "answers": {"text": ["up"], "answer_start": [12]}}
    file.write_text("\n".join(json.dumps(row) for _ in range(12)), encoding="utf-8")
    plan = make_plan(PlanSettings(data=str(file), model=str(encoder_path()), precision="fp32"))
    assert (plan.survey.kind, plan.config_of) == ("answers", "hone compare")
    assert [rule.strategy for rule in plan.rules if rule.runs] == ["first_sentences", "head"]
    write_plan(plan, tmp_path / "plan.yaml")
    assert read_settings(COMPARE, tmp_path / "plan.yaml", {}).data == str(file)


def test_answers_that_are_written_are_compared_and_documents_are_named_where_they_are_taken():
    rules = {rule.strategy: rule for rule in strategy_rules(survey(kind="answers", labels=None), "decoder")}
    assert "full" in rules and rules["retrieval"].because.endswith("hone compare --docs")


def test_every_rule_names_a_strategy_that_exists_and_its_source():
    for family, known in (("encoder", STRATEGIES), ("decoder", TEXT_STRATEGIES)):
        rules = strategy_rules(survey(kind="classify"), family)
        assert {rule.strategy for rule in rules} <= known.keys()
        assert all(rule.source.strip() and rule.because.strip() for rule in rules)


@pytest.mark.parametrize(
    ("rows", "fewest", "runs"), [(20, 4, set()), (60, 8, {"head", "contrastive", "lora"}), (600, 100, {"full"})]
)
def test_more_rows_let_more_strategies_run(rows, fewest, runs):
    running = {rule.strategy for rule in strategy_rules(survey(rows=rows, fewest=fewest), "encoder") if rule.runs}
    assert {"zero_shot", "nearest"} | runs <= running
    assert ("full" in running) == (rows >= 500) and ("head" in running) == (fewest >= 8)


@pytest.mark.parametrize(("rows", "one"), [(499, "fewer than"), (500, "within"), (1_001, "more than")])
def test_the_rules_of_thumb_are_called_so(rows, one):
    found = enough_rows(survey(rows=rows))
    assert f"are {one} the 500 to 1,000" in found.one_task and "rule of thumb" in found.one_task


@pytest.mark.parametrize("kind", KINDS)
def test_a_learning_curve_is_promised_only_of_rows_that_are_compared(kind):
    measure = enough_rows(survey(kind=kind)).measure
    assert ("hone compare" in measure) == (kind != "plain")
    assert ("--validation" in measure) == ("hone compare" not in measure)


def test_a_description_is_read_and_what_it_leaves_open_is_told():
    found, assumed = described("sort 1,200 tickets of 30 words into 12 classes", {})
    assert (found.kind, found.rows, found.labels, found.fewest, found.mean_tokens) == ("classify", 1200, 12, 100, 30)
    assert assumed == ()
    found, assumed = described("summarise our dialogues", {"rows": "5k".replace("k", "000")})
    assert (found.kind, found.rows) == ("completion", 5000)
    assert len(assumed) == 1 and "200 tokens" in assumed[0]
    with pytest.raises(Usage, match="is no number of rows"):
        described("summarise", {"rows": "many"})


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("sort 1.5k tickets", 1_500),
        ("sort 2.5 thousand tickets", 2_500),
        ("sort 1,5k tickets", 1_500),
        ("sort 1,200 thousand tickets", 1_200_000),
        ("sort 3 million texts", 3_000_000),
        ("sort 1.125M texts", 1_125_000),
        ("sort 1.500 tickets", 1_500),
        ("sort 12k long tickets", 12_000),
    ],
)
def test_thousands_and_millions_may_have_decimals(words, rows):
    assert described(words, {})[0].rows == rows


def test_the_kind_that_is_named_wins_over_the_words_of_the_description():
    plan = make_plan(PlanSettings(describe="tag 500 texts", kind="score", model="starter/encoder", precision="fp32"))
    assert plan.survey.kind == "score" and plan.config["kind"] == "score"
    found, assumed = described("take one for 500 texts", {"kind": "choice"})
    assert (found.kind, found.labels, found.fewest) == ("choice", 4, None) and any("4 were assumed" in one for one in assumed)


@pytest.mark.parametrize(
    ("words", "asked", "languages"),
    [
        ("sort 800 German tickets into 12 classes", None, "de"),
        ("translate Swahili mails to English; the mails are the clients'", None, "sw,en"),
        ("sort 800 German tickets into 12 classes", "fr", "fr"),
        ("sort 800 tickets, polish them", None, None),
    ],
)
def test_a_chosen_model_reads_the_language_that_is_asked_for_or_described(words, asked, languages):
    settings = PlanSettings(describe=words, language=asked)
    assert languages_of(settings) == languages
    base = find_base(settings, described(words, {})[0])
    if languages is None:
        assert base.name == "starter/encoder"
        return
    (entry,) = find_entries(base.name)
    assert set(languages.split(",")) <= set(entry.languages)


def test_a_named_model_is_taken_whatever_language_is_asked_for():
    plan = make_plan(PlanSettings(describe="sort 800 tickets into 12 classes", language="de", model="starter/encoder"))
    assert plan.model == "starter/encoder"
    assert any("--language chose nothing" in one for one in plan.assumptions)


def refused(capsys, *arguments):
    assert run(["plan", *arguments]) == 3
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    return said.err.strip().splitlines()[-1]


def test_a_mistake_is_one_clear_line(rows_csv, encoder_path, capsys):
    model = ("--model", str(encoder_path()))
    assert "one of the two" in refused(capsys)
    assert "one of the two" in refused(capsys, str(rows_csv), "--describe", "sort texts")
    assert "GPU 'H1000' is not in the price list" in refused(capsys, str(rows_csv), *model, "--gpu", "H1000")
    assert "There is no model 'no-such-model'" in refused(capsys, str(rows_csv), "--model", "no-such-model")
    assert "opt forbids commercial use" in refused(
        capsys, "--describe", "continue texts", "--model", "facebook/opt-125m", "--licence", "commercial"
    )
    assert "--epochs is 0.0" in refused(capsys, str(rows_csv), *model, "--epochs", "0")


def test_a_folder_is_no_place_for_the_yaml(rows_csv, tmp_path, capsys):
    assert "is a folder, and a file is to be written. Name a file with --out" in refused(
        capsys, str(rows_csv), "--out", str(tmp_path)
    )


def test_a_model_that_does_not_fit_the_rows_or_the_machine_is_refused(rows_csv, capsys, monkeypatch):
    assert "need decoder" in refused(capsys, "--describe", "a chat assistant", "--model", "google-t5/t5-small")
    monkeypatch.setattr("hone.plan.base.total_memory", lambda: 1 << 30)
    assert "this machine has 1.0 GB" in refused(capsys, str(rows_csv), "--model", "Qwen/Qwen2.5-1.5B")
    monkeypatch.setattr("hone.plan.base.total_memory", lambda: 1 << 40)
    monkeypatch.setattr("hone.plan.base.free_disk", lambda: 1 << 20)
    assert "are free where they would lie" in refused(capsys, str(rows_csv), "--model", "Qwen/Qwen2.5-1.5B")


def test_json_is_one_object_and_nothing_else(rows_csv, encoder_path, capsys, one_thread):
    assert run(["plan", str(rows_csv), "--model", str(encoder_path()), "--json", "--quiet", "--precision", "fp32"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["survey"]["rows"] == 40
    assert said.err == ""
