"""Language modelling with an encoder-decoder: the decoder learns to write the completion of what the encoder reads."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hone.model import TextReader
from hone.task import Completion, Dialogue
from hone.train.contracts import HeadKind, LogitObjective
from hone.train.objective.items import SourceTarget

__all__ = ["PairObjective", "WriteTarget"]


class PairObjective(LogitObjective[SourceTarget]):
    """Cross-entropy of every target token, from the source and the target tokens before it."""

    head: HeadKind = "seq2seq"

    def logits(self, net: nn.Module, batch: Sequence[SourceTarget]) -> torch.Tensor:
        """[N, V] with N the target tokens of all items."""
        found: torch.Tensor = net(*_inputs(batch))
        return found

    def loss_from(self, logits: torch.Tensor, batch: Sequence[SourceTarget]) -> tuple[torch.Tensor, int]:
        """Summed cross-entropy."""
        labels = _labels(batch, logits.device)
        return nn.functional.cross_entropy(logits.float(), labels, reduction="sum"), len(labels)

    def right(self, logits: torch.Tensor, batch: Sequence[SourceTarget]) -> int:
        """Tokens that the likeliest one hits."""
        return int((logits.argmax(dim=1) == _labels(batch, logits.device)).sum())

    def words(self, items: Sequence[SourceTarget]) -> set[int] | None:
        """What the encoder and the decoder read."""
        return {token for item in items for token in (*item.source, *item.target)}

    def loss(self, net: nn.Module, batch: Sequence[SourceTarget]) -> tuple[torch.Tensor, int]:
        """The same without the logits existing whole."""
        labels = _labels(batch, next(net.parameters()).device)
        return net(*_inputs(batch), labels), len(labels)


class WriteTarget(PairObjective):
    """Prompt in, completion out: T5's text-to-text form."""

    name = "completion"

    def __init__(self, reader: TextReader, *, template: str = "{prompt}") -> None:
        """`template`: what the encoder reads, with {prompt} in it, such as 'summarize: {prompt}'."""
        self._reader = reader
        self._template = template

    def encode(self, examples: Sequence[Completion | Dialogue]) -> list[SourceTarget]:
        """One item per example; a dialogue's last answer is the target and all before it the source."""
        pairs = [_pair(example) for example in examples]
        if not pairs:
            return []
        sources = self._tokens(text=[self._template.replace("{prompt}", prompt) for prompt, _ in pairs])
        targets = self._tokens(text_target=[completion for _, completion in pairs])
        return [
            SourceTarget(source, target, is_cut_source or is_cut_target)
            for (source, is_cut_source), (target, is_cut_target) in zip(sources, targets, strict=True)
        ]

    def _tokens(self, **texts: list[str]) -> list[tuple[list[int], bool]]:
        """Ids with special tokens, cut before the last special token, and whether that was needed; `text_target` is what the decoder writes."""
        tokenizer, length = self._reader.tokenizer, self._reader.context_length
        full = tokenizer(**texts, truncation=False, verbose=False)["input_ids"]
        cut = tokenizer(**texts, truncation=True, max_length=length)["input_ids"]
        return [(short, len(long) > len(short)) for short, long in zip(cut, full, strict=True)]


def _pair(example: Completion | Dialogue) -> tuple[str, str]:
    if isinstance(example, Completion):
        return example.prompt, example.completion
    last = max(index for index, message in enumerate(example.messages) if message.role == "assistant")
    before = [f"{message.role.capitalize()}: {message.content}" for message in example.messages[:last]]
    return "\n".join(before), example.messages[last].content


def _inputs(batch: Sequence[SourceTarget]) -> tuple[Any, Any, list[int]]:
    targets = [item.target for item in batch]
    return [item.source for item in batch], targets, list(range(sum(map(len, targets))))


def _labels(batch: Sequence[SourceTarget], device: torch.device) -> torch.Tensor:
    return torch.tensor([token for item in batch for token in item.target], device=device)
