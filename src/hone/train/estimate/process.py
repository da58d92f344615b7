"""What a training process takes beside its tensors: the libraries that it has loaded, and the kernels' own working memory."""

from hone.core.device import resident_memory
from hone.train.trainable.peft_methods import load_library

__all__ = ["process_bytes"]

_KERNELS = (
    56 * 2**20
)  # measured on one thread: code and buffers of oneDNN, transformers' model code, the network's Python objects


def process_bytes() -> int:
    """Bytes of a process like this one before it loads a model; call it before anything large is made here."""
    load_library()
    return resident_memory() + _KERNELS
