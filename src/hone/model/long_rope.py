"""Networks that turn the words of a whole pass by other frequencies as soon as one of its rows is long: LongRoPE, of Phi-3 and its kin.

So rows on either side of that length keep apart, and what is remembered of a long row is read by the frequencies of long rows from its
first token on, as transformers reads a row in one pass. Source: Ding 2024, https://arxiv.org/abs/2402.13753
"""

import types
from typing import Any

import torch
from torch import nn

from hone.model.packed_attention import current_memory

__all__ = ["tell_long_rows"]


def tell_long_rows(net: nn.Module) -> int | None:
    """Have a transformers network read passes behind a memory of long rows as such.

    Returns:
        Tokens beyond which a row is long; None where all rows are read alike.
    """
    found = [(module, mark) for module in net.modules() if (mark := _mark(module)) is not None]
    for module, mark in found:
        module.forward = types.MethodType(_told(module.forward, mark), module)
    return min((mark for _, mark in found), default=None)


def _mark(module: Any) -> int | None:
    said = getattr(getattr(module, "config", None), "rope_parameters", None)
    if not said or not hasattr(module, "rope_type"):
        return None
    kinds = [said] if "rope_type" in said else [kind for kind in said.values() if isinstance(kind, dict)]
    marks = [int(kind["original_max_position_embeddings"]) for kind in kinds if kind.get("rope_type") == "longrope"]
    return min(marks, default=None)


def _told(own: Any, mark: int) -> Any:
    """The forward pass of a rotary embedding, which tells long rows by the last position that it is given."""

    def forward(_module: Any, x: torch.Tensor, position_ids: torch.Tensor, *more: Any, **named: Any) -> Any:
        memory = current_memory()
        if memory is None or not memory.reads_long:
            return own(x, position_ids, *more, **named)
        found = own(x, nn.functional.pad(position_ids, (0, 1), value=mark), *more, **named)
        return tuple(one[:, :-1] for one in found)

    return forward
