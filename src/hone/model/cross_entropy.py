"""Cross-entropy of a linear layer whose logits never exist whole, and the table of words that it often shares with the embedding.

For a vocabulary of 131,072 the logits of 1,000 tokens and their gradient take 1 GB in fp32; a slice takes at most 128 MB. What is as large
as the table itself (its copy in bf16, its gradient) is made once: large blocks of fresh memory cost more time than the products. On a CPU
slices are smaller still, so that the allocator can hand out the same memory again.
"""

import types
from typing import Any

import torch
from torch import nn

from hone.model.arithmetic import common_size, product_dtype

__all__ = ["WordTable", "linear_cross_entropy", "logits_cross_entropy"]

_SLICE = 32 * 2**20  # logits in a slice
_SLICE_CPU = 4 * 2**20  # 16 MB in fp32 come from the heap; what is above 32 MB comes from the kernel, page by page
_ROWS = 256  # at least: fewer make slow products
_WORDS = 8_192  # rows of the table whose gradient is computed at once


class WordTable:
    """The matrix of an output layer: its copy in the products' arithmetic, and its gradient on the way to the embedding that shares it."""

    def __init__(self) -> None:
        self._copy: torch.Tensor | None = None
        self._copied: tuple[int, int] | None = None
        self.adds_in_place = False
        """Whether gradients are added to the weight's `.grad` itself, in memory that is kept, past autograd's own accumulation: for a loop that
        trains alone. Else the output layer hands its gradient to the embedding, and autograd sees one."""
        self._gradient: torch.Tensor | None = None
        self._lookups = 0

    def narrow(self, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The matrix in `dtype`; in the same memory each time, and not converted again while it is frozen."""
        if weight.dtype == dtype:
            return weight
        if self._copy is None or (self._copy.shape, self._copy.dtype, self._copy.device) != (weight.shape, dtype, weight.device):
            self._copy, self._copied = torch.empty_like(weight, dtype=dtype), None
        now = (weight.untyped_storage()._cdata, weight._version)
        if weight.requires_grad or now != self._copied:
            self._copy.copy_(weight.detach())
            self._copied = now
        return self._copy

    def share(self, embedding: nn.Embedding) -> None:
        """Let the embedding, whose weight is this matrix, add its gradient to that of the output layer instead of making a second one."""
        embedding.forward = types.MethodType(_looked_up(self), embedding)  # type: ignore[method-assign]

    def gradient_of(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight's own `.grad`, made in the same memory each time."""
        if weight.grad is None:
            if self._gradient is None:
                self._gradient = torch.zeros_like(weight)
            weight.grad = self._gradient.zero_()
        return weight.grad

    def looked_up(self) -> None:
        """An embedding has read the matrix, and will be asked for its gradient."""
        self._lookups += 1

    def hands_over(self) -> bool:
        """Whether an embedding will take the output layer's gradient; asked once per forward pass."""
        found, self._lookups = self._lookups > 0, 0
        return found

    def leave(self, gradient: torch.Tensor) -> None:
        """Output layer: here is mine."""
        self._gradient = gradient if self._gradient is None else self._gradient.add_(gradient)

    def take(self) -> torch.Tensor | None:
        """Embedding: what the output layer left."""
        found, self._gradient = self._gradient, None
        return found


def linear_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    labels: torch.Tensor,
    table: WordTable | None = None,
) -> torch.Tensor:
    """Sum over rows of the cross-entropy of softmax(hidden weight^T + bias) against a label.

    Products run in the arithmetic of the caller's autocast, softmax and sum in fp32.

    Args:
        hidden: [N, D]. weight: [V, D]. bias: [V] or None. labels: int64 [N]. table: of the same weight, call after call.
    Returns:
        fp32 scalar, differentiable in hidden, weight and bias.
    """
    loss: torch.Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, labels, table or WordTable())  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, table: WordTable
    ) -> torch.Tensor:
        dtype = product_dtype(weight)
        real, narrow, matrix = len(hidden), hidden.to(dtype), table.narrow(weight, dtype)
        if more := common_size(real, hidden.device) - real:  # rows of zeros, which add nothing
            narrow, labels = nn.functional.pad(narrow, (0, 0, 0, more)), nn.functional.pad(labels, (0, more))
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        by_hidden = torch.empty_like(narrow) if wants_hidden else None
        by_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and wants_bias else None
        excess_of, by_weight = None, None
        if wants_weight and real <= 2 * hidden.shape[1]:  # smaller than the gradient of the matrix itself
            excess_of = torch.empty(len(narrow), len(weight), dtype=dtype, device=hidden.device)
        elif wants_weight:
            by_weight = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        rows = max(_ROWS, (_SLICE_CPU if hidden.device.type == "cpu" else _SLICE) // len(weight))
        for part in (slice(at, at + rows) for at in range(0, len(narrow), rows)):
            logits = (narrow[part] @ matrix.T).float()  # [n, V]
            if bias is not None:
                logits += bias.float()
            chosen, kept = labels[part, None], max(0, real - part.start)
            likelihoods = logits.log_softmax(dim=1)
            total -= likelihoods.gather(1, chosen)[:kept].sum()
            if not any((wants_hidden, wants_weight, wants_bias)):
                continue
            excess = likelihoods.exp_()  # softmax, less one at the label: the gradient by the logits
            excess.scatter_add_(1, chosen, torch.full_like(chosen, -1, dtype=excess.dtype))
            excess[kept:] = 0
            if by_bias is not None:
                by_bias += excess.sum(dim=0)
            small = excess.to(dtype) if excess_of is None else excess_of[part].copy_(excess)
            if by_hidden is not None:
                by_hidden[part] = small @ matrix
            if by_weight is not None:
                _add_products(by_weight, small, narrow[part])
        ctx.save_for_backward(by_hidden, by_weight, by_bias, excess_of, narrow if excess_of is not None else None, weight)
        ctx.real, ctx.kinds = real, (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        ctx.table, ctx.hands_over = table, table.hands_over() and wants_weight
        return total

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> Any:
        scale = above[0]
        by_hidden, by_weight, by_bias, excess, narrow, weight = ctx.saved_tensors
        for_hidden, for_weight, for_bias = ctx.kinds
        in_place = ctx.table.adds_in_place and ctx.needs_input_grad[1]
        if excess is not None:
            by_weight = ctx.table.gradient_of(weight) if in_place else torch.zeros_like(weight, dtype=torch.float32)
            _add_products(by_weight, excess, narrow * scale.to(narrow.dtype))
        elif by_weight is not None:
            by_weight = by_weight.mul_(scale)
            if in_place:
                ctx.table.gradient_of(weight).add_(by_weight)
        if in_place:
            by_weight = None
        elif by_weight is not None and by_weight.dtype != for_weight:
            by_weight = by_weight.to(for_weight)
        if ctx.hands_over and not in_place:
            ctx.table.leave(by_weight)
            by_weight = None
        by_hidden = None if by_hidden is None else (by_hidden[: ctx.real] * scale.to(by_hidden.dtype)).to(for_hidden)
        return by_hidden, by_weight, None if by_bias is None else (by_bias * scale).to(for_bias), None, None


def _add_products(gradient: torch.Tensor, excess: torch.Tensor, hidden: torch.Tensor) -> None:
    """gradient += excess^T hidden, some thousand rows at a time: [V, D], [N, V], [N, D]."""
    for at in range(0, len(gradient), _WORDS):
        gradient[at : at + _WORDS].add_(excess[:, at : at + _WORDS].T @ hidden)


def _looked_up(table: WordTable) -> Any:
    def forward(self: Any, ids: torch.Tensor) -> torch.Tensor:
        if not (self.weight.requires_grad and torch.is_grad_enabled()):
            return nn.functional.embedding(ids, self.weight)
        table.looked_up()
        return _Lookup.apply(ids, self.weight, self.padding_idx, table)  # type: ignore[no-any-return, no-untyped-call]

    return forward


class _Lookup(torch.autograd.Function):
    """Rows of a matrix whose gradient may have been begun by an output layer. Padding's row gets none from here."""

    @staticmethod
    def forward(ctx: Any, ids: torch.Tensor, weight: torch.Tensor, padding: int | None, table: WordTable) -> torch.Tensor:
        ctx.save_for_backward(ids, weight)
        ctx.padding, ctx.table = padding, table
        return nn.functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> Any:
        ids, weight = ctx.saved_tensors
        rows = above[0].flatten(0, -2).to(weight.dtype)
        if ctx.padding is not None:
            rows = rows.masked_fill(ids.flatten()[:, None] == ctx.padding, 0)
        if ctx.table.adds_in_place:
            ctx.table.gradient_of(weight).index_add_(0, ids.flatten(), rows)
            return None, None, None, None
        gradient = ctx.table.take()
        if gradient is None:
            gradient = torch.zeros_like(weight)
        return None, gradient.index_add_(0, ids.flatten(), rows), None, None


def logits_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The same sum from logits [N, V] that exist already."""
    return nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
