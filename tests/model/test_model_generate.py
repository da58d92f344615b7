"""Generation against transformers' own, and the promises of a batch: neither its size nor its order changes a text."""

import random

import pytest
import torch
import transformers

from hone.catalogue import locate_model
from hone.core.errors import Usage
from hone.model import generate, load_language_model, write
from hone.model.generate import Generator
from hone.model.sampling import Sampling
from tiny_language import ENCODER_DECODERS, tiny_tokenizer

KINDS = ("llama", "qwen2", "gpt2", "gemma2", "bloom", *ENCODER_DECODERS)
SIZE = len(tiny_tokenizer())


def prompts(*, shared=20):
    block = random.Random(1).choices(range(5, SIZE), k=shared)
    return [[*block, *random.Random(seed).choices(range(5, SIZE), k=2 + seed)] for seed in range(6)]


def loaded(folder, kind, **more):
    head = "seq2seq" if kind in ENCODER_DECODERS else "causal"
    net = load_language_model(locate_model(str(folder)), head, pad_id=0)
    return Generator(net, tiny_tokenizer(), **({"precision": "fp32"} | more))


def theirs(folder, kind, prompt, **settings):
    """transformers' answers to one prompt, end-of-sequence and padding taken off."""
    auto = transformers.AutoModelForSeq2SeqLM if kind in ENCODER_DECODERS else transformers.AutoModelForCausalLM
    net = auto.from_pretrained(folder, attn_implementation="eager").eval()
    net.generation_config.forced_eos_token_id = None
    with torch.no_grad():
        found = net.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), do_sample=False, pad_token_id=0, **settings
        )
    start = 1 if kind in ENCODER_DECODERS else len(prompt)
    return [[token for token in row[start:].tolist() if token not in (0, 2)] for row in found]


@pytest.mark.usefixtures("lengths")
@pytest.mark.parametrize("shares", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_is_that_of_transformers(kind, shares, folder):
    """All at once, with a shared beginning, though some end before others."""
    found = loaded(folder(kind), kind, shares=shares).generate(prompts(), Sampling(max_new_tokens=12))
    for prompt, (answer,) in zip(prompts(), found, strict=True):
        wanted = theirs(folder(kind), kind, prompt, max_new_tokens=12)[0]
        assert [token for token in answer.ids if token != 0] == wanted
        assert (answer.finish == "end") == (len(answer.ids) < 12)


@pytest.mark.parametrize("penalty", [1.0, 0.3, 2.0])
@pytest.mark.parametrize("kind", ["llama", "t5", "bart"])
def test_beams_are_those_of_transformers(kind, penalty, folder):
    found = loaded(folder(kind), kind).generate(prompts(), Sampling(max_new_tokens=8, beams=3, samples=3, length_penalty=penalty))
    for prompt, answers in zip(prompts(), found, strict=True):
        wanted = theirs(folder(kind), kind, prompt, max_new_tokens=8, num_beams=3, num_return_sequences=3, length_penalty=penalty)
        assert [[token for token in answer.ids if token != 0] for answer in answers] == wanted


@pytest.mark.parametrize("method", ["prompt", "prefix", "lora"])
@pytest.mark.parametrize("kind", ["llama", "t5", "bart"])
def test_what_was_trained_is_remembered_too(kind, method, folder):
    """Virtual tokens, trained keys and adapters: the same texts and likelihoods whether keys are remembered or each row is read anew."""
    from hone.model.score import Scorer
    from hone.train import make_trainable

    head = "seq2seq" if kind in ENCODER_DECODERS else "causal"
    torch.manual_seed(0)
    net = make_trainable(method).prepare(load_language_model(locate_model(str(folder(kind))), head, pad_id=0))
    for parameter in net.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    plain = Generator(net, tiny_tokenizer(), precision="fp32").generate(prompts(), Sampling(max_new_tokens=1))
    results = []
    for shares in (True, False):
        answers = Generator(net, tiny_tokenizer(), precision="fp32", shares=shares).generate(
            prompts(), Sampling(max_new_tokens=8)
        )
        results.append([answer.ids for (answer,) in answers])
        scored = Scorer(net, precision="fp32", shares=shares).score(prompts(), [[9, 11, 7]] * 6)
        results.append([round(one.log_likelihood, 3) for one in scored])
    assert results[0] == results[2] and results[1] == pytest.approx(results[3], abs=2e-3)
    assert [answer.ids for (answer,) in plain] == [ids[:1] for ids in results[0]]
    untouched = loaded(folder(kind), kind).generate(prompts(), Sampling(max_new_tokens=8))
    assert results[0] != [answer.ids for (answer,) in untouched]


def test_trained_keys_stand_outside_a_window(folder):
    """Training and scoring show them to every query; so does what is remembered, however far a row has been written."""
    from hone.train import make_trainable

    writer = loaded(folder("gemma2"), "gemma2")
    make_trainable("prefix", tokens=3).prepare(writer.net)
    for name, parameter in writer.net.named_parameters():
        if name.endswith(".prefix"):
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    results = [
        Generator(writer.net, tiny_tokenizer(), precision="fp32", shares=shares).generate(prompts(), Sampling(max_new_tokens=12))
        for shares in (True, False)
    ]
    assert [[one.ids for one in row] for row in results[0]] == [[one.ids for one in row] for row in results[1]]


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("kind", ["llama", "t5", "bart"])
def test_repetition_penalty_is_that_of_transformers(kind, beams, folder):
    sampling = Sampling(max_new_tokens=12, repetition_penalty=1.7, beams=beams)
    found = loaded(folder(kind), kind).generate(prompts(), sampling)
    for prompt, (answer,) in zip(prompts(), found, strict=True):
        wanted = theirs(folder(kind), kind, prompt, max_new_tokens=12, repetition_penalty=1.7, num_beams=beams)[0]
        assert [token for token in answer.ids if token != 0] == wanted


@pytest.mark.parametrize("kind", ["llama", "t5"])
@pytest.mark.parametrize(
    "sampling", [Sampling(max_new_tokens=9), Sampling(max_new_tokens=9, temperature=1.3, top_p=0.9, samples=3, seed=5)]
)
def test_batch_size_and_order_change_nothing(kind, sampling, folder, monkeypatch):
    asked = prompts()
    whole = loaded(folder(kind), kind).generate(asked, sampling)
    monkeypatch.setattr(generate, "_ROWS", 1)
    alone = loaded(folder(kind), kind).generate(asked, sampling)
    order = [3, 0, 5, 1, 4, 2]
    monkeypatch.setattr(generate, "_ROWS", 4)
    shuffled = loaded(folder(kind), kind).generate([asked[at] for at in order], sampling)
    for at, answers in enumerate(whole):
        for other in (alone[at], shuffled[order.index(at)]):
            assert [answer.ids for answer in other] == [answer.ids for answer in answers]
            assert [answer.log_likelihood for answer in other] == pytest.approx(
                [answer.log_likelihood for answer in answers], abs=1e-4
            )


def test_samples_differ_and_seeds_repeat(folder):
    generator = loaded(folder("llama"), "llama")
    sampling = Sampling(max_new_tokens=6, temperature=2.0, samples=8)
    first, again = (generator.generate(prompts()[:1], sampling)[0] for _ in range(2))
    assert [answer.ids for answer in first] == [answer.ids for answer in again]
    assert len({answer.ids for answer in first}) > 4
    other = generator.generate(prompts()[:1], sampling.model_copy(update={"seed": 1}))[0]
    assert [answer.ids for answer in other] != [answer.ids for answer in first]


def test_draws_follow_the_distribution():
    """Shares of 20,000 draws within 4 standard errors; words outside top-k, top-p and min-p never come."""
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, -5.0]])
    shares = logits.double().softmax(1)[0]
    draws = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cases = {
        (): [0, 1, 2, 3, 4],
        (("top_k", 2),): [0, 1],
        (("top_p", 0.7),): [0, 1],
        (("min_p", 0.3),): [0, 1],
        (("top_k", 4), ("top_p", 0.95)): [0, 1, 2],
    }
    for settings, allowed in cases.items():
        sampling = Sampling(temperature=1.0, **dict(settings))
        found = generate._drawn(logits.expand(len(draws), -1), draws, sampling)
        counted = torch.bincount(found, minlength=5) / len(draws)
        wanted = torch.zeros(5, dtype=torch.float64)
        wanted[allowed] = shares[allowed] / shares[allowed].sum()
        assert counted[wanted == 0].sum() == 0
        assert ((counted - wanted).abs() <= 4 * (wanted * (1 - wanted) / len(draws)).sqrt() + 1e-9).all()


