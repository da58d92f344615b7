"""`hone tune` from rows to run folder, for every family and kind of rows, with tiny models."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hone.catalogue import locate_model
from hone.cli.main import run
from hone.core.claim import only_process
from hone.core.configuration import read_settings, settings_from
from hone.core.console import set_quiet
from hone.core.errors import BadData, BadModel, Failed, Usage
from hone.evaluate import earlier_prompts, find_tasks
from hone.model import Generator, load_classifier, load_reader
from hone.train import StepEvent, make_trainable
from hone.tune import TUNE, TuneRecord, TuneSettings, mask_preview, open_trackers, tune_rows
from hone.tune.ready import make_ready
from killed import run_whole_and_killed
from tiny import SENTENCES, save_encoder

TAGS = {"refund": "B-MONEY", "money": "B-MONEY", "parcel": "B-THING"}
ROWS = {
    "completion": [
        {"prompt": f"{text} {n}", "completion": "please refund" if n % 2 else "it is late"}
        for n, text in enumerate(SENTENCES * 3)
    ],
    "chat": [
        {"messages": [{"role": "user", "content": f"{text} {n}"}, {"role": "assistant", "content": "it is late"}]}
        for n, text in enumerate(SENTENCES * 2)
    ],
    "plain": [
        {"text": f"{text} {n} {other}"} for n, (text, other) in enumerate(zip(SENTENCES * 2, SENTENCES[::-1] * 2, strict=True))
    ],
    "classify": [{"text": f"{text} {n}", "label": ("late", "refund")[n % 2]} for n, text in enumerate(SENTENCES * 3)],
    "multi_label": [
        {"text": f"{text} {n}", "labels": [["late"], ["late", "refund"]][n % 2]} for n, text in enumerate(SENTENCES * 3)
    ],
    "score": [{"text": f"{text} {n}", "score": n % 5 + 0.5} for n, text in enumerate(SENTENCES * 3)],
    "tag": [
        {"tokens": [*text.split(), str(n)], "ner_tags": [TAGS.get(word, "O") for word in text.split()] + ["O"]}
        for n, text in enumerate(SENTENCES * 3)
    ],
    "answers": [
        {"question": "where is it", "context": f"the box {text} {n}", "answers": {"text": ["box"], "answer_start": [4]}}
        for n, text in enumerate(SENTENCES * 3)
    ],
    "choice": [
        {"question": f"{text} {n}", "choices": ["please refund", "it is late", "the box"], "answer": n % 2}
        for n, text in enumerate(SENTENCES * 3)
    ],
}
FITS = [
    *(("llama", kind, "completion") for kind in ("completion", "chat", "choice")),
    ("t5", "completion", "completion"),
    ("t5", "choice", "completion"),
    ("t5", "chat", "completion"),
    ("llama", "plain", "causal"),
    ("bert", "plain", "masked"),
    ("t5", "plain", "span"),
    *(("bert", kind, {"score": "regression"}.get(kind, kind)) for kind in ("classify", "multi_label", "score", "tag", "answers")),
]


@pytest.fixture
def rows(tmp_path):
    """A file of rows of a kind."""

    def write(kind, name="rows.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(json.dumps(row) for row in ROWS[kind]))
        return str(path)

    return write


def settings(data, model, out, **more):
    return TuneSettings(
        data=data,
        model=model,
        out=str(out),
        **({"steps": 6, "batch_rows": 4, "precision": "fp32", "evaluations": 2, "retain": ()} | more),
    )


@pytest.mark.parametrize(("kind", "rows_kind", "objective"), FITS)
def test_rows_and_model_decide_the_objective_and_the_loss_falls(kind, rows_kind, objective, rows, model, tmp_path):
    done = tune_rows(settings(rows(rows_kind), model(kind), tmp_path / "run", method="full", steps=30, learning_rate=3e-3))
    assert done.objective == objective
    assert done.loss < done.base_loss
    assert TuneRecord.model_validate_json((tmp_path / "run" / "hone.json").read_text()) == done
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in log] == list(range(1, done.training.steps + 1))
    assert sum("score" in event for event in log) == len(done.training.log)
    assert not (tmp_path / "run" / "work").exists()


@pytest.mark.parametrize(("kind", "of"), [("tag", "O"), ("classify", None), ("score", None)])
def test_the_share_of_right_terms_stands_beside_what_the_commonest_answer_alone_would_reach(
    kind, of, rows, model, tmp_path, capsys
):
    """Nine words of ten carry no tag: without it, 90% looks like a tagger that works."""
    done = tune_rows(settings(rows(kind), model("bert"), tmp_path / "run", steps=2))
    told = f"{capsys.readouterr().err}\n{(tmp_path / 'run' / 'README.md').read_text()}"
    if kind == "score":
        assert done.commonest is None and "always '" not in told
        return
    given = [row["ner_tags"] if kind == "tag" else [row["label"]] for row in ROWS[kind]]
    assert done.commonest.label in {label for labels in given for label in labels} and of in (None, done.commonest.label)
    assert 0 < done.commonest.share <= 1
    assert told.count(f"(always '{done.commonest.label}': {done.commonest.share:.1%})") == 2
    assert "Not measured: No retained tasks were asked for (--retain).\n" in told


@pytest.mark.parametrize("method", ["full", "lora", "bias"])
def test_the_files_of_a_run_follow_the_umask(method, rows, model, tmp_path):
    (tmp_path / "plain").write_text("")
    tune_rows(settings(rows("classify"), model("bert"), tmp_path / "run", method=method, steps=2))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert any(name.endswith(".safetensors") for name in modes)
    assert set(modes.values()) == {(tmp_path / "plain").stat().st_mode & 0o777}, modes


def test_an_earlier_run_is_asked_again_as_it_was_trained_to_the_last_space(rows, tmp_path):
    """The prompt ends with the line break behind which training put the answer."""
    asked = settings(rows("completion"), "starter/decoder", tmp_path / "run", steps=1, template="Say it.\n{prompt} =>\n")
    tune_rows(asked)
    (task,) = find_tasks([str(tmp_path / "run")])
    assert task.prompts and all(prompt.startswith("Say it.\n") and prompt.endswith(" =>\n") for prompt in task.prompts)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize(("kind", "rows_kind"), [("llama", "completion"), ("t5", "completion"), ("llama", "chat")])
def test_answers_are_written_before_and_after(kind, rows_kind, method, rows, model, tmp_path):
    """Greedy answers to validation rows, scored; what is told is what stands in the file, and the last network wrote it."""
    rate = {"full": 3e-3, "lora": 1e-2}[method]
    asked = settings(rows(rows_kind), model(kind), tmp_path / "run", method=method, steps=60, learning_rate=rate)
    done = tune_rows(asked)
    lines = [json.loads(line) for line in (tmp_path / "run" / "answers.jsonl").read_text().splitlines()]
    scores = {score.metric: score for score in done.answers}
    assert scores.keys() == {"exact_match", "token_f1"}
    assert len(lines) == scores["exact_match"].n == done.rows.validation
    assert {line["right"] for line in lines} <= {"please refund", "it is late"}
    for name in ("base", "tuned"):
        found = sum(line[name] == line["right"] for line in lines) / len(lines)
        assert getattr(scores["exact_match"], {"tuned": "value"}.get(name, name)) == pytest.approx(found)
    assert scores["token_f1"].value > scores["token_f1"].base
    asked_again = find_tasks([str(tmp_path / "run")])[0]
    assert (asked_again.name, asked_again.prompts) == ("run", tuple(line["read"] for line in lines))
    others = find_tasks([str(tmp_path / "run")], replayed=tmp_path / "run")[0].prompts
    assert sorted([*others, *earlier_prompts(tmp_path / "run")]) == sorted(asked_again.prompts)
    assert earlier_prompts(tmp_path) == earlier_prompts(tmp_path / "nowhere") == []
    assert "exact_match" in (tmp_path / "run" / "README.md").read_text()


def test_no_answers_where_none_are_asked_for_or_none_are_words(rows, model, tmp_path):
    assert tune_rows(settings(rows("completion"), model("llama"), tmp_path / "a", answers=0)).answers == ()
    assert tune_rows(settings(rows("plain"), model("llama"), tmp_path / "b")).answers == ()
    assert not (tmp_path / "a" / "answers.jsonl").exists()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers by its old name
@pytest.mark.parametrize("method", ["lora", "ia3"])
@pytest.mark.parametrize("kind", ["llama", "t5", "gpt2"])
def test_an_adapter_loads_in_peft_and_answers_the_same(method, kind, rows, model, tmp_path):
    """What `PeftModel.from_pretrained` makes of the run folder has the loss that the record names."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    from hone.catalogue import locate_model
    from hone.model import load_reader
    from hone.tune.choose import choose
    from hone.tune.prepare import encode_rows, read_rows

    asked = settings(rows("completion"), model(kind), tmp_path / "run", method=method, steps=20, learning_rate=1e-2)
    done = tune_rows(asked)
    base = (AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM).from_pretrained(model(kind))
    theirs = PeftModel.from_pretrained(base, tmp_path / "run").eval()
    read = read_rows(asked)
    folder = locate_model(model(kind))
    reader = load_reader(folder, precision="fp32")
    chosen = choose(asked, read.material, folder, reader)
    encoded = encode_rows(asked, read, chosen.objective).validation
    total, terms = 0.0, 0
    for item in encoded:
        if kind == "t5":
            batch = {"input_ids": torch.tensor([item.source]), "labels": torch.tensor([item.target])}
        else:
            labels = torch.full((1, len(item.ids)), -100)
            labels[0, [place + 1 for place in item.places]] = torch.tensor(item.labels)
            batch = {"input_ids": torch.tensor([item.ids]), "labels": labels}
        count = int((batch["labels"] >= 0).sum())
        with torch.no_grad():
            total, terms = total + theirs(**batch).loss.item() * count, terms + count
    assert total / terms == pytest.approx(done.loss, rel=1e-4)
    assert abs(done.loss - done.base_loss) > 0.01


