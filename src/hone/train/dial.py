"""The dial: how much of what was learnt is on, from 0 (the base, to the bit) to 1 (all of it).

Full fine-tuning and other methods that move weights are interpolated between base and result (WiSE-FT, Wortsman 2022,
https://arxiv.org/abs/2109.01903); adapters are scaled: LoRA's B, a bottleneck's way up, IA3's distance from 1. Virtual tokens are
there or not, and have no dial.
"""

import torch
from torch import nn

from hone.core.errors import Usage
from hone.train.optimiser import is_head, trained_parameters
from hone.train.start import StartingPoint

__all__ = ["Dial"]

_INSIDE = (".lora_A.", ".adapter.down.")  # before what is scaled: they stay as learnt, else the dial would count twice
_VIRTUAL = ("prompt", ".prefix")


class Dial:
    """Turns a tuned network back towards its base, and forth. A new head, which the base has not, stays as it is."""

    def __init__(self, net: nn.Module, start: StartingPoint) -> None:
        """
        Args:
            net: tuned, at 1. start: taken before training, or `StartingPoint` of the same network with its trained values at the base's.
        Raises:
            Usage: virtual tokens were trained.
        """
        trained = trained_parameters(net)
        if any(name.endswith(_VIRTUAL) for name in trained):
            raise Usage(
                "Virtual tokens are read or not read: prompt and prefix tuning have no position between base and result. Choose lora or full."
            )
        self._parameters = trained
        self._base = {name: value for name, value in start.values.items() if not any(part in name for part in _INSIDE)}
        self._tuned = {name: trained[name].detach().clone() for name in self._base if not is_head(name)}
        self.position = 1.0

    @property
    def bytes(self) -> int:
        """Memory of the tuned values that it keeps."""
        return sum(value.numel() * value.element_size() for value in self._tuned.values())

    @torch.no_grad()
    def turn(self, position: float) -> None:
        """Set it; 0 and 1 are exact."""
        assert 0 <= position <= 1, f"a dial stands between 0 and 1, got {position}"
        for name, tuned in self._tuned.items():
            base = self._base[name].to(tuned.device)
            value = base if position == 0 else tuned if position == 1 else torch.lerp(base, tuned, position)
            self._parameters[name].copy_(value)
        torch.clear_autocast_cache()
        self.position = position
