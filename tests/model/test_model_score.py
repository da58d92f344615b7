"""Log-likelihoods against plain transformers, one text at a time; and that sharing, order and batch size change nothing."""

import random

import pytest
import torch
import transformers

from hone.catalogue import locate_model
from hone.model import load_language_model, score, tree
from hone.model.score import Scorer
from tiny_language import ENCODER_DECODERS, tiny_tokenizer

CAUSAL = ("llama", "qwen2", "gpt2", "gemma2", "bloom")
SIZE = len(tiny_tokenizer())


def words(seed, count):
    return random.Random(seed).choices(range(5, SIZE), k=count)


def requests():
    """Questions behind one block of examples, with answers that share beginnings; one is the beginning of another; one twice; one far off."""
    block = words(1, 18)
    asked = []
    for question in range(4):
        prompt = [*block, *words(10 + question, 3 + question)]
        start = words(50 + question, 2)
        asked += [(prompt, [*start, 7]), (prompt, [*start, 9, 11]), (prompt, start), (prompt, words(90 + question, 1))]
    return [*asked, asked[1], (block, words(3, 4)), (words(4, 2), words(5, 30)), (block[:5], block[5:9])]


def plain(net, prompt, continuation):
    """Sum of log-probabilities and whether each is the greatest, from transformers alone."""
    with torch.no_grad():
        if net.config.is_encoder_decoder:
            start = [net.config.decoder_start_token_id, *continuation[:-1]]
            logits = net(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([start])).logits[0]
        else:
            logits = net(input_ids=torch.tensor([[*prompt, *continuation]])).logits[0, len(prompt) - 1 : -1]
    shares = logits.float().log_softmax(-1)
    chosen = torch.tensor(continuation)
    return shares[torch.arange(len(chosen)), chosen].sum().item(), bool((shares.argmax(-1) == chosen).all())


def loaded(folder, kind, **more):
    head = "seq2seq" if kind in ENCODER_DECODERS else "causal"
    return Scorer(load_language_model(locate_model(str(folder)), head, pad_id=0), **({"precision": "fp32"} | more))


@pytest.mark.usefixtures("lengths")
@pytest.mark.parametrize("budget", [6, 24, 512])
@pytest.mark.parametrize("kind", [*CAUSAL, *ENCODER_DECODERS])
def test_scores_are_those_of_transformers(kind, budget, folder, monkeypatch):
    """Budgets that make pushes within pushes, passes with a remembered prefix, and one pass for all."""
    monkeypatch.setattr(score, "_PASS", budget)
    monkeypatch.setattr(score, "_PACKED", 4 * budget)
    monkeypatch.setattr(tree, "_LEAST_PUSH", 2)
    scorer = loaded(folder(kind), kind)
    assert scorer.shares == (kind != "bloom")
    auto = transformers.AutoModelForSeq2SeqLM if kind in ENCODER_DECODERS else transformers.AutoModelForCausalLM
    net = auto.from_pretrained(folder(kind), attn_implementation="eager").eval()  # the fused kernel would leave out gemma2's cap
    asked = requests()
    found = scorer.score([prompt for prompt, _ in asked], [continuation for _, continuation in asked])
    for (prompt, continuation), one in zip(asked, found, strict=True):
        likelihood, is_greedy = plain(net, prompt, continuation)
        assert one.log_likelihood == pytest.approx(likelihood, abs=2e-4)
        assert one.is_greedy == is_greedy and one.tokens == len(continuation)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_sharing_order_and_batch_size_change_nothing(kind, folder, monkeypatch):
    asked = requests()
    expected = None
    for budget, shares, seed in ((512, True, None), (512, False, None), (8, True, 1), (30, True, 2), (8, False, 3)):
        monkeypatch.setattr(score, "_PASS", budget)
        monkeypatch.setattr(score, "_PACKED", budget)
        order = list(range(len(asked)))
        if seed is not None:
            random.Random(seed).shuffle(order)
        found = loaded(folder(kind), kind, shares=shares).score([asked[at][0] for at in order], [asked[at][1] for at in order])
        values = [one.log_likelihood for _, one in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]
        expected = expected or values
        assert values == pytest.approx(expected, abs=1e-4)


