"""Trainables that move a part of what is there: the head alone, or every bias with the head (BitFit).

Source of `Bias`: Ben Zaken 2022, https://aclanthology.org/2022.acl-short.1
"""

from pathlib import Path

import torch

from hone.model import PooledClassifier
from hone.train.optimiser import is_head, trained_parameters

__all__ = ["Bias", "Head", "load_trained", "save_trained"]

FILE = "trained.safetensors"


def save_trained(net: PooledClassifier, folder: Path) -> None:
    """Write the parameters that move, under their own names, to one safetensors file."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: parameter.detach().contiguous() for name, parameter in trained_parameters(net).items()}
    save_file(tensors, folder / FILE, metadata={"format": "pt"})


def load_trained(net: PooledClassifier, folder: Path) -> PooledClassifier:
    """Read them back into a prepared network; names and shapes must agree exactly."""
    from safetensors.torch import load_file

    saved, trained = load_file(folder / FILE), trained_parameters(net)
    assert saved.keys() == trained.keys(), f"{folder} was saved from another network"
    with torch.no_grad():
        for name, value in saved.items():
            trained[name].copy_(value)
    return net


class Head:
    """Only the classification head is trained."""

    name = "head"

    def prepare(self, net: PooledClassifier) -> PooledClassifier:
        """Freeze the backbone."""
        for name, parameter in net.named_parameters():
            parameter.requires_grad = is_head(name)
        return net

    def save(self, net: PooledClassifier, folder: Path) -> None:
        """One file with what moved."""
        save_trained(net, folder)

    def load(self, net: PooledClassifier, folder: Path) -> PooledClassifier:
        """Read it back."""
        return load_trained(self.prepare(net), folder)


class Bias:
    """Every bias and the head are trained: about 0.1% of an encoder."""

    name = "bias"

    def prepare(self, net: PooledClassifier) -> PooledClassifier:
        """Freeze all that is neither a bias nor the head."""
        for name, parameter in net.named_parameters():
            parameter.requires_grad = is_head(name) or (name.endswith(".bias") and ".pooler." not in name)
        return net

    def save(self, net: PooledClassifier, folder: Path) -> None:
        """One file with what moved."""
        save_trained(net, folder)

    def load(self, net: PooledClassifier, folder: Path) -> PooledClassifier:
        """Read it back."""
        return load_trained(self.prepare(net), folder)
