"""Attention within each of many short sequences that stand one after the other, as one function with a backward pass of its own.

On CPUs the fused kernel of torch is made for long sequences: at 60 to 900 tokens in bf16 its two passes took two to four times as long as
matrix products written out (docs/log.md). Sequences are computed one by one; short ones of like length share their products.
Scores stand in the products' arithmetic, as in transformers' own attention; the softmax sums in fp32 inside. Long causal sequences are
computed in blocks of queries, each with the keys up to its end: what no query sees is not computed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import nn

__all__ = ["Pattern", "Stretch", "attend", "by_head", "by_token", "capped", "forget_masks", "hidden", "stack", "unstack"]

_CALL = 8_192  # scores per head that take as long as the calls for one more sequence: measured at 10,000, eight heads
_BLOCK = 256  # queries in a block


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


def stack(tokens: torch.Tensor, lengths: Sequence[int], *, ends_in_zeros: bool = True) -> torch.Tensor:
    """[t1 + t2 + ..., H, D] to [b, longest, H, D]; behind the shorter ones zeros, or whatever finite numbers are at hand."""
    if len(set(lengths)) == 1:
        return tokens.reshape(len(lengths), lengths[0], *tokens.shape[1:])
    if _is_followed(tokens):
        return nn.utils.rnn.pad_sequence(list(torch.split(tokens, list(lengths))), batch_first=True)
    places = _places(tuple(lengths), tokens.device)
    found = tokens.flatten(1).index_select(0, places.reads)
    if ends_in_zeros:
        found.index_fill_(0, places.behind, 0)
    return found.view(len(lengths), max(lengths), *tokens.shape[1:])


def unstack(found: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """[b, longest, H, D] to [t1 + t2 + ..., H, D]."""
    if len(set(lengths)) == 1:
        return found.flatten(0, 1)
    if _is_followed(found):
        return torch.cat([row[:length] for row, length in zip(found, lengths, strict=True)])
    places = _places(tuple(lengths), found.device)
    return found.flatten(0, 1).flatten(1).index_select(0, places.stands).view(-1, *found.shape[2:])


def _is_followed(tensor: torch.Tensor) -> bool:
    """Whether autograd will want the way back: of a selection it is slow, and on GPUs not the same each time."""
    return torch.is_grad_enabled() and tensor.requires_grad


class _Places(NamedTuple):
    """Where the tokens of sequences of different lengths stand when they are padded to the longest."""

    reads: torch.Tensor
    """[b x longest]: the token that stands there; behind a shorter sequence its last one."""
    stands: torch.Tensor
    """[t1 + t2 + ...]: where each token stands."""
    behind: torch.Tensor
    """The places where none stands."""


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # what is kept may be asked for by training next
def _places(lengths: tuple[int, ...], device: torch.device) -> _Places:
    """One selection takes a third to a seventh of the time of as many copies as there are sequences (docs/log.md)."""
    ends, longest = torch.tensor(lengths), max(lengths)
    inside = torch.arange(longest).expand(len(lengths), -1)
    reads = (ends.cumsum(0) - ends)[:, None] + torch.minimum(inside, ends[:, None] - 1)
    rows = [(row * longest, row * longest + length) for row, length in enumerate(lengths)]
    stands = torch.cat([torch.arange(start, end) for start, end in rows])
    behind = torch.cat([torch.arange(end, start + longest) for start, end in rows])
    return _Places(*(one.to(device) for one in (reads.flatten(), stands, behind)))


def by_head(tokens: torch.Tensor, share: int) -> torch.Tensor:
    """[b, t, K x share, D] to [b x K, share x t, D]."""
    b, t, heads, width = tokens.shape
    return tokens.view(b, t, heads // share, share, width).permute(0, 2, 3, 1, 4).reshape(b * heads // share, share * t, width)


def by_token(found: torch.Tensor, b: int, share: int) -> torch.Tensor:
    """[b x K, share x t, D] to [b, t, K x share, D]."""
    rows, length, width = found.shape
    split = found.view(b, rows // b, share, length // share, width).permute(0, 3, 1, 2, 4)
    return split.reshape(b, length // share, rows // b * share, width)


def capped(scores: torch.Tensor, softcap: float) -> torch.Tensor:
    """Scores bent so that none lies beyond the cap, in fp32."""
    return softcap * torch.tanh(scores.float() / softcap)


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
    for kept in (_band, _beyond, _places):
        kept.cache_clear()


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
        found = torch.baddbmm(q.new_zeros(1, 1, 1), q, keys, beta=0, alpha=scale)
        if added is None:
            return found
        own = slice(block.of_q.start, block.keys)  # of the keys, those that not every query of the block sees
        self.split(found)[..., own] += added[0, block.of_q, own]
        return found

    def stacked(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, ahead: torch.Tensor | None, part: Stretch
    ) -> Any:
        """Query [b x K, share x t, D], key and value [b x K, s, D] of a stretch."""
        q = by_head(stack(query[part.of_q], part.queries, ends_in_zeros=False), self.share)
        k, v = (stack(one[part.of_k], part.keys, ends_in_zeros=False) for one in (key, value))  # [b, s, K, D]
        if ahead is not None:
            before = ahead.to(k.dtype).transpose(1, 2)[:, None].expand(-1, len(part.keys), -1, -1, -1)  # [2, b, P, K, D]
            k, v = torch.cat([before[0], k], dim=1), torch.cat([before[1], v], dim=1)
        return q, by_head(k, 1), by_head(v, 1)

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
                shares = work.scores(work.rows(q, block), k, added, block).softmax(dim=-1)
                saved.append(shares)
                if work.pattern.dropout:
                    kept = torch.empty_like(shares).bernoulli_(1 - work.pattern.dropout).div_(1 - work.pattern.dropout)
                    saved.append(kept)
                    shares = shares * kept
                work.put(found, torch.bmm(shares, v[:, : block.keys]), block)
            answer[part.of_q] = unstack(by_token(found, len(part.queries), work.share), part.queries)
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
            g = by_head(stack(gradient[part.of_q], part.queries), work.share)
            b, for_query, for_key, for_value = len(part.queries), torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
            for block in work.blocks(part, bias, ahead):
                shares = next(waiting)
                kept = next(waiting) if work.pattern.dropout else None
                above_block = work.rows(g, block)
                _add(for_value, (shares if kept is None else shares * kept).transpose(1, 2), above_block)
                by_shares = torch.bmm(above_block, v[:, : block.keys].transpose(1, 2))
                if kept is not None:
                    by_shares.mul_(kept)
                by_scores = torch._softmax_backward_data(by_shares, shares, -1, shares.dtype)
                work.put(for_query, torch.bmm(by_scores, k[:, : block.keys]), block)
                _add(for_key, by_scores.transpose(1, 2), work.rows(q, block))
            by_query[part.of_q] = unstack(by_token(for_query.mul_(work.pattern.scale), b, work.share), part.queries)
            for_key.mul_(work.pattern.scale)
            virtual = 0 if ahead is None else ahead.shape[2]
            for index, (found, target) in enumerate(((for_key, by_key), (for_value, by_value))):
                tokens = by_token(found, b, 1)  # [b, P + s, K, D]
                target[part.of_k] = unstack(tokens[:, virtual:], part.keys)
                if by_ahead is not None:
                    by_ahead[index] += tokens[:, :virtual].sum(dim=0, dtype=torch.float32).transpose(0, 1)
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


def _add(total: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
    """total += first second over the keys that a block reads; the first block reads all of them and begins the sum."""
    if first.shape[1] == total.shape[1]:
        torch.bmm(first, second, out=total)
    else:
        total[:, : first.shape[1]].baddbmm_(first, second)
