"""What answering takes: the keys and values that a model which writes keeps of every token, for each row that is written at once."""

from typing import Any

from hone.model import Arithmetic

__all__ = ["cache_bytes"]

_BYTES = {"bf16": 2, "fp32": 4}


def cache_bytes(config: Any, *, rows: int, read: int, written: int, precision: Arithmetic) -> int:
    """Bytes of keys and values of `rows` rows, each of `read` tokens before its answer and `written` in it.

    A decoder keeps those of all its tokens; an encoder-decoder those of what it writes, and once more, for its cross-attention, those of
    what it has read: as many. Layers with a window keep all tokens too, as hone's own engine does.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or getattr(config, "d_kv", None) or config.hidden_size // config.num_attention_heads
    layers = getattr(config, "num_decoder_layers", None) or getattr(config, "decoder_layers", None) or config.num_hidden_layers
    return int(2 * layers * heads * width * _BYTES[precision] * (read + written) * rows)
