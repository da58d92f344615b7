"""Vectors equal those of transformers and sentence-transformers, and depend on nothing but the text."""

import json
import random
import shutil
import warnings

import numpy as np
import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import BadModel
from hone.model import (
    EVALUATION_TOKENS,
    autocast,
    load_backbone,
    load_classifier,
    load_encoder,
    load_head,
    load_reader,
    resolve_precision,
    save_head,
)
from tiny import LABELS, SENTENCES, save_encoder, save_tokenizer, tiny_config

CPU = torch.device("cpu")


def loaded(path):
    return load_encoder(locate_model(str(path)), precision="fp32", device=CPU)


def theirs(path, texts, *, how="mean"):
    """Mean pooling as the model card of all-MiniLM-L6-v2 prints it, or the first token; then length 1."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    net = AutoModel.from_pretrained(path, dtype="float32").eval()
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        hidden = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).expand(hidden.size()).float()
    pooled = hidden[:, 0] if how == "cls" else torch.sum(hidden * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)
    return torch.nn.functional.normalize(pooled, p=2, dim=1).numpy()


@pytest.mark.parametrize("how", ["mean", "cls"])
def test_vectors_equal_transformers_own(family, encoder_path, tmp_path, how):
    path = shutil.copytree(encoder_path(family), tmp_path / "model")
    (path / "1_Pooling").mkdir()
    (path / "1_Pooling" / "config.json").write_text(
        json.dumps({f"pooling_mode_{'cls_token' if how == 'cls' else 'mean_tokens'}": True})
    )
    ours = loaded(path).embed(SENTENCES)
    assert ours.dtype == np.float32 and ours.shape == (len(SENTENCES), 32)
    np.testing.assert_allclose(ours, theirs(path, SENTENCES, how=how), atol=1e-5)
    assert np.abs(theirs(path, SENTENCES, how="mean") - theirs(path, SENTENCES, how="cls")).max() > 1e-2


def test_the_starters_vectors_equal_those_of_sentence_transformers(starter, starter_encoder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = pytest.importorskip("sentence_transformers")
        peer = library.SentenceTransformer(str(starter.path), device="cpu", local_files_only=True)
    texts = [*SENTENCES, "word " * 400, "日本語のテキスト 🙂", "x"]
    np.testing.assert_allclose(
        starter_encoder.embed(texts), peer.encode(texts, normalize_embeddings=True, show_progress_bar=False), atol=1e-5
    )


def test_the_starters_vectors_equal_transformers_own(starter, starter_encoder):
    np.testing.assert_allclose(starter_encoder.embed(SENTENCES), theirs(starter.path, SENTENCES), atol=1e-5)


def test_one_by_one_equals_all_at_once_in_any_order(family, encoder_path):
    encoder = loaded(encoder_path(family))
    texts = [*SENTENCES, "late " * 40, "?"]
    with encoder.computed_afresh():
        together = encoder.embed(texts)
        alone = np.concatenate([encoder.embed([text]) for text in texts])
        order = random.Random(0).sample(range(len(texts)), len(texts))
        mixed = encoder.embed([texts[index] for index in order])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(mixed, together[order], atol=1e-5)


def test_more_texts_than_one_forward_pass_holds_come_back_in_order(encoder_path):
    encoder = loaded(encoder_path())
    texts = [f"{SENTENCES[index % 12]} {'late ' * (index % 50)}" for index in range(300)]
    assert sum(map(len, encoder.reader.tokenize(texts))) > 2 * EVALUATION_TOKENS
    told = []
    vectors = encoder.embed(texts, advance=told.append)
    assert sum(told) == len(set(texts)) and len(told) > 2
    with encoder.computed_afresh():
        for index in (0, 49, 150, 299):
            np.testing.assert_allclose(vectors[index], encoder.embed([texts[index]])[0], atol=1e-5)


def test_vectors_have_length_1_also_for_an_empty_text(encoder_path):
    vectors = loaded(encoder_path()).embed(["", " ", "a", "🙂"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_texts_give_no_vectors(encoder_path):
    encoder = loaded(encoder_path())
    assert encoder.embed([]).shape == (0, 32)
    assert encoder.reader.tokenize([]) == encoder.reader.count_tokens([]) == []


def test_a_text_is_computed_once_unless_asked_afresh(encoder_path, monkeypatch):
    encoder = loaded(encoder_path())
    rows = []
    run = encoder.net.forward
    monkeypatch.setattr(encoder.net, "forward", lambda **named: rows.append(len(named["input_ids"])) or run(**named))
    first = encoder.embed(["a", "b", "a"])
    assert sum(rows) == 2 and np.array_equal(first[0], first[2])
    assert np.array_equal(encoder.embed(["b", "a"]), first[[1, 0]]) and sum(rows) == 2
    with encoder.computed_afresh():
        encoder.embed(["a"])
        encoder.embed(["a"])
    assert sum(rows) == 4
    encoder.embed(["a"])
    assert sum(rows) == 4


def test_other_weights_forget_the_kept_vectors(encoder_path, tmp_path):
    encoder = loaded(encoder_path())
    before = encoder.embed(SENTENCES)
    other = load_backbone(locate_model(str(save_encoder(tmp_path, seed=1))))
    changed = encoder.with_net(other)
    assert np.abs(changed.embed(SENTENCES) - before).max() > 0.1
    assert np.array_equal(encoder.embed(SENTENCES), before)


@pytest.mark.parametrize("how", ["mean", "cls"])
def test_a_saved_encoder_gives_the_same_vectors(family, encoder_path, tmp_path, how):
    encoder = loaded(encoder_path(family))
    encoder.pooling = how
    encoder.reader.context_length = 10
    before = encoder.embed(SENTENCES)
    encoder.save(tmp_path)
    again = loaded(tmp_path)
    assert again.pooling == how and again.reader.context_length == 10
    assert np.array_equal(again.embed(SENTENCES), before)


def test_a_saved_encoder_is_read_by_sentence_transformers_parts(encoder_path, tmp_path):
    encoder = loaded(encoder_path())
    encoder.save(tmp_path)
    np.testing.assert_allclose(theirs(tmp_path, SENTENCES), encoder.embed(SENTENCES), atol=1e-5)


def test_a_long_text_is_cut_at_the_context_length(family, encoder_path):
    encoder = loaded(encoder_path(family))
    long = "? " * 500
    assert encoder.reader.count_tokens([long, "?"]) == [502, 3]
    (ids,) = encoder.reader.tokenize([long])
    assert len(ids) == encoder.reader.context_length == 64
    assert ids[-1] == encoder.reader.tokenizer.sep_token_id
    with encoder.computed_afresh():
        np.testing.assert_allclose(encoder.embed([long]), encoder.embed(["? " * 62]), atol=1e-6)


def test_the_context_length_is_the_least_of_what_is_said(tmp_path):
    path = save_encoder(tmp_path, positions=40, model_max_length=50)
    assert load_reader(locate_model(str(path))).context_length == 40
    (path / "sentence_bert_config.json").write_text('{"max_seq_length": 24}')
    assert load_reader(locate_model(str(path))).context_length == 24
    (path / "sentence_bert_config.json").write_text('{"max_seq_length": null}')
    assert load_reader(locate_model(str(path))).context_length == 40


def test_a_tokenizer_without_a_limit_leaves_it_to_the_position_table(tmp_path):
    path = save_encoder(tmp_path, positions=40, model_max_length=int(1e30))
    assert load_reader(locate_model(str(path))).context_length == 40


def test_the_starter_reads_256_tokens(starter_encoder):
    assert starter_encoder.reader.context_length == 256 and starter_encoder.width == 384


@pytest.mark.parametrize(
    "kind",
    [
        "bert",
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "camembert",
        "mpnet",
        "data2vec-text",
        "ibert",
        "luke",
        "xmod",
        "esm",
        "roberta-prelayernorm",
        "electra",
        "distilbert",
        "longformer",
        "albert",
        "convbert",
        "megatron-bert",
    ],
)
def test_the_longest_text_fits_the_position_table_of(kind, tmp_path):
    """Positions of the RoBERTa line count from pad id + 1: two rows of the table hold no token."""
    from transformers import AutoModel

    from hone.model.loading import context_length

    is_shifted = kind not in ("bert", "electra", "distilbert", "albert", "convbert", "megatron-bert")
    tokenizer = save_tokenizer(tmp_path, pad_id=1 if is_shifted else 0, model_max_length=10_000)
    config = tiny_config(kind, vocabulary=len(tokenizer), pad_id=tokenizer.pad_token_id, positions=22)
    config.update({"entity_vocab_size": 8, "entity_emb_size": 8, "attention_window": [4, 4], "languages": ["en_XX"]})
    config.update({"default_language": "en_XX", "position_embedding_type": "absolute", "token_dropout": False})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = AutoModel.from_config(config).eval()
    net.save_pretrained(tmp_path)
    length = context_length(locate_model(str(tmp_path)), tokenizer)
    assert length == (20 if is_shifted else 22)
    ids = torch.full((1, length), 5)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert net(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.shape[1] == length


def test_precision_is_bf16_only_where_the_machine_has_units_for_it(monkeypatch):
    for has_units, chosen in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr("hone.model.arithmetic.has_fast_bf16", lambda _device, has=has_units: has)
        assert resolve_precision("auto", CPU) == chosen
        assert resolve_precision("fp32", CPU) == "fp32" and resolve_precision("bf16", CPU) == "bf16"


def test_bf16_multiplies_in_bf16_and_answers_in_fp32_near_the_truth(encoder_path):
    with autocast("bf16", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with autocast("fp32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    half = load_encoder(locate_model(str(encoder_path())), precision="bf16", device=CPU)
    exact = loaded(encoder_path()).embed(SENTENCES)
    near = half.embed(SENTENCES)
    assert near.dtype == np.float32 and 0 < np.abs(near - exact).max() < 0.05
    np.testing.assert_allclose(np.linalg.norm(near, axis=1), 1, atol=1e-5)


def test_loading_leaves_gradients_to_all_but_the_pooler_and_switches_dropout_off(located):
    net = load_backbone(located())
    assert not net.training
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    assert frozen == {"pooler.dense.weight", "pooler.dense.bias"}
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())


def test_weights_stored_in_half_precision_are_loaded_in_fp32(located, tmp_path):
    net = load_backbone(located())
    net.to(torch.bfloat16).save_pretrained(tmp_path)
    assert all(parameter.dtype == torch.float32 for parameter in load_backbone(locate_model(str(tmp_path))).parameters())


def test_loading_is_silent_and_leaves_transformers_settings_alone(located, capfd):
    from transformers.utils import logging as their_logging

    before = their_logging.get_verbosity()
    load_encoder(located(), device=CPU)
    assert capfd.readouterr() == ("", "") and their_logging.get_verbosity() == before


def test_a_new_head_is_drawn_from_the_seed_and_starts_undecided(located):
    def drawn(seed):
        torch.manual_seed(seed)
        return load_classifier(located(), LABELS)

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert first.classifier.weight.shape == (3, 32) and not first.classifier.bias.any()
    assert first.backbone.config.id2label == dict(enumerate(LABELS))


def test_logits_are_the_linear_layer_on_scaled_vectors(located, reader):
    net = load_classifier(located(), LABELS).eval()
    with torch.no_grad():
        logits = net(reader.tokenize(SENTENCES))
    vectors = load_encoder(located(), precision="fp32", device=CPU).embed(SENTENCES)
    scale = 32**0.5 / 2
    expected = vectors * scale @ net.classifier.weight.detach().numpy().T + net.classifier.bias.detach().numpy()
    np.testing.assert_allclose(logits.numpy(), expected, atol=1e-5)


def test_a_saved_head_is_read_back_and_a_head_of_other_classes_is_not(located, tmp_path):
    net, other = load_classifier(located(), LABELS), load_classifier(located(), LABELS)
    save_head(net, tmp_path)
    load_head(other, tmp_path)
    assert torch.equal(net.classifier.weight, other.classifier.weight)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_head(load_classifier(located(), LABELS[:2]), tmp_path)


def test_everything_promised_is_there():
    import hone.model

    assert all(hasattr(hone.model, name) for name in hone.model.__all__)
    assert BadModel.exit_code == 3
