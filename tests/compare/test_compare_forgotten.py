"""What tuning made the model forget: who is asked, what is made of it, and what a budget of forgetting rules out."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stubs import LABELS, Stub, entrants, make_bench
from test_compare_verdict import advice, judged, one

import sample
from hone.cli.main import run
from hone.compare import comparison_table, forgotten, render_report
from hone.compare.card import write_card
from hone.compare.forgotten import UNCHANGED, Retained, find_retained
from hone.compare.line_up import Models
from hone.compare.race import Finished, race
from hone.compare.records import Comparison, Forgetting
from hone.compare.settings import CompareSettings
from hone.core.errors import Usage
from hone.evaluate import answer_retained, bundled_vector_tasks, find_tasks, measure_forgetting, thin
from hone.model import LanguageModel, LocalBackend, Seq2SeqModel
from hone.strategy import STRATEGIES, TextBase, VectorPredictor, plain_backend
from hone.strategy.text.base import backend_of
from hone.train import make_trainable
from tiny_words import save_word_model

EIGHT = sample.samples()["eight"]


def lost(share: float, *, half: float = 0.01) -> Forgetting:
    """So much forgotten, give or take."""
    return Forgetting(mean=-share, low=-share - half, high=-share + half, worst=-share, tasks={"find": -share}, worst_task="find")


NOTHING = Forgetting(mean=0.0, low=0.0, high=0.0, worst=0.0, unchanged=UNCHANGED)


def held(share: Forgetting, name: str, accuracy: float, **more):

    return replace(one(name, accuracy, **more), forgetting=share)


def budgeted(*tested, may_lose: float | None = 0.02):
    from hone.compare.verdict import recommend

    return recommend(list(judged(*tested).values()), metric="accuracy", curve=None, may_lose=may_lose)


@pytest.fixture
def asked(tiny_encoder, tmp_path: Path) -> Retained:
    settings = CompareSettings(data="rows.csv")
    return find_retained(settings, Models({"tiny": tiny_encoder}, {}, ("tiny",)), tmp_path, passes=0)


def raced(tiny_encoder, folder: Path, *strategies: Stub) -> list[Finished]:
    bench = make_bench(tiny_encoder, folder / "work", train=4, validation=40)
    return race(entrants(bench, strategies), folder / "strategies", embed_seconds=0.0)


def test_what_leaves_the_weights_alone_is_nought_by_construction_and_not_asked(asked, tiny_encoder, tmp_path):
    (head,) = raced(tiny_encoder, tmp_path, Stub("head"))
    found = asked.measure(head, head.predictor("fp32"))
    assert (found.mean, found.worst, found.unchanged, found.tasks, found.not_measured) == (0, 0, UNCHANGED, None, None)


def test_what_moved_weights_is_asked_and_what_was_stopped_is_not(asked, tiny_encoder, tmp_path):
    good = Stub("lora", 0.9, moves_weights=True, values=(3.0, 1.0))
    bad = Stub("bias", 0.4, moves_weights=True, values=(3.0, 1.0))
    full, stopped = raced(tiny_encoder, tmp_path, good, bad)
    assert stopped.outcome.stopped_early
    found = asked.measure(stopped, stopped.predictor("fp32"))
    assert found.mean is None and found.tasks is None and "stopped" in (found.not_measured or "")
    same = asked.measure(full, full.predictor("fp32"))  # its predictor is the untouched encoder, so that it lost nothing at all
    assert same.tasks == {"similar": 0, "find": 0} and same.unchanged is None
    assert same.low is not None and same.high is not None and same.low < 0 < same.high, "no seen loss is no certainty of none"


def test_an_encoder_that_is_another_lost_what_its_vectors_knew(asked, tiny_encoder, tmp_path):
    """Vectors that are all alike stand for an encoder that forgot everything."""
    (full,) = raced(tiny_encoder, tmp_path, Stub("lora", 0.9, moves_weights=True))
    predictor = full.predictor("fp32")
    assert isinstance(predictor, VectorPredictor)
    before = asked.measure(full, predictor)
    predictor.sentence_vectors = lambda texts: np.ones((len(texts), 4), dtype=np.float32)  # type: ignore[method-assign]
    found = asked.measure(full, predictor)
    assert before.mean == 0 and found.mean is not None and found.mean < 0
    assert found.worst == min(found.tasks.values())  # type: ignore[union-attr]
    assert [task.name for task in bundled_vector_tasks()] == [one.task for one in found.details]


@pytest.mark.parametrize("name", ["lora", "full", "prompt"])
def test_a_network_before_its_first_step_has_the_sentence_vectors_of_its_base(tiny_encoder, tmp_path, name):
    from hone.strategy.predictors import NetPredictor

    bench = make_bench(tiny_encoder, tmp_path)
    strategy = STRATEGIES[name]
    net = strategy.network(bench)  # type: ignore[attr-defined]
    reader = tiny_encoder.reader.leaving_room(net.virtual)
    predictor = NetPredictor(net, reader, LABELS, trainable=name, base=tiny_encoder.folder, kind="text-classification")
    texts = ["a late parcel", "lost", "the refund of a late parcel " * 3]
    same = np.allclose(predictor.sentence_vectors(texts), tiny_encoder.embed(texts), atol=1e-5)
    assert same == (name != "prompt"), "virtual tokens are read with every text, and change its vector"


@pytest.mark.parametrize(("kind", "trainable"), [("llama", "lora"), ("llama", "full"), ("t5", "lora")])
def test_a_text_model_before_its_first_step_forgot_nothing_and_with_other_weights_it_did(tmp_path, kind, trainable):
    base = TextBase(str(save_word_model(tmp_path / kind, kind)), precision="fp32")
    tasks = thin(find_tasks(("grammar", "everyday", "texts")), most=8, seed=0)
    backend = base.backend
    assert isinstance(backend, LocalBackend)
    before = answer_retained(tasks, plain_backend(backend), title="")
    net = make_trainable(trainable).prepare(base.load())
    assert isinstance(net, LanguageModel | Seq2SeqModel)
    tuned = backend_of(net, base.reader, is_tuned=True)
    same = answer_retained(tasks, plain_backend(tuned), title="")
    found = measure_forgetting(tasks, before, same, seed=0)
    assert found.drops is not None and found.rises is not None
    assert found.drops.mean.mid == 0 and found.rises.mean == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3.0)
    other = answer_retained(tasks, plain_backend(backend_of(net, base.reader)), title="")
    worse = measure_forgetting(tasks, before, other, seed=0)
    assert worse.rises is not None and abs(worse.rises.mean) > 0.01


def test_failures_of_format_are_told_apart_from_wrong_answers(tmp_path):
    base = TextBase(str(save_word_model(tmp_path / "llama", "llama")), precision="fp32")
    assert isinstance(base.backend, LocalBackend)
    rows = [{"prompt": "a late parcel", "completion": ("lost", "refund")[n % 2]} for n in range(12)]
    (tmp_path / "topics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (task,) = find_tasks((str(tmp_path / "topics.jsonl"),))
    answers = answer_retained([task], plain_backend(base.backend), title="", writes=True)
    written = answers["topics"].written
    assert written is not None
    lost = replace(answers["topics"], written=np.full(len(task), -1))
    kept = replace(answers["topics"], written=np.array(task.right))
    note = forgotten._from_texts(measure_forgetting([task], {"topics": kept}, {"topics": lost}, seed=0)).details[0].note
    assert note.endswith(
        "written: 12 right, 0 wrong, 0 none of the answers before, 0 right, 0 wrong, 12 none of the answers after"
    )


@pytest.mark.parametrize(("seconds", "items"), [(1e-9, 8), (1e9, 40)])
def test_one_pass_asks_as_many_items_as_its_time_carries_and_the_number_is_kept(tmp_path, seconds, items):
    base = TextBase(str(save_word_model(tmp_path / "llama", "llama")), precision="fp32")
    retained = Retained(find_tasks(("feelings", "grammar")), [], 0, seconds, tmp_path)
    assert isinstance(base.backend, LocalBackend)
    assert retained._most("llama", plain_backend(base.backend)) == items
    again = Retained(retained.texts, [], 0, 1.0, tmp_path)
    assert again._most("llama", plain_backend(base.backend)) == items


def test_nothing_retained_is_not_measured_and_a_budget_without_is_refused(tiny_encoder, tmp_path):
    models = Models({"tiny": tiny_encoder}, {}, ("tiny",))
    (full,) = raced(tiny_encoder, tmp_path, Stub("lora", 0.9, moves_weights=True))
    none = find_retained(CompareSettings(data="a", retain=()), models, tmp_path, passes=0)
    assert "--retain" in (none.measure(full, full.predictor("fp32")).not_measured or "")
    for retain in ((), ("grammar",)):
        with pytest.raises(Usage, match="--may-lose"):
            find_retained(CompareSettings(data="a", retain=retain, may_lose=0.02), models, tmp_path, passes=0)
    few = tmp_path / "few.jsonl"
    few.write_text('{"prompt": "a", "completion": "b"}\n' * 3, encoding="utf-8")
    with pytest.raises(Usage, match="'few' holds 3 items"):
        find_retained(CompareSettings(data="a", retain=(str(few),)), models, tmp_path, passes=0)
    with pytest.raises(Usage, match="no task of hone's own, no file and no run"):
        find_retained(CompareSettings(data="a", retain=("gramar",)), models, tmp_path, passes=0)


def test_without_a_budget_what_is_forgotten_decides_nothing():
    found = advice(held(lost(0.5), "full", 0.9), held(NOTHING, "head", 0.7, seconds=1))
    assert found.strategy == "full" and found.keeps_budget is None


def test_a_budget_rules_out_what_lost_more_and_says_so():
    tested = (held(lost(0.05), "full", 0.90, seconds=5), held(lost(0.015), "lora", 0.89, seconds=100, shift=10))
    assert budgeted(*tested, may_lose=None).strategy == "full"
    found = budgeted(*tested)
    assert (found.strategy, found.best, found.keeps_budget) == ("lora", "full", True)
    text = " ".join(found.because)
    assert "It forgot 1.5% of what was retained (95% interval +0.5% to +2.5%), within the budget of 2.0%" in text
    assert "more than the budget is not ruled out" in text and "Ruled out by that budget: the full (forgot 5.0%)" in text
    assert "Without it, the full would be recommended." in text and "the cheapest" not in text
    assert any("--may-lose" in line for line in found.would_change)


def test_where_all_that_tie_with_the_best_lost_too_much_the_best_of_the_others_is_taken():
    tested = (
        held(lost(0.05), "full", 0.95),
        held(NOTHING, "head", 0.80, seconds=50),
        held(NOTHING, "nearest", 0.70, seconds=1),
        held(Forgetting(not_measured="unknown"), "prompt", 0.94),
    )
    found = budgeted(*tested)
    assert (found.strategy, found.keeps_budget) == ("head", True)
    text = " ".join(found.because)
    assert "is more than chance" in text and "could be chance" not in text
    assert "the full (forgot 5.0%), the prompt (not measured)" in text
    assert f"It forgets nothing, for {UNCHANGED}" in text


def test_where_nothing_keeps_the_budget_the_usual_one_is_named_and_the_promise_broken():
    found = budgeted(held(lost(0.05), "full", 0.9), held(lost(0.03), "lora", 0.6))
    assert (found.strategy, found.keeps_budget) == ("full", False)
    assert "No strategy keeps the budget of at most 2.0% forgotten" in found.because[1]


def test_a_strategy_at_the_budget_keeps_it():
    assert lost(0.02).is_within(0.02) and not lost(0.0201).is_within(0.02) and not Forgetting(not_measured="?").is_within(0.9)


def test_the_table_shows_what_was_lost_and_marks_what_is_above_the_budget():
    text = comparison_table(EIGHT.model_copy(update={"may_lose": 0.015}))
    above = [row.title for row in EIGHT.rows if row.forgetting.drop is not None and row.forgetting.drop > 0.015]
    assert above and "! forgot more than it may" in text and "0: weights unchanged" in text
    lines = text.split("─\n")[1].split("\n\n")[0].splitlines()
    for line, row in zip(lines, EIGHT.rows, strict=True):
        assert bool(re.search(r"\d!", line)) == (row.title in above)
    assert "keeps the budget of at most 1.5% forgotten." in text
    assert "!" not in comparison_table(EIGHT)


def test_the_figure_has_a_point_per_strategy_of_which_it_is_known_and_the_budget_as_a_line():
    page = render_report(EIGHT.model_copy(update={"may_lose": 0.015}))
    figure = page[page.index('aria-labelledby="forgetting-wide-title') :].split("</svg>")[0]
    known = [row for row in EIGHT.rows if row.forgetting.drop is not None]
    assert len(known) == len(EIGHT.rows) - 1 and figure.count("<circle") == len(known)
    assert figure.count('class="budget"') == 1 and "may lose 1.5" in figure
    assert figure.count("dot hollow") == sum(row.forgetting.drop > 0.015 for row in known)  # type: ignore[operator]
    assert 'class="budget"' not in render_report(EIGHT)
    assert 'id="forgotten"' not in render_report(sample.samples()["two_classes"])


def test_the_card_tells_each_task_or_why_there_is_none():
    rows = {row.strategy: write_card(EIGHT, row) for row in EIGHT.rows}
    lora = next(row for row in EIGHT.rows if row.strategy == "lora").forgetting
    assert f"it lost {lora.drop:.1%} on average" in rows["lora"] and "| find | recall@1 | 120 | 0.850 |" in rows["lora"]
    assert "It forgot nothing: the weights" in rows["head"] and "was not measured" in rows["bias"]


def test_a_record_from_before_forgetting_was_measured_is_still_read():
    old = json.loads(sample.samples()["two_classes"].to_json())
    del old["may_lose"], old["recommended"]["keeps_budget"]
    for row in old["rows"]:
        row["forgetting"] = {"mean": None, "worst": None, "tasks": None, "not_measured": "not measured: no task"}
    found = Comparison.model_validate(old)
    assert not found.breaks_promise and "Forgetting: not measured. No task." in comparison_table(found)


def test_a_broken_promise_is_exit_code_2(tiny_encoder, encoder_path, tmp_path, capsys, monkeypatch):
    """The promise is checked where a comparison ends; what was lost is the only thing that is made up here."""
    data = tmp_path / "rows.csv"
    rows = [f"{label} parcel number {at} {label} again,{label}" for at in range(24) for label in LABELS]
    data.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    settings = ["compare", str(data), "--model", str(encoder_path()), "--strategies", "head", "--budget", "20s", "--quiet"]
    out = ["--out", str(tmp_path / "run"), "--precision", "fp32"]
    assert run([*settings, *out, "--may-lose", "2%", "--json"]) == 0
    kept = Comparison.model_validate_json(capsys.readouterr().out)
    assert kept.may_lose == 0.02 and kept.recommended.keeps_budget and kept.rows[0].forgetting.unchanged
    monkeypatch.setattr(Retained, "measure", lambda *_: lost(0.3))
    assert run([*settings, *out, "--may-lose", "2%"]) == 0, "a finished comparison is read back, with what was measured then"
    capsys.readouterr()
    assert run([*settings, *out, "--may-lose", "1%"]) == 2, "the same folder goes on: what may be lost changes no training"
    assert run(["compare", "--config", str(tmp_path / "run" / "config.yaml"), "--out", str(tmp_path / "again"), "--quiet"]) == 2
    assert "No strategy keeps the budget" in capsys.readouterr().out.replace("\n    ", " ")
