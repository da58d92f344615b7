"""`hone remember`: the same rows learnt once per way, resumed, judged, told and drawn."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import hone.remember.page as page_module
from hone.cli.main import run
from hone.compare.report import render
from hone.core.claim import only_process
from hone.core.errors import Failed, Usage
from hone.measure import Interval
from hone.remember import WAYS, RememberRecord, RememberSettings, WayResult, remember_rows, tell_ways
from hone.remember.conclude import advise, judge
from hone.remember.page import render_page
from hone.remember.ways import choose_ways, way_rate, way_settings
from hone.tune import TuneRecord
from tiny import SENTENCES
from tiny_language import save_language_model

TUNE_DEFAULT = RememberSettings(data="rows.jsonl", model="model")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return {kind: str(save_language_model(tmp_path_factory.mktemp(kind), kind)) for kind in ("llama", "t5", "bert")}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text(
        "".join(
            json.dumps({"prompt": f"{text} {n}", "completion": "please refund"}) + "\n" for n, text in enumerate(SENTENCES * 3)
        )
    )
    return str(path)


def settings(rows, model, out, **more):
    usual = {
        "steps": 3,
        "batch_rows": 4,
        "precision": "fp32",
        "evaluations": 1,
        "answers": 2,
        "own_samples": 8,
        "retain": ("grammar", "texts"),
        "retain_items": 6,
    }
    return RememberSettings(data=rows, model=model, out=str(out), **(usual | more))


@pytest.fixture(scope="module")
def compared(models, rows, tmp_path_factory):
    """All ten ways of the decoder, older rows and a budget given."""
    out = tmp_path_factory.mktemp("compared") / "run"
    return out, remember_rows(settings(rows, models["llama"], out, replay=rows, may_lose=0.5))


def names_in(table):
    """First words of the first table's rows."""
    return [line.split()[0] for line in table.split("\n\n")[0].splitlines()[2:]]


def test_every_way_has_a_row_and_the_table_fits_100_columns(compared):
    _, found = compared
    told = tell_ways(found)
    assert names_in(told) == list(WAYS) == [way.way for way in found.ways]
    tables = told.split("\n\n")[:2]
    assert max(len(line) for table in tables for line in table.splitlines()) <= 100
    assert "…" not in told


def test_every_way_learns_the_same_rows_with_the_same_seed_and_steps(compared):
    out, found = compared
    runs = [TuneRecord.model_validate_json((out / way.folder / "hone.json").read_text()) for way in found.ways]
    assert len({run.data_sha256 for run in runs}) == len({run.settings.seed for run in runs}) == 1
    assert {run.training.steps for run in runs} == {3}
    assert len({run.base_loss for run in runs}) == 1
    assert {run.settings.retain for run in runs} == {("grammar", "texts")}


def test_a_second_process_in_the_same_folder_is_refused(models, rows, tmp_path):
    with only_process(tmp_path / "run"), pytest.raises(Failed, match="Another process is working in"):
        remember_rows(settings(rows, models["llama"], tmp_path / "run"))


def test_the_record_loads_again(compared):
    out, found = compared
    assert RememberRecord.model_validate_json((out / "remember.json").read_text()) == found


def test_the_numbers_of_a_way_are_those_of_its_run(compared):
    out, found = compared
    way = found.ways[2]
    run = TuneRecord.model_validate_json((out / way.folder / "hone.json").read_text())
    assert way.gain == run.base_loss - run.loss
    assert (way.lost, way.worst) == (run.forgetting.drops.mean.mid, run.forgetting.drops.worst.mid)
    assert way.perplexity_rise == pytest.approx(run.forgetting.rises.tasks[0].perplexity_rise)
    assert way.answer == run.answers[0]


