"""Attention within each sequence of a batch that stands packed: one after the other, without padding.

It enters transformers through its registry of attention functions. The one surprise: the layout of the batch at hand is
module state, because gradient checkpointing calls layers again during the backward pass.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from hone.model.attend import attend

__all__ = ["ATTENTION", "Layout", "Role", "current_layout", "prefixes_hidden", "register_attention", "set_layout"]

ATTENTION = "hone_packed"
_SHORT = 1024  # tokens up to which attention is written out on a CPU; longer ones would keep too many scores
_WASTE = 1.5  # padded over real area of the scores up to which sequences share an attention call

Role = Literal["source", "target", "cross"]


@dataclass(frozen=True)
class Layout:
    """Lengths of the sequences that stand one after the other; `source` for the encoder of an encoder-decoder."""

    target: tuple[int, ...]
    source: tuple[int, ...] = ()

    def lengths(self, role: Role) -> tuple[int, ...]:
        """Of the keys that a module with this role reads."""
        return self.target if role == "target" else self.source


_layout: Layout | None = None


_hides_prefixes = False


@contextlib.contextmanager
def prefixes_hidden() -> Iterator[None]:
    """Inside this block trained keys and values (prefix tuning) are left out."""
    global _hides_prefixes
    before, _hides_prefixes = _hides_prefixes, True
    try:
        yield
    finally:
        _hides_prefixes = before


def set_layout(layout: Layout | None) -> None:
    """Say how the next forward pass is packed; None for padded batches. It holds until the next call."""
    global _layout
    _layout = layout


def current_layout() -> Layout | None:
    """What `set_layout` said last."""
    return _layout


def register_attention() -> None:
    """Make the function known to transformers under its name; for padded batches it hands on to theirs."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, _padded_mask)


def _padded_mask(*arguments: Any, **named: Any) -> Any:
    from transformers.masking_utils import sdpa_mask

    return None if _layout is not None else sdpa_mask(*arguments, **named)


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: torch.Tensor | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: query [B, H, T, D], key and value [B, K, S, D]; result [B, T, H, D]."""
    if _layout is None:
        assert _hides_prefixes or not hasattr(module, "prefix"), "a padded pass would leave out what prefix tuning trained"
        named = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, "position_bias": position_bias, **rest}
        return _padded(module, query, key, value, attention_mask, softcap, named)
    role: Role = getattr(module, "_role", "target")
    queries, keys = _layout.source if role == "source" else _layout.target, _layout.lengths(role)
    causal = role != "cross" and bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    groups = key.shape[1]
    kind = query.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else value.dtype  # rotations leave fp32 behind
    q, k, v = (one[0].transpose(0, 1).to(dtype) for one in (query, key, value))  # [T, H, D], [S, K, D]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    module.reads = (groups, key.shape[3])  # type: ignore[assignment]  # for prefix tuning, which puts keys of this shape before them
    prefix = None if _hides_prefixes else getattr(module, "prefix", None)  # [2, K, P, D]
    answers = []
    at_q = at_k = 0
    for first, last in _runs(queries, keys):
        q_lengths, k_lengths = queries[first:last], keys[first:last]
        part_q = _stack(q[at_q : at_q + sum(q_lengths)], q_lengths)  # [b, H, t, D]
        part_k = _stack(k[at_k : at_k + sum(k_lengths)], k_lengths)
        part_v = _stack(v[at_k : at_k + sum(k_lengths)], k_lengths)
        if prefix is not None:
            ahead = prefix.to(part_k.dtype)[:, None].expand(-1, len(part_k), -1, -1, -1)
            part_k, part_v = torch.cat([ahead[0], part_k], dim=2), torch.cat([ahead[1], part_v], dim=2)
        mask = _mask(q_lengths, k_lengths, causal, sliding_window, q.device)
        if prefix is not None and (mask is not None or causal):
            mask = _band(max(q_lengths), None, q.device) if mask is None else mask
            mask = nn.functional.pad(mask, (prefix.shape[2], 0), value=True)
        bias = None if position_bias is None else position_bias[..., : max(q_lengths), : max(k_lengths)]
        if bias is not None and prefix is not None:
            bias = nn.functional.pad(bias, (prefix.shape[2], 0))
        found = _weigh(part_q, part_k, part_v, bias, mask, is_causal=causal, scale=scale, dropout=dropout, softcap=softcap)
        answers.append(_unstack(found, q_lengths))
        at_q, at_k = at_q + sum(q_lengths), at_k + sum(k_lengths)
    return torch.cat(answers)[None], None


def _weigh(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor | None,
    *,
    is_causal: bool,
    scale: float,
    dropout: float,
    softcap: float | None,
) -> torch.Tensor:
    """Attention over padded stacks by the way that is quickest where it applies; without a mask `is_causal` hides later keys."""
    is_short = q.device.type == "cpu" and k.shape[2] <= _SHORT
    if mask is None and is_causal and (is_short or bias is not None or softcap is not None):
        mask = _band(q.shape[2], None, q.device)
    if softcap is not None:
        return _scores(q, *_repeated(q, k, v), bias, mask, scale, softcap, dropout)
    if is_short or bias is not None:
        return attend(q, k, v, _as_bias(bias, mask, q.dtype), scale=scale, dropout=dropout)
    k, v = _repeated(q, k, v)
    return nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=is_causal and mask is None, scale=scale
    )


def _repeated(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values once per query head."""
    times = query.shape[1] // key.shape[1]
    return (key, value) if times == 1 else (key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1))


