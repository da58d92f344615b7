"""The layout of what is not a whole model and not peft's: the parameters that moved, under their own names, in one safetensors file.

Names are those of `Network.named_parameters()`: `backbone.` before the names that transformers gives, `classifier.` before those of a new head,
`...adapter.down.weight` in a block for a bottleneck adapter, `prompt`, and `...prefix` of an attention layer. All fp32.
"""

from pathlib import Path

import torch

from hone.core.errors import BadModel
from hone.model import Network
from hone.train.optimiser import trained_parameters

__all__ = ["KeptAsParameters", "load_trained", "save_trained"]

FILE = "trained.safetensors"


def save_trained(net: Network, folder: Path) -> None:
    """Write the parameters that move."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: parameter.detach().contiguous() for name, parameter in trained_parameters(net).items()}
    save_file(tensors, folder / FILE, metadata={"format": "pt"})


def load_trained(net: Network, folder: Path) -> Network:
    """Read them back into a prepared network.

    Raises:
        BadModel: the file is missing, damaged or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        saved, trained = load_file(folder / FILE), trained_parameters(net)
    except (OSError, SafetensorError) as error:
        raise BadModel(f"{folder / FILE} cannot be read: {error}. Copy the folder again, or train anew.") from error
    different = saved.keys() ^ trained.keys() or {name for name in saved if saved[name].shape != trained[name].shape}
    if different:
        raise BadModel(
            f"{folder / FILE} is of another network: {sorted(different)[0]} does not fit. Use the base it was made with."
        )
    with torch.no_grad():
        for name, value in saved.items():
            trained[name].copy_(value)
    return net


class KeptAsParameters:
    """A trainable that is saved as one file of what moved, and read back into a network that it has prepared."""

    def prepare(self, net: Network) -> Network:
        """Freeze what does not move, insert what is new."""
        raise NotImplementedError

    def save(self, net: Network, folder: Path) -> None:
        """One file with what moved."""
        save_trained(net, folder)

    def load(self, net: Network, folder: Path) -> Network:
        """Read it back."""
        return load_trained(self.prepare(net), folder)
