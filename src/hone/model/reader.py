"""How texts become what a network reads: token ids cut at the context length, padded, on the right device."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from hone.catalogue.locate import ModelFolder
from hone.core.device import best_device, keep_freed_memory
from hone.core.store import write_atomic
from hone.model.arithmetic import Arithmetic, Precision, autocast, resolve_precision
from hone.model.batches import pad
from hone.model.loading import context_length, load_tokenizer

__all__ = ["TextReader", "load_reader"]


class TextReader:
    """A tokenizer with its limits, and the device and arithmetic of the forward pass. Made by `load_reader`."""

    def __init__(self, tokenizer: Any, *, length: int, device: torch.device, precision: Arithmetic) -> None:
        self.tokenizer = tokenizer
        self.context_length = length
        self.device = device
        self.precision = precision

    @property
    def pad_id(self) -> int:
        """What stands behind shorter rows where they are padded: the padding token, else the end of a text, else 0."""
        known = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return int(next((token for token in known if token is not None), 0))

    def leaving_room(self, tokens: int) -> "TextReader":
        """The same reader, which cuts texts so much shorter: for the virtual tokens that stand before them."""
        if not tokens:
            return self
        return TextReader(self.tokenizer, length=self.context_length - tokens, device=self.device, precision=self.precision)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with special tokens, cut at the context length."""
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=self.context_length)["input_ids"]
        return ids

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens per text, special ones included, before any cut."""
        return [len(ids) for ids in self.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]] if texts else []

    def pad(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask on the device, int64 of shape [B, T]."""
        return pad(rows, pad_id=self.tokenizer.pad_token_id, device=self.device)

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the forward pass runs."""
        return autocast(self.precision, self.device)

    def save(self, folder: Path) -> None:
        """Write the tokenizer and the context length."""
        self.tokenizer.save_pretrained(folder)
        write_atomic(folder / "sentence_bert_config.json", f'{{"max_seq_length": {self.context_length}}}')


def load_reader(folder: ModelFolder, *, precision: Precision = "auto", device: torch.device | None = None) -> TextReader:
    """The reader of a located model.

    Raises:
        BadModel: the tokenizer or the configuration cannot be read.
    """
    keep_freed_memory()
    device = device or best_device()
    tokenizer = load_tokenizer(folder)
    return TextReader(
        tokenizer,
        length=context_length(folder, tokenizer),
        device=device,
        precision=resolve_precision(precision, device),
    )
