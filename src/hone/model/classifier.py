"""An encoder with a new head: one answer per text (pooled sentence vector, one linear layer) or one per token.

Pooling is the model's own (its makers trained it so), where transformers' classification classes always read the first token: on 516 rows
of the example data this reached in 3 epochs what those reached in 5 (docs/log.md). The backbone keeps its own file
layout, so `AutoModel` and `PeftModel` load it; the head is one small file beside it.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hone.catalogue.locate import ModelFolder
from hone.model.batches import token_batches
from hone.model.encoder import EVALUATION_TOKENS, Pooling, Vectors, read_pooling
from hone.model.loading import load_backbone
from hone.model.network import Network, Rows
from hone.model.reader import TextReader

__all__ = ["HeadedNetwork", "PooledClassifier", "TokenClassifier", "head_scale", "load_classifier", "load_head", "save_head"]

HEAD_FILE = "head.safetensors"


class HeadedNetwork(Network):
    """An encoder with a linear layer of hone's own, `classifier`, drawn from torch's generator."""

    def __init__(
        self, backbone: nn.Module, *, outputs: int, pooling: Pooling = "mean", dropout: float = 0.1, twin: Network | None = None
    ) -> None:
        super().__init__(backbone, pad_id=self.base_pad_id(backbone), twin=twin)
        width = int(backbone.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.pooling: Pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, outputs)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    @staticmethod
    def base_pad_id(backbone: nn.Module) -> int:
        """The id that the architecture itself knows as padding."""
        return int(getattr(backbone.config, "pad_token_id", None) or 0)

    def vectors(self, rows: Rows) -> torch.Tensor:
        """Sentence vectors of length 1, pooled as the base pools its own, fp32, [B, D]."""
        states = self.states(rows).float()  # [T, D]
        lengths = torch.tensor([len(row) for row in rows], device=states.device)
        if self.pooling == "cls":
            pooled = states[lengths.cumsum(0) - lengths]
        else:
            owner = torch.repeat_interleave(torch.arange(len(rows), device=states.device), lengths, output_size=len(states))
            pooled = states.new_zeros(len(rows), states.shape[1]).index_add(0, owner, states) / lengths[:, None]
        return nn.functional.normalize(pooled, dim=-1)

    @torch.no_grad()
    def embed(self, rows: Rows, reader: TextReader) -> Vectors:
        """Sentence vectors of any number of rows in the reader's arithmetic, [n, D]; the network stays in its mode."""
        was_training = self.training
        found = np.zeros((len(rows), self.classifier.in_features), dtype=np.float32)
        self.eval()
        for batch in token_batches([len(row) for row in rows], max_tokens=EVALUATION_TOKENS, is_packed=self.packs):
            with reader.autocast():
                found[batch] = self.vectors([rows[index] for index in batch]).cpu().numpy()
        self.train(was_training)
        return found


class PooledClassifier(HeadedNetwork):
    """Rows to logits [B, C], one answer per row."""

    def __init__(
        self,
        backbone: nn.Module,
        *,
        pooling: Pooling,
        labels: Sequence[str],
        dropout: float = 0.1,
        twin: Network | None = None,
    ) -> None:
        super().__init__(backbone, outputs=len(labels), pooling=pooling, dropout=dropout, twin=twin)
        self.scale = head_scale(self.classifier.in_features)

    def forward(self, rows: Rows) -> torch.Tensor:
        """Logits in the arithmetic of the caller's autocast, [B, C]."""
        return self.told(self.vectors(rows))

    def told(self, vectors: torch.Tensor) -> torch.Tensor:
        """The same from sentence vectors, [B, D]."""
        logits: torch.Tensor = self.classifier(self.dropout(vectors * self.scale))
        return logits


class TokenClassifier(HeadedNetwork):
    """Rows to logits [N, C], one answer per token asked for."""

    def __init__(
        self,
        backbone: nn.Module,
        *,
        labels: Sequence[str],
        pooling: Pooling = "mean",
        dropout: float = 0.1,
        twin: Network | None = None,
    ) -> None:
        super().__init__(backbone, outputs=len(labels), pooling=pooling, dropout=dropout, twin=twin)

    def forward(self, rows: Rows, places: Sequence[int]) -> torch.Tensor:
        """Logits at `places`, N indices into the tokens of all rows, row after row."""
        states = self.states(rows)
        chosen = states[torch.tensor(places, device=states.device)]
        logits: torch.Tensor = self.classifier(self.dropout(chosen))
        return logits


def head_scale(width: int) -> float:
    """By which vectors of length 1 are multiplied before the head: their entries of 1 / sqrt(width) are too small for a linear layer to move on."""
    return math.sqrt(width) / 2


def load_classifier(folder: ModelFolder, labels: Sequence[str], *, per_token: bool = False) -> HeadedNetwork:
    """The encoder in a folder with a new head, drawn from torch's generator; in fp32.

    Raises:
        BadModel: the folder holds no encoder, or its weights do not fit.
    """
    backbone = load_backbone(folder)
    backbone.config.id2label = dict(enumerate(labels))  # type: ignore[union-attr]
    backbone.config.label2id = {label: index for index, label in enumerate(labels)}  # type: ignore[union-attr]
    kind = TokenClassifier if per_token else PooledClassifier
    return kind(backbone, pooling=read_pooling(folder.path), labels=labels)


def save_head(net: HeadedNetwork, folder: Path) -> None:
    """Write the head's weight [C, D] and bias [C]."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(net.classifier.state_dict()), folder / HEAD_FILE)


def load_head(net: HeadedNetwork, folder: Path) -> None:
    """Read a saved head into a network with as many classes."""
    from safetensors.torch import load_file

    net.classifier.load_state_dict(load_file(folder / HEAD_FILE))
