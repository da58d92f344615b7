"""Keys and values that earlier passes computed, so that no token is read twice: shared prefixes, trees of texts, rows that are being written.

Three ways to read, chosen before a pass:
- `packed`: sequences one after the other; all see the shared prefix, and their own keys are kept where rows will be written after them;
- `tree`: tokens of a tree of texts, each seeing the shared prefix and its own ancestors;
- `rows`: one new token for each row that is being written.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from hone.model.attend import Pattern, capped, shares_of
from hone.model.stacking import stack

__all__ = ["Memory", "Tree"]

Tokens = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Of a pass: query [T, H, D], key and value [S, K, D]."""

_ROOM = 64  # tokens by which the memory of rows grows
_STEP = 16  # tokens by which what is read of it grows: products of one shape for that long, whose code a CPU writes once


@dataclass(frozen=True)
class Tree:
    """Tokens of several texts, those that they share standing once."""

    parents: tuple[int, ...]
    """Index of the token before each; -1 where that is the end of the shared prefix."""
    depths: tuple[int, ...]
    """Tokens before each, the shared prefix included."""


class Memory:
    """What attention modules remember, by module. One object per engine; nothing in it is differentiable."""

    def __init__(self, net: nn.Module, *, reads_long: bool = False) -> None:
        """`net`: what prefix tuning trained on it stands before everything. `reads_long`: see `long_rope`."""
        self.reads_long = reads_long
        self.mode: Literal["packed", "tree", "rows"] = "packed"
        self._keeps: Literal["nothing", "shared", "rows"] = "nothing"
        self._shared: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}  # [K, p, D]
        self._fresh: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}  # [T, K, D]
        self._rows: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}  # [B, K, room, D]
        self._sources: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}  # [B, K, S, D]
        self._tree: Tree | None = None
        self._seen: dict[int | None, torch.Tensor] = {}
        self.lengths: list[int] = []
        """Tokens of each row, without the shared prefix."""
        self._source_lengths: list[int] = []
        self._owners: list[int] = []
        for module in net.modules():
            if isinstance(getattr(module, "prefix", None), torch.Tensor):
                keys, values = module.prefix.detach()  # type: ignore[operator]
                self._shared[module] = keys, values
        self._virtual = self._ahead

    # the shared prefix

    @property
    def _ahead(self) -> int:
        return next((keys.shape[1] for keys, _ in self._shared.values()), 0)

    @property
    def shared(self) -> int:
        """Tokens of the shared prefix, without trained keys."""
        return self._ahead - self._virtual

    def crop(self, length: int) -> None:
        """Forget the shared prefix beyond `length` tokens."""
        end = self._virtual + length
        self._shared = {module: (keys[:, :end], values[:, :end]) for module, (keys, values) in self._shared.items() if end}

    def ahead(self, module: nn.Module) -> torch.Tensor | None:
        """Shared keys and values of a module, [2, K, p, D]; None where there are none."""
        found = self._shared.get(module)
        return None if found is None else torch.stack(found)

    def keep(self, module: nn.Module, key: torch.Tensor, value: torch.Tensor) -> None:
        """Remember the keys and values [T, K, D] of a packed pass, as far as this pass is to be remembered."""
        if self._keeps == "shared":
            before = self._shared.get(module)
            fresh = tuple(one.transpose(0, 1) for one in (key, value))
            keys, values = (
                fresh if before is None else (torch.cat([old, new], dim=1) for old, new in zip(before, fresh, strict=True))
            )
            self._shared[module] = keys.contiguous(), values.contiguous()
        elif self._keeps == "rows":
            self._fresh[module] = key, value

    # passes

    def read_packed(self, lengths: Sequence[int], *, keeps: Literal["nothing", "shared", "rows"] = "nothing") -> None:
        """The next pass reads sequences of these lengths, one after the other, each behind the shared prefix.

        `keeps`: their keys are added to the shared prefix (of one sequence), or begin the rows that are written next.
        """
        self.mode, self._keeps, self._seen = "packed", keeps, {}
        before = self.shared
        parents = [
            at + index - 1 if index else -1
            for at, length in zip(_starts(lengths), lengths, strict=True)
            for index in range(length)
        ]
        self._tree = Tree(tuple(parents), tuple(before + index for length in lengths for index in range(length)))

    def read_tree(self, tree: Tree) -> None:
        """The next pass reads the tokens of a tree."""
        self.mode, self._keeps, self._tree, self._seen = "tree", "nothing", tree, {}

    def read_rows(self) -> None:
        """The next pass reads one token for each row."""
        self.mode, self._keeps = "rows", "nothing"

    def attend_tree(self, module: nn.Module, tokens: Tokens, pattern: Pattern, softcap: float | None) -> torch.Tensor:
        """[T, H, D] for the tokens of a tree."""
        query, key, value = tokens
        share = query.shape[1] // key.shape[1]
        keys, values = key.transpose(0, 1), value.transpose(0, 1)  # [K, T, D]
        if module in self._shared:
            keys, values = (torch.cat([old, new], dim=1) for old, new in zip(self._shared[module], (keys, values), strict=True))
        by_head = query.transpose(0, 1)  # [H, T, D]
        scores = _scores(by_head.reshape(len(keys), -1, by_head.shape[2]), keys, None, scale=pattern.scale, softcap=softcap)
        hidden = self._hidden(pattern.window, query)
        scores.view(len(keys), share, len(query), -1)[..., -hidden.shape[1] :] += hidden
        sinks = pattern.sinks
        if sinks is not None:
            sinks = sinks.view(len(keys), share, 1).expand(-1, -1, len(query)).reshape(len(keys), -1, 1)
        found = torch.bmm(shares_of(scores, sinks).to(values.dtype), values)
        return found.view(by_head.shape).transpose(0, 1).contiguous()

    def _hidden(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """0 where a token of the tree sees, else -inf: [T, p + T]; without a window [T, T], for it sees all of the shared prefix."""
        if window not in self._seen:
            assert self._tree is not None
            before = self._ahead
            ancestors = torch.zeros(len(self._tree.parents), len(self._tree.parents), dtype=torch.bool)
            for index, parent in enumerate(self._tree.parents):
                if parent >= 0:
                    ancestors[index] = ancestors[parent]
                ancestors[index, index] = True
            sees = ancestors
            if window is not None:
                sees = nn.functional.pad(ancestors, (before, 0), value=True)
                depths = torch.tensor(self._tree.depths)
                places = torch.cat([torch.arange(before) - self._virtual, depths])
                sees &= (depths[:, None] - places < window) | (places < 0)
            self._seen[window] = torch.zeros(sees.shape, dtype=like.dtype).masked_fill_(~sees, -torch.inf).to(like.device)
        return self._seen[window]

    # rows that are being written

    def begin_rows(self, lengths: Sequence[int], owners: Sequence[int]) -> None:
        """Make rows of the sequences that the last packed pass kept; row i continues sequence `owners[i]`."""
        self.lengths = [lengths[owner] for owner in owners]
        at = torch.tensor(owners)
        for module, both in self._fresh.items():
            keys, values = (stack(one, lengths).transpose(1, 2)[at.to(one.device)] for one in both)
            self._rows[module] = keys, values
        self._fresh = {}

    def begin_targets(self, sources: Sequence[int], owners: Sequence[int]) -> None:
        """Empty rows, each written from the source `owners[i]`; the next pass brings the sources' keys."""
        self.lengths = [0] * len(owners)
        self._source_lengths, self._owners = list(sources), list(owners)
        self._sources, self._rows = {}, {}

    def choose(self, rows: Sequence[int]) -> None:
        """Go on with these rows: some fewer, or beams in another order."""
        at = torch.tensor(rows)
        self.lengths = [self.lengths[row] for row in rows]
        for kept in (self._rows, self._sources):
            for module, (keys, values) in kept.items():
                kept[module] = keys[at.to(keys.device)], values[at.to(values.device)]
        if self._source_lengths:
            self._owners = [self._owners[row] for row in rows]

    def written(self) -> None:
        """Each row has become one token longer."""
        self.lengths = [length + 1 for length in self.lengths]

    def attend_rows(
        self, module: nn.Module, tokens: Tokens, pattern: Pattern, softcap: float | None, *, distances: torch.Tensor | None
    ) -> torch.Tensor:
        """[B, H, D] for one new token per row; `distances`: what a learned bias adds by tokens back, [H, L]."""
        query, key, value = tokens
        scale, window = pattern.scale, pattern.window
        keys, values = self._longer(module, key, value)
        batch, heads, width = query.shape
        groups, room = keys.shape[1], keys.shape[2]
        rows = query.view(batch, groups, heads // groups, width)
        ends = torch.tensor(self.lengths, device=query.device)[:, None]  # the new token's place
        back = ends - torch.arange(room, device=query.device)
        sees = back >= 0 if window is None else (back >= 0) & (back < window)
        hidden = torch.zeros(sees.shape, dtype=query.dtype, device=query.device).masked_fill_(~sees, -torch.inf)[:, None, None]
        if distances is not None:
            learned = distances[:, back.clamp(0, distances.shape[1] - 1)].transpose(0, 1).to(query.dtype)  # [B, H, room]
            hidden = hidden + learned.view(batch, groups, heads // groups, room)
        own = _scores(
            rows.flatten(0, 1), keys.flatten(0, 1), hidden.expand(-1, groups, -1, -1).flatten(0, 1), scale=scale, softcap=softcap
        )
        sinks = None if pattern.sinks is None else pattern.sinks.view(groups, heads // groups, 1)
        if module not in self._shared:
            own = own.view(batch, groups, heads // groups, room)
            found = torch.bmm(shares_of(own, sinks).to(values.dtype).flatten(0, 1), values.flatten(0, 1))
            return found.view(batch, heads, width)
        shared_keys, shared_values = self._shared[module]
        before = shared_keys.shape[1]
        place = torch.arange(before, device=query.device)
        far = None
        if window is not None:
            far = torch.zeros(batch, before, dtype=query.dtype, device=query.device)
            far.masked_fill_((ends + before - place >= window) & (place >= self._virtual), -torch.inf)
            far = far[None, :, None].expand(groups, -1, heads // groups, -1).reshape(groups, -1, before)
        first = _scores(rows.transpose(0, 1).reshape(groups, -1, width), shared_keys, far, scale=scale, softcap=softcap)
        first = first.view(groups, batch, heads // groups, before).transpose(0, 1)  # [B, K, share, p]
        scores = torch.cat([first, own.view(batch, groups, heads // groups, room)], dim=-1)
        shares = shares_of(scores, sinks).to(values.dtype)
        ahead = shares[..., :before].transpose(0, 1).reshape(groups, -1, before)
        found = torch.bmm(ahead, shared_values).view(groups, batch, heads // groups, width).transpose(0, 1)
        found = found + torch.bmm(shares[..., before:].flatten(0, 1), values.flatten(0, 1)).view(
            batch, groups, heads // groups, width
        )
        return found.reshape(batch, heads, width)

    def _longer(self, module: nn.Module, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows' keys and values [B, K, room, D] with the new token's in their places."""
        at = torch.tensor(self.lengths, device=key.device)
        longest = -(-(max(self.lengths) + 1) // _STEP) * _STEP  # behind a row's end nothing is seen
        both = self._rows.get(module)
        if both is None:
            both = key.new_zeros(*key.shape[:2], _ROOM, key.shape[2]), value.new_zeros(*value.shape[:2], _ROOM, value.shape[2])
        if both[0].shape[2] < longest:
            keys, values = (nn.functional.pad(one, (0, 0, 0, _ROOM + longest - one.shape[2])) for one in both)
            both = keys, values
        self._rows[module] = both
        index = torch.arange(len(at), device=key.device)
        for kept, new in zip(both, (key, value), strict=True):
            kept[index, :, at] = new.to(kept.dtype)
        return both[0][:, :, :longest], both[1][:, :, :longest]

    def attend_sources(self, module: nn.Module, tokens: Tokens, pattern: Pattern) -> torch.Tensor:
        """Cross-attention [B, H, D] of one new token per row; keys and values are those of all sources in the first pass, later ignored."""
        query, key, value = tokens
        if module not in self._sources:
            at = torch.tensor(self._owners)
            keys, values = (stack(one, self._source_lengths).transpose(1, 2)[at.to(one.device)] for one in (key, value))
            self._sources[module] = keys, values
        keys, values = self._sources[module]
        batch, heads, width = query.shape
        groups, longest = keys.shape[1], keys.shape[2]
        ends = torch.tensor([self._source_lengths[owner] for owner in self._owners], device=query.device)
        beyond = torch.arange(longest, device=query.device) >= ends[:, None]
        hidden = torch.zeros(beyond.shape, dtype=query.dtype, device=query.device).masked_fill_(beyond, -torch.inf)
        hidden = hidden[:, None, None].expand(-1, groups, heads // groups, -1).flatten(0, 1)
        rows = query.view(batch * groups, heads // groups, width)
        shares = _scores(rows, keys.flatten(0, 1), hidden, scale=pattern.scale, softcap=None).softmax(dim=-1).to(values.dtype)
        return torch.bmm(shares, values.flatten(0, 1)).view(batch, heads, width)


def _starts(lengths: Sequence[int]) -> list[int]:
    return [0, *itertools.accumulate(lengths)][:-1]


def _scores(query: torch.Tensor, key: torch.Tensor, added: torch.Tensor | None, *, scale: float, softcap: float | None) -> Any:
    """scale x query key^T + added: [N, t, D], [N, s, D], broadcastable to [N, t, s]; capped scores in fp32."""
    if softcap is not None:
        scores = capped(torch.bmm(query, key.transpose(1, 2)) * scale, softcap)
        return scores if added is None else scores + added
    start = query.new_zeros(1, 1, 1) if added is None else added
    return torch.baddbmm(start, query, key.transpose(1, 2), beta=0 if added is None else 1, alpha=scale)
