"""How much memory a model takes, from its numbers alone: a rule of thumb before anything is downloaded, not a measurement.

All three are for one sequence of `tokens` at a time, in bytes:

- inference: 2 for each parameter (bf16), and in decoders the keys and values of the sequence, 2 for each number; an
  encoder-decoder keeps those of the source, and of up to 512 tokens that it writes;
- LoRA: 2 for each parameter, 16 for each parameter of adapters of rank 16 on every matrix (weight, gradient and AdamW's two
  moments, in fp32), and the activations;
- full: 16 for each parameter, and the activations in fp32.

Activations are 34 x tokens x hidden x layers bytes at 2 bytes a number, twice that at 4, with attention that stores no
scores (Korthikanti et al. 2022, section 4.1, https://arxiv.org/abs/2205.05198). What the runtime itself takes comes on top.
"""

from typing import Literal, TypeAlias

from hone.catalogue.records import CatalogueEntry

__all__ = ["USES", "Use", "bytes_needed", "default_tokens"]

Use: TypeAlias = Literal["inference", "lora", "full"]
USES: tuple[Use, ...] = ("inference", "lora", "full")

_RANK = 16
_WRITTEN = 512  # tokens that an encoder-decoder is taken to write at most
_USUAL = 512


def default_tokens(entry: CatalogueEntry, asked: int | None) -> int:
    """Length of the sequence that memory is told for: what was asked for, else 512, at most the model's context."""
    return min(asked or _USUAL, entry.context or asked or _USUAL)


def bytes_needed(entry: CatalogueEntry, use: Use, *, tokens: int) -> int:
    """Bytes for one use with one sequence of `tokens`; by the rules above."""
    if use == "inference":
        return 2 * entry.parameters + _kept(entry, tokens)
    if use == "lora":
        return 2 * entry.parameters + 16 * _adapter_parameters(entry) + _activations(entry, tokens, width=2)
    return 16 * entry.parameters + _activations(entry, tokens, width=4)


def _decoder_layers(entry: CatalogueEntry) -> int:
    return entry.shape.decoder_layers or entry.shape.layers


def _kept(entry: CatalogueEntry, tokens: int) -> int:
    """Bytes of keys and values."""
    shape = entry.shape
    of_token = 2 * 2 * shape.key_value_width
    if entry.family == "encoder":
        return 0
    if entry.family == "encoder-decoder":
        return of_token * _decoder_layers(entry) * (tokens + min(tokens, _WRITTEN))
    full = shape.layers if shape.full_layers is None else shape.full_layers
    seen = min(tokens, entry.window or tokens)
    return of_token * (full * tokens + (shape.layers - full) * seen)


def _activations(entry: CatalogueEntry, tokens: int, *, width: int) -> int:
    layers = entry.shape.layers + (_decoder_layers(entry) if entry.family == "encoder-decoder" else 0)
    return 17 * width * tokens * entry.shape.hidden * layers


def _adapter_parameters(entry: CatalogueEntry) -> int:
    """Of rank 16 on queries, keys, values, outputs and the three (or two) matrices of each feed-forward layer, taken as three."""
    shape = entry.shape
    attention = 2 * (shape.hidden + shape.heads * (shape.head_width or shape.hidden // shape.heads))
    attention += 2 * (shape.hidden + shape.key_value_width)
    forward = 3 * (shape.hidden + shape.feed_forward) * shape.experts
    if entry.family == "encoder-decoder":
        return _RANK * (shape.layers * (attention + forward) + _decoder_layers(entry) * (2 * attention + forward))
    return _RANK * shape.layers * (attention + forward)