def test_stop_texts_end_an_answer_and_are_left_out(folder):
    generator = loaded(folder("llama"), "llama")
    (plain,) = generator.generate(prompts()[:1], Sampling(max_new_tokens=12))[0]
    word = tiny_tokenizer().decode(plain.ids[3])
    (stopped,) = generator.generate(prompts()[:1], Sampling(max_new_tokens=12, stop=(word, "never said")))[0]
    assert stopped.finish == "stop" and word not in stopped.text
    assert plain.text.startswith(stopped.text) and len(stopped.ids) <= 4


@pytest.mark.parametrize("stop", [(), ("e",)])
def test_streamed_pieces_are_the_text(folder, stop):
    generator = loaded(folder("llama"), "llama")
    sampling = Sampling(max_new_tokens=15, temperature=1.0, stop=stop)
    for prompt in prompts():
        pieces = list(generator.stream(prompt, sampling))
        assert "".join(pieces) == generator.generate([prompt], sampling)[0][0].text
        assert stop or len(pieces) > 1


def test_the_shared_beginning_is_read_once(folder):
    generator = loaded(folder("llama"), "llama")
    read = []
    generator.net.base.get_input_embeddings().register_forward_pre_hook(lambda _, ids: read.append(ids[0].numel()))
    asked = prompts(shared=40)
    found = generator.generate(asked, Sampling(max_new_tokens=5))
    written = sum(len(answer.ids) - (answer.finish == "length") for (answer,) in found)
    assert sum(read) == 40 + sum(len(prompt) - 40 for prompt in asked) + written


def test_no_prompts_no_answers(folder):
    assert loaded(folder("llama"), "llama").generate([], Sampling()) == []
    assert write._LEAST_SHARED > 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"samples": 3}, "3 answers per prompt are more than 2 beams"), ({"temperature": 0.7}, "a temperature of 0.7 draws")],
)
def test_what_beams_cannot_give_is_refused_rather_than_left_out(settings, said, folder):
    with pytest.raises(Usage, match=said):
        loaded(folder("llama"), "llama").generate(prompts(), Sampling(max_new_tokens=4, beams=2, **settings))
