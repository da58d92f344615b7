"""Span corruption: stretches of a text are replaced by sentinels, and the decoder writes what stood there.

Source: Raffel 2020, https://arxiv.org/abs/1910.10683, section 3.1.4: 15% of the tokens in spans of 3 on average. Texts are joined and
divided into pieces of a length computed so that source and target come out whole: nothing is padded or cut.
"""

from collections.abc import Sequence

import torch

from hone.core.errors import BadModel
from hone.model import TextReader
from hone.task import Plain
from hone.train.objective.items import SourceTarget
from hone.train.objective.seq2seq import PairObjective

__all__ = ["SpanCorruption", "corrupted_lengths", "piece_length"]


def corrupted_lengths(tokens: int, *, rate: float = 0.15, mean: float = 3.0) -> tuple[int, int, int]:
    """Spans, source tokens and target tokens that so many tokens become; the end-of-sequence tokens counted."""
    noise = min(max(round(tokens * rate), 1), tokens - 1)
    spans = max(1, min(round(noise / mean), noise, tokens - noise))
    return spans, tokens - noise + spans + 1, noise + spans + 1


def piece_length(source: int, *, rate: float = 0.15, mean: float = 3.0) -> int:
    """The longest text whose corrupted source has at most `source` tokens."""
    tokens = source
    while corrupted_lengths(tokens + 1, rate=rate, mean=mean)[1] <= source:
        tokens += 1
    return tokens


class SpanCorruption(PairObjective):
    """Texts with gaps in, what fills the gaps out; the gaps are drawn anew each time a piece comes up."""

    name = "span"

    def __init__(self, reader: TextReader, *, rate: float = 0.15, mean: float = 3.0, length: int | None = None) -> None:
        """
        Args:
            rate: share of tokens in gaps. mean: tokens per gap. length: of the source; the context length where left out.
        Raises:
            BadModel: the tokenizer has no sentinels (<extra_id_0> and so on) or no end-of-sequence token.
        """
        tokenizer = reader.tokenizer
        known = tokenizer.get_vocab()
        self._sentinels = [known[f"<extra_id_{index}>"] for index in range(1000) if f"<extra_id_{index}>" in known]
        if len(self._sentinels) < 2 or tokenizer.eos_token_id is None:
            raise BadModel(
                "The tokenizer of this model has no sentinel tokens (<extra_id_0> and so on), which span corruption needs. "
                "T5 and its kin have them."
            )
        self._reader = reader
        self._rate, self._mean = rate, mean
        limit = length or reader.context_length
        self.room = piece_length(limit, rate=rate, mean=mean)
        while corrupted_lengths(self.room, rate=rate, mean=mean)[0] > len(self._sentinels):
            self.room -= 1
        self.around: tuple[list[int], list[int]] = ([], [])

    def encode(self, examples: Sequence[Plain]) -> list[SourceTarget]:
        """Pieces of all texts joined, an end-of-sequence token between them; a rest of one token is left out."""
        tokenizer = self._reader.tokenizer
        stream: list[int] = []
        for example in examples:
            stream += [*tokenizer(example.text, add_special_tokens=False, verbose=False)["input_ids"], tokenizer.eos_token_id]
        pieces = [stream[at : at + self.room] for at in range(0, len(stream), self.room)]
        return [self.piece(piece) for piece in pieces if len(piece) > 1]

    def piece(self, tokens: list[int]) -> SourceTarget:
        """Tokens in which `collate` will make gaps."""
        return SourceTarget(tokens, [])

    def collate(self, items: Sequence[SourceTarget]) -> list[SourceTarget]:
        """Gaps for every piece."""
        return [self._corrupt(item.source) for item in items]

    def words(self, items: Sequence[SourceTarget]) -> None:
        """Any may come: sentinels stand in no item."""

    def _corrupt(self, tokens: list[int]) -> SourceTarget:
        end = self._reader.tokenizer.eos_token_id
        spans, kept_length, gap_length = corrupted_lengths(len(tokens), rate=self._rate, mean=self._mean)
        gaps = _divide(gap_length - spans - 1, spans)
        kept = _divide(kept_length - spans - 1, spans)
        source: list[int] = []
        target: list[int] = []
        at = 0
        for sentinel, stay, gone in zip(self._sentinels, kept, gaps, strict=False):
            source += [*tokens[at : at + stay], sentinel]
            target += [sentinel, *tokens[at + stay : at + stay + gone]]
            at += stay + gone
        return SourceTarget([*source, end], [*target, end])


def _divide(total: int, parts: int) -> list[int]:
    """`total` things in `parts` heaps of at least one, every division equally likely."""
    cuts = sorted((torch.randperm(total - 1)[: parts - 1] + 1).tolist())
    return [after - before for before, after in zip([0, *cuts], [*cuts, total], strict=True)]
