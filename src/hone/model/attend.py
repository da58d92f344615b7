"""Attention over short sequences, written out as matrix products with a backward pass of its own.

On CPUs the fused kernel of torch is made for long sequences: at 60 to 900 tokens in bf16 its two passes took two to four times as long as
these (docs/log.md). Scores stand in the products' arithmetic, as in transformers' own attention; the softmax sums in fp32 inside.
"""

from typing import Any

import torch

__all__ = ["attend"]


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    scale: float,
    dropout: float = 0.0,
) -> torch.Tensor:
    """softmax(scale x query key^T + bias) value, with several query heads to a key head where there are more of them.

    Args:
        query: [b, H, t, D]. key, value: [b, K, s, D], K dividing H. bias: broadcastable to [b, H, t, s]; -inf hides a key.
    Returns:
        [b, H, t, D], differentiable in all four.
    """
    batch, heads, length, width = query.shape
    groups, keys = key.shape[1], key.shape[2]
    share = heads // groups
    rows = (batch * groups, share * length)
    if bias is not None and bias.shape[:2] == (1, 1):
        bias = bias[0].to(query.dtype).expand(-1, length, -1).repeat(1, share, 1)
    elif bias is not None:
        bias = bias.to(query.dtype).expand(batch, heads, length, keys).reshape(*rows, keys)
    found: torch.Tensor = _Attend.apply(  # type: ignore[no-untyped-call]
        query.reshape(*rows, width), key.reshape(rows[0], keys, width), value.reshape(rows[0], keys, width), bias, scale, dropout
    )
    return found.view(batch, heads, length, width)


class _Attend(torch.autograd.Function):
    """One key head per row of the first dimension: query [N, t, D], key and value [N, s, D], bias broadcastable to [N, t, s]."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor | None,
        scale: float,
        dropout: float,
    ) -> torch.Tensor:
        start = query.new_zeros(1, 1, 1) if bias is None else bias
        with torch.autocast(query.device.type, enabled=False):
            scores = torch.baddbmm(start, query, key.transpose(1, 2), beta=0 if bias is None else 1, alpha=scale)
            shares = scores.softmax(dim=-1)
            kept = torch.empty_like(shares).bernoulli_(1 - dropout).div_(1 - dropout) if dropout else None
            answer = torch.bmm(shares if kept is None else shares * kept, value)
        ctx.save_for_backward(query, key, value, shares, kept)
        ctx.scale, ctx.bias_shape = scale, None if bias is None else bias.shape
        return answer

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> Any:
        query, key, value, shares, kept = ctx.saved_tensors
        gradient = above[0].to(query.dtype).contiguous()
        by_value = torch.bmm((shares if kept is None else shares * kept).transpose(1, 2), gradient)
        by_shares = torch.bmm(gradient, value.transpose(1, 2))
        if kept is not None:
            by_shares.mul_(kept)
        by_scores = torch._softmax_backward_data(by_shares, shares, -1, shares.dtype)
        by_query = torch.bmm(by_scores, key).mul_(ctx.scale)
        by_key = torch.bmm(by_scores.transpose(1, 2), query).mul_(ctx.scale)
        by_bias = None
        if ctx.needs_input_grad[3]:
            by_bias = by_scores.float().sum_to_size(ctx.bias_shape).to(by_scores.dtype)
        return by_query, by_key, by_value, by_bias, None, None
