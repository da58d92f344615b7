"""The last block computes what is asked for and nothing else: the same logits, gradients and likelihoods, by fewer products."""

import pytest
import torch
import transformers

from hone.model import LanguageModel, Scorer, quiet_transformers
from hone.train import make_trainable

_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 60}
_FEW_KEYS = _SIZES | {"num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 60, "bos_token_id": 1, "eos_token_id": 2}
CAUSAL = {
    "llama": lambda: transformers.LlamaConfig(**_FEW_KEYS),
    "qwen3": lambda: transformers.Qwen3Config(**_FEW_KEYS, head_dim=8),
    "gemma2": lambda: transformers.Gemma2Config(**_FEW_KEYS, head_dim=8, sliding_window=5),
    "mixtral": lambda: transformers.MixtralConfig(**_FEW_KEYS, num_local_experts=2),
    "opt": lambda: transformers.OPTConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48, word_embed_proj_dim=32
    ),
    "gpt-neox, whose halves stand side by side": lambda: transformers.GPTNeoXConfig(**_SIZES, bos_token_id=1, eos_token_id=2),
    "phi, the same with one norm": lambda: transformers.PhiConfig(**_FEW_KEYS),
}
MASKED = {
    "bert": lambda: transformers.BertConfig(**_SIZES),
    "distilbert": lambda: transformers.DistilBertConfig(vocab_size=60, dim=32, n_layers=2, n_heads=4, hidden_dim=48),
    "modernbert": lambda: transformers.ModernBertConfig(**_SIZES, pad_token_id=0, bos_token_id=1, eos_token_id=2),
}
WHOLE = {
    "gpt2, which gives its answer the shape of what it read": lambda: transformers.GPT2Config(**_GPT2),
    "albert, one block for all": lambda: transformers.AlbertConfig(**_SIZES, embedding_size=16),
}
ROWS = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22], [23, 24, 25, 26]]
PLACES = [5, 6, 11, 17, 20]
LABELS = torch.tensor([31, 32, 33, 34, 35])


def network(config, head="causal"):
    torch.manual_seed(0)
    kind = transformers.AutoModelForCausalLM if head == "causal" else transformers.AutoModelForMaskedLM
    with quiet_transformers():
        return LanguageModel(kind.from_config(config), pad_id=0, head=head).eval()


def learnt(net, *, narrows):
    """Logits, and the gradients of the labels' cross-entropy."""
    net.narrows = narrows
    net.zero_grad()
    net(ROWS, PLACES, LABELS).backward()
    gradients = {name: one.grad.clone() for name, one in net.named_parameters() if one.grad is not None}
    with torch.no_grad():
        return net(ROWS, PLACES), gradients


def same(net):
    """Whether what is computed for some tokens is what is computed for all."""
    (few, by_few), (every, by_every) = learnt(net, narrows=True), learnt(net, narrows=False)
    largest = max(float(one.abs().max()) for one in by_every.values())
    return (
        by_few.keys() == by_every.keys()
        and torch.allclose(few, every, atol=1e-5)
        and all(torch.allclose(by_few[name], by_every[name], atol=1e-6 * max(largest, 1.0)) for name in by_every)
    )


def tokens_of(net):
    """How many tokens each of the widest linear layers reads from now on, in order: feed-forward layers of every block."""
    read = []
    wide = [
        one for one in net.modules() if isinstance(one, torch.nn.Linear) and one.out_features > 32 and one is not net.output_layer
    ]
    for layer in wide:
        layer.register_forward_pre_hook(lambda _layer, given: read.append(given[0].flatten(0, -2).shape[0]))
    return read


@pytest.mark.parametrize(("head", "kind"), [("causal", kind) for kind in CAUSAL] + [("masked", kind) for kind in MASKED])
def test_logits_and_gradients_are_those_of_computing_every_token(head, kind):
    net = network((CAUSAL | MASKED)[kind](), head)
    assert same(net)
    net.narrows = True
    read = tokens_of(net)
    with torch.no_grad():
        net(ROWS, PLACES)
    if kind not in ("mixtral", "gemma2"):  # whose experts are no layers, whose norms are as wide
        assert read[0] == sum(map(len, ROWS))
        assert read[-1] == len(PLACES)


@pytest.mark.parametrize("kind", WHOLE)
def test_other_networks_compute_every_token_and_the_same(kind):
    net = network(WHOLE[kind](), "masked" if "albert" in kind else "causal")
    read = tokens_of(net)
    assert same(net)
    assert len(PLACES) not in read


@pytest.mark.parametrize("method", ["lora", "adapter", "ia3", "prefix", "prompt", "top"])
def test_every_method_learns_the_same_from_the_chosen_tokens(method):
    net = network(CAUSAL["llama"]())
    net = make_trainable(method).prepare(net).eval()
    assert same(net)
    net.narrows = True
    read = []
    for block in net.base.model.layers:
        block.mlp.register_forward_pre_hook(lambda _part, given: read.append(given[0].shape[1]))
    with torch.no_grad():
        net(ROWS, PLACES)
    assert read[1] == len(PLACES) < read[0]


def test_where_most_tokens_are_asked_for_all_are_computed():
    net = network(CAUSAL["llama"]())
    read = tokens_of(net)
    with torch.no_grad():
        net(ROWS, range(20))
    assert set(read) == {22}


def test_blocks_that_are_computed_again_are_computed_whole():
    net = network(CAUSAL["llama"]()).train()
    wanted = learnt(net, narrows=False)[1]
    net.recomputes = True
    net.base.activation_checkpointing_enable({"use_reentrant": False})
    found = learnt(net, narrows=True)[1]
    assert all(torch.allclose(found[name], wanted[name], atol=1e-6) for name in wanted)


def test_a_pass_that_fails_leaves_the_block_as_it_was():
    net = network(CAUSAL["llama"]())
    block = net.base.model.layers[-1]
    before = vars(block).get("forward")
    broken = block.mlp.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        net(ROWS, PLACES)
    broken.remove()
    assert vars(block).get("forward") is before
    assert not block._forward_pre_hooks and not block.mlp._forward_pre_hooks
    assert same(net)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt-neox, whose halves stand side by side"])
def test_likelihoods_behind_shared_prefixes_are_those_of_whole_blocks(kind):
    shared = list(range(5, 45))
    prompts = [[*shared, 10 + question] for question in range(6) for _ in range(3)]
    answers = [[20 + answer, 30 + question, 31] for question in range(6) for answer in range(3)]
    found = {}
    for narrows in (True, False):
        net = network(CAUSAL[kind]())
        net.narrows = narrows
        scorer = Scorer(net, precision="fp32")  # which tries whether keys are remembered rightly
        read = tokens_of(net)
        found[narrows] = [one.log_likelihood for one in scorer.score(prompts, answers)]
        assert kind == "gemma2" or (read[-1] < read[0]) == narrows
    assert found[True] == pytest.approx(found[False], abs=1e-4)


@pytest.mark.parametrize("kind", ["mixtral", "llama"])
def test_one_token_of_as_many_as_the_network_is_wide(kind):
    net = network(CAUSAL[kind]())
    rows, found = [list(range(5, 25)), list(range(25, 37))], []
    for net.narrows in (True, False):
        with torch.no_grad():
            found.append(net(rows, [31]))
    assert torch.allclose(*found, atol=1e-5)
