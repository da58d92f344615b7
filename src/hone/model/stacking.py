"""Sequences of different lengths: their tokens one after the other, or side by side and padded to the longest, with or without heads first.

One selection takes a third to a seventh of the time of as many copies as there are sequences, and half of that of a selection by tokens and a
copy that puts heads first (docs/log.md).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import nn

__all__ = ["forget_places", "heads_first", "put_tokens", "stack", "unstack"]


def stack(tokens: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """[t1 + t2 + ..., H, D] to [b, longest, H, D]; behind the shorter ones zeros."""
    if len(set(lengths)) == 1:
        return tokens.reshape(len(lengths), lengths[0], *tokens.shape[1:])
    if _is_followed(tokens):
        return nn.utils.rnn.pad_sequence(list(torch.split(tokens, list(lengths))), batch_first=True)
    places = _places(tuple(lengths), 1, tokens.device)
    found = tokens.flatten(1).index_select(0, places.reads)
    found.index_fill_(0, places.behind, 0)
    return found.view(len(lengths), max(lengths), *tokens.shape[1:])


def unstack(found: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """[b, longest, H, D] to [t1 + t2 + ..., H, D]."""
    if len(set(lengths)) == 1:
        return found.flatten(0, 1)
    if _is_followed(found):
        return torch.cat([row[:length] for row, length in zip(found, lengths, strict=True)])
    places = _places(tuple(lengths), 1, found.device)
    return found.flatten(0, 1).flatten(1).index_select(0, places.stands).view(-1, *found.shape[2:])


def _is_followed(tensor: torch.Tensor) -> bool:
    """Whether autograd will want the way back: of a selection it is slow, and on GPUs not the same each time."""
    return torch.is_grad_enabled() and tensor.requires_grad


def heads_first(tokens: torch.Tensor, lengths: tuple[int, ...], *, ends_in_zeros: bool = False) -> torch.Tensor:
    """[t1 + t2 + ..., H, D] to [b, H, longest, D]; behind the shorter ones whatever finite numbers are at hand, or zeros."""
    b, longest, heads, width = len(lengths), max(lengths), *tokens.shape[1:]
    if len(set(lengths)) == 1:
        return tokens.reshape(b, longest, heads, width).transpose(1, 2).contiguous()
    places = _places(lengths, heads, tokens.device)
    found = tokens.reshape(-1, width).index_select(0, places.reads)
    if ends_in_zeros:
        found.index_fill_(0, places.behind, 0)
    return found.view(b, heads, longest, width)


def put_tokens(into: torch.Tensor, found: torch.Tensor, lengths: tuple[int, ...]) -> None:
    """Write [b, H, longest, D] as [t1 + t2 + ..., H, D] where it belongs."""
    b, heads, longest, width = found.shape
    if len(set(lengths)) == 1:
        into.view(b, longest, heads, width).copy_(found.transpose(1, 2))
        return
    places = _places(lengths, heads, found.device)
    torch.index_select(found.reshape(-1, width), 0, places.stands, out=into.view(-1, width))


class _Places(NamedTuple):
    """Where the heads of tokens of sequences of different lengths stand when they are padded to the longest, [b, H, longest]."""

    reads: torch.Tensor
    """int32 [b x H x longest]: what stands there, of [T x H] heads of tokens; behind a shorter sequence those of its last token."""
    stands: torch.Tensor
    """int32 [T x H]: where each head of a token stands."""
    behind: torch.Tensor
    """The places where none stands."""


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # what is kept may be asked for by training next
def _places(lengths: tuple[int, ...], heads: int, device: torch.device) -> _Places:
    ends, longest = torch.tensor(lengths), max(lengths)
    inside = torch.arange(longest).expand(len(lengths), -1)
    tokens = (ends.cumsum(0) - ends)[:, None] + torch.minimum(inside, ends[:, None] - 1)  # [b, longest]
    reads = tokens[:, None] * heads + torch.arange(heads)[:, None]  # [b, H, longest]
    places = torch.arange(reads.numel()).view(reads.shape).transpose(1, 2)  # [b, longest, H]
    stands, behind = (
        torch.cat([one[part].flatten() for one, part in zip(places, parts, strict=True)])
        for parts in ([slice(0, length) for length in lengths], [slice(length, longest) for length in lengths])
    )
    return _Places(reads.flatten().int().to(device), stands.int().to(device), behind.to(device))


def forget_places() -> None:
    """Drop what is kept between calls."""
    _places.cache_clear()
