"""The written-out operations against torch's own, values and gradients, in float64."""

import pytest
import torch

from hone.model import attend as attention
from hone.model import cross_entropy, stacking
from hone.model.arithmetic import common_size
from hone.model.attend import Pattern, attend
from hone.model.cross_entropy import WordTable, linear_cross_entropy


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


LENGTHS = {"one": (5,), "alike": (4, 4), "padded": (9, 3, 4), "apart": (2, 9)}  # "apart": with calls for free, each alone


def expected(query, key, value, bias, ahead, *, queries, keys, causal, window, scale):
    """Sequence by sequence, head by head, from torch's own attention."""
    share = query.shape[1] // key.shape[1]
    answers = []
    for q, own_k, own_v in zip(query.split(queries), key.split(keys), value.split(keys), strict=True):
        t, s = len(q), len(own_k)
        back = torch.arange(t)[:, None] - torch.arange(s)
        sees = torch.ones(t, s, dtype=torch.bool) if window is None else back.abs() < window
        sees = sees & (back >= 0) if causal else sees
        added = torch.zeros(t, s, dtype=torch.float64).masked_fill(~sees, -torch.inf)[None]
        added = added if bias is None else added + bias[0, :, :t, :s]
        both = [own_k, own_v]
        if ahead is not None:
            both = [torch.cat([one.transpose(0, 1), own]) for one, own in zip(ahead, both, strict=True)]
            added = torch.nn.functional.pad(added, (ahead.shape[2], 0))
        k, v = (one.repeat_interleave(share, dim=1).transpose(0, 1) for one in both)
        found = torch.nn.functional.scaled_dot_product_attention(q.transpose(0, 1), k, v, attn_mask=added, scale=scale)
        answers.append(found.transpose(0, 1))
    return torch.cat(answers)


