"""The network as it was before training: the values of all that moves.

Every trainable begins at the base's own function (LoRA's B is 0, an adapter's way up is 0, a prompt can be left out), so
putting these values back for a moment gives the base model, without a second network. What it costs is a copy
of what moves: nothing to speak of for adapters, the whole model for full fine-tuning.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from hone.train.optimiser import is_head, trained_parameters

__all__ = ["StartingPoint"]


class StartingPoint:
    """A copy of the parameters that move, taken before the first step; a new head is left out, for the base has none."""

    def __init__(self, net: nn.Module) -> None:
        self.values = {
            name: parameter.detach().clone() for name, parameter in trained_parameters(net).items() if not is_head(name)
        }

    @property
    def bytes(self) -> int:
        """Memory of the copy."""
        return sum(value.numel() * value.element_size() for value in self.values.values())

    @contextlib.contextmanager
    def put_back(self, net: nn.Module) -> Iterator[None]:
        """Inside this block the network is the base; gradients of what was computed before stay right, recomputed ones too."""
        trained = trained_parameters(net)
        now = {name: trained[name].data for name in self.values}
        prompt, layout = (getattr(net, name, contextlib.nullcontext) for name in ("without_prompt", "layout_kept"))
        try:
            self._swap(trained, self.values)
            with layout(), prompt(), torch.no_grad():
                yield
        finally:
            self._swap(trained, now)

    @staticmethod
    def _swap(trained: dict[str, nn.Parameter], values: dict[str, torch.Tensor]) -> None:
        """Autocast keeps bf16 copies of parameters and would go on with those of the values that went."""
        for name, value in values.items():
            trained[name].data = value
        torch.clear_autocast_cache()
