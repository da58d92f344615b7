"""Linear layers that hold four bits a weight, without numbers: what bitsandbytes' NF4 layers take and make, for dry runs without the package.

QLoRA, section 3 (https://arxiv.org/abs/2305.14314): two weights lie in a byte, 64 of them share a scale of one byte, 256 scales one of four
bytes. A product unpacks its whole matrix in bf16, there and back. Embeddings, norms and the output layer stay in bf16.
"""

from typing import Any

import torch
from torch import nn

__all__ = ["hold_in_four_bits", "weights_of"]

_BLOCK, _SCALES = 64, 256


def hold_in_four_bits(backbone: nn.Module) -> nn.Module:
    """The network in bf16, its linear layers so held where transformers and bitsandbytes hold them so; to be used within `without_numbers`."""
    output = backbone.get_output_embeddings()  # type: ignore[operator]
    kept = tuple(getattr(backbone, "_keep_in_fp32_modules", None) or ())
    for name, module in list(backbone.named_modules()):
        for said, child in list(module.named_children()):
            if type(child) is nn.Linear and child is not output and not any(part in f"{name}.{said}".split(".") for part in kept):
                setattr(module, said, _FourBitLinear(child))
    return backbone


def weights_of(parameter: torch.Tensor) -> int:
    """How many weights a parameter holds."""
    return parameter.numel() * (2 if parameter.dtype is torch.uint8 else 1)


class _FourBitLinear(nn.Linear):
    """In place of a linear layer. No `nn.Linear` by type, so it is fused with nothing, as bitsandbytes' own are not."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__(1, 1, bias=False)
        self.in_features, self.out_features, self.bias = plain.in_features, plain.out_features, plain.bias
        weights = plain.weight.numel()
        self.weight = nn.Parameter(torch.zeros((weights + 1) // 2, 1, dtype=torch.uint8), requires_grad=False)
        blocks = -(-weights // _BLOCK)
        self.register_buffer("scales", torch.zeros(blocks, dtype=torch.uint8), persistent=False)
        self.register_buffer("scales_of_scales", torch.zeros(-(-blocks // _SCALES)), persistent=False)
        self.register_buffer("code", torch.zeros(16 + 256), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out]."""
        answer: torch.Tensor = _Product.apply(x.to(torch.bfloat16), self.weight, self.bias, self.out_features)  # type: ignore[no-untyped-call]
        return answer.to(x.dtype).clone()  # peft copies what such a layer answers


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, codes: torch.Tensor, bias: torch.Tensor | None, width: int) -> torch.Tensor:
        ctx.save_for_backward(codes)
        ctx.shape = (width, x.shape[-1])
        return nn.functional.linear(x, _unpacked(codes, ctx.shape), None if bias is None else bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> Any:
        (codes,) = ctx.saved_tensors
        return above[0] @ _unpacked(codes, ctx.shape).to(above[0].dtype), None, None, None


def _unpacked(codes: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    return codes.new_empty(shape, dtype=torch.bfloat16)
