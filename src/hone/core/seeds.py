"""Seeds are derived, never shared: each consumer gets its own from the run's seed and its own name."""

import hashlib
import random

__all__ = ["derive_seed", "seed_everything"]


def derive_seed(seed: int, *names: object) -> int:
    """A 32-bit seed that depends on the run's seed and on who asks, so that adding a consumer changes nobody else's draw."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def seed_everything(seed: int) -> None:
    """Seed python's, numpy's and torch's global generators: for the libraries that offer no other way."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