@pytest.mark.parametrize("method", [{"method": "top", "layers": 1}, {"method": "lora", "lora_layers": 1}], ids=["top", "lora"])
def test_frozen_blocks_are_computed_once_or_with_every_row_for_the_same_loss(method, rows, model, tmp_path, capsys):
    asked = {"steps": 30, "learning_rate": 1e-2, **method}
    kept = tune_rows(settings(rows("completion"), model("llama"), tmp_path / "kept", **asked))
    assert "Of 2 blocks the lower 1 are frozen: what they make of a row is computed once" in capsys.readouterr().err
    each = tune_rows(settings(rows("completion"), model("llama"), tmp_path / "each", keep_gib=0, **asked))
    assert "are allowed" in capsys.readouterr().err
    assert kept.loss == pytest.approx(each.loss, rel=1e-4)
    assert kept.loss < kept.base_loss


@pytest.mark.parametrize("hold", ["none", "l2sp", "ewc", "kl"])
def test_what_is_held_stays_nearer_to_the_base(hold, rows, model, tmp_path):
    done = tune_rows(
        settings(rows("completion"), model("llama"), tmp_path / "run", method="full", hold=hold, hold_strength=5.0, steps=20)
    )
    free = tune_rows(settings(rows("completion"), model("llama"), tmp_path / "free", method="full", steps=20))
    if hold == "none":
        assert done.loss == free.loss and done.held_bytes == 0
    else:
        assert done.held_bytes > 0
        assert free.loss < done.loss < done.base_loss + 1e-3


