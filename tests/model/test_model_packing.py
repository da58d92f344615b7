"""Architectures of many kinds, tiny and random: what packs, shares and writes gives what transformers' own attention gives."""

import copy
import warnings

import pytest
import torch
import transformers

from hone.core.errors import BadModel
from hone.model import LanguageModel, Seq2SeqModel, attend, packed_attention, sharing
from hone.model.attend import forget_masks
from hone.model.generate import Generator
from hone.model.sampling import Sampling
from hone.model.score import Scorer
from tiny_language import tiny_tokenizer

SIZE = len(tiny_tokenizer())
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
MORE = {
    "gpt_oss": {"sliding_window": 5, "head_dim": 8, **EXPERTS},
    "granite_swa": {"sliding_window": 5},
    "phimoe": {"sliding_window": 16, **EXPERTS},
    "doge": {"sliding_window": 16},
    "diffllama": {},
    "jetmoe": {"kv_channels": 8, **EXPERTS},
    "llama": {},
    "qwen2_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
    "gemma3_text": {"sliding_window": 16, "head_dim": 8, "layer_types": ["full_attention"] * 2},
}


def made(kind):
    """A network whose answers differ, sinks and all."""
    usual = {"vocab_size": SIZE, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    usual |= {"intermediate_size": 48, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.AutoConfig.for_model(kind, **usual, **MORE[kind])
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.5 if "embed" in name else 2 / parameter.shape[-1] ** 0.5)
            elif "sinks" in name:
                parameter.normal_()
    return net


def rows(*lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, SIZE, (length,), generator=generator).tolist() for length in lengths]


def plain(net, sequences):
    """Logits of transformers alone, one sequence after the other."""
    with torch.no_grad():
        return torch.cat([net(input_ids=torch.tensor([row])).logits[0] for row in sequences])


@pytest.mark.parametrize(
    ("kind", "packs"),
    [
        ("gpt_oss", True),
        ("granite_swa", True),
        ("phimoe", False),
        ("doge", False),
        ("llama", True),
        ("qwen2_moe", True),
        ("gemma3_text", True),
    ],
)
def test_rows_longer_than_a_window_are_read_as_transformers_reads_them(kind, packs):
    """Sinks take their share; a window of which attention itself is not told is padded for, not one of a mask that no layer reads."""
    own = made(kind)
    net = LanguageModel(copy.deepcopy(own), pad_id=0, head="causal").eval()
    assert net.packs == packs
    asked = rows(40, 23, 4)
    with torch.no_grad():
        found = net(asked, range(67))
    wanted = plain(own, asked)
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_experts_with_a_capacity_count_the_words_of_each_row_alone():
    """Switch turns away what comes to a full expert; the rows of one batch do not fill each other's."""
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
    experts = {"num_experts": 2, "expert_capacity": 20, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1}
    special = {"pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}
    torch.manual_seed(0)
    config = transformers.SwitchTransformersConfig(vocab_size=SIZE, dropout_rate=0.0, **sizes, **experts, **special)
    own = transformers.SwitchTransformersForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in own.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=2 / parameter.shape[-1] ** 0.5)
    net = Seq2SeqModel(copy.deepcopy(own), pad_id=0).eval()
    prompts, continuations = rows(29, 34, 26, 31), rows(5, 7, 3, 9, seed=1)
    found = Scorer(net, precision="fp32").score(prompts, continuations)
    for prompt, continuation, one in zip(prompts, continuations, found, strict=True):
        with torch.no_grad():
            shifted = torch.tensor([[0, *continuation[:-1]]])
            shares = own(input_ids=torch.tensor([prompt]), decoder_input_ids=shifted).logits[0].log_softmax(-1)
        wanted = shares[torch.arange(len(continuation)), torch.tensor(continuation)].sum().item()
        assert one.log_likelihood == pytest.approx(wanted, abs=1e-3)


def test_long_causal_rows_make_no_mask(monkeypatch):
    monkeypatch.setattr(packed_attention, "_SHORT", 16)
    own = made("llama")
    net = LanguageModel(copy.deepcopy(own), pad_id=0, head="causal").eval()
    forget_masks()
    asked = rows(40, 23)
    with torch.no_grad():
        found = net(asked, range(63))
    assert attend._band.cache_info().currsize == 0
    wanted = plain(own, asked)
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("kind", ["gemma3_text", "llama"])
def test_virtual_tokens_begin_as_what_words_are_read_as(kind):
    """Some embedding layers scale what stands in them."""
    net = LanguageModel(made(kind), pad_id=0, head="causal").eval()
    layer = net.base.get_input_embeddings()
    with torch.no_grad():
        words = layer(torch.arange(SIZE))
        prompt = net.add_prompt(6)
        assert (prompt[:, None] == words).all(dim=2).any(dim=1).all()
        assert torch.equal(layer(torch.tensor([-1, -6])), prompt[[0, 5]])


