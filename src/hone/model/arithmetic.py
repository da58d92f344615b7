"""In which number format a forward pass multiplies.

bf16 where the machine has units for it (measured four times the fp32 rate on AVX512-BF16), with weights, losses
and statistics kept in fp32; fp32 elsewhere or on request.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from hone.core.awake import stay_awake
from hone.core.device import has_fast_bf16

__all__ = ["Arithmetic", "Precision", "autocast", "common_size", "plain_autocast", "product_dtype", "resolve_precision"]

Arithmetic = Literal["bf16", "fp32"]
Precision = Literal["auto", "bf16", "fp32"]
_STEP = 16  # rows


def resolve_precision(precision: Precision, device: torch.device) -> Arithmetic:
    """`auto` becomes bf16 where the device multiplies it natively, else fp32."""
    if precision == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    return precision


def plain_autocast(precision: Arithmetic, device: torch.device) -> AbstractContextManager[object]:
    """The context in which matrix products run in `precision`; parameters stay fp32."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def autocast(precision: Arithmetic, device: torch.device) -> Iterator[None]:
    """The context of every forward pass that computes: `plain_autocast`, and processors stay awake."""
    with stay_awake(device), plain_autocast(precision, device):
        yield


def product_dtype(like: torch.Tensor) -> torch.dtype:
    """In which arithmetic a matrix product with this tensor runs here: the caller's autocast's, else its own."""
    kind = like.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype


def common_size(rows: int, device: torch.device) -> int:
    """So many rows of a product, or a few more that are worth computing: on a CPU in bf16 one of 8 sizes to each doubling.

    There oneDNN writes code for each shape that it has not met yet, which takes as long as three to six products of 1,000 to 2,000 tokens
    with AMX; 4 rows in 100 more bring shapes that come again (docs/log.md).
    """
    if device.type != "cpu" or not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") is torch.float32:
        return rows
    step = max(_STEP, 1 << max(0, rows.bit_length() - 4))
    return -(-rows // step) * step
