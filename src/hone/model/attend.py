"""Attention within each of many short sequences that stand one after the other, as one function with a backward pass of its own.

On CPUs the fused kernel of torch is made for long sequences: at 60 to 900 tokens in bf16 its two passes took two to four times as long as
matrix products written out (docs/log.md). Sequences are computed one by one; short ones of like length share their products.
Scores stand in the products' arithmetic, as in transformers' own attention; the softmax sums in fp32 inside. Long causal sequences are
computed in blocks of queries, each with the keys up to its end: what no query sees is not computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import nn

from hone.model.stacking import forget_places, heads_first, put_tokens

__all__ = ["Pattern", "Stretch", "attend", "capped", "forget_masks", "hidden", "shares_of"]

_CALL = 8_192  # scores per head that take as long as the calls for one more sequence: measured at 10,000, eight heads
_BLOCK = 256  # queries in a block
_LANES = 32  # bf16 numbers that AVX-512 computes at once


class Stretch(NamedTuple):
    """Neighbouring sequences that are computed together, padded to the longest."""

    at_q: int
    at_k: int
    queries: tuple[int, ...]
    keys: tuple[int, ...]

    @property
    def of_q(self) -> slice:
        """Their tokens among all query tokens."""
        return slice(self.at_q, self.at_q + sum(self.queries))

    @property
    def of_k(self) -> slice:
        """Their tokens among all key tokens."""
        return slice(self.at_k, self.at_k + sum(self.keys))


def capped(scores: torch.Tensor, softcap: float) -> torch.Tensor:
    """Scores bent so that none lies beyond the cap, in fp32."""
    return softcap * torch.tanh(scores.float() / softcap)


def shares_of(scores: torch.Tensor, sinks: torch.Tensor | None) -> torch.Tensor:
    """The softmax over the keys, [..., t, s]; with `sinks`, broadcastable to [..., t, 1], less what those take."""
    if sinks is None:
        return scores.softmax(dim=-1)
    column = sinks.to(scores.dtype).expand(*scores.shape[:-1], 1)
    return torch.cat([scores, column], dim=-1).softmax(dim=-1)[..., :-1]


@dataclass(frozen=True)
class Pattern:
    """Which sequences stand one after the other, and how each attends to its keys."""

    queries: tuple[int, ...]
    """Their lengths; those of their keys in `keys`."""
    keys: tuple[int, ...]
    scale: float
    is_causal: bool
    window: int | None = None
    """Tokens back from a query's own place that it sees, itself counted; as many forward where attention is not causal."""
    dropout: float = 0.0
    sinks: torch.Tensor | None = None
    """Learned scores [H] of a key without a value for each query head: it takes its share, which is dropped. `attend` knows none."""

    @property
    def stretches(self) -> Iterator[Stretch]:
        """The sequences, divided into neighbours whose padding costs less than computing them one by one."""
        first = at_q = at_k = area = wide = long = 0
        for index, (q, k) in enumerate(zip(self.queries, self.keys, strict=True)):
            wide, long, area = max(wide, q), max(long, k), area + q * k
            count = index - first + 1
            if count > 1 and wide * long * count - area > _CALL * (count - 1):
                part = Stretch(at_q, at_k, self.queries[first:index], self.keys[first:index])
                yield part
                first, at_q, at_k, area, wide, long = index, part.of_q.stop, part.of_k.stop, q * k, q, k
        yield Stretch(at_q, at_k, self.queries[first:], self.keys[first:])


