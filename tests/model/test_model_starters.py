"""The starters on board that write: small enough to travel, loaded by plain transformers, and knowing some English."""

import json
from pathlib import Path

import pytest
import torch
import transformers

import hone.evaluate
from hone.catalogue import count_parameters, locate_model
from hone.core.store import read_lines
from hone.model import Sampling, load_backend

GRAMMAR = Path(hone.evaluate.__file__).parent / "suite" / "grammar.jsonl"
CLASSES = {"starter/decoder": transformers.AutoModelForCausalLM, "starter/encoder-decoder": transformers.AutoModelForSeq2SeqLM}


@pytest.mark.parametrize("name", CLASSES)
def test_a_starter_is_small_and_holds_nothing_but_what_a_loader_reads(name):
    folder = locate_model(name)
    files = {file.name: file.stat().st_size for file in folder.path.iterdir()}
    assert count_parameters(folder) <= 16_000_000 and sum(files.values()) <= 32_000_000
    assert set(files) == {
        *("README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    }


@pytest.mark.parametrize("name", CLASSES)
def test_the_card_names_licences_sources_and_what_was_measured(name):
    card = (locate_model(name).path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: cc-by-sa-4.0\n")
    for said in ("OpenStax", "Standard Ebooks", "Schema-Guided", "CC BY 4.0", "CC BY-SA 4.0", "Apache-2.0", "recipes/", "Limits"):
        assert said in card


@pytest.mark.parametrize("name", CLASSES)
def test_plain_transformers_loads_a_starter_and_writes_with_it_as_hone_does(name):
    path = locate_model(name).path
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    net = CLASSES[name].from_pretrained(path, dtype=torch.float32).eval()
    prompt = "The old man looked at the sea and"
    backend = load_backend(name, precision="fp32", template="{prompt}")
    [[ours]] = backend.generate([prompt], Sampling(max_new_tokens=12))
    ids = tokenizer(prompt, return_tensors="pt")
    with torch.no_grad():
        theirs = net.generate(**ids, max_new_tokens=12, do_sample=False, num_beams=1)
    begin = 0 if net.config.is_encoder_decoder else ids["input_ids"].shape[1]
    assert ours.text.strip() and ours.text == tokenizer.decode(theirs[0, begin:], skip_special_tokens=True)


def test_the_decoder_prefers_sentences_to_the_same_with_a_fault():
    rows = list(read_lines(GRAMMAR))
    texts = [str(row[side]) for row in rows for side in ("good", "bad")]
    scored = [found.log_likelihood for found in load_backend("starter/decoder").score([""] * len(texts), texts)]
    right = sum(good > bad for good, bad in zip(scored[::2], scored[1::2], strict=True))
    assert right / len(rows) > 0.85  # guessing gives a half


@pytest.mark.parametrize("name", CLASSES)
def test_the_configuration_says_in_which_arithmetic_the_weights_are_stored(name):
    config = json.loads((locate_model(name).path / "config.json").read_text(encoding="utf-8"))
    assert config["dtype"] == "bfloat16"