def test_one_text_that_begins_another(folder):
    """No token has two that follow it, yet the texts do not stand one after the other."""
    long = words(1, 12)
    asked = [(long[:4], long[4:7]), (long[:4], long[4:])]
    scorer = loaded(folder("llama"), "llama")
    together = scorer.score(*zip(*asked, strict=True))
    alone = [scorer.score([prompt], [continuation])[0] for prompt, continuation in asked]
    assert [one.log_likelihood for one in together] == pytest.approx([one.log_likelihood for one in alone], abs=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_examples_of_which_nothing_is_scored_stand_before_questions(kind, folder, monkeypatch):
    """A pass of their own without a single logit, also where logits are capped behind the output layer."""
    monkeypatch.setattr(score, "_PASS", 24)
    asked = [([*words(1, 40), *words(20 + at, 4)], words(60 + at, 1)) for at in range(8)]
    found = loaded(folder(kind), kind).score(*zip(*asked, strict=True))
    net = transformers.AutoModelForCausalLM.from_pretrained(folder(kind), attn_implementation="eager").eval()
    for (prompt, continuation), one in zip(asked, found, strict=True):
        assert one.log_likelihood == pytest.approx(plain(net, prompt, continuation)[0], abs=2e-4)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_bf16_is_near_and_sums_in_fp32(kind, folder):
    asked = requests()
    exact, near = (
        loaded(folder(kind), kind, precision=precision).score(*zip(*asked, strict=True)) for precision in ("fp32", "bf16")
    )
    for one, other in zip(exact, near, strict=True):
        assert other.log_likelihood == pytest.approx(one.log_likelihood, rel=0.03, abs=0.3)


def test_each_shared_token_is_read_once(folder, monkeypatch):
    """Counted where ids go in: the tokens of the tree, and no more, whether or not they fit one pass."""
    asked = [([*words(1, 40), *words(20 + at, 4)], words(60 + at, 3)) for at in range(12)]
    for budget in (1000, 20):
        monkeypatch.setattr(score, "_PASS", budget)
        scorer = loaded(folder("llama"), "llama")
        read = []
        scorer.net.base.get_input_embeddings().register_forward_pre_hook(lambda _, ids, read=read: read.append(ids[0].numel()))
        scorer.score(*zip(*asked, strict=True))
        assert sum(read) == 40 + 12 * (4 + 2)


def test_reading_covers_every_token_of_every_sequence():
    """The plan alone, on random trees: each sequence is put together again from pushes and reads."""
    generator = random.Random(0)
    for _ in range(200):
        count = generator.randint(1, 12)
        sequences = list({tuple(generator.choices(range(3), k=generator.randint(1, 40))) for _ in range(count)})
        whole = {index: [] for index in range(len(sequences))}
        done, remembered = set(), []
        for step in tree.shared_reading(sequences, budget=generator.choice([1, 5, 20, 100])):
            if isinstance(step, tree.Push):
                assert step.start == len(remembered)
                remembered = list(sequences[step.sequences[0]][: step.end])
                for index in step.sequences:
                    assert list(sequences[index][: step.end]) == remembered
                    if len(sequences[index]) == step.end:
                        done.add(index)
            elif isinstance(step, tree.Crop):
                remembered = remembered[: step.length]
            else:
                assert step.start == len(remembered)
                for index, path in zip(step.sequences, step.paths, strict=True):
                    whole[index] = [*remembered, *(step.ids[place] for place in path)]
                    assert whole[index] == list(sequences[index])
                    assert [step.tree.depths[place] for place in path] == list(range(step.start, len(sequences[index])))
                    parents = [-1, *path[:-1]]
                    assert [step.tree.parents[place] for place in path] == parents[: len(path)]
                    assert index not in done
                    done.add(index)
        assert done == set(range(len(sequences)))
        assert not remembered
