"""The bundle: a folder that answers like the predictor it was made from, and says where it comes from."""

import json
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from stubs import LABELS, rows

import hone
import sample
from hone.cli.main import run
from hone.compare.bundle import Answer, Bundle, Provenance, write_bundle
from hone.compare.card import write_card
from hone.compare.records import Comparison
from hone.core.errors import BadModel, Usage
from hone.model import Encoder
from hone.strategy.predictors import VectorPredictor
from hone.strategy.scorers import Neighbours

TEXTS = ["late parcel train 0", "refund parcel train 3", "something else"]
SAMPLES = sample.samples()


@pytest.fixture(scope="module")
def predictor(tiny_encoder: Encoder) -> VectorPredictor:
    train = rows(5, "train")
    vectors = tiny_encoder.embed([example.text for example in train])
    targets = np.array([LABELS.index(example.label) for example in train])
    return VectorPredictor(tiny_encoder, Neighbours(vectors, targets, 3, 1, 0.05), LABELS)


@pytest.fixture
def comparison() -> Comparison:
    return sample.sample(labels=LABELS, strategies=3, test=90)


@pytest.fixture
def written(predictor: VectorPredictor, comparison: Comparison, tmp_path: Path) -> Path:
    """A bundle on disk; the recommended strategy's predictor stood in the run folder."""
    predictor.save(tmp_path / "strategies" / comparison.recommended.strategy / "predictor")
    write_bundle(comparison, tmp_path / "strategies", tmp_path / "best")
    return tmp_path / "best"


def front_matter(card: str) -> dict[str, object]:
    _, block, _ = card.split("---\n", 2)
    return dict(YAML(typ="safe").load(block))


def test_a_bundle_holds_the_predictor_the_card_and_the_record(written: Path):
    assert {path.name for path in written.iterdir()} == {"README.md", "hone.json", "predictor.json", "scorer.safetensors"}


def test_the_record_says_what_was_chosen_and_measured(written: Path, comparison: Comparison):
    provenance = Provenance.model_validate_json((written / "hone.json").read_text(encoding="utf-8"))
    row = next(row for row in comparison.rows if row.strategy == comparison.recommended.strategy)
    assert (provenance.strategy, provenance.settings, provenance.metrics) == (row.strategy, row.settings, row.metrics)
    assert provenance.labels == LABELS and provenance.columns == comparison.data.columns
    assert (provenance.seed, provenance.split_digest) == (comparison.seed, comparison.data.split_digest)
    assert json.loads((written / "hone.json").read_text(encoding="utf-8"))["model"]["sha256"] == comparison.model.sha256


def test_the_recommended_strategy_is_taken_and_no_other(predictor: VectorPredictor, comparison: Comparison, tmp_path: Path):
    for row in comparison.rows:
        predictor.save(tmp_path / "strategies" / row.strategy / "predictor")
        (tmp_path / "strategies" / row.strategy / "predictor" / "mark.txt").write_text(row.strategy)
    write_bundle(comparison, tmp_path / "strategies", tmp_path / "best")
    assert (tmp_path / "best" / "mark.txt").read_text() == comparison.recommended.strategy


def test_a_bundle_written_again_replaces_the_old_one_whole(written: Path, comparison: Comparison, tmp_path: Path):
    (written / "left.over").write_text("old")
    write_bundle(comparison, tmp_path / "strategies", written)
    assert not (written / "left.over").exists() and (written / "hone.json").exists()


def test_a_bundle_that_cannot_be_written_leaves_the_old_one(written: Path, comparison: Comparison, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        write_bundle(comparison, tmp_path / "no strategies here", written)
    assert Bundle(written).predict(TEXTS)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_answers_are_the_predictors_in_order_with_all_labels(written: Path, predictor: VectorPredictor):
    bundle = Bundle(written)
    answers, expected = bundle.predict(TEXTS), predictor.probabilities(TEXTS)
    assert [answer.label for answer in answers[:2]] == ["late", "refund"] and bundle.labels == LABELS
    for answer, row in zip(answers, expected, strict=True):
        assert list(answer.probabilities) == list(LABELS)
        assert list(answer.probabilities.values()) == pytest.approx(row, abs=1e-2)
        assert answer.label == max(answer.probabilities, key=answer.probabilities.__getitem__)
        assert answer.confidence == answer.probabilities[answer.label]
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert Answer.model_validate_json(answer.to_json()) == answer


def test_no_texts_get_no_answers_and_one_text_must_stand_in_a_list(written: Path):
    assert Bundle(written).predict([]) == []
    with pytest.raises(Usage, match=r"list of texts, and got one text\. Put it in a list: predict\(\['a text'\]\)"):
        Bundle(written).predict("a text")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (None, "got a NoneType"),
        (iter(["a text"]), "got a list_iterator"),
        (["a text", float("nan")], "number 1 .from 0. is nan, a float"),
        ([["a", "text"]], "number 0 .from 0. is .'a', 'text'., a list"),
    ],
)
def test_what_is_no_list_of_texts_is_refused_with_what_to_give(written: Path, texts, said: str):
    with pytest.raises(hone.HoneError, match=said):
        Bundle(written).predict(texts)


