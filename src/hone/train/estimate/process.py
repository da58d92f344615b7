"""What a training process takes beside its tensors: the libraries that it has loaded, and the kernels' own working memory."""

import importlib

__all__ = ["process_bytes"]

_KERNELS = (
    56 * 2**20
)  # measured on one thread: code and buffers of oneDNN, transformers' model code, the network's Python objects


def process_bytes() -> int:
    """Bytes of a process like this one before it loads a model; call it before anything large is made here."""
    import psutil

    importlib.import_module("hone.train.trainable")
    return int(psutil.Process().memory_info().rss) + _KERNELS
