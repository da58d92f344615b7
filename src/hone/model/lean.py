"""Parts of transformers' networks, computed with fewer passes over memory: norms, rotary tables, T5's feed-forward blocks.

Under autocast a norm answers in fp32, and every linear layer that reads it converts it again, forward and backward; rotary tables in fp32
pull queries and keys back to fp32. Here each is converted once. A part is taken over only where, tried with real numbers, it
computes what it did.
"""

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from hone.model.arithmetic import product_dtype

__all__ = ["make_lean"]

_TOLERANCE = 1e-5
_EPS = ("variance_epsilon", "eps")


def make_lean(net: nn.Module, *, twin: nn.Module | None = None) -> None:
    """Teach the parts of a transformers network the short way. Parameters, their names and what is computed stay as they are.

    Args:
        twin: a network of the same parts that was made lean: what held of its parts is not tried again. For networks without numbers.
    """
    if twin is not None:
        taken = [(type(one), vars(one)["forward"].__func__) for one in twin.modules() if "forward" in vars(one)]
        ways = {kind: way for kind, way in taken if way.__module__ == __name__}
        for part in net.modules():
            if type(part) in ways:
                part.forward = types.MethodType(ways[type(part)], part)
        return
    module: Any
    for module in net.modules():
        kind = type(module).__name__
        if kind.endswith("RotaryEmbedding"):
            module.forward = types.MethodType(_rotary(type(module).forward), module)
        elif kind.endswith("DenseGatedActDense"):
            _take_over(module, [_gated], width=module.wi_0.in_features)
        elif kind.endswith("DenseActDense") and hasattr(module, "wi"):
            _take_over(module, [_plain], width=module.wi.in_features)
        elif type(module) is nn.LayerNorm and module.elementwise_affine:
            _take_over(module, [_layer_norm], width=module.normalized_shape[-1])
        elif kind.endswith(("RMSNorm", "T5LayerNorm")) and [name for name, _ in module.named_parameters()] == ["weight"]:
            _take_over(module, [_rms_norm(0.0), _rms_norm(1.0)], width=len(module.weight))


def _take_over(module: nn.Module, ways: list[Callable[..., torch.Tensor]], *, width: int) -> None:
    """Give the module the first way that computes the same for random numbers; none where none does."""
    example = next(module.parameters())
    if example.dtype != torch.float32 or example.device.type == "meta":
        return
    x = torch.randn(2, 3, width, generator=torch.Generator().manual_seed(0)).to(example.device)
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            wanted = module(x)
            for way in ways:
                if torch.allclose(way(module, x), wanted, rtol=_TOLERANCE, atol=_TOLERANCE):
                    module.forward = types.MethodType(way, module)
                    return
    except (AttributeError, RuntimeError, TypeError):
        return  # it reads something else than one tensor
    finally:
        module.train(was_training)


def _rotary(own: Any) -> Any:
    def forward(self: Any, *arguments: Any, **named: Any) -> Any:
        found = own(self, *arguments, **named)
        if isinstance(found, tuple) and all(isinstance(one, torch.Tensor) for one in found):
            return tuple(one.to(product_dtype(one)) for one in found)
        return found

    return forward


def _plain(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.wo(self.dropout(self.act(self.wi(x))))  # type: ignore[no-any-return]


def _gated(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.wo(self.dropout(self.act(self.wi_0(x)) * self.wi_1(x)))  # type: ignore[no-any-return]


def _layer_norm(self: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast(x.device.type, enabled=False):
        found: torch.Tensor = nn.functional.layer_norm(x.float(), self.normalized_shape, self.weight, self.bias, self.eps)
    return found.to(product_dtype(x))


def _rms_norm(shift: float) -> Callable[..., torch.Tensor]:
    def forward(self: Any, x: torch.Tensor) -> Any:
        eps = next(getattr(self, name) for name in _EPS if hasattr(self, name))
        weight = self.weight + shift if shift else self.weight
        return _RMSNorm.apply(x, weight, eps, product_dtype(x))  # type: ignore[no-untyped-call]

    return forward


class _RMSNorm(torch.autograd.Function):
    """x / root mean square of x, times a weight; statistics in fp32, the answer in `dtype`."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float, dtype: torch.dtype) -> torch.Tensor:
        wide = x.float()
        scale = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        answer: torch.Tensor = (wide * scale).mul_(weight)
        return answer.to(dtype)

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> Any:
        x, weight, scale = ctx.saved_tensors
        gradient, wide, width = above[0].float(), x.float(), x.shape[-1]
        # Layer norm's kernel with a mean of zero; it takes off what comes through the mean, which has to be put back.
        wants = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
        by_x, by_weight, _ = torch.ops.aten.native_layer_norm_backward(
            gradient, wide, [width], torch.zeros_like(scale), scale, weight.float(), None, wants
        )
        if by_x is not None:
            by_x = by_x.add_((gradient @ weight.float() / width)[..., None] * scale).to(x.dtype)
        return by_x, None if by_weight is None else by_weight.to(weight.dtype), None, None
