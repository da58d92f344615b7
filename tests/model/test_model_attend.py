"""The two written-out operations against torch's own, values and gradients, in float64."""

import pytest
import torch

from hone.model import cross_entropy
from hone.model.attend import attend
from hone.model.cross_entropy import linear_cross_entropy


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


BIASES = {
    "none": None,
    "causal": lambda t, s: torch.full((1, 1, t, s), -torch.inf, dtype=torch.float64).triu(1 + s - t),
    "padding": lambda t, s: torch.zeros(2, 1, 1, s, dtype=torch.float64).index_fill(3, torch.tensor([s - 1]), -torch.inf),
    "per head": lambda t, s: torch.randn(1, 4, t, s, dtype=torch.float64, generator=torch.Generator().manual_seed(9)),
}


@pytest.mark.parametrize("heads", [4, 2, 1])
@pytest.mark.parametrize("kind", BIASES)
def test_attention_is_that_of_torch(kind, heads):
    """Grouped key heads too: 4 query heads on 4, 2 or 1 key heads."""
    query, key, value = random(2, 4, 5, 8), random(2, heads, 7, 8, seed=1), random(2, heads, 7, 8, seed=2)
    bias = None if BIASES[kind] is None else BIASES[kind](5, 7)
    found = attend(query, key, value, bias, scale=0.3)
    wide_key, wide_value = (one.repeat_interleave(4 // heads, dim=1) for one in (key, value))
    wanted = torch.nn.functional.scaled_dot_product_attention(query, wide_key, wide_value, attn_mask=bias, scale=0.3)
    assert torch.allclose(found, wanted, atol=1e-12)
    weight = torch.randn(wanted.shape, dtype=torch.float64)
    ours = torch.autograd.grad((found * weight).sum(), (query, key, value))
    theirs = torch.autograd.grad((wanted * weight).sum(), (query, key, value))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_a_learned_bias_gets_its_gradient_from_all_rows():
    query, key, value = random(3, 2, 4, 8), random(3, 2, 4, 8, seed=1), random(3, 2, 4, 8, seed=2)
    bias = random(1, 2, 4, 4, seed=3)
    ours = torch.autograd.grad(attend(query, key, value, bias, scale=1.0).square().sum(), bias)[0]
    shares = (query @ key.transpose(2, 3) + bias).softmax(-1)
    theirs = torch.autograd.grad((shares @ value).square().sum(), bias)[0]
    assert torch.allclose(ours, theirs, atol=1e-10)


def test_dropout_keeps_the_mean_and_its_gradient_fits_the_answer():
    torch.manual_seed(0)
    query, key, value = random(1, 1, 3, 4), random(1, 1, 6, 4, seed=1), random(1, 1, 6, 4, seed=2)
    answers = torch.stack([attend(query, key, value, None, scale=0.5, dropout=0.3) for _ in range(4000)])
    assert answers.std(dim=0).min() > 0.05
    assert torch.allclose(answers.mean(dim=0), attend(query, key, value, None, scale=0.5), atol=0.1)

    def drawn(one):
        torch.manual_seed(1)
        return attend(one, key, value, None, scale=0.5, dropout=0.3)

    assert torch.autograd.gradcheck(drawn, (query,))


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("has_bias", [True, False])
def test_sliced_cross_entropy_is_the_plain_one(rows, has_bias, monkeypatch):
    """Slices of 1, 3 and more rows than there are."""
    monkeypatch.setattr(cross_entropy, "_SLICE", rows * 11)
    hidden, weight = random(7, 5), random(11, 5, seed=1)
    bias = random(11, seed=2) if has_bias else None
    labels = torch.tensor([0, 3, 10, 3, 7, 7, 1])
    ours = linear_cross_entropy(hidden, weight, bias, labels)
    theirs = torch.nn.functional.cross_entropy(torch.nn.functional.linear(hidden, weight, bias), labels, reduction="sum")
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    inputs = (hidden, weight, *((bias,) if has_bias else ()))
    for one, other in zip(torch.autograd.grad(ours * 2, inputs), torch.autograd.grad(theirs * 2, inputs), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_frozen_output_layer_gets_no_gradient():
    hidden, weight = random(4, 5), random(9, 5, seed=1).detach()
    loss = linear_cross_entropy(hidden, weight, None, torch.tensor([1, 2, 3, 4]))
    loss.backward()
    assert hidden.grad is not None and weight.grad is None