def test_older_rows_are_mixed_in_at_their_rate(rows, model, tmp_path):
    old = rows("completion", "old.jsonl")
    done = tune_rows(
        settings(rows("completion"), model("llama"), tmp_path / "run", replay=old, replay_rate=0.5, epochs=4.0, steps=None)
    )
    assert done.effective_epochs.keys() == {"task", "replay"}
    assert done.effective_epochs["task"] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_words_that_were_added_to_the_tokenizer_alone_are_named(kind, rows, model, tmp_path):
    from transformers import AutoTokenizer

    folder = shutil.copytree(model(kind), tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "<added pad>"})
    tokenizer.add_tokens(["zebra"])
    tokenizer.save_pretrained(folder)
    plain = tune_rows(settings(rows("completion"), str(folder), tmp_path / "plain", precision="bf16", steps=2))
    assert plain.loss
    text = Path(rows("completion", "more.jsonl")).read_text()
    (tmp_path / "more.jsonl").write_text(text.replace("refund", "zebra"))
    with pytest.raises(BadModel, match=r"has 97 words and the model's embedding 95: the rows hold 'zebra', which it cannot read"):
        tune_rows(settings(str(tmp_path / "more.jsonl"), str(folder), tmp_path / "run"))


@pytest.mark.parametrize("batch_rows", [4, 16, 64])
def test_few_rows_are_passed_over_as_often_as_was_asked(batch_rows, rows, model, tmp_path, capsys):
    """33 rows in batches of 16 make steps of 16, 16 and 1: counted as if each were full, three passes were two."""
    asked = settings(rows("completion"), model("llama"), tmp_path / "run", epochs=3, steps=None, batch_rows=batch_rows)
    done = tune_rows(asked)
    assert done.effective_epochs == pytest.approx({"task": 3.0}, rel=0.05)
    assert "Effective epochs: 3.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "rows_kind", "named"),
    [
        ("llama", "completion", r"the batch of \S*rows.jsonl lines \d+, \d+, \d+, \d+\."),
        ("bert", "answers", r"the batch of \S*rows.jsonl lines \d+, \d+, \d+, \d+\."),
        ("llama", "plain", r"the batch of texts that begin with '[^']+', '[^']+', '[^']+', '[^']+'\."),
        ("t5", "plain", r"the batch of texts that begin with '[^']+'"),
    ],
)
def test_a_run_that_leaves_its_course_names_the_rows_as_they_stand_in_the_file(kind, rows_kind, named, rows, model, tmp_path):
    with pytest.raises(Failed, match=named):
        tune_rows(settings(rows(rows_kind), model(kind), tmp_path / "run", method="full", learning_rate=1e38, warmup=0.0))


