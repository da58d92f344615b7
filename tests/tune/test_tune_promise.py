"""What `hone tune` watches, holds and promises: forgetting before and after, self-replay, and a budget for what may be lost."""

import json

import pytest
from safetensors.torch import load_file

from hone.cli.main import run
from hone.core.errors import BadData, Usage
from hone.tune import TuneRecord, TuneSettings, tune_rows
from hone.tune.told import told_promise
from tiny import SENTENCES
from tiny_language import save_language_model


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


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """120 items with choices, of which a random model gets some right: none of its words are those of the rows."""
    path = tmp_path_factory.mktemp("older") / "older.jsonl"
    words = [word for text in SENTENCES for word in text.split()]
    items = [
        {"question": f"{words[n % 40]} {words[n % 17]}?", "choices": [words[n % 31], words[n % 23 + 5]], "answer": n % 2}
        for n in range(120)
    ]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return str(path)


def settings(rows, model, out, **more):
    usual = {
        "method": "full",
        "steps": 12,
        "batch_rows": 8,
        "precision": "fp32",
        "evaluations": 1,
        "answers": 0,
        "own_samples": 32,
    }
    return TuneSettings(data=rows, model=model, out=str(out), **(usual | more))


@pytest.mark.parametrize("kind", ["llama", "t5"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_retained_tasks_are_answered_before_and_after(kind, method, models, rows, tmp_path):
    done = tune_rows(settings(rows, models[kind], tmp_path / "run", method=method, retain=("grammar", "texts"), retain_items=12))
    assert [task.items for task in done.forgetting.drops.tasks] == [12]
    assert done.forgetting.rises.tasks[0].texts == 12
    assert done.forgetting.divergence > 0
    assert done.forgetting.noise.items == 12
    assert done.forgetting.is_base_when_off is (True if method == "lora" else None)
    assert TuneRecord.model_validate_json((tmp_path / "run" / "hone.json").read_text()) == done


def test_where_nothing_is_watched_the_reason_is_told(models, rows, tmp_path):
    done = tune_rows(settings(rows, models["llama"], tmp_path / "run", retain=()))
    assert done.forgetting is None
    assert "--retain" in done.forgetting_not_measured


def test_self_replay_keeps_the_model_nearer_to_its_base(models, rows, tmp_path):
    usual = {"retain": ("grammar",), "retain_items": 12, "steps": 40, "learning_rate": 3e-3}
    naive = tune_rows(settings(rows, models["llama"], tmp_path / "naive", **usual))
    held = tune_rows(settings(rows, models["llama"], tmp_path / "held", remember="self", remember_rate=0.5, **usual))
    assert held.forgetting.divergence < 0.5 * naive.forgetting.divergence
    assert held.loss < 0.5 * held.base_loss
    assert held.held_bytes > 0


def test_remember_replay_is_replay(models, rows, tmp_path):
    short = TuneSettings(data=rows, model=models["llama"], remember=f"replay:{rows}", remember_rate=0.2)
    assert (short.remember, short.replay, short.replay_rate) == ("none", rows, 0.2)
    assert TuneSettings(data=rows, model=models["llama"], may_lose=0.1).remember == "self"


def promised(rows, model, out, older, **more):
    return settings(rows, model, out, retain=(older,), retain_items=60, may_lose=0.2, confidence=0.8, **more)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_that_changes_nothing_keeps_its_promise_with_all_of_it_on(method, models, rows, older, tmp_path):
    done = tune_rows(promised(rows, models["llama"], tmp_path / "run", older, method=method, learning_rate=1e-7))
    assert done.certificate.dial == 1.0
    assert done.certificate.items == 60
    assert not done.breaks_promise
    assert done.loss == done.loss_at_full


def test_what_loses_too_much_is_turned_down_and_kept_so(models, rows, older, tmp_path):
    asked = {"learning_rate": 3e-2, "steps": 30, "remember": "none", "replay": None}
    base = load_file(f"{models['llama']}/model.safetensors")
    whole = tune_rows(settings(rows, models["llama"], tmp_path / "whole", retain=(older,), **asked))
    # `replay` is named, if only as none, so that the budget does not bring self-replay along
    down = tune_rows(promised(rows, models["llama"], tmp_path / "down", older, hold="l2sp", hold_strength=1e-9, **asked))
    dial = down.certificate.dial
    assert dial < 1
    assert down.loss > down.loss_at_full == pytest.approx(whole.loss, rel=1e-3)
    full, kept = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "down"))
    for name, value in kept.items():
        assert ((value - base[name]) - dial * (full[name] - base[name])).abs().max() < 2e-3


