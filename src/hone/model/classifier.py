"""An encoder with a classification head: pooled sentence vector, one linear layer.

Pooling is the model's own (its makers trained it so), where transformers' classification classes always read the first token: on 516 rows
of the example data this reached in 3 epochs what those reached in 5 (docs/log.md). The backbone keeps its own file
layout, so `AutoModel` and `PeftModel` load it; the head is one small file beside it.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from hone.model.encoder import Pooling, pool, read_pooling
from hone.model.loading import load_backbone
from hone.model.locate import ModelFolder

__all__ = ["PooledClassifier", "load_classifier", "load_head", "save_head"]

HEAD_FILE = "head.safetensors"


class PooledClassifier(nn.Module):
    """Token ids [B, T] and mask to logits [B, C]."""

    def __init__(self, backbone: nn.Module, *, pooling: Pooling, labels: Sequence[str], dropout: float = 0.1) -> None:
        super().__init__()
        width = int(backbone.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.backbone = backbone
        self.pooling: Pooling = pooling
        self.scale = math.sqrt(width) / 2  # a unit vector has entries of 1 / sqrt(width): too small for a linear layer to move on
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, len(labels))
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits in the arithmetic of the caller's autocast."""
        pooled = pool(self.backbone, tokens, mask, how=self.pooling) * self.scale  # [B, D]
        logits: torch.Tensor = self.classifier(self.dropout(pooled))
        return logits


def load_classifier(folder: ModelFolder, labels: Sequence[str]) -> PooledClassifier:
    """The encoder in a folder with a new head, drawn from torch's generator; in fp32.

    Raises:
        BadModel: the folder holds no encoder, or its weights do not fit.
    """
    backbone = load_backbone(folder)
    backbone.config.id2label = dict(enumerate(labels))  # type: ignore[union-attr]
    backbone.config.label2id = {label: index for index, label in enumerate(labels)}  # type: ignore[union-attr]
    return PooledClassifier(backbone, pooling=read_pooling(folder.path), labels=labels)


def save_head(net: PooledClassifier, folder: Path) -> None:
    """Write the head's weight [C, D] and bias [C]."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(net.classifier.state_dict()), folder / HEAD_FILE)


def load_head(net: PooledClassifier, folder: Path) -> None:
    """Read a saved head into a network with as many classes."""
    from safetensors.torch import load_file

    net.classifier.load_state_dict(load_file(folder / HEAD_FILE))