def test_a_validation_row_never_trains(rows, model, tmp_path):
    """The same row in both files is left out of training, and counted."""
    data, validation = rows("completion"), rows("completion", "validation.jsonl")
    lines = (tmp_path / "validation.jsonl").read_text().splitlines()
    (tmp_path / "validation.jsonl").write_text("\n".join(lines[:5]))
    done = tune_rows(settings(data, model("llama"), tmp_path / "run", validation=validation))
    assert done.rows.duplicates == 5
    assert done.rows.train == len(ROWS["completion"]) - 5


def test_rows_longer_than_the_context_are_cut_and_counted(rows, model, tmp_path):
    done = tune_rows(settings(rows("completion"), model("llama"), tmp_path / "run", length=8))
    assert 0 < done.rows.cut <= done.rows.train


@pytest.mark.parametrize("kind", ["completion", "chat"])
def test_trained_on_prompts_too_a_model_is_asked_for_the_answer_alone(kind, rows, model, tmp_path):
    """What is asked is where the answer begins, not where training does."""
    told = []
    for trains_all in (False, True):
        out = tmp_path / f"run-{trains_all}"
        tune_rows(settings(rows(kind), model("llama"), out, steps=1, train_on_prompt=trains_all))
        lines = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
        told.append([(line["read"], line["right"]) for line in lines])
    assert told[0] == told[1]
    assert {right for _, right in told[0]} <= {"please refund", "it is late"}


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bart"])
def test_answers_to_long_rows_stay_within_the_context(kind, model, tmp_path, monkeypatch):
    """A prompt that fills the context of 64 tokens gives way to the answer, of which learned positions would have none left."""
    text = " ".join(SENTENCES * 2)
    lines = [json.dumps({"prompt": f"{n} {text}", "completion": text if kind == "bart" else text[: 20 + n]}) for n in range(20)]
    (tmp_path / "long.jsonl").write_text("\n".join(lines))
    asked, own = [], Generator.generate
    monkeypatch.setattr(
        Generator, "generate", lambda self, rows, how, **more: asked.append((rows, how)) or own(self, rows, how, **more)
    )
    tune_rows(settings(str(tmp_path / "long.jsonl"), model(kind), tmp_path / "run", steps=1))
    assert asked
    for rows, how in asked:
        assert max(map(len, rows)) + (0 if kind == "bart" else how.max_new_tokens) <= 64
        assert max(map(len, rows)) > 32 and rows[0][0] == 1


