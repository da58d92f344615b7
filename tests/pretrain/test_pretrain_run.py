"""`hone pretrain` from texts to a model that plain transformers loads, for every family, and its advice."""

import errno
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hone.cli.main import run
from hone.core.claim import only_process
from hone.core.configuration import parse_count, settings_from
from hone.core.errors import BadData, Failed, Usage
from hone.pretrain import PRETRAIN, PretrainRecord, pretrain
from hone.pretrain.advise import Pace, advise_size, advise_tokens, tell_cost
from hone.train import fit
from killed import run_whole_and_killed
from tiny import SENTENCES

TEXTS = [" ".join((text, other)) for text in SENTENCES for other in SENTENCES]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    file = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return str(file)


def settings(texts, out, **named):
    usual = {"size": 200_000, "tokens": 40_000, "vocabulary": 400, "length": 32, "batch_tokens": 512, "evaluations": 2}
    return settings_from(PRETRAIN, {"data": (texts,), "out": str(out), **usual, **named})


@pytest.fixture(scope="module", params=["causal", "masked", "span"])
def trained(request, texts, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "run"
    return pretrain(settings(texts, out, objective=request.param)), out


def test_the_loss_falls_far_below_that_of_chance(trained):
    done, _ = trained
    assert done.start_loss > 5.5  # chance: the logarithm of about 400
    assert done.loss < {"causal": 3.0, "masked": 5.3, "span": 4.9}[done.objective]


def test_plain_transformers_loads_what_was_written(trained):
    import transformers

    done, out = trained
    kind = {"causal": "AutoModelForCausalLM", "masked": "AutoModelForMaskedLM", "span": "AutoModelForSeq2SeqLM"}[done.objective]
    net = getattr(transformers, kind).from_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert sum(parameter.numel() for parameter in net.parameters()) == done.parameters
    ids = tokenizer(SENTENCES[0], return_tensors="pt")
    assert tokenizer.decode(ids["input_ids"][0], skip_special_tokens=True) == SENTENCES[0]
    with torch.no_grad():
        logits = net(**ids, **({"labels": ids["input_ids"]} if done.objective == "span" else {})).logits
    assert logits.shape[-1] == done.vocabulary


def test_the_record_the_log_the_samples_and_the_card_are_there_and_the_work_is_gone(trained):
    done, out = trained
    assert PretrainRecord.model_validate_json((out / "hone.json").read_text()) == done
    assert len((out / "log.jsonl").read_text().splitlines()) == done.training.steps
    assert {sample.step for sample in done.samples} == {entry.step for entry in done.training.log}
    assert f"{done.loss:.4f}" in (out / "README.md").read_text()
    assert (done.bits_per_byte is not None) == (done.objective == "causal")
    assert not (out / "work").exists()


@pytest.mark.parametrize("trained", ["causal"], indirect=True)
def test_a_decoder_writes_words_it_has_read(trained):
    done, _ = trained
    known = set(" ".join(TEXTS).split())
    last = [sample.written.split()[1:] for sample in done.samples if sample.step == done.training.steps]
    written = [word for words in last for word in words]  # the first of each may be the end of a word that was read
    assert sum(word in known for word in written) > 0.8 * len(written) > 0


def test_longer_gaps_take_as_much_out_in_fewer_places(texts, tmp_path):
    gaps, written = {}, {}
    for gap in (2, 8):
        done = pretrain(
            settings(texts, tmp_path / str(gap), objective="span", mask_rate=0.5, gap=gap, tokens=3000, evaluations=1, samples=8)
        )
        gaps[gap] = sum(sample.read.count("<extra_id_") for sample in done.samples)
        written[gap] = done.training.terms_seen / done.training.tokens_seen
    assert gaps[8] < gaps[2] / 2
    assert 0.5 < written[8] < written[2] < 0.9  # half of each text, and a sentinel for each gap


def test_a_model_goes_on_from_a_base_with_its_tokenizer(trained, texts, tmp_path):
    first, base = trained
    done = pretrain(settings(texts, tmp_path / "on", base=str(base), size=None, tokens=4_000))
    assert done.objective == first.objective
    assert done.vocabulary == first.vocabulary
    assert done.start_loss == pytest.approx(first.loss, rel=1e-3)
    assert done.loss < first.loss + 0.05


def test_a_base_of_another_family_is_refused(trained, texts, tmp_path):
    done, base = trained
    other = "masked" if done.objective != "masked" else "causal"
    with pytest.raises(Usage, match=f"goes on with '{done.objective}'"):
        pretrain(settings(texts, tmp_path / "on", base=str(base), size=None, objective=other))
    assert not (tmp_path / "on").exists()


def test_a_killed_run_goes_on_and_ends_the_same(texts, tmp_path):
    """kill -9 in the middle; the same command again gives the same parameters, bit for bit."""
    command = ["pretrain", texts, "--size", "200k", "--tokens", "60k", "--vocabulary", "400", "--length", "32"]
    command += ["--batch-tokens", "256", "--precision", "fp32", "--evaluations", "3"]
    always = "import hone.pretrain.run as own\nown._CHECKPOINT = 0.0\n"
    folders = run_whole_and_killed(command, tmp_path, after=100, always=always)
    whole, resumed = (load_file(folder / "model.safetensors") for folder in folders)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_size_and_tokens_are_advised_from_the_texts_alone(texts, tmp_path):
    done = pretrain(settings(texts, tmp_path / "run", size=None, tokens=None, vocabulary=None, budget=1.0))
    assert 0.5e6 < done.parameters < 1.5e6  # the smallest that is advised: the corpus is tiny
    assert done.training.tokens_seen > 0


def test_the_command_prints_the_record_and_names_what_is_missing(texts, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["pretrain", texts, "--size", "0.2m", "--tokens", "5k", "--vocabulary", "400", "--length", "32", "--json"]
    assert run([*command, "--quiet", "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["tokens"] == 5000
    assert run(["pretrain"]) == 3
    assert "Name the texts" in capsys.readouterr().err
    assert run(["pretrain", texts, "--size", "big"]) == 3
    assert "8m" in capsys.readouterr().err


def test_what_is_not_read_is_named_before_training_and_counted_in_record_and_card(texts, tmp_path, capsys):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "rows.jsonl").write_bytes(Path(texts).read_bytes() + b'{"text": broken}\n')
    (folder / "latin.txt").write_bytes(b"caf\xe9 au lait")
    (folder / "blank.txt").write_text("\n", encoding="utf-8")
    done = pretrain(settings(str(folder), tmp_path / "run", tokens=2_000, evaluations=1))
    assert done.unread == 3
    assert [Path(one.split(":")[0]).name for one in done.unread_examples] == [
        "blank.txt",
        "latin.txt",
        f"rows.jsonl line {len(TEXTS) + 1}",
    ]
    said = capsys.readouterr().err
    assert "3 files and rows cannot be read" in said
    assert "latin.txt: not UTF-8" in said
    assert "3 files and rows could not be read" in (tmp_path / "run" / "README.md").read_text()


def test_where_nothing_can_be_read_the_reasons_are_named(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 au lait")
    with pytest.raises(BadData, match=r"(?s)There is no text in .*latin\.txt: not UTF-8"):
        pretrain(settings(str(tmp_path / "latin.txt"), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("text", "count"), [("8m", 8_000_000), ("1.3B", 1_300_000_000), ("125k", 125_000), ("8_192", 8192)])
def test_counts_are_read_as_people_write_them(text, count):
    assert parse_count(text) == count


PACE = Pace(10_000_000, 4_000.0)


def test_a_budget_buys_the_size_for_which_it_gives_twenty_tokens_a_parameter():
    size = advise_size(corpus_tokens=10**12, tokens=None, budget=3600.0, pace=PACE)
    bought = advise_tokens(parameters=size, corpus_tokens=10**12, budget=3600.0, pace=PACE)
    assert bought / size == pytest.approx(20, rel=0.01)


def test_without_a_budget_no_more_than_four_passes_are_advised():
    assert advise_tokens(parameters=10**9, corpus_tokens=1000, budget=None, pace=PACE) == 4000
    assert advise_tokens(parameters=10**6, corpus_tokens=10**9, budget=None, pace=PACE) == 20_000_000


def test_the_cost_says_what_the_rules_of_thumb_say():
    told = tell_cost(parameters=10**7, tokens=10**7, corpus_tokens=10**6, pace=PACE)
    assert "1.0 a parameter" in told
    assert "10.00 passes" in told
    assert "More than 4 passes" in told
    assert "41 min 40 s" in told
    assert "2.2 M parameters" in told
    assert "make the most" not in tell_cost(parameters=10**6, tokens=2 * 10**7, corpus_tokens=10**7, pace=PACE)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"gap": 5.0}, "--gap would do nothing: 'causal'"),
        ({"mask_rate": 0.3}, "--mask-rate would do nothing: 'causal'"),
        ({"objective": "masked", "gap": 5.0}, "--gap would do nothing: 'masked'"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(named, said, texts, tmp_path):
    with pytest.raises(Usage, match=said):
        pretrain(settings(texts, tmp_path / "run", **named))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--from", "base", "--size", "1m", "--vocabulary", "400"], "--size and --vocabulary would do nothing"),
        (["--size", "1m", "--tokens", "1m", "--budget", "1h"], "--budget would do nothing"),
        (["--from", "base", "--tokens", "1m", "--budget", "1h"], "--budget would do nothing"),
    ],
)
def test_what_is_decided_already_is_not_asked_in_vain(more, said, texts, capsys):
    assert run(["pretrain", texts, *more]) == 3
    assert said in capsys.readouterr().err


def test_a_finished_run_is_read_back_and_not_trained_again(texts, tmp_path, capsys):
    asked = settings(texts, tmp_path / "run", tokens=2_000, evaluations=1)
    done = pretrain(asked)
    written = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    (tmp_path / "run" / "work").mkdir()  # a kill may leave it
    assert pretrain(asked) == done
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == written and not (tmp_path / "run" / "work").exists()
    assert "Finished before" in capsys.readouterr().err


def test_a_second_process_in_the_same_folder_is_refused(texts, tmp_path):
    with only_process(tmp_path / "run"), pytest.raises(Failed, match="Another process is working in"):
        pretrain(settings(texts, tmp_path / "run", tokens=2_000))


def test_a_full_disk_while_the_model_is_saved_is_one_line(texts, tmp_path, monkeypatch):
    def full(*_arguments, **_named):
        raise OSError(errno.ENOSPC, "No space left on device")

    def fit_then_fill(*arguments, **named):
        record = fit(*arguments, **named)
        monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
        return record

    monkeypatch.setattr("hone.pretrain.run.fit", fit_then_fill)
    with pytest.raises(Failed, match="The disk is full while writing"):
        pretrain(settings(texts, tmp_path / "run", tokens=2_000, evaluations=1))
