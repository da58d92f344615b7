"""One answer per word (token classification, NER), and where in a passage an answer stands (extractive questions)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from hone.core.errors import BadModel
from hone.model import TextReader
from hone.task import Passage, Tagged
from hone.train.contracts import HeadKind, LogitObjective
from hone.train.objective.items import UNSEEN, ClassIndex, Placed, PlacedLabels

__all__ = ["AnswerSpan", "Answers", "Stretch", "Tag", "passage_answers"]

_LONGEST = 30  # tokens of an answer: BERT's, for questions of SQuAD


class Tag(PlacedLabels):
    """Cross-entropy of a word's tag, at its first token."""

    name = "tag"
    head: HeadKind = "token"

    def __init__(self, labels: Sequence[str], reader: TextReader) -> None:
        self._classes = ClassIndex(labels)
        self._reader = reader

    def encode(self, examples: Sequence[Tagged], *, judges: bool = False) -> list[Placed]:
        """Token ids and, at the first token of each word, its tag; words past the context length are cut.

        Args:
            judges: whether nothing is learnt from them, so that other tags may come.
        """
        items = []
        for example in examples:
            ids, first = self.place(example.tokens)
            labels = [self._classes.of(example.tags[word], example.place, judges=judges) for word in first]
            items.append(Placed(ids, list(first.values()), labels, is_cut=len(first) < len(example.tokens)))
        return items

    def loss_from(self, logits: torch.Tensor, batch: Sequence[Placed]) -> tuple[torch.Tensor, int]:
        """Summed cross-entropy and the number of words whose tag the head answers."""
        loss, words = super().loss_from(logits, batch)
        return loss, words - self.unseen(batch)

    def unseen(self, batch: Sequence[Placed]) -> int:
        """Words with a tag that the head does not answer."""
        return sum(item.labels.count(UNSEEN) for item in batch)

    def place(self, words: Sequence[str]) -> tuple[list[int], dict[int, int]]:
        """Token ids of a row, and the place of the first token of each word that is read.

        The words are read as text with spaces between them: many tokenizers would write words that they are given one by one together.
        """
        found = self._reader.tokenizer(
            " ".join(words), truncation=True, max_length=self._reader.context_length, return_offsets_mapping=True
        )
        return found["input_ids"], _first_tokens(found["offset_mapping"], words)

    def answers(self, logits: torch.Tensor, batch: Sequence[Placed]) -> list[Any]:
        """The likeliest tag of each word of each sequence, as class indices."""
        parts = torch.split(logits.argmax(dim=1).cpu(), [len(item.labels) for item in batch])
        return [part.tolist() for part in parts]


def _first_tokens(offsets: Sequence[tuple[int, int]], words: Sequence[str]) -> dict[int, int]:
    """Place of the first token of each word that has one, by the characters that tokens stand for in the words with spaces between."""
    found: dict[int, int] = {}
    word, start = 0, 0
    for place, (begins, ends) in enumerate(offsets):
        while word < len(words) and start + len(words[word]) <= begins:
            start += len(words[word]) + 1
            word += 1
        if word < len(words) and max(begins, start) < ends:  # special tokens, and spaces alone, stand for no word
            found.setdefault(word, place)
    return found


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """A question with a stretch of its passage: token ids, and the answer's first and last token (both 0: not in this stretch)."""

    ids: list[int]
    first: int
    last: int
    example: int
    """Index of the example that the stretch is of."""
    context: tuple[int, int]
    """First token of the passage and the one after its last."""
    offsets: list[tuple[int, int]]
    """Characters of the passage per token."""
    is_cut: bool = False

    @property
    def length(self) -> int:
        """Tokens, special ones included."""
        return len(self.ids)


class Stretch(NamedTuple):
    """What a stretch of a passage answers to its question."""

    score: float
    """Of its likeliest answer: the logits of first and last token."""
    none: float
    """Of 'no answer here', in the same unit."""
    begins: int
    ends: int
    """Characters of the passage."""