@pytest.mark.parametrize("method", ["full", "lora", "top"])
def test_a_saved_head_tells_numbers_in_the_units_of_the_rows(method, rows, model, tmp_path):
    """In training they are scaled; whoever loads the run gets what the rows hold, to an error that the record's loss names."""
    asked = settings(rows("score"), model("bert"), tmp_path / "run", method=method, steps=60, learning_rate=3e-3)
    done = tune_rows(asked)
    assert done.score_mean == pytest.approx(2.5, abs=0.3) and done.score_deviation == pytest.approx(2**0.5, abs=0.2)
    base = locate_model(str(tmp_path / "run") if method == "full" else model("bert"))
    reader = load_reader(base, precision="fp32")
    net = load_classifier(base, ("score",))
    net = make_trainable(method).load(net, tmp_path / "run").to(reader.device).eval()
    ready = make_ready(asked.model_copy(update={"out": str(tmp_path / "again")}), until=None)
    right = [item.target * done.score_deviation + done.score_mean for item in ready.rows.validation]
    with torch.no_grad():
        told = net([item.ids for item in ready.rows.validation])[:, 0].tolist()
    error = sum((one - other) ** 2 for one, other in zip(told, right, strict=True)) / len(right)
    assert error / 2 / done.score_deviation**2 == pytest.approx(done.loss, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("classify", {"text": "the box", "label": "gone"}),
        ("multi_label", {"text": "the box", "labels": ["late", "gone"]}),
        ("tag", {"tokens": ["the", "box"], "ner_tags": ["O", "gone"]}),
    ],
)
def test_a_class_to_replay_that_the_data_lacks_is_named_with_its_row(kind, row, rows, model, tmp_path):
    (tmp_path / "other.jsonl").write_text("\n".join(json.dumps(one) for one in [*ROWS[kind][:3], row]))
    with pytest.raises(BadData, match=r"other.jsonl line 4: label 'gone' is none of .* add rows"):
        tune_rows(settings(rows(kind), model("bert"), tmp_path / "run", replay=str(tmp_path / "other.jsonl")))


@pytest.mark.parametrize("kind", ["score", "multi_label"])
def test_an_accuracy_that_there_is_none_of_is_refused_before_the_first_step(kind, rows, model, tmp_path):
    with pytest.raises(Usage, match="--metric accuracy is none of"):
        tune_rows(settings(rows(kind), model("bert"), tmp_path / "run", metric="accuracy"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("refused", "because"),
    [
        ({"method": "bias"}, "has no biases"),
        ({"retain": ("nosuch.jsonl",)}, "is no task of hone's own"),
        ({"track": ("wanb",)}, "tracker 'wanb' is not known"),
    ],
)
def test_what_is_refused_leaves_no_folder_in_the_way_of_the_corrected_command(refused, because, rows, model, tmp_path):
    with pytest.raises(Usage, match=because):
        tune_rows(settings(rows("completion"), model("llama"), tmp_path / "run", **refused))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("family", ["albert", "mpnet"])
def test_an_encoder_that_cannot_recompute_is_refused_in_one_line(family, rows, tmp_path):
    base = save_encoder(tmp_path / family, family)
    with pytest.raises(Usage, match=r"Model keeps what its blocks compute: .* Leave --gradient-checkpointing out"):
        tune_rows(settings(rows("classify"), str(base), tmp_path / "run", gradient_checkpointing=True))
    assert not (tmp_path / "run").exists()


def test_a_killed_run_goes_on_and_ends_the_same(rows, model, tmp_path):
    """kill -9 in the middle; the same command again gives the same parameters, bit for bit."""
    data = rows("completion")
    command = [
        "tune",
        data,
        "--model",
        model("llama"),
        "--method",
        "full",
        "--steps",
        "400",
        "--batch-rows",
        "4",
        "--precision",
        "fp32",
    ]
    folders = run_whole_and_killed(command, tmp_path, after=60)
    from safetensors.torch import load_file

    whole, resumed = (load_file(folder / "model.safetensors") for folder in folders)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    logs = [[json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()] for folder in folders]
    for log in logs:
        assert [event["step"] for event in log] == list(range(1, 401))
    assert [event["loss"] for event in logs[0]] == [event["loss"] for event in logs[1]]


def test_the_log_has_a_line_a_step_after_a_kill_and_of_the_last_run_alone(tmp_path):
    """What is done again is written anew; a line that a kill cut off is left out."""
    usual = {"steps": 5, "seconds": 1.0, "tokens": 9, "penalty": 0.0, "gradient_norm": 1.0, "learning_rate": 0.1, "score": None}

    def write(steps, loss):
        with open_trackers((), tmp_path, TuneSettings(data="rows.jsonl", model="starter/decoder")) as tell:
            for step in steps:
                tell(StepEvent(step=step, loss=loss, **usual))
        return [(event["step"], event["loss"]) for event in map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())]

    write((1, 2, 3), 3.0)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    assert write((3, 4, 5), 2.0) == [(1, 3.0), (2, 3.0), (3, 2.0), (4, 2.0), (5, 2.0)]
    assert write((), 1.0) == [(1, 3.0), (2, 3.0), (3, 2.0), (4, 2.0), (5, 2.0)]
    assert write((1, 2), 1.0) == [(1, 1.0), (2, 1.0)]