class Reader(HTMLParser):
    """Texts of a page, and what would be loaded or opened."""

    def __init__(self):
        super().__init__()
        self.texts, self.points_to, self.tags = [], [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.points_to += [value for name, value in attributes if name in ("href", "src", "srcset", "action", "data")]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_names_each_way_and_loads_nothing(compared):
    out, found = compared
    html = (out / "report.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(html)
    assert reader.points_to == ["data:,"]
    assert "script" not in reader.tags
    assert not re.findall(r"url\(|@import|https?://", html)
    for way in found.ways:
        labels = [text for text in reader.texts if text.strip() == way.way]
        assert len(labels) >= 3, way.way  # in both figures and in the table
    assert html.count("budget 50.0%") == 2


def test_a_hostile_name_stays_text(compared):
    _, found = compared
    html = render_page(found.model_copy(update={"base": "<script>alert(1)</script>"}))
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_the_page_has_the_colours_of_the_report():
    ours, theirs = (
        re.search(r":root \{(.+?)\}", (Path(module.__file__).parent / name).read_text(), flags=re.DOTALL)[1]
        for module, name in ((page_module, "page.css"), (render, "report.css"))
    )
    assert ours == theirs
    assert "light-dark" in ours


def test_a_finished_way_is_not_run_again_and_another_joins_it(models, rows, tmp_path):
    out = tmp_path / "run"
    remember_rows(settings(rows, models["t5"], out, ways=("plain",)))
    stamp = (out / "ways" / "plain" / "hone.json").stat().st_mtime_ns
    found = remember_rows(settings(rows, models["t5"], out, ways=("lora+self-replay", "top", "plain")))
    assert (out / "ways" / "plain" / "hone.json").stat().st_mtime_ns == stamp
    assert [way.way for way in found.ways] == ["plain", "top", "lora+self-replay"]
    with pytest.raises(Usage, match="another folder"):
        remember_rows(settings(rows, models["t5"], out, ways=("plain",), seed=1))


def test_texts_alone_are_measured_in_nats_and_take_no_budget(models, rows, tmp_path):
    found = remember_rows(settings(rows, models["llama"], tmp_path / "run", ways=("plain",), retain=("texts",)))
    assert found.unit == "nats"
    assert found.ways[0].lost == pytest.approx(found.ways[0].worst)
    assert "nats" in (tmp_path / "run" / "report.html").read_text()
    with pytest.raises(Usage, match="share of right answers"):
        remember_rows(settings(rows, models["llama"], tmp_path / "other", ways=("plain",), retain=("texts",), may_lose=0.1))


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("llama", {"ways": ("plain", "self-reply")}, "Did you mean 'self-replay'"),
        ("llama", {"ways": ("plain", "plain")}, "named twice"),
        ("llama", {"ways": ("replay",)}, "--replay FILE"),
        ("llama", {"data": "tasks.yaml"}, "mixture of tasks"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line_and_leaves_nothing(kind, more, said, models, rows, tmp_path):
    asked = settings(rows, models[kind], tmp_path / "run").model_copy(update=more)
    with pytest.raises(Usage, match=re.escape(said)) as refused:
        remember_rows(asked)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_ways_of_an_encoder_are_judged_by_its_sentence_vectors(models, tmp_path):
    path = tmp_path / "labels.jsonl"
    rows = [{"text": f"{text} {n}", "label": ("late", "refund")[n % 2]} for n, text in enumerate(SENTENCES * 3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = settings(str(path), models["bert"], tmp_path / "run", retain=("bundled",), may_lose=0.5)
    found = remember_rows(asked)
    assert [way.way for way in found.ways] == [name for name in WAYS if name not in ("kl", "replay")]
    assert found.unit == "score" and found.items == 249 and not found.failed
    run = TuneRecord.model_validate_json((tmp_path / "run" / found.ways[0].folder / "hone.json").read_text())
    assert found.ways[0].lost == run.vectors.mean.mid
    assert "the score of the sentence vectors" in (tmp_path / "run" / "README.md").read_text()
    assert "sentence vectors" in (tmp_path / "run" / "report.html").read_text()


def test_rows_that_only_fill_masks_have_nothing_to_compare(models, tmp_path):
    path = tmp_path / "plain.jsonl"
    path.write_text("".join(json.dumps({"text": f"{text} {n}"}) + "\n" for n, text in enumerate(SENTENCES * 3)))
    with pytest.raises(Usage, match="cannot be measured here"):
        remember_rows(settings(str(path), models["bert"], tmp_path / "run", ways=("plain",), retain=("similar",)))


def test_a_way_that_leaves_its_course_is_told_and_the_others_are_kept(models, rows, tmp_path, monkeypatch):
    from hone.core.errors import Failed
    from hone.remember import run as runs

    real = runs.tune_rows

    def tune(asked):
        if asked.hold == "ewc":
            raise Failed("The loss left its course.")
        return real(asked)

    monkeypatch.setattr(runs, "tune_rows", tune)
    found = remember_rows(settings(rows, models["llama"], tmp_path / "run", ways=("plain", "ewc")))
    assert [way.way for way in found.ways] == ["plain"]
    assert found.failed == {"ewc": "The loss left its course."}
    assert "ewc has no result" in tell_ways(found)


def test_the_command_prints_the_table_and_writes_the_page(models, rows, tmp_path, capsys):
    command = ["remember", rows, "--model", models["llama"], "--ways", "plain,low-rate", "--steps", "2", "--batch-rows", "4"]
    command += ["--retain", "grammar", "--retain-items", "6", "--answers", "0", "--precision", "fp32", "--may-lose", "60%"]
    assert run([*command, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    said = capsys.readouterr()
    assert names_in(said.out) == ["plain", "low-rate"]
    assert said.err == ""
    assert (tmp_path / "run" / "report.html").exists()
    assert run([*command, "--ways", "lowrate", "--out", str(tmp_path / "other")]) == 3
    assert "Did you mean 'low-rate'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_parameters_are_counted_without_loading_them(kind, models):
    from hone.catalogue import count_parameters, locate_model
    from hone.model import load_language_model

    folder = locate_model(models[kind])
    net = load_language_model(folder, "seq2seq" if kind == "t5" else "causal", pad_id=0)
    assert count_parameters(folder) == sum(parameter.numel() for parameter in net.parameters())


# ---- without a model: what is chosen, and what is advised ----


def result(way, gain, low, mid, high):
    return WayResult(
        way=way,
        said=way,
        folder=f"ways/{way}",
        learning_rate=1e-3,
        steps=1,
        base_loss=gain + 1,
        loss=1,
        answer=None,
        lost=mid,
        lost_interval=Interval(low=low, mid=mid, high=high),
        worst=mid,
        worst_interval=None,
        worst_task="words",
        perplexity_rise=None,
        divergence=None,
        seconds=1,
        peak_bytes=None,
    )


FIVE = [
    result("much", 2.0, 0.20, 0.25, 0.30),
    result("some", 1.5, -0.01, 0.02, 0.05),
    result("dominated", 1.4, 0.01, 0.03, 0.05),
    result("little", 0.5, -0.02, 0.00, 0.02),
    result("none", 0.0, -0.01, 0.00, 0.01),
]


def test_the_front_holds_what_no_other_way_beats():
    assert [way.way for way in judge(FIVE, budget=None) if way.is_front] == ["much", "some", "little"]


@pytest.mark.parametrize(("budget", "advised"), [(None, "some"), (0.05, "some"), (0.03, "little"), (0.5, "much"), (0.001, None)])
def test_the_most_gain_within_the_budget_is_advised(budget, advised):
    found, said = advise(judge(FIVE, budget=budget), budget=budget, unit="accuracy")
    assert found == advised
    assert said.startswith(f"Advised: {advised}." if advised else "No way has a mean drop of at most 0.1%")


def test_a_way_that_learns_nothing_is_never_advised():
    found, said = advise(judge(FIVE[4:], budget=None), budget=None, unit="accuracy")
    assert found is None
    assert "learnt anything" in said


def test_replay_runs_only_where_there_are_older_rows():
    assert [way.name for way in choose_ways(TUNE_DEFAULT)] == [name for name in WAYS if name != "replay"]
    with_older = TUNE_DEFAULT.model_copy(update={"replay": "older.jsonl"})
    assert [way.name for way in choose_ways(with_older)] == list(WAYS)


def test_a_named_rate_is_that_of_full_fine_tuning():
    asked = TUNE_DEFAULT.model_copy(update={"learning_rate": 3e-4})
    rates = {name: way_rate(way, asked, parameters=1000) for name, way in WAYS.items()}
    assert (rates["plain"], rates["low-rate"]) == pytest.approx((3e-4, 1e-4))
    assert rates["lora"] == rates["lora+self-replay"] == way_rate(WAYS["lora"], TUNE_DEFAULT, parameters=1000)


def test_each_way_differs_from_every_other():
    asked = TUNE_DEFAULT.model_copy(update={"replay": "older.jsonl"})
    made = [way_settings(way, asked, rate=way_rate(way, asked, parameters=1000), out="run") for way in WAYS.values()]
    assert all(one != other for at, one in enumerate(made) for other in made[:at])


def test_every_way_stands_in_the_documents():
    page = (Path(__file__).parents[2] / "docs" / "forgetting.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in WAYS)