class Answers(LogitObjective[AnswerSpan]):
    """Cross-entropy of the answer's first and last token over all tokens; the first token stands for 'no answer here'.

    Source: Devlin 2019, https://arxiv.org/abs/1810.04805, sections 4.2 and 4.3. A passage longer than the context is read in overlapping stretches.
    """

    name = "answers"
    head: HeadKind = "token"

    def __init__(self, reader: TextReader, *, overlap: int = 64) -> None:
        self._reader = reader
        self._overlap = overlap
        self.always: bool | None = None
        """Whether every question of the first examples that were encoded has an answer."""

    def encode(self, examples: Sequence[Passage]) -> list[AnswerSpan]:
        """One item per stretch."""
        tokenizer, length = self._reader.tokenizer, self._reader.context_length
        if self.always is None:
            self.always = all(example.answers for example in examples)
        items = []
        for index, example in enumerate(examples):
            if len(tokenizer(example.question, add_special_tokens=False)["input_ids"]) > length // 2:
                raise BadModel(
                    f"{example.place}: the question alone fills half of the model's context of {length} tokens. Shorten it."
                )
            found = tokenizer(
                *(example.question, example.context),
                truncation="only_second",
                max_length=length,
                stride=min(self._overlap, length // 4),
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
            for part in range(len(found["input_ids"])):
                items.append(_stretch(found, part, example, index))
        return items

    def logits(self, net: nn.Module, batch: Sequence[AnswerSpan]) -> torch.Tensor:
        """[T, 2] for all tokens of all items: how well an answer begins, and ends, there."""
        rows = [item.ids for item in batch]
        found: torch.Tensor = net(rows, range(sum(map(len, rows))))
        return found

    def loss_from(self, logits: torch.Tensor, batch: Sequence[AnswerSpan]) -> tuple[torch.Tensor, int]:
        """Mean of the two cross-entropies, summed over items."""
        total = logits.new_zeros((), dtype=torch.float32)
        for item, part in zip(batch, torch.split(logits.float(), [len(item.ids) for item in batch]), strict=True):
            shares = part.log_softmax(dim=0)  # [t, 2]
            total = total - (shares[item.first, 0] + shares[item.last, 1]) / 2
        return total, len(batch)

    def drawn(self, logits: torch.Tensor, batch: Sequence[AnswerSpan]) -> torch.Tensor:
        """Of a first and a last token for each stretch."""
        parts = torch.split(logits, [len(item.ids) for item in batch])
        return torch.stack([super(Answers, self).drawn(part.T, [item]) for item, part in zip(batch, parts, strict=True)]).sum()

    def answers(self, logits: torch.Tensor, batch: Sequence[AnswerSpan]) -> list[Any]:
        """A `Stretch` for each item; an answer ends where it begins or behind, at most 30 tokens long."""
        parts = torch.split(logits.detach().float().cpu(), [len(item.ids) for item in batch])
        return [_likeliest(part, item) for part, item in zip(parts, batch, strict=True)]

    def right(self, logits: torch.Tensor, batch: Sequence[AnswerSpan]) -> int:
        """Stretches whose likeliest first and last token are the answer's."""
        parts = torch.split(logits, [len(item.ids) for item in batch])
        return sum(part.argmax(dim=0).tolist() == [item.first, item.last] for item, part in zip(batch, parts, strict=True))


def passage_answers(
    items: Sequence[AnswerSpan], rows: Sequence[Passage], answers: Sequence[Stretch], *, always: bool
) -> list[str]:
    """The text that the stretches of each row's passage answer; '' where they find none.

    Args:
        items: the stretches, in the order of the answers. always: whether every question has an answer.
    """
    stretches: list[list[Stretch]] = [[] for _ in rows]
    for item, answer in zip(items, answers, strict=True):
        stretches[item.example].append(answer)
    found = []
    for row, mine in zip(rows, stretches, strict=True):
        best = max(mine, key=lambda one: one.score)
        is_none = not always and min(one.none for one in mine) > best.score
        found.append("" if is_none else row.context[best.begins : best.ends])
    return found


def _stretch(found: object, part: int, example: Passage, index: int) -> AnswerSpan:
    ids = found["input_ids"][part]  # type: ignore[index]
    offsets = [tuple(pair) for pair in found["offset_mapping"][part]]  # type: ignore[index]
    owners = found.sequence_ids(part)  # type: ignore[attr-defined]
    inside = [place for place, owner in enumerate(owners) if owner == 1]
    first = last = 0
    if example.starts and inside:
        start, end = example.starts[0], example.starts[0] + len(example.answers[0])
        if offsets[inside[0]][0] <= start and end <= offsets[inside[-1]][1]:
            first = max((place for place in inside if offsets[place][0] <= start), default=0)
            last = min((place for place in inside if offsets[place][1] >= end), default=0)
    return AnswerSpan(ids, first, last, index, (inside[0], inside[-1] + 1) if inside else (0, 0), offsets)


def _likeliest(part: torch.Tensor, item: AnswerSpan) -> Stretch:
    """The best pair of a first and a last token [t, 2] within the passage."""
    begins, ends = item.context
    none = float(part[0].sum())
    if begins == ends:
        return Stretch(-math.inf, none, 0, 0)
    pairs = part[begins:ends, 0][:, None] + part[begins:ends, 1][None]  # [first, last]
    fits = torch.ones_like(pairs, dtype=torch.bool).triu().tril(_LONGEST - 1)
    first, last = divmod(int(pairs.masked_fill(~fits, -math.inf).argmax()), ends - begins)
    return Stretch(float(pairs[first, last]), none, item.offsets[begins + first][0], item.offsets[begins + last][1])