def test_too_few_items_for_a_promise_are_told_before_the_training(models, rows, older, tmp_path):
    with pytest.raises(Usage, match=r"takes 230 items held back, and half of the retained items are 60"):
        tune_rows(settings(rows, models["llama"], tmp_path / "run", retain=(older,), may_lose=0.01))
    assert not (tmp_path / "run" / "log.jsonl").exists()


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("llama", {"method": "prompt"}, "no position between"),
        ("llama", {"retain": ()}, "No retained tasks were asked for"),
        ("llama", {"remember": "self", "hold": "l2sp"}, "Choose one"),
    ],
)
def test_promises_that_cannot_be_made_are_refused(kind, more, said, models, rows, older, tmp_path):
    with pytest.raises(Usage, match=said):
        tune_rows(
            settings(rows, models[kind], tmp_path / "run", **({"retain": (older,), "may_lose": 0.2, "confidence": 0.8} | more))
        )


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    path = tmp_path_factory.mktemp("labelled") / "labels.jsonl"
    rows = [{"text": f"{text} {n}", "label": ("late", "refund")[n % 2]} for n, text in enumerate(SENTENCES * 3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    path = tmp_path_factory.mktemp("tagged") / "tags.jsonl"
    rows = [{"tokens": text.split(), "ner_tags": ["O", *["B-THING"] * (len(text.split()) - 1)]} for text in SENTENCES * 3]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_of_an_encoder_the_sentence_vectors_are_watched(models, labelled, tmp_path, capsys):
    done = tune_rows(settings(labelled, models["bert"], tmp_path / "run", retain=("find",)))
    assert done.forgetting is None and done.forgetting_not_measured is None
    assert [task.task for task in done.vectors.tasks] == ["find"]
    assert done.vectors.tasks[0].items == 121
    assert "sentence vectors" in capsys.readouterr().err
    assert "sentence vectors" in (tmp_path / "run" / "README.md").read_text()
    only_head = tune_rows(settings(labelled, models["bert"], tmp_path / "head", method="head", retain=("similar", "find")))
    assert all(task.before == task.after for task in only_head.vectors.tasks)


@pytest.mark.parametrize("kind", ["labelled", "tagged"])
def test_self_replay_keeps_an_encoder_where_it_was(kind, models, request, tmp_path):
    """The pairs of `similar`: the vectors of a held encoder stay far nearer to the base's."""
    data, found = request.getfixturevalue(kind), {}
    for way in ("none", "self"):
        asked = {
            "steps": 40,
            "learning_rate": 3e-3,
            "remember": way,
            "remember_rate": 0.5,
            "remember_strength": 10.0,
            "retain": ("similar",),
        }
        found[way] = tune_rows(settings(data, models["bert"], tmp_path / way, **asked))
    moved = {way: abs(done.vectors.tasks[0].after - done.vectors.tasks[0].before) for way, done in found.items()}
    assert moved["self"] < 0.5 * moved["none"]
    assert found["self"].held_bytes > 0 and found["none"].held_bytes == 0


def test_what_an_encoder_cannot_retain_is_told(models, labelled, tmp_path):
    with pytest.raises(Usage, match="is an encoder"):
        tune_rows(settings(labelled, models["bert"], tmp_path / "run", retain=("grammar",)))
    with pytest.raises(Usage, match="pairs of sentences alone"):
        tune_rows(settings(labelled, models["bert"], tmp_path / "pairs", retain=("similar",), may_lose=0.1))
    with pytest.raises(Usage, match=r"takes 230 items held back, and half of the retained items are 61"):
        tune_rows(settings(labelled, models["bert"], tmp_path / "few", retain=("find",), may_lose=0.01))


@pytest.fixture(scope="module")
def findable(tmp_path_factory):
    """120 questions that are the beginnings of their passages, so that any encoder finds most until its vectors are all alike."""
    path = tmp_path_factory.mktemp("findable") / "find.jsonl"
    words = sorted({word for text in SENTENCES for word in text.split()})
    texts = [f"{words[n % 11]} {words[11 + n // 11]}" for n in range(120)]
    rows = [{"query": text, "passage": f"{text} {words[n % 7]}"} for n, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_an_encoder_that_changes_nothing_keeps_its_promise_with_all_of_it_on(models, labelled, findable, tmp_path):
    asked = {"retain": (findable,), "may_lose": 0.05, "learning_rate": 1e-7}
    done = tune_rows(settings(labelled, models["bert"], tmp_path / "run", **asked))
    assert (done.certificate.dial, done.certificate.items, done.certificate.mean_loss) == (1.0, 60, 0.0)
    assert [(task.items, task.lost) for task in done.vectors.tasks] == [(60, 0)]
    assert not done.breaks_promise and done.loss == done.loss_at_full


def test_an_encoder_that_loses_too_much_is_turned_down_and_its_head_trained_for_that(
    models, labelled, findable, tmp_path, capsys
):
    asked = {"learning_rate": 3e-2, "steps": 30, "remember": "none", "replay": None}
    base = {name.removeprefix("bert."): value for name, value in load_file(f"{models['bert']}/model.safetensors").items()}
    whole = tune_rows(settings(labelled, models["bert"], tmp_path / "whole", retain=(findable,), **asked))
    assert whole.vectors.tasks[0].before > 0.5 and whole.vectors.tasks[0].lost > 12
    more = {"hold": "l2sp", "hold_strength": 1e-9, "retain": (findable,), "may_lose": 0.05}
    down = tune_rows(settings(labelled, models["bert"], tmp_path / "down", **asked, **more))
    dial = down.certificate.dial
    assert dial < 1
    assert "The head trained anew" in capsys.readouterr().err
    full, kept = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "down"))
    names = kept.keys() & base.keys()
    assert len(names) > 20
    for name in names:
        assert ((kept[name] - base[name]) - dial * (full[name] - base[name])).abs().max() < 2e-3
    heads = [load_file(next((tmp_path / name).glob("**/head.safetensors"))) for name in ("whole", "down")]
    assert any((heads[0][name] != heads[1][name]).any() for name in heads[0])
    at_base = down.model_copy(update={"certificate": down.certificate.model_copy(update={"dial": 0.0})})
    assert "the encoder is the base's, below its new head. Validation loss" in told_promise(at_base)
    assert "what is written equals the base." in told_promise(at_base.model_copy(update={"vectors": None}))


@pytest.fixture(scope="module")
def lengths(tmp_path_factory):
    """Other classes than those of `labelled`: how many words a text has."""
    path = tmp_path_factory.mktemp("lengths") / "lengths.jsonl"
    rows = [{"text": text, "label": "long" if len(text.split()) > 5 else "short"} for text in SENTENCES * 3]
    rows += [{"text": " ".join(text.split()[:3]), "label": "short"} for text in SENTENCES]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_the_head_of_an_earlier_run_is_asked_again(models, lengths, labelled, tmp_path):
    first = tune_rows(settings(lengths, models["bert"], tmp_path / "first", retain=(), learning_rate=3e-3, steps=60))
    answers = [json.loads(line) for line in (tmp_path / "first" / "answers.jsonl").read_text().splitlines()]
    right = sum(row["right"] == row["tuned"] for row in answers) / len(answers)
    assert right == first.accuracy > 0.5 and {row["right"] for row in answers} <= {"long", "short"}
    run = str(tmp_path / "first")
    still = tune_rows(settings(labelled, run, tmp_path / "still", method="head", retain=(run, "find")))
    assert [(task.task, task.metric) for task in still.vectors.tasks] == [("first", "accuracy"), ("find", "recall@1")]
    told = still.vectors.tasks[0]
    assert told.before == told.after == pytest.approx(right) and (told.items, told.lost) == (len(answers), 0)
    moved = tune_rows(settings(labelled, run, tmp_path / "moved", retain=(run,), learning_rate=1e-2, steps=60))
    assert moved.vectors.tasks[0].before == pytest.approx(right)
    assert moved.vectors.tasks[0].mrr_after != moved.vectors.tasks[0].mrr_before


def test_a_head_of_another_encoder_is_told(models, lengths, labelled, tmp_path):
    tune_rows(settings(lengths, models["bert"], tmp_path / "first", retain=()))
    with pytest.raises(BadData, match=r"first reads vectors of \d+ numbers, and this encoder's have 384"):
        tune_rows(settings(labelled, "starter/encoder", tmp_path / "other", retain=(str(tmp_path / "first"),), steps=1))


def test_an_encoder_that_fills_masks_is_not_watched_and_says_so(models, tmp_path):
    path = tmp_path / "plain.jsonl"
    path.write_text("".join(json.dumps({"text": f"{text} {n}"}) + "\n" for n, text in enumerate(SENTENCES * 3)))
    done = tune_rows(settings(str(path), models["bert"], tmp_path / "run"))
    assert "fills masks" in done.forgetting_not_measured
    with pytest.raises(Usage, match="fills masks"):
        tune_rows(settings(str(path), models["bert"], tmp_path / "self", remember="self"))


def test_a_broken_promise_ends_with_exit_code_2(models, rows, older, tmp_path, capsys):
    command = [
        "tune",
        rows,
        "--model",
        models["llama"],
        "--method",
        "full",
        "--steps",
        "40",
        "--lr",
        "0.3",
        "--precision",
        "fp32",
        "--answers",
        "0",
    ]
    command += ["--retain", older, "--may-lose", "2%", "--confidence", "60%", "--out", str(tmp_path / "run")]
    code = run(command)
    record = TuneRecord.model_validate_json((tmp_path / "run" / "hone.json").read_text())
    assert (code == 2) == record.breaks_promise
    assert record.certificate.budget == 0.02
    assert "Promise" in capsys.readouterr().err


def test_a_killed_self_replay_goes_on_and_ends_the_same(models, rows, older, tmp_path, monkeypatch):
    """Stopped in the middle of the steps; the same run again gives the same parameters, the controller's state included."""
    import hone.train.plan as plan
    from hone.tune import track

    asked = {"steps": 20, "learning_rate": 1e-3}
    tune_rows(promised(rows, models["llama"], tmp_path / "whole", older, **asked))
    monkeypatch.setattr(plan.TrainPlan.model_fields["checkpoint_seconds"], "default", 0.0)
    plan.TrainPlan.model_rebuild(force=True)
    before = track.json.dumps

    def stop(values, *more, **named):
        if isinstance(values, dict) and values.get("step") == 12:
            raise KeyboardInterrupt
        return before(values, *more, **named)

    monkeypatch.setattr(track.json, "dumps", stop)
    with pytest.raises(KeyboardInterrupt):
        tune_rows(promised(rows, models["llama"], tmp_path / "cut", older, **asked))
    monkeypatch.setattr(track.json, "dumps", before)
    tune_rows(promised(rows, models["llama"], tmp_path / "cut", older, **asked))
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all((value == cut[name]).all() for name, value in whole.items())
