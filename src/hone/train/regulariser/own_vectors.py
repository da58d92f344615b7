"""Self-replay for encoders: on texts without labels the sentence vectors keep to those of the base model.

An encoder writes no samples of its own, so it is held by what it says about texts: strength x (1 - cosine) between the vector of the base, taken
down once before the first step, and the one of the network now (feature distillation, Romero 2014, https://arxiv.org/abs/1412.6550;
cosines as in SEED, Fang 2021, https://arxiv.org/abs/2101.04731, since it is cosines that sentence vectors are used by).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hone.core.errors import Usage
from hone.model import HeadedNetwork, Rows, TextReader
from hone.train.contracts import Objective, Stateless

__all__ = ["OwnVectors"]


class OwnVectors(Stateless):
    """Holds an encoder to its base on texts; in each step on some of them."""

    name = "self"
    needs_logits = False

    def __init__(self, texts: Rows, reader: TextReader, *, rows: int, strength: float = 1.0) -> None:
        """
        Args:
            texts: token ids of any texts; labels are not needed. rows: texts per optimiser step. strength: what a cosine of 0 costs.
        """
        assert texts and rows > 0, "there is nothing to hold to"
        self._reader, self._strength, self._texts = reader, strength, texts
        self._rows = min(rows, len(texts))
        self._base: torch.Tensor | None = None  # [texts, D]

    def start(self, net: nn.Module, objective: Objective, encoded: Sequence[Any]) -> None:
        """Take down the vectors of the base.

        Raises:
            Usage: the network is no encoder with a head.
        """
        if not isinstance(net, HeadedNetwork):
            raise Usage(f"Sentence vectors are of encoders with a head, and the objective '{objective.name}' trains none.")
        self._base = torch.from_numpy(net.embed(self._texts, self._reader)).to(net.device)

    def on_batch(self, net: nn.Module, objective: Objective, batch: Any, logits: torch.Tensor | None) -> None:
        """Nothing: the texts are its own."""

    def on_step(self, net: nn.Module) -> float:
        """Add the gradient of strength x (1 - mean cosine) on the next texts."""
        assert self._base is not None and isinstance(net, HeadedNetwork), "start comes first"
        chosen = torch.randint(len(self._texts), (self._rows,)).tolist()
        with self._reader.autocast():
            vectors = net.vectors([self._texts[index] for index in chosen])
        apart = 1 - (vectors * self._base[chosen]).sum(dim=1).mean()
        (self._strength * apart).backward()  # type: ignore[no-untyped-call]
        return self._strength * apart.item()

    def words(self) -> set[int]:
        """Those of the texts."""
        return {token for ids in self._texts for token in ids}

    @property
    def bytes(self) -> int:
        """The vectors of the base."""
        return 0 if self._base is None else self._base.numel() * self._base.element_size()