@pytest.mark.parametrize("kind", ["gpt_oss", "granite_swa"])
def test_sinks_learn_what_they_learn_in_transformers(kind):
    own = made(kind)
    net = LanguageModel(copy.deepcopy(own), pad_id=0, head="causal").eval()
    (asked,), labels = rows(12), torch.tensor([3, 4])
    net([asked], [5, 11], labels).backward()
    torch.nn.functional.cross_entropy(own(input_ids=torch.tensor([asked])).logits[0, [5, 11]], labels, reduction="sum").backward()
    theirs = {name: parameter.grad for name, parameter in own.named_parameters() if "sinks" in name}
    ours = {name: parameter.grad for name, parameter in net.base.named_parameters() if "sinks" in name}
    assert theirs and all(torch.allclose(ours[name], grad, rtol=1e-3, atol=1e-5) for name, grad in theirs.items())


@pytest.mark.parametrize("kind", ["gpt_oss", "granite_swa"])
def test_a_padded_pass_of_a_network_made_ready_has_its_sinks(kind):
    own = made(kind)
    net = LanguageModel(copy.deepcopy(own), pad_id=0, head="causal").eval()
    asked = rows(20)
    assert net.packs and torch.allclose(plain(net.base, asked), plain(own, asked), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["gpt_oss", "granite_swa", "llama", "jetmoe", "diffllama"])
def test_what_is_remembered_changes_no_text_and_no_score(kind):
    own = made(kind)
    net = LanguageModel(copy.deepcopy(own), pad_id=0, head="causal").eval()
    (block,) = rows(20)
    asked = [[*block, *row] for row in rows(3, 9, 5, seed=1)]
    found = Generator(net, tiny_tokenizer(), precision="fp32").generate(asked, Sampling(max_new_tokens=10))
    for prompt, (answer,) in zip(asked, found, strict=True):
        row = own.generate(torch.tensor([prompt]), max_new_tokens=10, do_sample=False, pad_token_id=0)[0, len(prompt) :].tolist()
        assert list(answer.ids) == row[: row.index(2) if 2 in row else None]
    prompts, continuations = [asked[at // 2] for at in range(6)], rows(3, 2, 4, 1, 3, 2, seed=2)
    scores = Scorer(net, precision="fp32").score(prompts, continuations)
    for prompt, continuation, score in zip(prompts, continuations, scores, strict=True):
        shares = plain(own, [[*prompt, *continuation]])[len(prompt) - 1 : -1].log_softmax(-1)
        wanted = shares[torch.arange(len(continuation)), torch.tensor(continuation)].sum().item()
        assert score.log_likelihood == pytest.approx(wanted, rel=1e-3)


def test_a_network_that_remembers_wrongly_says_so_and_reads_anew(capsys, monkeypatch):
    monkeypatch.setattr(sharing, "_TOLD", set())
    net = LanguageModel(made("diffllama"), pad_id=0, head="causal").eval()
    assert net.packs and not Generator(net, tiny_tokenizer(), precision="fp32").shares
    assert not Scorer(net, precision="fp32").shares
    assert capsys.readouterr().err.count("every text is read from its beginning") == 1


def test_a_network_that_cannot_remember_says_so_once_however_often_it_is_loaded(capsys, monkeypatch):
    monkeypatch.setattr(sharing, "_TOLD", set())
    for _ in range(2):
        net = LanguageModel(made("doge"), pad_id=0, head="causal").eval()
        assert not net.packs and not Generator(net, tiny_tokenizer(), precision="fp32").shares
    told = "DogeForCausalLM has nothing to remember that texts could share, so every text is read from its beginning."
    assert capsys.readouterr().err.count(told) == 1


def test_words_computed_past_the_output_layer_are_refused():
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.MobileBertConfig(
        vocab_size=SIZE,
        hidden_size=32,
        embedding_size=16,
        intra_bottleneck_size=16,
        num_hidden_layers=1,
        intermediate_size=16,
        **special,
    )
    with pytest.raises(BadModel, match="MobileBertForMaskedLM computes its words past its output layer"):
        LanguageModel(transformers.MobileBertForMaskedLM(config), pad_id=0, head="masked")
    sizes = {f"{part}_ffn_dim": 16 for part in ("encoder", "decoder")} | {
        f"num_{part}_layers": 1 for part in ("encoder", "decoder")
    }
    config = transformers.ProphetNetConfig(vocab_size=SIZE, hidden_size=16, **sizes, **special)
    with pytest.raises(BadModel, match="ProphetNetForConditionalGeneration computes its words"):
        Seq2SeqModel(transformers.ProphetNetForConditionalGeneration(config), pad_id=0)