@pytest.mark.parametrize("of_accelerate", [{}, {"ACCELERATE_MIXED_PRECISION": "fp16"}], ids=["torchrun", "configured"])
def test_two_processes_train_as_one(of_accelerate, rows, model, tmp_path):
    """torchrun with gloo on the CPU: the losses of every step agree with those of one process, whatever accelerate is configured to."""
    arguments = [
        rows("completion"),
        "--model",
        model("llama"),
        "--method",
        "full",
        "--steps",
        "6",
        "--precision",
        "fp32",
        "--quiet",
    ]
    assert run(["tune", *arguments, "--out", str(tmp_path / "one")]) == 0
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "hone",
        "tune",
        *arguments,
    ]
    environment = os.environ | {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1"} | of_accelerate
    subprocess.run([*launch, "--out", str(tmp_path / "two")], check=True, capture_output=True, env=environment, timeout=120)
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()] for name in ("one", "two")
    )
    assert len(one) == len(two) == 6
    for first, second in zip(one, two, strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-5)
        assert second["gradient_norm"] == pytest.approx(first["gradient_norm"], rel=1e-3)
        assert second["tokens"] == first["tokens"]


def test_the_configuration_repeats_the_run(rows, model, tmp_path):
    done = tune_rows(settings(rows("completion"), model("llama"), tmp_path / "run", method="lora", rank=3, dora=True))
    again = read_settings(TUNE, tmp_path / "run" / "config.yaml", {"out": str(tmp_path / "again")})
    assert tune_rows(again).loss == done.loss


def test_names_that_other_tools_use_are_understood():
    made = settings_from(
        TUNE, {"data": "a", "base_model": "m", "lr": 1e-4, "num_train_epochs": 2, "lora_r": 4, "cutoff_len": 128}
    )
    assert (made.model, made.learning_rate, made.epochs, made.rank, made.length) == ("m", 1e-4, 2.0, 4, 128)


