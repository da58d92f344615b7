"""Norms, rotary tables and feed-forward blocks that were taken over: the same values and gradients, fewer conversions."""

import copy

import pytest
import torch
import transformers
from torch import nn

from hone.model.lean import make_lean

NORMS = {
    "llama": lambda: transformers.models.llama.modeling_llama.LlamaRMSNorm(12, eps=1e-5),
    "gemma2, which adds 1": lambda: transformers.models.gemma2.modeling_gemma2.Gemma2RMSNorm(12),
    "t5": lambda: transformers.models.t5.modeling_t5.T5LayerNorm(12),
    "layer norm": lambda: nn.LayerNorm(12),
    "layer norm without bias": lambda: nn.LayerNorm(12, bias=False),
}


@pytest.mark.parametrize("kind", NORMS)
def test_norms_compute_what_they_did(kind):
    torch.manual_seed(0)
    plain = NORMS[kind]()
    for parameter in plain.parameters():
        nn.init.normal_(parameter)
    lean = copy.deepcopy(plain)
    make_lean(nn.ModuleList([lean]))
    assert "forward" in vars(lean)
    x = (3 * torch.randn(4, 7, 12)).requires_grad_()
    weight = torch.randn(4, 7, 12)
    wanted, found = plain(x), lean(x)
    assert torch.allclose(found, wanted, atol=1e-5)
    theirs = torch.autograd.grad((wanted * weight).sum(), [x, *plain.parameters()])
    ours = torch.autograd.grad((found * weight).sum(), [x, *lean.parameters()])
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert lean(x).dtype == torch.bfloat16
        assert torch.allclose(lean(x).float(), wanted, rtol=0.02, atol=0.02)


def test_a_norm_that_computes_something_else_is_left_alone():
    class OddRMSNorm(transformers.models.llama.modeling_llama.LlamaRMSNorm):
        def forward(self, x):
            return super().forward(x) + 0.5

    odd = OddRMSNorm(12)
    make_lean(nn.ModuleList([odd]))
    assert "forward" not in vars(odd)


def test_rotary_tables_follow_autocast():
    config = transformers.LlamaConfig(hidden_size=16, num_attention_heads=2)
    rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
    make_lean(nn.ModuleList([rotary]))
    x, places = torch.zeros(1, 3, 16), torch.arange(3)[None]
    assert rotary(x, places)[0].dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert rotary(x, places)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("gated", [False, True])
def test_t5_feed_forward_is_not_converted_back(gated):
    torch.manual_seed(0)
    config = transformers.T5Config(d_model=8, d_ff=16, dropout_rate=0.0, feed_forward_proj="gated-gelu" if gated else "relu")
    part = transformers.models.t5.modeling_t5
    block = (part.T5DenseGatedActDense if gated else part.T5DenseActDense)(config)
    x = torch.randn(2, 3, 8)
    wanted = block(x)
    make_lean(nn.ModuleList([block]))
    assert "forward" in vars(block)
    assert torch.equal(block(x), wanted)


def test_a_feed_forward_block_with_other_names_is_left_alone():
    """That of NLLB-MoE is called as T5's, and has none of its layers."""
    config = transformers.NllbMoeConfig(d_model=12)
    block = transformers.models.nllb_moe.modeling_nllb_moe.NllbMoeDenseActDense(config, ffn_dim=16)
    make_lean(nn.ModuleList([block]))
    assert "forward" not in vars(block)
