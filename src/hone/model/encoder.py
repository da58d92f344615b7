"""A pretrained encoder as a function from texts to sentence vectors.

Vectors are pooled the way the model's makers say (`1_Pooling/config.json`), by the mean where they say nothing,
and scaled to length 1. Each text is computed once: vectors are kept, so that strategies which only read vectors
share one pass. `computed_afresh` switches that off, for timing.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hone.catalogue.locate import ModelFolder
from hone.core.store import write_atomic
from hone.model.arithmetic import Precision
from hone.model.batches import token_batches
from hone.model.loading import load_backbone
from hone.model.reader import TextReader, load_reader

__all__ = ["EVALUATION_TOKENS", "Encoder", "Pooling", "Vectors", "load_encoder", "pool", "read_pooling", "write_pooling"]

Pooling = Literal["mean", "cls"]
Vectors = NDArray[np.float32]
EVALUATION_TOKENS = 4096  # positions per forward pass: larger batches were no faster on two cores and take more memory


class Encoder:
    """Texts in, unit vectors out. Made by `load_encoder`."""

    def __init__(self, folder: ModelFolder, net: nn.Module, reader: TextReader, *, pooling: Pooling) -> None:
        self.folder = folder
        self.net = net
        self.reader = reader
        self.pooling = pooling
        self._kept: dict[str, Vectors] | None = {}

    @property
    def width(self) -> int:
        """Size of a vector."""
        return int(self.net.config.hidden_size)  # type: ignore[union-attr, arg-type]

    @property
    def parameters(self) -> int:
        """Number of parameters of the backbone."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    def embed(self, texts: Sequence[str], *, advance: Callable[[int], None] | None = None) -> Vectors:
        """Unit vectors, float32 of shape [n, width], in the order given.

        Args:
            texts: any number, also none. advance: told how many texts each finished batch held.
        """
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        kept: dict[str, Vectors] = {} if self._kept is None else self._kept
        missing = [text for text in dict.fromkeys(texts) if text not in kept]
        for batch, vectors in self._forward(self.reader.tokenize(missing)):
            kept.update((missing[index], vector) for index, vector in zip(batch, vectors, strict=True))
            if advance:
                advance(len(batch))
        return np.stack([kept[text] for text in texts])

    def _forward(self, ids: list[list[int]]) -> Iterator[tuple[list[int], Vectors]]:
        self.net.eval()
        for batch in token_batches([len(row) for row in ids], max_tokens=EVALUATION_TOKENS):
            tokens, mask = self.reader.pad([ids[index] for index in batch])
            with torch.inference_mode(), self.reader.autocast():
                vectors = pool(self.net, tokens, mask, how=self.pooling)  # [B, D]
            yield batch, vectors.cpu().numpy()

    def with_net(self, net: nn.Module) -> "Encoder":
        """The same encoder with other weights of the same shape; it has seen no text yet."""
        return Encoder(self.folder, net, self.reader, pooling=self.pooling)

    def save(self, folder: Path) -> None:
        """Write weights, configuration, tokenizer and pooling, in the layout that transformers and `load_encoder` read."""
        self.net.save_pretrained(folder)  # type: ignore[operator]
        self.reader.save(folder)
        write_pooling(folder, self.pooling, width=self.width)

    @contextlib.contextmanager
    def computed_afresh(self) -> Iterator[None]:
        """Inside this block every text is computed, whether or not its vector is known."""
        kept, self._kept = self._kept, None
        try:
            yield
        finally:
            self._kept = kept


def pool(net: nn.Module, tokens: torch.Tensor, mask: torch.Tensor, *, how: Pooling) -> torch.Tensor:
    """Run the backbone and make one unit vector per row.

    Args:
        tokens, mask: int64 of shape [B, T]. how: mean over real positions, or the first position.
    Returns:
        float32 of shape [B, D], each row of length 1; differentiable.
    """
    hidden = net(input_ids=tokens, attention_mask=mask).last_hidden_state.float()  # [B, T, D]
    if how == "cls":
        pooled = hidden[:, 0]
    else:
        weight = mask.unsqueeze(-1).float()
        pooled = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
    return nn.functional.normalize(pooled, dim=-1)


def load_encoder(folder: ModelFolder, *, precision: Precision = "auto", device: torch.device | None = None) -> Encoder:
    """Load a located model as an encoder.

    Raises:
        BadModel: the folder holds no encoder, or its files do not fit together.
    """
    reader = load_reader(folder, precision=precision, device=device)
    return Encoder(folder, load_backbone(folder).to(reader.device), reader, pooling=read_pooling(folder.path))


def read_pooling(path: Path) -> Pooling:
    """How the makers of a model pool; the mean where they say nothing."""
    config = path / "1_Pooling" / "config.json"
    if not config.is_file():
        return "mean"
    said = json.loads(config.read_text(encoding="utf-8"))
    return "cls" if said.get("pooling_mode_cls_token") or said.get("pooling_mode") == "cls" else "mean"


def write_pooling(folder: Path, pooling: Pooling, *, width: int) -> None:
    """Write what `read_pooling` reads, in the layout of sentence-transformers."""
    said = {
        "word_embedding_dimension": width,
        "pooling_mode_mean_tokens": pooling == "mean",
        "pooling_mode_cls_token": pooling == "cls",
    }
    write_atomic(folder / "1_Pooling" / "config.json", json.dumps(said))
