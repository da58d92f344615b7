"""Options of `hone tune` that would do nothing are refused, and those that ask for what is not there are told so in a line."""

import json
import shutil

import pytest

from hone.catalogue import locate_model
from hone.cli.main import run
from hone.core.errors import BadData, Usage
from hone.model import load_reader
from hone.tune import TuneSettings, refuse_idle, tune_rows

ANSWERED = [{"prompt": f"where is parcel {n}", "completion": "it is late"} for n in range(12)]
LABELLED = [{"text": f"where is parcel {n}", "label": ("late", "refund")[n % 2]} for n in range(12)]


@pytest.fixture
def asked(tmp_path, model):
    """Settings of a run on rows with written answers or labels, with a tiny model."""

    def make(kind, rows=ANSWERED, **more):
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        usual = {"steps": 1, "batch_rows": 4, "precision": "fp32", "evaluations": 1, "retain": (), "out": str(tmp_path / "run")}
        return TuneSettings(data=str(path), model=model(kind), **(usual | more))

    return make


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"method": "full", "rank": 16, "dora": True}, "--rank and --dora would do nothing without --method lora"),
        ({"method": "top", "lora_plus": 16.0}, "--lora-plus would do nothing without --method lora"),
        ({"layers": 1}, "--layers would do nothing without --method top"),
        ({"tokens": 5}, "--tokens would do nothing without --method prompt or prefix"),
        ({"hold_strength": 5.0}, "--hold-strength would do nothing without --hold"),
        ({"replay_rate": 0.5}, "--replay-rate would do nothing without --replay"),
        ({"remember_rate": 0.3, "remember_strength": 4.0}, "--remember-rate and --remember-strength would do nothing without"),
        ({"confidence": 0.95}, "--confidence would do nothing without --may-lose"),
        ({"retain_items": 5}, "--retain-items would do nothing without --retain"),
    ],
)
def test_an_option_of_what_the_run_does_not_do_is_refused(more, said, asked):
    with pytest.raises(Usage, match=said):
        refuse_idle(asked("llama", **more))


def test_what_a_file_says_of_another_method_is_let_pass(asked):
    settings = asked("llama", method="full", rank=16, tokens=5)
    refuse_idle(settings, asked={"method"})
    with pytest.raises(Usage, match="--tokens would do nothing without --method prompt"):
        refuse_idle(settings, asked={"method", "tokens"})


def test_the_command_refuses_it_before_it_reads_a_row(asked, tmp_path, capsys):
    settings = asked("llama")
    asking = [
        "tune",
        settings.data,
        "--model",
        settings.model,
        "--method",
        "full",
        "--rank",
        "16",
        "--out",
        str(tmp_path / "run"),
    ]
    assert run(asking) == 3
    assert "--rank would do nothing without --method lora. Leave out the one or add the other." in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "rows", "more", "said"),
    [
        (
            "bert",
            LABELLED,
            {"template": "x {prompt}", "train_on_prompt": True},
            "--template and --train-on-prompt would do nothing",
        ),
        ("bert", LABELLED, {"chat": True}, "--chat would do nothing: it is about prompts and written answers"),
        ("t5", ANSWERED, {"train_on_prompt": True}, "--train-on-prompt would do nothing: it is for decoders"),
        ("t5", ANSWERED, {"chat": True}, "--chat would do nothing: it is for decoders"),
        ("llama", ANSWERED, {"chat": True}, "has none"),
    ],
)
def test_an_option_that_neither_rows_nor_model_know_is_refused(kind, rows, more, said, asked, tmp_path):
    with pytest.raises(Usage, match=said):
        tune_rows(asked(kind, rows, **more))
    assert not (tmp_path / "run").exists()


def test_a_template_beside_the_models_own_is_refused_unless_that_is_left_out(asked, tmp_path):
    settings = asked("llama", template="Q: {prompt} A:", answers=0)
    reader = load_reader(locate_model(settings.model))
    reader.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    from hone.tune.choose import choose
    from hone.tune.prepare import read_rows

    material = read_rows(settings).material
    with pytest.raises(Usage, match=r"reads prompts in its own chat template\. Add --no-chat"):
        choose(settings, material, locate_model(settings.model), reader)
    plainly = settings.model_copy(update={"chat": False})
    assert choose(plainly, material, locate_model(settings.model), reader).template == "Q: {prompt} A:"


def test_older_rows_of_another_kind_are_named_instead_of_a_traceback(asked, tmp_path):
    old = tmp_path / "old.jsonl"
    old.write_text("\n".join(json.dumps(row) for row in LABELLED))
    with pytest.raises(BadData, match=r"old.jsonl holds rows of the kind 'classify', and .* of 'completion'"):
        tune_rows(asked("llama", replay=str(old)))


def test_two_files_to_replay_are_not_made_one_in_silence():
    with pytest.raises(Usage, match=r"--remember replay:b\.jsonl and --replay a\.jsonl both say what is mixed in"):
        TuneSettings(data="d", model="m", remember="replay:b.jsonl", replay="a.jsonl")
    with pytest.raises(Usage, match=r"--replay-rate 0\.2 both say"):
        TuneSettings(data="d", model="m", remember="replay:b.jsonl", remember_rate=0.3, replay_rate=0.2)
    made = TuneSettings(data="d", model="m", remember="replay:b.jsonl", remember_rate=0.3)
    assert (made.replay, made.replay_rate, made.remember_rate) == ("b.jsonl", 0.3, 0.1)


def test_a_promise_takes_the_penalty_that_was_named():
    assert TuneSettings(data="d", model="m", may_lose=0.05).remember == "self"
    assert TuneSettings(data="d", model="m", may_lose=0.05, hold="l2sp").remember == "none"


def test_an_encoder_without_an_output_layer_is_not_called_damaged(asked, tmp_path, model):
    from safetensors.torch import load_file, save_file

    from hone.core.errors import BadModel

    bare = tmp_path / "bare"
    shutil.copytree(model("bert"), bare)
    weights = load_file(bare / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if not k.startswith("cls.")}, bare / "model.safetensors", metadata={"format": "pt"}
    )
    settings = asked("bert", [{"text": f"where is parcel {n} now"} for n in range(12)]).model_copy(update={"model": str(bare)})
    with pytest.raises(BadModel, match="has no output layer over its words"):
        tune_rows(settings)