@pytest.mark.parametrize(
    ("kind", "rows_kind", "more", "said"),
    [
        ("llama", "tag", {}, "rows of the kind 'tag' train encoder models"),
        ("bert", "completion", {}, "train decoder or encoder-decoder models"),
        ("llama", "completion", {"objective": "masked"}, "not with 'masked'"),
        ("llama", "completion", {"template": "no place"}, "no {prompt} in it"),
        ("llama", "completion", {"method": "bias"}, "no biases"),
        ("llama", "completion", {"method": "full", "load": "4bit"}, "Choose lora"),
        ("llama", "completion", {"method": "top", "layers": 9}, "has 2 blocks"),
        ("bert", "score", {"metric": "accuracy"}, "--metric accuracy is none of .*Known: loss, mae"),
        ("bert", "classify", {"hold": "kl"}, "Use l2sp or ewc"),
        ("llama", "completion", {"track": ("wanb",)}, "Did you mean 'wandb'"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(kind, rows_kind, more, said, rows, model, tmp_path):
    with pytest.raises(Usage, match=said.replace("{", r"\{")):
        tune_rows(settings(rows(rows_kind), model(kind), tmp_path / "run", **more))


def test_too_few_rows_are_refused(model, tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps(ROWS["completion"][0]))
    with pytest.raises(BadData, match="left to train on"):
        tune_rows(settings(str(path), model("llama"), tmp_path / "run"))


def test_another_run_in_the_folder_is_left_alone(rows, model, tmp_path):
    tune_rows(settings(rows("completion"), model("llama"), tmp_path / "run"))
    with pytest.raises(Usage, match="holds a run with other rows or settings"):
        tune_rows(settings(rows("completion"), model("llama"), tmp_path / "run", rank=2))


def test_the_preview_marks_the_answers(rows, model, tmp_path):
    shown = mask_preview(settings(rows("completion"), model("llama"), tmp_path / "run"), rows=4)
    assert len(shown) == 4
    for spans in shown:
        assert [text for text, is_trained in spans if is_trained] in (["please refund </s>"], ["it is late </s>"])
    everything = mask_preview(settings(rows("completion"), model("llama"), tmp_path / "run", train_on_prompt=True), rows=1)[0]
    assert [is_trained for _, is_trained in everything] == [False, True]


def test_expected_and_measured_stand_side_by_side(rows, model, tmp_path, capsys):
    set_quiet(False)
    done = tune_rows(settings(rows("completion"), model("llama"), tmp_path / "run"))
    said = capsys.readouterr().err
    assert "trained terms" in said and "Expected: " in said and "(expected " in said
    assert done.expected.seconds > 0 and done.expected.peak_bytes > 0 and done.peak_bytes > 0


def test_choices_are_trained_as_completions_with_the_choices_in_the_prompt(rows, model, tmp_path):
    shown = mask_preview(settings(rows("choice"), model("llama"), tmp_path, kind="choice"), rows=2)
    for spans in shown:
        read, trained = ("".join(text for text, is_trained in spans if is_trained is wanted) for wanted in (False, True))
        assert "please refund" in read and "it is late" in read and "the box" in read
        assert any(trained.startswith(answer) for answer in ("please refund", "it is late"))
    done = tune_rows(settings(rows("choice"), model("llama"), tmp_path / "run", steps=2))
    assert (done.objective, done.choices_template) == ("completion", "multiple-choice/plain.v1")
    assert "multiple-choice/plain.v1" in (tmp_path / "run" / "README.md").read_text()
    with pytest.raises(Usage, match="rows of the kind 'choice' train decoder or encoder-decoder models"):
        tune_rows(settings(rows("choice"), model("bert"), tmp_path / "other"))


def test_a_finished_run_is_read_back_and_not_trained_again(rows, model, tmp_path, capsys):
    asked = settings(rows("completion"), model("llama"), tmp_path / "run")
    done = tune_rows(asked)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    assert tune_rows(asked) == done
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir() if path.name != "run.key"} == {
        path: at for path, at in files.items() if path.name != "run.key"
    }
    assert "Finished before" in capsys.readouterr().err


def test_a_second_process_in_the_same_folder_is_refused_and_leaves_it_as_it_is(rows, model, tmp_path):
    with only_process(tmp_path / "run"), pytest.raises(Failed, match="Another process is working in"):
        tune_rows(settings(rows("completion"), model("llama"), tmp_path / "run"))
    assert list((tmp_path / "run").iterdir()) == []


def test_changed_rows_to_replay_or_to_retain_are_another_run(rows, model, tmp_path):
    older, kept = rows("completion", "older.jsonl"), tmp_path / "kept.jsonl"
    kept.write_text("".join(json.dumps({"text": text}) + "\n" for text in SENTENCES * 3))
    asked = settings(rows("completion"), model("llama"), tmp_path / "run", replay=older, retain=(str(kept),))
    tune_rows(asked)
    whole = Path(older).read_text()
    Path(older).write_text(whole[: whole.rindex("\n")])
    with pytest.raises(Usage, match="other rows or settings"):
        tune_rows(asked)
    Path(older).write_text(whole)
    kept.write_text(kept.read_text() * 2)
    with pytest.raises(Usage, match="other rows or settings"):
        tune_rows(asked)


def test_a_full_disk_while_the_model_is_saved_is_one_line(rows, model, tmp_path, monkeypatch):
    import safetensors.torch
    from safetensors import SafetensorError

    def full(*_arguments, **_named):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    asked = settings(rows("completion"), model("llama"), tmp_path / "run", method="adapter")
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(Failed, match="The disk is full while writing"):
            tune_rows(asked)
    assert not (tmp_path / "run" / "hone.json").exists()
    assert tune_rows(asked).training.steps
