"""Cross-entropy of a linear layer whose logits never exist whole: computed in slices of rows, gradients with them.

For a vocabulary of 131,072 the logits of 1,000 tokens and their gradient take 1 GB in fp32; a slice takes at most 64 MB.
"""

from typing import Any

import torch
from torch import nn

__all__ = ["linear_cross_entropy", "logits_cross_entropy"]

_SLICE = 16 * 2**20  # logits in a slice


def linear_cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor
) -> torch.Tensor:
    """Sum over rows of the cross-entropy of softmax(hidden weight^T + bias) against a label.

    Products run in the arithmetic of the caller's autocast, softmax and sum in fp32.

    Args:
        hidden: [N, D]. weight: [V, D]. bias: [V] or None. labels: int64 [N].
    Returns:
        fp32 scalar, differentiable in hidden, weight and bias.
    """
    loss: torch.Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, labels)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor
    ) -> torch.Tensor:
        kind = hidden.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        narrow, matrix = hidden.to(dtype), weight.to(dtype)
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        rows = max(1, _SLICE // len(weight))
        slices = [slice(at, at + rows) for at in range(0, len(hidden), rows)]
        by_hidden = torch.empty_like(narrow) if wants_hidden else None
        by_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_weight and len(slices) > 1 else None
        by_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and wants_bias else None
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for part in slices:
            logits = (narrow[part] @ matrix.T).float()  # [n, V]
            if bias is not None:
                logits += bias.float()
            chosen = labels[part, None]
            spread = logits.logsumexp(dim=1, keepdim=True)
            total += (spread - logits.gather(1, chosen)).sum()
            if not any((wants_hidden, wants_weight, wants_bias)):
                continue
            excess = logits.sub_(spread).exp_()  # softmax, less one at the label: the gradient by the logits
            excess.scatter_add_(1, chosen, torch.full_like(chosen, -1, dtype=excess.dtype))
            if by_bias is not None:
                by_bias += excess.sum(dim=0)
            small = excess.to(dtype)
            if by_hidden is not None:
                by_hidden[part] = small @ matrix
            if wants_weight:
                found = small.T @ narrow[part]
                by_weight = found if by_weight is None else by_weight.add_(found)
        ctx.save_for_backward(by_hidden, by_weight, by_bias)
        ctx.kinds = hidden.dtype, weight.dtype, None if bias is None else bias.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> Any:
        scale = above[0]
        found = [
            None if gradient is None else gradient.to(dtype) * scale.to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.kinds, strict=True)
        ]
        return (*found, None)


def logits_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The same sum from logits [N, V] that exist already."""
    return nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
