"""Plain LoRA in one autograd function: the input is kept once, in the arithmetic it is multiplied in, and no product is computed twice.

peft's own layer keeps an fp32 copy of every input for its fp32 adapters. Variants (DoRA, dropout, several adapters, merged weights) and bases
in few bits go the library's way.
"""

import types
from typing import Any

import torch
from torch import nn

from hone.model import product_dtype

__all__ = ["fuse_lora"]


def fuse_lora(adapted: nn.Module) -> None:
    """Teach the LoRA layers of a peft model the short way where it applies; looked at anew in each call."""
    from peft.tuners.lora import Linear

    for module in adapted.modules():
        if type(module) is Linear and type(module.base_layer) is nn.Linear:  # a kind of its own may hold its weight otherwise
            module.forward = types.MethodType(_forward, module)


def _forward(self: Any, x: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
    active = self.active_adapters
    is_plain = (
        len(active) == 1
        and active[0] in self.lora_A
        and not self.disable_adapters
        and not self.merged
        and not arguments
        and not named
        and isinstance(self.lora_dropout[active[0]], nn.Identity)
        and active[0] not in self.lora_variant
        and self.lora_B[active[0]].bias is None
    )
    if not is_plain:
        return type(self).forward(self, x, *arguments, **named)  # type: ignore[no-any-return]
    base, name = self.get_base_layer(), active[0]
    answer: torch.Tensor = _LoraLinear.apply(  # type: ignore[no-untyped-call]
        x.reshape(-1, x.shape[-1]), base.weight, base.bias, self.lora_A[name].weight, self.lora_B[name].weight, self.scaling[name]
    )
    return answer.view(*x.shape[:-1], -1)  # out here: some networks write into it, which autograd allows of no view made inside


class _LoraLinear(torch.autograd.Function):
    """x W^T + b + scale (x A^T) B^T, x being [N, in]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        dtype = product_dtype(x)
        flat = x.to(dtype)
        matrix, small_down, small_up = weight.to(dtype), down.to(dtype), up.to(dtype)
        hidden = flat @ small_down.T  # [N, r]
        answer = nn.functional.linear(flat, matrix, None if bias is None else bias.to(dtype))
        answer = answer.addmm(hidden, small_up.T, alpha=scale)
        ctx.save_for_backward(flat, matrix, small_down, small_up, hidden)
        ctx.scale, ctx.kinds = scale, (x.dtype, weight.dtype, down.dtype, up.dtype)
        ctx.has_bias = bias is not None
        return answer

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> Any:
        flat, matrix, down, up, hidden = ctx.saved_tensors
        gradient = above[0].to(flat.dtype)
        through = (gradient @ up).mul_(ctx.scale)  # [N, r]
        needs = ctx.needs_input_grad
        by_x = None
        if needs[0]:
            by_x = (gradient @ matrix).addmm_(through, down).to(ctx.kinds[0])
        by_weight = (gradient.T @ flat).to(ctx.kinds[1]) if needs[1] else None
        by_bias = gradient.float().sum(dim=0) if needs[2] and ctx.has_bias else None
        by_down = (through.T @ flat).to(ctx.kinds[2]) if needs[3] else None
        by_up = (gradient.T @ hidden).mul_(ctx.scale).to(ctx.kinds[3]) if needs[4] else None
        return by_x, by_weight, by_bias, by_down, by_up, None