def hidden(part: Stretch, pattern: Pattern, like: torch.Tensor) -> torch.Tensor | None:
    """What is added to the scores of a stretch to hide keys: 0 and -inf or nearly so, broadcastable to [b, H, t, s]; None where all may be seen.

    Behind a shorter sequence stand only later keys, which a causal query does not see anyway.
    """
    longest = max(part.keys)
    window = None if pattern.window is None or pattern.window >= longest else pattern.window
    near = None
    if pattern.is_causal or window is not None:
        near = _band(-(-longest // 256) * 256, pattern.is_causal, window, like.dtype, like.device)[: max(part.queries), :longest]
    if pattern.is_causal or len(set(part.keys)) == 1:
        return None if near is None else near[None, None]
    padding = _beyond(part.keys, like.dtype, like.device)
    return padding[:, None, None] if near is None else padding[:, None, None] + near


def forget_masks() -> None:
    """Drop what is kept between calls: before and after passes over tensors without numbers, whose masks and places hold none either."""
    for kept in (_band, _beyond):
        kept.cache_clear()
    forget_places()


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # what is kept may be asked for by training next
def _beyond(lengths: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """[b, longest], to be added to scores: 0, and nearly -inf behind a sequence; finite, for a window may leave a padded query nothing else."""
    is_behind = torch.arange(max(lengths), device=device) >= torch.tensor(lengths, device=device)[:, None]
    return torch.zeros(is_behind.shape, dtype=dtype, device=device).masked_fill_(is_behind, torch.finfo(dtype).min / 2)


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # what is kept may be asked for by training next
def _band(size: int, is_causal: bool, window: int | None, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    places = torch.arange(size, device=device)
    back = places[:, None] - places[None, :]
    sees = torch.ones_like(back, dtype=torch.bool) if window is None else back.abs() < window
    if is_causal:
        sees &= back >= 0
    return torch.zeros(size, size, dtype=dtype, device=device).masked_fill_(~sees, -torch.inf)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    ahead: torch.Tensor | None,
    pattern: Pattern,
) -> torch.Tensor:
    """softmax(scale x query key^T + bias) value within each sequence, with several query heads to a key head where there are more.

    Args:
        query: [T, H, D]. key, value: [S, K, D], K dividing H. bias: [1, H, t, s] with t and s at least the longest sequence, or None.
        ahead: keys and values that stand before those of every sequence and that every query sees, [2, K, P, D], or None.
        pattern: of lengths that sum to T and S; tokens behind the last sequence see nothing and are not seen.
    Returns:
        [T, H, D], zeros behind the last sequence, differentiable in the first five.
    """
    assert pattern.sinks is None, "written out elsewhere"
    work = _Work(tuple(pattern.stretches), pattern, query.shape[1] // key.shape[1])
    with torch.autocast(query.device.type, enabled=False):
        found: torch.Tensor = _Attend.apply(query, key, value, bias, ahead, work)  # type: ignore[no-untyped-call]
    return found


class _Block(NamedTuple):
    """Some queries of each sequence in a stretch, and how many keys they read."""

    of_q: slice
    keys: int


class _Work(NamedTuple):
    parts: tuple[Stretch, ...]
    pattern: Pattern
    share: int
    """Query heads to a key head."""

    def blocks(self, part: Stretch, bias: torch.Tensor | None, ahead: torch.Tensor | None) -> list[_Block]:
        """The last one first, which reads all keys."""
        t, virtual = max(part.queries), 0 if ahead is None else ahead.shape[2]
        is_plain = self.pattern.is_causal and self.pattern.window is None and bias is None and ahead is None
        if not is_plain or part.queries != part.keys or t <= _BLOCK:
            return [_Block(slice(0, t), virtual + max(part.keys))]
        return [_Block(slice(at, min(at + _BLOCK, t)), min(at + _BLOCK, t)) for at in reversed(range(0, t, _BLOCK))]

    def rows(self, queries: torch.Tensor, block: _Block) -> torch.Tensor:
        """Those of a block, [b x K, share x t, D] to [b x K, share x block, D]."""
        return self.split(queries)[:, :, block.of_q].flatten(1, 2)

    def put(self, all_rows: torch.Tensor, found: torch.Tensor, block: _Block) -> None:
        """The reverse of `rows`: write what was found for a block in its place."""
        self.split(all_rows)[:, :, block.of_q] = self.split(found)

    def split(self, rows: torch.Tensor) -> torch.Tensor:
        """[b x K, share x t, D] as [b x K, share, t, D]."""
        return rows.view(len(rows), self.share, -1, rows.shape[2])

    def scores(self, q: torch.Tensor, k: torch.Tensor, added: torch.Tensor | None, block: _Block) -> torch.Tensor:
        """Of a block's queries, [b x K, share x block, keys]; `added`: to those of the whole stretch."""
        keys, scale = k[:, : block.keys].transpose(1, 2), self.pattern.scale
        if added is not None and block.of_q.start == 0 and block.keys == k.shape[1]:
            return torch.baddbmm(added, q, keys, alpha=scale)
        found = _product(q, keys, scale)
        if added is None:
            return found
        own = slice(block.of_q.start, block.keys)  # of the keys, those that not every query of the block sees
        self.split(found)[..., own] += added[0, block.of_q, own]
        return found

    def stacked(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, ahead: torch.Tensor | None, part: Stretch
    ) -> Any:
        """Query [b x K, share x t, D], key and value [b x K, s, D] of a stretch."""
        k, v = (heads_first(one[part.of_k], part.keys) for one in (key, value))  # [b, K, s, D]
        if ahead is not None:
            before = ahead.to(k.dtype)[:, None].expand(-1, len(part.keys), -1, -1, -1)  # [2, b, K, P, D]
            k, v = torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2)
        return self.queries(query, part), k.flatten(0, 1), v.flatten(0, 1)

    def queries(self, tokens: torch.Tensor, part: Stretch, *, ends_in_zeros: bool = False) -> torch.Tensor:
        """[T, H, D] to [b x K, share x t, D] of a stretch."""
        found = heads_first(tokens[part.of_q], part.queries, ends_in_zeros=ends_in_zeros)
        return found.view(-1, self.share * found.shape[2], found.shape[3])

    def put_queries(self, into: torch.Tensor, found: torch.Tensor, part: Stretch) -> None:
        """The reverse of `queries`: write them where they belong."""
        b, t = len(part.queries), max(part.queries)
        put_tokens(into[part.of_q], found.view(b, -1, t, found.shape[2]), part.queries)

    def added(
        self, part: Stretch, bias: torch.Tensor | None, ahead: torch.Tensor | None, like: torch.Tensor
    ) -> torch.Tensor | None:
        """What is added to the scores of a stretch, broadcastable to [b x K, share x t, s]; `like`: its keys."""
        b, t, s = len(part.queries), max(part.queries), max(part.keys)
        heads = len(like) // b * self.share
        found = None if bias is None else bias[..., :t, :s].to(like.dtype)  # [1, H, t, s]
        unseen = hidden(part, self.pattern, like)
        if unseen is not None:
            found = unseen if found is None else found + unseen
        if found is None:
            return None
        if ahead is not None:
            found = nn.functional.pad(found, (ahead.shape[2], 0))
        if found.shape[:2] == (1, 1):
            return found[0].repeat(1, self.share, 1)
        if found.shape[1:3] == (1, 1):
            return found[:, 0].repeat_interleave(len(like) // b, dim=0)
        return found.expand(b, heads, t, -1).reshape(len(like), self.share * t, -1)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor | None,
        ahead: torch.Tensor | None,
        work: _Work,
    ) -> torch.Tensor:
        answer = _ending_in_zeros(query, work.parts[-1].of_q.stop)
        saved = []
        for part in work.parts:
            q, k, v = work.stacked(query, key, value, ahead, part)
            added = work.added(part, bias, ahead, k)
            found = torch.empty_like(q)
            for block in work.blocks(part, bias, ahead):
                shares = _shares(work.scores(work.rows(q, block), k, added, block))
                saved.append(shares)
                if work.pattern.dropout:
                    kept = torch.empty_like(shares).bernoulli_(1 - work.pattern.dropout).div_(1 - work.pattern.dropout)
                    saved.append(kept)
                    shares = shares * kept
                work.put(found, torch.bmm(shares, v[:, : block.keys]), block)
            work.put_queries(answer, found, part)
        ctx.save_for_backward(query, key, value, bias, ahead, *saved)
        ctx.work = work
        return answer

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> Any:
        query, key, value, bias, ahead, *saved = ctx.saved_tensors
        work: _Work = ctx.work
        gradient = above[0].to(query.dtype)
        last = work.parts[-1]
        by_query = _ending_in_zeros(query, last.of_q.stop)
        by_key, by_value = (_ending_in_zeros(one, last.of_k.stop) for one in (key, value))
        by_bias = torch.zeros_like(bias, dtype=torch.float32) if ctx.needs_input_grad[3] else None
        by_ahead = torch.zeros_like(ahead, dtype=torch.float32) if ctx.needs_input_grad[4] else None
        waiting = iter(saved)
        for part in work.parts:
            q, k, v = work.stacked(query, key, value, ahead, part)
            g = work.queries(gradient, part, ends_in_zeros=True)
            for_query, for_key, for_value = (torch.empty_like(one) for one in (q, k, v))
            for block in work.blocks(part, bias, ahead):
                shares = next(waiting)
                kept = next(waiting) if work.pattern.dropout else None
                above_block = work.rows(g, block)
                _add(for_value, (shares if kept is None else shares * kept).transpose(1, 2), above_block)
                by_shares = torch.bmm(above_block, v[:, : block.keys].transpose(1, 2))
                if kept is not None:
                    by_shares.mul_(kept)
                by_scores = _through_shares(by_shares, shares)
                work.put(for_query, _product(by_scores, k[:, : block.keys], work.pattern.scale), block)
                _add(for_key, by_scores.transpose(1, 2), work.rows(q, block), work.pattern.scale)
            work.put_queries(by_query, for_query, part)
            b, virtual = len(part.keys), 0 if ahead is None else ahead.shape[2]
            for index, (found, target) in enumerate(((for_key, by_key), (for_value, by_value))):
                all_keys = found.view(b, -1, *found.shape[1:])  # [b, K, P + s, D]
                put_tokens(target[part.of_k], all_keys[:, :, virtual:], part.keys)
                if by_ahead is not None:
                    by_ahead[index] += all_keys[:, :, :virtual].sum(dim=0, dtype=torch.float32)
            if by_bias is not None:
                t, s = max(part.queries), max(part.keys)
                per_head = by_scores.view(b, by_bias.shape[1], t, -1)[..., virtual:]
                by_bias[0, :, :t, :s] += per_head[0] if b == 1 else per_head.sum(dim=0, dtype=torch.float32)
        return (
            by_query,
            by_key,
            by_value,
            None if by_bias is None else by_bias.to(bias.dtype),
            None if by_ahead is None else by_ahead.to(ahead.dtype),
            None,
        )


def _ending_in_zeros(like: torch.Tensor, start: int) -> torch.Tensor:
    """Memory of a tensor's shape to write to, zeros from `start` on."""
    found = like.new_empty(like.shape)
    found[start:] = 0
    return found


def _add(total: torch.Tensor, first: torch.Tensor, second: torch.Tensor, scale: float = 1.0) -> None:
    """total += scale first second over the keys that a block reads; the first block reads all of them and begins the sum."""
    total[:, : first.shape[1]].baddbmm_(first, second, beta=int(first.shape[1] < total.shape[1]), alpha=scale)


def _product(first: torch.Tensor, second: torch.Tensor, scale: float) -> torch.Tensor:
    """scale first second, in one call."""
    return torch.baddbmm(first.new_zeros(1, 1, 1), first, second, beta=0, alpha=scale)


def _shares(scores: torch.Tensor) -> torch.Tensor:
    """The softmax over the last dimension, in the arithmetic of the scores.

    torch computes what is left behind the last whole vector of a row one by one, 32 numbers in bf16 and 16 in fp32: up to 15 of them take
    longer than a row of 16, and where they are an eighth of the row or more, it is quicker in fp32 there and back (docs/log.md).
    """
    keys = scores.shape[-1]
    if scores.dtype != torch.bfloat16 or keys % _LANES * 8 <= keys:
        return scores.softmax(dim=-1)
    if keys >= _LANES // 2:
        return scores.softmax(dim=-1, dtype=torch.float32).to(scores.dtype)
    wide = scores.new_full((*scores.shape[:-1], _LANES // 2), -torch.inf, dtype=torch.float32)
    wide[..., :keys] = scores
    return wide.softmax(dim=-1)[..., :keys].to(scores.dtype)


def _through_shares(above: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The gradient by the scores from that by their softmax; rows shorter than a vector of bf16 written out, as `_shares` has it."""
    if shares.dtype != torch.bfloat16 or shares.shape[-1] >= _LANES:
        return torch._softmax_backward_data(above, shares, -1, shares.dtype)
    wide = shares.float()
    weighed = above.float().mul_(wide)
    return weighed.sub_(wide.mul_(weighed.sum(dim=-1, keepdim=True))).to(shares.dtype)
