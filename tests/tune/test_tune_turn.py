"""`hone dial`: a run folder with less of what was learnt, which is the base at 0 and the run at 1."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hone.cli.main import run
from hone.cli.options import with_dial
from hone.core.errors import BadModel, Usage
from hone.evaluate.benchmarks import load_answering
from hone.tune import TuneSettings, at_dial, tune_rows, turn_dial
from tiny import SENTENCES


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    lines = [{"prompt": f"{text} {n}", "completion": "please refund"} for n, text in enumerate(SENTENCES * 2)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def tuned(rows, model, out, method, **more):
    usual = {
        "steps": 8,
        "batch_rows": 8,
        "precision": "fp32",
        "evaluations": 1,
        "answers": 0,
        "retain": (),
        "learning_rate": 1e-2,
    }
    tune_rows(TuneSettings(data=rows, model=model, out=str(out), method=method, **(usual | more)))
    return out


def logits(folder):
    _, net, reader = load_answering(str(folder), precision="fp32")
    net.eval()
    rows = [reader.tokenizer(SENTENCES[0])["input_ids"]]
    with torch.no_grad():
        return net(rows, list(range(len(rows[0])))) if net.head == "causal" else net(rows, rows, list(range(len(rows[0]))))


@pytest.mark.parametrize("kind", ["llama", "t5"])
@pytest.mark.parametrize("method", ["full", "lora", "adapter", "ia3", "top"])
def test_a_turned_run_is_the_base_at_0_the_run_at_1_and_between_in_the_middle(kind, method, rows, model, tmp_path):
    whole = tuned(rows, model(kind), tmp_path / "run", method)
    for position in (0.0, 0.5, 1.0):
        turn_dial(whole, position, tmp_path / str(position))
    base, full = logits(model(kind)), logits(whole)
    assert torch.equal(logits(tmp_path / "0.0"), base)
    assert torch.equal(logits(tmp_path / "1.0"), full)
    half = logits(tmp_path / "0.5")
    assert 0 < (half - base).norm() < (full - base).norm() * 1.2
    assert not torch.equal(half, full)
    assert json.loads((tmp_path / "0.5" / "hone.json").read_text())["dial"] == 0.5


def in_other_names(folder, out, renamed):
    """A model whose file names its weights as many on the Hub do."""
    shutil.copytree(folder, out)
    weights = {renamed(name): value for name, value in load_file(out / "model.safetensors").items()}
    assert weights.keys() != load_file(out / "model.safetensors").keys()
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    return str(out)


@pytest.mark.parametrize("method", ["full", "top"])
def test_a_base_whose_file_names_its_weights_otherwise_is_turned_back_to(method, rows, model, tmp_path):
    """openai-community/gpt2 holds h.0.attn..., and the run transformer.h.0.attn..."""
    base = in_other_names(model("gpt2"), tmp_path / "base", lambda name: name.removeprefix("transformer."))
    whole = tuned(rows, base, tmp_path / "run", method)
    for position in (0.0, 0.5, 1.0):
        turn_dial(whole, position, tmp_path / str(position))
    assert torch.equal(logits(tmp_path / "0.0"), logits(base))
    assert torch.equal(logits(tmp_path / "1.0"), logits(whole))
    assert not torch.equal(logits(tmp_path / "0.5"), logits(whole))


def test_an_encoder_from_a_model_with_an_output_layer_is_turned_back_to_it(model, tmp_path):
    """The file of the base holds bert.encoder..., that of the run encoder..."""
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"text": f"{t} {n}", "label": "ab"[n % 2]}) + "\n" for n, t in enumerate(SENTENCES * 2))
    )
    whole = tuned(str(tmp_path / "rows.jsonl"), model("bert"), tmp_path / "run", "full")
    turn_dial(whole, 0.0, tmp_path / "0")
    base, turned = load_file(Path(model("bert")) / "model.safetensors"), load_file(tmp_path / "0" / "model.safetensors")
    known = [name for name in turned if f"bert.{name}" in base]
    assert len(known) > 20
    assert all(torch.equal(turned[name], base[f"bert.{name}"]) for name in known)


def test_turning_again_counts_from_where_it_stands(rows, model, tmp_path):
    whole = tuned(rows, model("llama"), tmp_path / "run", "lora")
    turn_dial(whole, 0.5, tmp_path / "half")
    turn_dial(tmp_path / "half", 0.5, tmp_path / "quarter")
    turn_dial(whole, 0.25, tmp_path / "direct")
    assert torch.allclose(logits(tmp_path / "quarter"), logits(tmp_path / "direct"), atol=1e-6)
    assert json.loads((tmp_path / "quarter" / "hone.json").read_text())["dial"] == 0.25
    turn_dial(whole, 0.0, tmp_path / "base")
    turn_dial(tmp_path / "base", 0.5, tmp_path / "still")
    assert json.loads((tmp_path / "still" / "hone.json").read_text())["dial"] == 0.0


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_card_of_a_turned_run_claims_no_number_for_it(method, rows, model, tmp_path):
    whole = tuned(rows, model("llama"), tmp_path / "run", method, answers=4)
    turn_dial(whole, 0.5, tmp_path / "half")
    card, before = ((folder / "README.md").read_text() for folder in (tmp_path / "half", whole))
    assert "Here the dial stands at 0.5, which was not measured. Every number below is of the run as it was trained." in card
    assert "model-index" in before and "model-index" not in card and "Here the dial" not in before
    asked, known = (
        [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "half", whole)
    )
    assert [{**row, "tuned": other["tuned"]} for row, other in zip(asked, known, strict=True)] == known and "tuned" not in asked[
        0
    ]


def test_a_run_is_served_at_a_position_that_is_written_once_and_anew_for_another_run(rows, model, tmp_path):
    whole = tuned(rows, model("llama"), tmp_path / "run", "lora")
    half = Path(with_dial(str(whole), 0.5))
    turn_dial(whole, 0.5, tmp_path / "half")
    assert torch.equal(logits(half), logits(tmp_path / "half"))
    written = (half / "hone.json").stat().st_mtime_ns
    assert at_dial(whole, 0.5) == half
    assert (half / "hone.json").stat().st_mtime_ns == written
    shutil.rmtree(tmp_path / "half")
    shutil.move(half.parent, tmp_path / "dials")
    shutil.rmtree(whole)
    tuned(rows, model("llama"), whole, "lora", steps=4)
    shutil.move(tmp_path / "dials", half.parent)
    turn_dial(whole, 0.5, tmp_path / "half")
    assert torch.equal(logits(at_dial(whole, 0.5)), logits(tmp_path / "half"))
    assert with_dial(str(whole), None) == str(whole)


def test_what_has_no_dial_is_refused_and_nothing_is_written(rows, model, tmp_path, capsys):
    prompted = tuned(rows, model("llama"), tmp_path / "prompt", "prompt", tokens=2)
    with pytest.raises(Usage, match="has no dial"):
        turn_dial(prompted, 0.5, tmp_path / "out")
    with pytest.raises(Usage, match="between 0"):
        turn_dial(prompted, 1.5, tmp_path / "out")
    with pytest.raises(BadModel, match="no folder of a finished"):
        turn_dial(tmp_path, 0.5, tmp_path / "out")
    assert run(["dial", str(tmp_path / "nowhere"), "--at", "0.5", "--out", str(tmp_path / "out")]) == 3
    assert "no folder of a finished" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("method", "more"), [("prompt", {"tokens": 3}), ("prefix", {"tokens": 3}), ("top", {"layers": 1})])
def test_a_run_is_read_back_with_as_much_as_was_trained(method, more, rows, model, tmp_path):
    """Not with the usual number of tokens or blocks."""
    run = tuned(rows, model("llama"), tmp_path / "run", method, **more)
    assert not torch.equal(logits(run), logits(model("llama")))