def test_rows_in_memory_are_refused_with_the_way_to_a_file():
    with pytest.raises(hone.HoneError, match=r"got a list\. Write the rows to a file first.*to_csv"):
        hone.compare([{"text": "a", "label": "b"}])  # type: ignore[arg-type]


def test_the_model_is_loaded_at_the_first_question_and_once(written: Path):
    bundle = Bundle(str(written))
    assert "predictor" not in vars(bundle)
    bundle.predict(TEXTS)
    assert bundle.predictor is bundle.predictor


@pytest.mark.parametrize("make", [lambda path: path / "nowhere", lambda path: path])
def test_what_is_no_bundle_is_refused_at_once(tmp_path: Path, make):
    with pytest.raises(BadModel, match=r"is no bundle: hone\.json is missing\. Name the folder `best`"):
        Bundle(make(tmp_path))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ('{"settings": {}, "objective": "completion", "training": {}}', "the folder of a `hone tune` run. `hone eval FOLDER`"),
        ('{"objective": "causal", "training": {}, "sources": [], "corpus_tokens": 9}', "the model of a `hone pretrain` run"),
        ('{"model": {}, "tasks": []}', "cannot be read as a bundle's record"),
        ('{"strategy": "lora", "labels": ["a"]', "cannot be read as a bundle's record"),
        ("7", "cannot be read as a bundle's record"),
        ("\\xff", "cannot be read as a bundle's record"),
    ],
)
def test_the_record_of_another_command_or_a_damaged_one_is_one_clear_line(tmp_path: Path, record: str, said: str, capsys):
    (tmp_path / "hone.json").write_bytes(record.encode("ascii").replace(b"\\xff", b"\xff"))
    with pytest.raises(BadModel) as refused:
        Bundle(tmp_path)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert run(["predict", str(tmp_path), "a text"]) == 3
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", SAMPLES)
def test_a_card_opens_with_a_metadata_block_that_the_hub_reads(name: str):
    comparison = SAMPLES[name]
    data = front_matter(write_card(comparison, comparison.rows[0]))
    assert data["pipeline_tag"] == "text-classification"
    assert data.get("base_model") == (comparison.model.name if comparison.model.revision else None)
    assert data["metrics"][0] == comparison.task.metric
    assert data.get("license") == comparison.model.licence


@pytest.mark.parametrize("model", ["models/mine: the second #2", "- x", "[folder]", "C:\\models\\tiny", "1.0", 'a "b"'])
def test_any_model_name_is_valid_in_the_metadata(model: str, comparison: Comparison):
    info = comparison.model.model_copy(update={"name": model, "licence": "other: mine"})
    odd = comparison.model_copy(update={"model": info, "models": (info,)})
    data = front_matter(write_card(odd, odd.rows[0].model_copy(update={"model": model})))
    assert data.get("base_model") == ("1.0" if model == "1.0" else None), "what is no id of the Hub is left out"
    assert (data["license"], data["license_name"]) == ("other", "other-mine")
    assert f"- Base: {model}, " in write_card(odd, odd.rows[0].model_copy(update={"model": model}))


def test_a_card_holds_the_numbers_of_its_row(comparison: Comparison):
    row = comparison.rows[0]
    card = write_card(comparison, row)
    for name, metric in row.metrics.items():
        assert f"| {name.replace('_', ' ')} | {metric.value:.4f} | {metric.low:.4f} to {metric.high:.4f} |" in card
    weakest = min((one for one in row.per_class if one.support), key=lambda one: one.f1)
    assert f"{weakest.label} ({weakest.f1:.2f}, {weakest.support} rows)" in card
    for part in (comparison.model.sha256, row.title, comparison.machine.processor, "not measured", f"seed {comparison.seed}"):
        assert part in card, part
    assert f"- Rows: {comparison.data.train} for training, {comparison.data.validation} to choose settings" in card


def test_a_report_of_what_is_no_finished_comparison_says_what_to_do(
    written: Path, comparison: Comparison, tmp_path: Path, capsys
):
    def told(folder: Path) -> str:
        assert run(["report", str(folder)]) == 3
        return capsys.readouterr().err

    assert "has not finished: the command that began it goes on from there" in told(tmp_path)
    assert f"is the run of another command: hone card {written}" in told(written)
    (tmp_path / "comparison.json").write_text(comparison.to_json(), encoding="utf-8")
    assert f"lies one folder up: hone report {tmp_path}" in told(written)
    assert "Name the folder of a finished `hone compare` run." in told(tmp_path / "nowhere" / "else")