def _as_bias(bias: torch.Tensor | None, mask: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor | None:
    """What is added to the scores: a learned bias, and -inf where the mask says no."""
    if mask is None:
        return bias
    if bias is None:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)
    return bias.masked_fill(~mask, -torch.inf)


def _padded(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    softcap: float | None,
    named: dict[str, Any],
) -> tuple[torch.Tensor, None]:
    """transformers' own function; written out where scores are capped, which the fused kernel lacks."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if softcap is None:
        return ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, mask, **named)  # type: ignore[no-any-return]
    key, value = _repeated(query, key, value)
    scale = query.shape[-1] ** -0.5 if named["scaling"] is None else named["scaling"]
    if mask is None and getattr(module, "is_causal", True):
        mask = _band(query.shape[2], None, query.device)
    return _scores(query, key, value, None, mask, scale, softcap, named["dropout"]).transpose(1, 2).contiguous(), None


def _runs(queries: Sequence[int], keys: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches of neighbours that are alike enough in length to be padded to one another."""
    first, area, widest, longest = 0, 0, 0, 0
    for index, (q, k) in enumerate(zip(queries, keys, strict=True)):
        wide, long = max(widest, q), max(longest, k)
        if index > first and wide * long * (index - first + 1) > _WASTE * (area + q * k):
            yield first, index
            first, area, wide, long = index, 0, q, k
        area, widest, longest = area + q * k, wide, long
    yield first, len(queries)


def _stack(tokens: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """[t1 + t2 + ..., H, D] to [b, H, longest, D], zeros behind the shorter ones."""
    if len(set(lengths)) == 1:
        return tokens.reshape(len(lengths), lengths[0], *tokens.shape[1:]).transpose(1, 2)
    return nn.utils.rnn.pad_sequence(list(torch.split(tokens, list(lengths))), batch_first=True).transpose(1, 2)


def _unstack(found: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """[b, H, longest, D] to [t1 + t2 + ..., H, D]."""
    found = found.transpose(1, 2)
    if len(set(lengths)) == 1:
        return found.flatten(0, 1)
    return torch.cat([row[:length] for row, length in zip(found, lengths, strict=True)])


def _mask(
    queries: Sequence[int], keys: Sequence[int], causal: bool, window: int | None, device: torch.device
) -> torch.Tensor | None:
    """True where a query may look; None where all keys, or all earlier ones, may be seen.

    Behind a shorter sequence stand only later keys, which a causal query does not see anyway.
    """
    longest = max(keys)
    if causal:
        return _band(longest, window, device) if window is not None and longest > window else None
    mask = None
    if len(set(keys)) > 1:
        ends = torch.tensor(keys, device=device)
        mask = (torch.arange(longest, device=device) < ends[:, None])[:, None, None, :]  # [b, 1, 1, longest]
    if window is not None and longest > window:
        places = torch.arange(longest, device=device)
        near = (places[:, None] - places[None, :]).abs() < window  # transformers passes half the span, the token itself included
        mask = near[None, None] if mask is None else mask & near
    return mask


def _band(length: int, window: int | None, device: torch.device) -> torch.Tensor:
    """[1, 1, length, length]: earlier keys, no more than `window` of them."""
    places = torch.arange(length, device=device)
    back = places[:, None] - places[None, :]
    return ((back >= 0) & (back < (length if window is None else window)))[None, None]


def _scores(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor | None,
    scale: float,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    """Attention written out, for scores with a learned bias or a cap; the softmax in fp32."""
    scores = (torch.matmul(q, k.transpose(2, 3)) * scale).float()
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    shares = scores.softmax(-1).to(v.dtype)
    return torch.matmul(nn.functional.dropout(shares, p=dropout) if dropout else shares, v)
