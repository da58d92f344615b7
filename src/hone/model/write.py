"""Rows that a network writes token by token: what generation asks of a model, in three forms.

Packed causal models and encoder-decoders remember keys and values; what cannot share memory is read anew for each token.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from hone.model.language import LanguageModel, Seq2SeqModel, TextModel
from hone.model.memory import Memory
from hone.model.packed_attention import Layout

__all__ = ["Writing", "begin_writing"]

_PACKED = 2048  # tokens of prompts that are read in one pass
_LEAST_SHARED = 16  # tokens of a common prefix that are worth a pass of their own


class Writing(Protocol):
    """Rows that grow by a token at a time. Logits are fp32, [B, V]."""

    def start(self, prompts: Sequence[Sequence[int]], owners: Sequence[int]) -> torch.Tensor:
        """Begin row i behind prompt `owners[i]`; logits of its first token."""
        ...

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Write a token to each row; logits of the next."""
        ...

    def choose(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; one may stand twice."""
        ...


def begin_writing(
    net: TextModel,
    prompts: Sequence[Sequence[int]],
    *,
    shares: bool,
    least_shared: int = _LEAST_SHARED,
    reads_long: bool = False,
) -> Writing:
    """The rows of a network; what all prompts of all batches begin with, if it has `least_shared` tokens, is read once, here.

    Args:
        reads_long: whether all rows are long, see `long_rope`.
    """
    if not shares:
        return _ReadAnew(net)
    if isinstance(net, Seq2SeqModel):
        return _Targets(net)
    return _Continued(net, Memory(net, reads_long=reads_long), prompts, least_shared)


def _joined(answers: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    return torch.cat([logits for _, logits in answers])


class _Continued:
    """A causal model behind its prompts."""

    def __init__(self, net: LanguageModel, memory: Memory, prompts: Sequence[Sequence[int]], least_shared: int) -> None:
        self._net, self._memory = net, memory
        longer = [tuple(row) for row in net.lengthened(prompts)]
        first, last = min(longer), max(longer)
        shared = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
        self._shared = min(shared, min(map(len, longer)) - 1)  # every row reads at least one token of its own
        if self._shared < least_shared or len(prompts) < 2:
            self._shared = 0
        for _, inputs in net.prefix_passes(first, 0, self._shared, self._memory, size=_PACKED):
            list(net.words_at(inputs, []))

    def start(self, prompts: Sequence[Sequence[int]], owners: Sequence[int]) -> torch.Tensor:
        net, shared = self._net, self._shared
        rows = [row[shared:] for row in net.lengthened(prompts)]
        lengths = tuple(map(len, rows))
        self._memory.read_packed(lengths, keeps="rows")
        inputs = net.remembered(
            [token for row in rows for token in row],
            [shared + index for row in rows for index in range(len(row))],
            Layout(lengths),
            self._memory,
        )
        ends = torch.tensor(lengths).cumsum(0) - 1
        logits = _joined(net.words_at(inputs, ends.tolist()))
        self._memory.begin_rows(lengths, owners)
        return logits[torch.tensor(owners, device=logits.device)]

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        memory = self._memory
        memory.read_rows()
        positions = [self._shared + length for length in memory.lengths]
        inputs = self._net.remembered(tokens, positions, Layout((1,) * len(tokens), positions=tuple(positions)), memory)
        logits = _joined(self._net.words_at(inputs, range(len(tokens))))
        memory.written()
        return logits

    def choose(self, rows: Sequence[int]) -> None:
        self._memory.choose(rows)


class _Targets:
    """The decoder of an encoder-decoder, which writes what the encoder's reading suggests."""

    def __init__(self, net: Seq2SeqModel) -> None:
        self._net, self._memory = net, Memory(net)
        self._states: torch.Tensor | None = None

    def start(self, prompts: Sequence[Sequence[int]], owners: Sequence[int]) -> torch.Tensor:
        sources = self._net.lengthened(prompts)
        self._states = self._net.read_sources(sources)
        self._memory.begin_targets([len(source) for source in sources], owners)
        for token in self._net.opening:
            logits = self.step([token] * len(owners))
        return logits

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        memory = self._memory
        memory.read_rows()
        assert self._states is not None
        logits = _joined(self._net.words_at(self._net.remembered(tokens, self._states, memory), range(len(tokens))))
        self._states = self._states[:, :1]  # their keys are remembered now
        memory.written()
        return logits

    def choose(self, rows: Sequence[int]) -> None:
        self._memory.choose(rows)


class _ReadAnew:
    """Any network: each row is read from its beginning for every token."""

    def __init__(self, net: TextModel) -> None:
        self._net = net
        self._prompts: list[list[int]] = []
        self._written: list[list[int]] = []

    def start(self, prompts: Sequence[Sequence[int]], owners: Sequence[int]) -> torch.Tensor:
        self._prompts = [list(prompts[owner]) for owner in owners]
        begun = self._net.opening[1:] if isinstance(self._net, Seq2SeqModel) else []
        self._written = [list(begun) for _ in owners]
        return self._logits()

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        for row, token in zip(self._written, tokens, strict=True):
            row.append(token)
        return self._logits()

    def choose(self, rows: Sequence[int]) -> None:
        self._prompts = [self._prompts[row] for row in rows]
        self._written = [list(self._written[row]) for row in rows]

    def _logits(self) -> torch.Tensor:
        if isinstance(self._net, Seq2SeqModel):
            targets = [[[*row, self._net.pad_id]] for row in self._written]  # the last is what is asked for; its id is not read
            ends = torch.tensor([len(row) + 1 for row in self._written]).cumsum(0) - 1
            return _joined(self._net.words(self._prompts, targets))[ends]
        rows = [[*prompt, *row] for prompt, row in zip(self._prompts, self._written, strict=True)]
        ends = torch.tensor([len(row) for row in rows]).cumsum(0) - 1
        return _joined(self._net.words(rows, ends.tolist()))
