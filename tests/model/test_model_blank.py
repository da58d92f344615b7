"""New models: their shape, their weights, and tokenizers that lose nothing."""

import math

import pytest
from safetensors import safe_open

from hone.core.errors import BadData, Usage
from hone.model import choose_shape, train_tokenizer, usual_words, write_blank_model
from tiny import SENTENCES

FAMILIES = ("decoder", "encoder", "encoder-decoder")


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request):
    return request.param, train_tokenizer(SENTENCES, words=420, family=request.param, context=64)


def test_a_shape_counts_the_parameters_that_its_model_has(tokenizer, tmp_path):
    family, made = tokenizer
    shape = choose_shape(family, 500_000, words=len(made), context=64)
    write_blank_model(shape, made, tmp_path, seed=0)
    with safe_open(tmp_path / "model.safetensors", "numpy") as file:
        found = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    assert found == shape.parameters


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("parameters", [3_000_000, 10_000_000, 125_000_000, 1_300_000_000])
def test_the_shape_comes_close_to_the_size(family, parameters):
    shape = choose_shape(family, parameters, words=usual_words(parameters), context=512)
    assert abs(shape.parameters / parameters - 1) < 0.2
    assert 32 <= shape.width / shape.layers <= 100
    assert shape.width % 64 == 0


def test_a_vocabulary_too_large_for_the_size_is_refused():
    with pytest.raises(Usage, match="smaller --vocabulary"):
        choose_shape("decoder", 1_000_000, words=100_000, context=64)


@pytest.mark.parametrize(
    "text", ["plain words", " leading and trailing ", "tabs\tand\n\nlines", "ünïcödé “quotes” 東京 🎒", "12345.67"]
)
def test_every_text_comes_back_as_it_was(text, tokenizer):
    _, made = tokenizer
    assert made.decode(made(text, add_special_tokens=False)["input_ids"]) == text


def test_digits_stand_alone(tokenizer):
    _, made = tokenizer
    assert len(made("2026", add_special_tokens=False)["input_ids"]) == 4


def test_each_family_has_what_its_objective_needs(tokenizer):
    family, made = tokenizer
    assert made.pad_token_id is not None
    assert made.model_max_length == 64
    if family == "decoder":
        assert made.eos_token_id not in made("a text")["input_ids"]
    elif family == "encoder":
        assert made.mask_token_id is not None
        ids = made("a text")["input_ids"]
        assert (ids[0], ids[-1]) == (made.cls_token_id, made.sep_token_id)
    else:
        assert made("a text")["input_ids"][-1] == made.eos_token_id
        assert {"<extra_id_0>", "<extra_id_99>"} <= made.get_vocab().keys()


def test_a_vocabulary_without_room_for_words_is_refused():
    with pytest.raises(BadData, match="no room"):
        train_tokenizer(SENTENCES, words=256, family="decoder", context=64)


def test_texts_without_any_pair_of_letters_teach_no_tokenizer():
    with pytest.raises(BadData, match="Add text"):
        train_tokenizer(["a", "b"], words=400, family="decoder", context=64)


def test_weights_are_those_of_the_seed(tokenizer, tmp_path):
    family, made = tokenizer
    shape = choose_shape(family, 500_000, words=len(made), context=64)
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        write_blank_model(shape, made, tmp_path / name, seed=seed)
    one, same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "same", "other"))
    assert one == same
    assert one != other
