"""What generation_config.json says of texts, followed as transformers' generate follows it."""

import json
import random

import pytest
import torch
import transformers

from hone.catalogue import locate_model
from hone.model import Generator, Sampling, load_text_model
from tiny_language import ENCODER_DECODERS, save_language_model, tiny_tokenizer

NEW = 9
LATE = [2, *range(5, 35)]  # several ends, most of them words
SAID = {
    "ends": {"eos_token_id": LATE},
    "penalty": {"repetition_penalty": 1.3},
    "suppressed": {"suppress_tokens": list(range(5, 40)), "begin_suppress_tokens": list(range(40, 60))},
    "least": {"min_new_tokens": 6, "eos_token_id": LATE},
    "forced": {"forced_bos_token_id": 1, "forced_eos_token_id": 2},
    "words": {"bad_words_ids": [[token] for token in range(5, 60)], "sequence_bias": [[[70], 2.0]]},
    "repeats": {"no_repeat_ngram_size": 2, "encoder_repetition_penalty": 1.5},
    "decay": {"exponential_decay_length_penalty": [2, 1.5]},
    "drawn": {"do_sample": True, "temperature": 0.6, "top_p": 0.9},
    "beams": {"num_beams": 3},
    "early": {"num_beams": 4, "early_stopping": True, "length_penalty": 2.0, "no_repeat_ngram_size": 3, "min_length": 5},
    "never": {"num_beams": 3, "early_stopping": "never", "length_penalty": 1.5},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: save_language_model(tmp_path_factory.mktemp(kind), kind) for kind in ("llama", "bart")}


def configure(folder, kind, said, follows="all"):
    start = {"decoder_start_token_id": 2} if kind in ENCODER_DECODERS else {}
    told = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0} | start | said
    (folder / "generation_config.json").write_text(json.dumps(told), encoding="utf-8")
    return Generator(
        load_text_model(locate_model(str(folder)), pad_id=0),
        tiny_tokenizer(),
        precision="fp32",
        follows=follows,
        takes_over=False,
    )


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("kind", ["llama", "bart"])
def test_texts_are_those_of_transformers(kind, name, folders):
    folder, said = folders[kind], SAID[name]
    generator = configure(folder, kind, said)
    is_two = kind in ENCODER_DECODERS
    auto = transformers.AutoModelForSeq2SeqLM if is_two else transformers.AutoModelForCausalLM
    net = auto.from_pretrained(folder, attn_implementation="eager").eval()
    prompts = [random.Random(seed).choices(range(5, 90), k=3 + seed) for seed in range(4)]
    wanted = []
    for prompt in prompts:
        begun = 1 + ("forced_bos_token_id" in said) if is_two else len(prompt)
        with torch.no_grad():
            row = net.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), do_sample=False, max_length=begun + NEW
            )[0]
        wanted.append(tiny_tokenizer().decode(row[0 if is_two else len(prompt) :], skip_special_tokens=True))
    found = generator.generate(prompts, Sampling(max_new_tokens=NEW))
    assert [answer.text for (answer,) in found] == wanted


