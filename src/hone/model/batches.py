"""Batches without waste: rows of like length together, as many as a token budget allows, padded to their own longest.

Shared by embedding and training, so that padding is dealt with in one place.
"""

from collections.abc import Sequence

import torch

__all__ = ["Padded", "pad", "token_batches"]

Padded = tuple[torch.Tensor, torch.Tensor]


def pad(rows: Sequence[Sequence[int]], *, pad_id: int, device: torch.device | None = None) -> Padded:
    """Token ids and attention mask, both int64 of shape [B, T] with T the longest row."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.as_tensor(row)
        mask[index, : len(row)] = 1
    return ids.to(device), mask.to(device)


def token_batches(lengths: Sequence[int], *, max_tokens: int, is_packed: bool = False) -> list[list[int]]:
    """Row indices in batches, longest first so that memory is at its peak at once and not at the end.

    Args:
        lengths: tokens per row. max_tokens: bound on rows times longest row; a longer row stands alone.
        is_packed: rows stand one after the other, so the bound is on their tokens.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    filled = 0
    for index in order:
        cost = lengths[index] if is_packed else lengths[batches[-1][0] if batches else index]
        if batches and filled + cost <= max_tokens:
            batches[-1].append(index)
            filled += cost
        else:
            batches.append([index])
            filled = lengths[index]
    return batches