@pytest.mark.parametrize("heads", [4, 2, 1])
@pytest.mark.parametrize(("causal", "window"), [(False, None), (True, None), (True, 3), (False, 3)])
@pytest.mark.parametrize("extra", ["none", "bias", "ahead", "both"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("block", [2, 256])
def test_attention_is_that_of_torch(heads, causal, window, extra, lengths, block, monkeypatch):
    """Grouped key heads, windows, learned biases, keys ahead of all; sequences padded together and alone, in blocks and whole. Values and
    gradients."""
    monkeypatch.setattr(attention, "_CALL", 0 if lengths == "apart" else 1000)
    monkeypatch.setattr(attention, "_BLOCK", block)
    queries = LENGTHS[lengths]
    keys = queries if causal or window else tuple(length + 1 + at for at, length in enumerate(queries))
    query, key, value = random(sum(queries), 4, 8), random(sum(keys), heads, 8, seed=1), random(sum(keys), heads, 8, seed=2)
    bias = random(1, 4, 12, 12, seed=3) if extra in ("bias", "both") else None
    ahead = random(2, heads, 3, 8, seed=4) if extra in ("ahead", "both") else None
    found = attend(query, key, value, bias, ahead, Pattern(queries, keys, 0.3, causal, window))
    options = {"queries": queries, "keys": keys, "causal": causal, "window": window, "scale": 0.3}
    wanted = expected(query, key, value, bias, ahead, **options)
    assert torch.allclose(found, wanted, atol=1e-12)
    weight = torch.randn(wanted.shape, dtype=torch.float64)
    inputs = [one for one in (query, key, value, bias, ahead) if one is not None]
    ours = torch.autograd.grad((found * weight).sum(), inputs)
    theirs = torch.autograd.grad((wanted * weight).sum(), inputs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-6)  # sums over sequences are kept in fp32


@pytest.mark.parametrize("lengths", [(5,), (300, 310, 20), (3,) * 40, (700, 20, 21, 600)])
def test_stretches_cover_all_tokens_in_order(lengths):
    parts = list(Pattern(lengths, lengths, 1.0, is_causal=True).stretches)
    assert tuple(length for part in parts for length in part.queries) == lengths
    assert [part.at_q for part in parts] == [sum(lengths[: sum(len(p.queries) for p in parts[:at])]) for at in range(len(parts))]
    for part in parts:  # what is padded costs less than the calls it saves
        padded = len(part.queries) * max(part.queries) ** 2 - sum(length**2 for length in part.queries)
        assert padded <= attention._CALL * (len(part.queries) - 1)


def test_dropout_keeps_the_mean_and_its_gradient_fits_the_answer():
    torch.manual_seed(0)
    query, key, value = random(3, 1, 4), random(6, 1, 4, seed=1), random(6, 1, 4, seed=2)
    plain, dropping = (Pattern((3,), (6,), 0.5, is_causal=False, dropout=dropout) for dropout in (0.0, 0.3))
    answers = torch.stack([attend(query, key, value, None, None, dropping) for _ in range(4000)])
    assert answers.std(dim=0).min() > 0.05
    assert torch.allclose(answers.mean(dim=0), attend(query, key, value, None, None, plain), atol=0.1)

    def drawn(one):
        torch.manual_seed(1)
        return attend(one, key, value, None, None, dropping)

    assert torch.autograd.gradcheck(drawn, (query,))


@pytest.mark.parametrize(("rows", "size"), [(7, 16), (16, 16), (33, 48), (255, 256), (1025, 1152), (2048, 2048), (8200, 9216)])
def test_sizes_that_come_again(rows, size):
    """Eight to each doubling, multiples of 16; only where products are made in bf16 on a CPU."""
    assert common_size(rows, torch.device("cpu")) == rows
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert common_size(rows, torch.device("cpu")) == size
        assert common_size(rows, torch.device("meta")) == rows


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


@pytest.mark.parametrize("uses", [1, 2])
@pytest.mark.parametrize("rows", [3, 30])
def test_a_shared_table_gets_the_sum_of_both_gradients(uses, rows):
    """More rows than twice the width, and fewer; an embedding that is read twice, as in encoder-decoders; two passes in one step."""
    table, plain = torch.nn.Embedding(11, 5, padding_idx=0), torch.nn.Embedding(11, 5, padding_idx=0)
    plain.load_state_dict(table.state_dict())
    shared = WordTable()
    shared.share(table)
    ids, labels = torch.arange(rows) % 7, torch.arange(rows) % 11
    for _ in range(2):
        hidden = sum(table((ids + use) % 7) for use in range(uses))
        linear_cross_entropy(hidden, table.weight, None, labels, shared).backward()
        hidden = sum(plain((ids + use) % 7) for use in range(uses))
        torch.nn.functional.cross_entropy(hidden @ plain.weight.T, labels, reduction="sum").backward()
    assert torch.allclose(table.weight.grad, plain.weight.grad, atol=1e-4)
    assert shared.take() is None


def test_a_frozen_table_is_converted_once_and_again_when_it_has_changed():
    table, weight = WordTable(), torch.randn(4, 3)
    first = table.narrow(weight, torch.bfloat16)
    weight.data[0] = 7  # unseen by torch's counter: a frozen matrix is not written so
    assert table.narrow(weight, torch.bfloat16)[0, 0] != 7
    weight[0] = 8
    assert table.narrow(weight, torch.bfloat16)[0, 0] == 8 and table.narrow(weight, torch.bfloat16) is first
    trained = weight.clone().requires_grad_()
    table.narrow(trained, torch.bfloat16)
    trained.data[0] = 9
    assert table.narrow(trained, torch.bfloat16)[0, 0] == 9


def test_what_no_query_sees_is_not_computed(monkeypatch):
    monkeypatch.setattr(attention, "_BLOCK", 4)
    computed = []
    product = torch.baddbmm
    monkeypatch.setattr(torch, "baddbmm", lambda *given, **named: computed.append(product(*given, **named)) or computed[-1])
    tokens = [random(12, 2, 8, seed=seed) for seed in range(3)]
    attend(*tokens, None, None, Pattern((12,), (12,), 0.3, is_causal=True))
    assert [tuple(scores.shape) for scores in computed] == [(2, 4, 12), (2, 4, 8), (2, 4, 4)]


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_padding_by_selection_is_padding_row_by_row_and_is_undone(lengths):
    tokens = random(sum(lengths), 3, 2)
    followed = stacking.stack(tokens, lengths)
    with torch.no_grad():
        selected = stacking.stack(tokens, lengths)
        assert torch.equal(selected, followed)
        assert torch.equal(stacking.unstack(selected, lengths), tokens)
    (gradient,) = torch.autograd.grad(stacking.unstack(followed * 2, lengths).sum(), tokens)
    assert torch.equal(gradient, torch.full_like(tokens, 2))


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_heads_are_put_first_and_back_where_they_belong(lengths):
    tokens, lengths = random(sum(lengths), 3, 2).detach(), tuple(lengths)
    first = stacking.heads_first(tokens, lengths, ends_in_zeros=True)
    assert torch.equal(first, stacking.stack(tokens, lengths).transpose(1, 2))
    for found in (first, stacking.heads_first(tokens, lengths)):
        into = torch.zeros(2 + len(tokens), 3, 2, dtype=tokens.dtype)
        stacking.put_tokens(into[2:], found, lengths)
        assert torch.equal(into[2:], tokens) and not into[:2].any()


@pytest.mark.parametrize("keys", [3, 8, 12, 16, 20, 31, 32, 40, 63, 64, 100])
def test_shares_and_the_way_back_are_right_for_every_length_of_a_row(keys):
    scores = 3 * torch.randn(6, 5, keys, generator=torch.Generator().manual_seed(keys))
    scores[0, 0, 1:] = -torch.inf
    narrow = scores.bfloat16()
    shares, right = attention._shares(narrow), narrow.double().softmax(dim=-1)
    assert shares.dtype == torch.bfloat16 and shares.is_contiguous()
    torch.testing.assert_close(shares.double(), right, rtol=2**-8, atol=1e-6)
    assert torch.equal(attention._shares(scores), scores.softmax(dim=-1))
    above = torch.randn(6, 5, keys, generator=torch.Generator().manual_seed(0)).bfloat16()
    found = attention._through_shares(above, shares)
    kept, wide = shares.double(), above.double()
    wanted = kept * (wide - (kept * wide).sum(dim=-1, keepdim=True))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), wanted, rtol=2**-7, atol=1e-3)


def test_masks_that_answering_made_serve_training():
    attention.forget_masks()
    part, pattern = attention.Stretch(0, 0, (3, 2), (3, 2)), Pattern((3, 2), (3, 2), 1.0, is_causal=False)
    with torch.inference_mode():
        attention.hidden(part, pattern, torch.zeros(1))
    query = torch.randn(2, 1, 3, 4, requires_grad=True)
    mask = attention.hidden(part, pattern, query)
    torch.nn.functional.scaled_dot_product_attention(query, query, query, attn_mask=mask).sum().backward()
    assert query.grad is not None