WORDS = {
    "no_repeat_ngram_size": 2,
    "encoder_no_repeat_ngram_size": 3,
    "bad_words_ids": [[token] for token in range(5, 30)] + [[40, 41]],
    "suppress_tokens": list(range(30, 40)),
    "begin_suppress_tokens": list(range(50, 70)),
    "sequence_bias": [[[70], 2.0]],
}
SEARCH = {
    "num_beams": 4,
    "length_penalty": 2.0,
    "repetition_penalty": 1.3,
    "min_length": 6,
    "exponential_decay_length_penalty": [1, 2.0],
}


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("kind", ["llama", "bart"])
def test_an_answer_holds_to_the_rules_about_words_and_what_it_is_written_without_is_told_once(kind, beams, folders, capsys):
    """Everywhere but in `hone eval`, where all of it holds: the search and the lengths are the request's own."""
    folder, is_two = folders[kind], kind in ENCODER_DECODERS
    forced = {"forced_bos_token_id": 71} if is_two else {}
    generator = configure(
        folder,
        kind,
        WORDS | SEARCH | forced | {"guidance_scale": 1.5, "typical_p": 0.5, "forced_eos_token_id": 2},
        follows="words",
    )
    prompts = [random.Random(seed).choices(range(5, 90), k=3 + seed) for seed in range(4)]
    sampling = Sampling(max_new_tokens=NEW, **({"beams": beams} if beams > 1 else {}))
    found = [generator.generate(prompts, sampling) for _ in range(2)]
    told = capsys.readouterr().err
    search = ["num_beams=4"] * (beams == 1)
    search += [
        "length_penalty=2.0",
        "repetition_penalty=1.3",
        "min_length=6",
        "exponential_decay_length_penalty",
        "guidance_scale=1.5",
    ]
    assert told == f"{folder}: its generation_config.json says {', '.join(search)}; answers are written without that.\n"
    configure(folder, kind, WORDS | forced)
    auto = transformers.AutoModelForSeq2SeqLM if is_two else transformers.AutoModelForCausalLM
    net = auto.from_pretrained(folder, attn_implementation="eager").eval()
    wanted = []
    for prompt in prompts:
        begun = 2 if is_two else len(prompt)
        with torch.no_grad():
            row = net.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), num_beams=beams, max_length=begun + NEW
            )[0]
        wanted.append(tiny_tokenizer().decode(row[0 if is_two else len(prompt) :], skip_special_tokens=True))
    opening = tiny_tokenizer().decode([71]) if is_two else ""
    assert [f"{opening} {answer.text}".strip() for (answer,) in found[0]] == wanted and found[0] == found[1]


def test_what_is_never_followed_is_told_also_where_all_else_is(folders, capsys):
    generator = configure(
        folders["llama"], "llama", {"guidance_scale": 1.5, "stop_strings": ["a"], "typical_p": 0.5, "top_p": 0.9}
    )
    generator.generate([[7, 8, 9]], Sampling(max_new_tokens=2))
    assert "says guidance_scale=1.5, stop_strings; answers are written without that" in capsys.readouterr().err
    generator.generate([[7, 8, 9]], Sampling(max_new_tokens=2, temperature=1.0))
    assert "typical_p=0.5" in capsys.readouterr().err


def test_what_a_request_says_wins(folders):
    own = configure(folders["llama"], "llama", {"repetition_penalty": 1.3, "num_beams": 4, "top_p": 0.9}).configured
    assert own.filled(Sampling()) == Sampling(repetition_penalty=1.3, beams=4)
    assert own.filled(Sampling(repetition_penalty=1.0, beams=1)) == Sampling()
    drawn = own.filled(Sampling(temperature=1.0))
    assert (drawn.beams, drawn.top_p, drawn.top_k) == (1, 0.9, 50)  # 50 is transformers' own default
    assert own.filled(Sampling(temperature=1.0, top_k=0)).top_k == 0
    assert own.told() == "num_beams=4, repetition_penalty=1.3"


def test_what_is_not_asked_to_follow_keeps_to_the_request(folders):
    configure(folders["llama"], "llama", {"suppress_tokens": list(range(5, 60)), "num_beams": 4})
    net = load_text_model(locate_model(str(folders["llama"])), pad_id=0)
    told = Generator(net, tiny_tokenizer(), precision="fp32", takes_over=False).generate(
        [[7, 8, 9]], Sampling(max_new_tokens=NEW)
    )
    configure(folders["llama"], "llama", {})
    net = load_text_model(locate_model(str(folders["llama"])), pad_id=0)
    plain = Generator(net, tiny_tokenizer(), precision="fp32", takes_over=False).generate(
        [[7, 8, 9]], Sampling(max_new_tokens=NEW)
    )
    assert told == plain
