"""Masked language modelling: of 15% of the tokens, 80% become the mask, 10% another token, 10% stay; all are to be found.

Source: Devlin 2019, https://arxiv.org/abs/1810.04805, section 3.1. Which tokens is drawn anew each time a text comes up (RoBERTa's
dynamic masking, https://arxiv.org/abs/1907.11692).
"""

from collections.abc import Sequence
from typing import Any

import torch

from hone.core.errors import BadModel
from hone.model import TextReader
from hone.task import Plain
from hone.train.contracts import HeadKind
from hone.train.objective.items import Placed
from hone.train.objective.language import PlacedObjective

__all__ = ["Masked"]


class Masked(PlacedObjective):
    """Cross-entropy at the masked places."""

    name = "masked"
    head: HeadKind = "masked"

    def __init__(self, reader: TextReader, *, rate: float = 0.15) -> None:
        """
        Raises:
            BadModel: the tokenizer has no mask token.
        """
        assert 0 < rate < 1, "the masking rate is a share"
        if reader.tokenizer.mask_token_id is None:
            raise BadModel(
                "The tokenizer of this model has no mask token, which masked language modelling needs. Use causal or span."
            )
        self._reader = reader
        self._rate = rate
        self._special = set(reader.tokenizer.all_special_ids)
        self._words = [index for index in range(len(reader.tokenizer)) if index not in self._special]
        self._frame = _special_ends(reader.tokenizer)
        self.around: tuple[list[int], list[int]] = ([], [])
        self.room = reader.context_length - sum(map(len, self._frame))

    def encode(self, examples: Sequence[Plain]) -> list[Placed]:
        """Pieces of at most the context length, each between the model's special tokens; places are those that may be masked."""
        tokenizer = self._reader.tokenizer
        items = []
        for example in examples:
            ids = tokenizer(example.text, add_special_tokens=False, verbose=False)["input_ids"]
            pieces = [self.piece(ids[at : at + self.room]) for at in range(0, len(ids), self.room)]
            items += [piece for piece in pieces if piece.places]
        return items

    def piece(self, tokens: list[int]) -> Placed:
        """The tokens between the model's special ones; all but special ones may be masked."""
        before, after = self._frame
        whole = [*before, *tokens, *after]
        places = [index for index, token in enumerate(whole) if token not in self._special]
        return Placed(whole, places, [whole[place] for place in places])

    def collate(self, items: Sequence[Placed]) -> list[Placed]:
        """Mask each item; at least one token of each."""
        return [self._mask(item) for item in items]

    def words(self, items: Sequence[Placed]) -> None:
        """Any may come: a tenth of the places get a random word."""

    def _mask(self, item: Placed) -> Placed:
        count = max(1, round(self._rate * len(item.places)))
        chosen = sorted(torch.randperm(len(item.places))[:count].tolist())
        fates, others = torch.rand(count).tolist(), torch.randint(len(self._words), (count,)).tolist()
        ids = list(item.ids)
        for at, fate, other in zip(chosen, fates, others, strict=True):
            if fate < 0.8:
                ids[item.places[at]] = self._reader.tokenizer.mask_token_id
            elif fate < 0.9:
                ids[item.places[at]] = self._words[other]
        return Placed(ids, [item.places[at] for at in chosen], [item.labels[at] for at in chosen])


def _special_ends(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and behind a text."""
    bare = tokenizer("x", add_special_tokens=False)["input_ids"]
    dressed = tokenizer("x")["input_ids"]
    at = next(at for at in range(len(dressed)) if dressed[at : at + len(bare)] == bare)
    return dressed[:at], dressed[at + len(bare) :]
