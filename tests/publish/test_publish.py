"""Cards in the Hub's format and the way there: huggingface_hub's own reader takes every card, and no checkpoint is ever sent."""

import json

import pytest

from hone.catalogue import read_licences
from hone.cli.main import run
from hone.compare.card import write_card
from hone.core.errors import BadData, Failed, Usage
from hone.model import CardFacts, CardScore, agreed_licence, card_metadata, metadata_of
from hone.publish import files_to_upload, renew_card, upload_run
from hone.tune import tune_rows
from hone.tune.settings import TuneSettings
from sample import sample
from tiny_language import save_language_model


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A finished run of two steps."""
    folder = tmp_path_factory.mktemp("publish")
    rows = folder / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"prompt": f"it is late {n}", "completion": "refund the money"}) for n in range(30)))
    model = save_language_model(folder / "base", "llama")
    out = folder / "run"
    tune_rows(TuneSettings(data=str(rows), model=str(model), steps=2, answers=4, retain=(), precision="fp32", out=str(out)))
    return out


def test_the_card_of_a_run_says_what_the_hub_asks_for(tuned):
    card = renew_card(tuned)
    data = metadata_of(card)
    assert data["library_name"] == "peft" and data["pipeline_tag"] == "text-generation"
    assert "base_model" not in data, "a folder is no model of the Hub"
    (entry,) = data["model-index"]
    scores = {one["type"]: one for result in entry["results"] for one in result["metrics"]}
    assert {"exact_match", "loss"} <= scores.keys() or {"rougeL", "loss"} <= scores.keys()
    assert scores["loss"]["args"]["level"] == 0.95
    for heading in ("What it is for", "How good it is", "How it was made", "What it forgot", "Limits"):
        assert f"## {heading}" in card
    assert "kWh, if the machine drew 150 W (assumed, not measured)" in card


def test_a_comparison_has_a_card_that_the_hub_takes_with_intervals():
    comparison = sample()
    data = metadata_of(write_card(comparison, comparison.rows[0]))
    first = data["model-index"][0]["results"][0]["metrics"][0]
    found = comparison.rows[0].metrics[comparison.task.metric]
    assert first["value"] == pytest.approx(found.value, abs=1e-6)
    assert (first["args"]["low"], first["args"]["n"]) == (pytest.approx(found.low, abs=1e-6), found.n)


def test_a_data_set_of_the_hub_is_named_and_a_file_is_not_taken_for_one():
    facts = {
        "name": "m",
        "library": "hone",
        "pipeline": "text-classification",
        "scores": (CardScore(metric="accuracy", value=1, n=2),),
    }
    assert metadata_of(card_metadata(CardFacts(dataset="user/rows", **facts)))["datasets"] == ["user/rows"]
    assert "datasets" not in metadata_of(card_metadata(CardFacts(dataset="folder/rows.csv", **facts)))


def test_a_card_without_metadata_or_with_a_broken_index_is_refused():
    with pytest.raises(BadData, match="has no metadata"):
        metadata_of("# A model\n")
    with pytest.raises(BadData, match="not what the Hub takes"):
        metadata_of("---\nmodel-index:\n- name: x\n  results: 3\n---\n")


@pytest.mark.parametrize(
    ("base", "data", "why"),
    [
        ("apache-2.0", "cc-by-nc-4.0", "forbids commercial use"),
        ("mit", "cc-by-sa-4.0", "same licence"),
        ("apache-2.0", "cc-by-nd-4.0", "forbids changed works"),
        (None, "cc-by-nc-4.0", "unknown"),
    ],
)
def test_licences_that_contradict_each_other_are_refused(base, data, why):
    with pytest.raises(Usage, match=why):
        agreed_licence(base, data)


def test_licences_that_agree_leave_the_bases():
    assert agreed_licence("apache-2.0", "cc-by-4.0") == "apache-2.0"
    assert agreed_licence("cc-by-nc-4.0", "cc-by-nc-4.0") == "cc-by-nc-4.0"
    assert agreed_licence(None, "mit") is None
    with pytest.raises(Usage, match="is not known"):
        agreed_licence("mit", "no-licence")


def test_a_named_licence_stands_in_the_card(tuned):
    assert metadata_of(renew_card(tuned, licence="cc-by-4.0"))["license"] == "cc-by-4.0"


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        ("My own, v1.0", {"license": "other", "license_name": "my-own-v1.0"}),
        (
            "mrl",
            {"license": "other", "license_name": "mrl", "license_link": read_licences()["mrl"].url},
        ),
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
    ],
)
def test_a_licence_that_the_hub_has_no_id_for_is_told_as_another_one(licence, fields, tuned):
    data = metadata_of(renew_card(tuned, licence=licence))
    assert {name: value for name, value in data.items() if name.startswith("license")} == fields


def test_a_licence_without_a_name_is_refused(tuned):
    with pytest.raises(Usage, match="has no name"):
        renew_card(tuned, licence=" -- ")


@pytest.mark.parametrize(
    ("name", "revision", "told"),
    [
        ("starter/encoder", None, "sentence-transformers/all-MiniLM-L6-v2"),
        ("starter/decoder", None, None),
        ("google/flan-t5-small", "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab", "google/flan-t5-small"),
        ("lm", None, None),
        ("./lm", None, None),
        ("openai:gpt-x", None, None),
    ],
)
def test_the_base_of_a_comparison_is_named_by_its_id_on_the_hub_or_left_out(name, revision, told):
    found = sample()
    info = found.model.model_copy(update={"name": name, "revision": revision})
    card = write_card(
        found.model_copy(update={"model": info, "models": (info,)}), found.rows[0].model_copy(update={"model": name})
    )
    assert metadata_of(card).get("base_model") == told


def test_a_comparison_on_a_gpu_tells_the_energy_of_one():
    found = sample()
    assert "drew 150 W" in write_card(found, found.rows[0])
    machine = found.machine.model_copy(update={"accelerator": "NVIDIA H200"})
    assert "drew 500 W" in write_card(found.model_copy(update={"machine": machine}), found.rows[0])


def test_a_dry_push_lists_what_would_go_and_neither_work_nor_checkpoints(tuned, capsys):
    renew_card(tuned)
    (tuned / "work").mkdir(exist_ok=True)
    for name in ("work/run.checkpoint", "run.checkpoint-best-2", ".secret"):
        (tuned / name).write_text("x")
    files = files_to_upload(tuned)
    assert {"README.md", "hone.json", "adapter_model.safetensors"} <= files.keys()
    assert not [name for name in files if "checkpoint" in name or name.startswith((".", "work"))]
    assert run(["push", str(tuned), "mira/notes", "--dry-run"]) == 0
    assert "would go to mira/notes" in capsys.readouterr().out


def test_without_a_network_a_push_is_one_clear_line_and_changes_nothing(tuned, capsys, monkeypatch):
    renew_card(tuned)
    before = files_to_upload(tuned)
    with pytest.raises(Failed, match="HF_HUB_OFFLINE is set"):
        upload_run(tuned, "mira/notes")
    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: False)
    assert run(["push", str(tuned), "mira/notes"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and "Nothing is lost" in said and "Traceback" not in said
    assert files_to_upload(tuned) == before


def test_what_is_sent_is_what_was_listed(tuned, monkeypatch):
    renew_card(tuned)
    sent = {}

    class Hub:
        def create_repo(self, name, *, private, exist_ok):
            sent["repository"] = (name, private, exist_ok)
            return f"https://huggingface.co/{name}"

        def upload_folder(self, *, repo_id, folder_path, allow_patterns, commit_message):
            sent["files"] = allow_patterns

    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: False)
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    done = upload_run(tuned, "mira/notes")
    assert done.url == "https://huggingface.co/mira/notes"
    assert sent == {"repository": ("mira/notes", True, True), "files": list(done.files)}


def test_a_folder_without_a_run_and_a_name_without_a_user_are_refused(tmp_path, tuned):
    with pytest.raises(BadData, match=r"holds no hone\.json"):
        renew_card(tmp_path)
    with pytest.raises(Usage, match="Write user/name"):
        upload_run(tuned, "notes")
    (tmp_path / "hone.json").write_text("{}")
    with pytest.raises(BadData, match="cannot be read"):
        renew_card(tmp_path)
