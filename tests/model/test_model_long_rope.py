"""LongRoPE, whose words are turned by the longest row of a pass: rows of any length together give what transformers gives each alone."""

import copy

import pytest
import torch
import transformers

from hone.model import LanguageModel, score, tree
from hone.model.generate import Generator
from hone.model.sampling import Sampling
from hone.model.score import Scorer
from tiny_language import tiny_tokenizer

SIZE = len(tiny_tokenizer())
MARK = 24


@pytest.fixture(scope="module")
def own():
    """Phi-3 with frequencies of its own beyond 24 tokens."""
    config = transformers.Phi3Config(
        vocab_size=SIZE,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        max_position_embeddings=128,
        original_max_position_embeddings=MARK,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * 4,
            "long_factor": [9.0] * 4,
            "original_max_position_embeddings": MARK,
        },
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    net = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.5 if "embed" in name else 2 / parameter.shape[-1] ** 0.5)
    return net


def network(own):
    return LanguageModel(copy.deepcopy(own), pad_id=0, head="causal").eval()


def rows(*lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(5, SIZE, (length,), generator=generator).tolist() for length in lengths]


@pytest.mark.parametrize("shares", [True, False])
@pytest.mark.parametrize("budget", [8, 512])
def test_likelihoods_of_short_and_long_rows_are_those_of_transformers(own, shares, budget, monkeypatch):
    """All behind one beginning of 16 tokens, on either side of the mark and astride it."""
    monkeypatch.setattr(score, "_PASS", budget)
    monkeypatch.setattr(score, "_PACKED", 8 * budget)
    monkeypatch.setattr(tree, "_LEAST_PUSH", 2)
    (block,) = rows(16)
    prompts = [[*block, *row] for row in rows(2, 4, 6, 7, 8, 9, 20, 60, seed=1)]
    continuations = rows(3, 2, 2, 2, 2, 1, 3, 4, seed=2)
    scorer = Scorer(network(own), precision="fp32", shares=None if shares else False)
    assert scorer.shares == shares
    for prompt, continuation, found in zip(prompts, continuations, scorer.score(prompts, continuations), strict=True):
        with torch.no_grad():
            logits = own(input_ids=torch.tensor([[*prompt, *continuation]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
            if len(prompt) + len(continuation) - 1 == MARK:  # the last word is scored, not read
                logits = own(input_ids=torch.tensor([[*prompt, *continuation[:-1]]]), use_cache=False).logits[
                    0, len(prompt) - 1 :
                ]
        wanted = logits.log_softmax(-1)[torch.arange(len(continuation)), torch.tensor(continuation)].sum().item()
        assert found.log_likelihood == pytest.approx(wanted, abs=1e-3), len(prompt)


@pytest.mark.parametrize("beams", [1, 3])
def test_texts_of_short_and_long_prompts_are_those_of_transformers(own, beams):
    """A text that becomes long while it is written is read anew from there, in transformers as here."""
    (block,) = rows(16)
    prompts = [[*block, *row] for row in rows(1, 3, 5, 8, 9, 30, 50, seed=3)] + rows(4)
    found = Generator(network(own), tiny_tokenizer(), precision="fp32").generate(prompts, Sampling(max_new_tokens=6, beams=beams))
    for prompt, (answer, *_) in zip(prompts, found, strict=True):
        asked = {"attention_mask": torch.ones(1, len(prompt), dtype=torch.long), "max_new_tokens": 6, "num_beams": beams}
        row = own.generate(torch.tensor([prompt]), do_sample=False, pad_token_id=0, **asked)[0, len(prompt) :].tolist()
        assert list(answer.ids) == (row[: row.index(2)] if 2 in row else row), len(prompt)
