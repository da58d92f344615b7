"""A model before its first step: the shape that a number of parameters buys, and random weights, in the usual layout.

Llama's shape for decoders, BERT's for encoders, T5 1.1's with one table of words for encoder-decoders: loaders, servers and
adapters everywhere know them. Small shapes are kept wide rather than deep: at equal cost a wide one multiplies larger matrices.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hone.core.errors import Usage
from hone.model.loading import Family, quiet_transformers

__all__ = ["Shape", "choose_shape", "usual_words", "write_blank_model"]

_HEAD = 64  # width of an attention head
_WIDE, _DEEP, _USUAL = 128, 16, 64  # width per layer: at most, at least, best
_NEAR = 0.1  # of the size asked for: within it the usual proportions decide


@dataclass(frozen=True)
class Shape:
    """Width and depth of a network. An encoder-decoder has `layers` on either side."""

    family: Family
    words: int
    width: int
    inner: int
    """Width inside a feed-forward block."""
    layers: int
    context: int
    """Longest sequence in tokens."""

    @property
    def parameters(self) -> int:
        """All of them; words' table counted once, as it is held once."""
        norm, attention, gated = self.width, 4 * self.width**2, 3 * self.width * self.inner
        if self.family == "decoder":
            return self.words * self.width + self.layers * (attention + gated + 2 * norm) + norm
        if self.family == "encoder":
            dense = 2 * self.width * self.inner + self.inner + self.width
            block = attention + 4 * self.width + dense + 4 * norm
            tables = (self.words + self.context + 2) * self.width + 2 * norm
            return tables + self.layers * block + self.width**2 + self.width + 2 * norm + self.words
        buckets = 2 * 32 * (self.width // _HEAD)
        return (
            self.words * self.width + self.layers * (3 * attention + 2 * gated + 5 * norm) + 2 * norm + buckets
        )  # an encoder block attends once, a decoder block twice


def usual_words(parameters: int) -> int:
    """Size of a vocabulary that leaves most of the parameters to the layers."""
    return 4096 if parameters < 4e6 else 8192 if parameters < 40e6 else 16384 if parameters < 200e6 else 32768


def choose_shape(family: Family, parameters: int, *, words: int, context: int) -> Shape:
    """The shape whose parameters come near a number, of usual proportions where there is a choice.

    Raises:
        Usage: the vocabulary alone takes more.
    """
    found = [
        Shape(family, words, width, _inner(family, width), layers, context)
        for width in range(_HEAD, 8193, _HEAD)
        for layers in range(max(2, width // _WIDE), max(2, width // _DEEP) + 1)
    ]
    best = min(
        found, key=lambda shape: (abs(shape.parameters / parameters - 1) // _NEAR, abs(shape.width / shape.layers - _USUAL))
    )
    if not 0.7 < best.parameters / parameters < 1.4:
        raise Usage(
            f"No {family} of {parameters:,} parameters fits a vocabulary of {words:,}: the nearest has {best.parameters:,}. "
            "Give a larger --size or a smaller --vocabulary."
        )
    return best


def _inner(family: Family, width: int) -> int:
    """Two matrices as wide as four times; gated ones, which are three, less wide, so that they cost the same."""
    return 4 * width if family == "encoder" else round(8 * width / 3 / _HEAD) * _HEAD


def write_blank_model(shape: Shape, tokenizer: Any, folder: Path, *, seed: int) -> None:
    """Random weights drawn from the seed, configuration and tokenizer, as a folder that any loader takes."""
    torch.manual_seed(seed)
    with quiet_transformers():
        net = _CLASSES[shape.family](shape, tokenizer)
        net.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _decoder(shape: Shape, tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.width,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.width // _HEAD,
            num_key_value_heads=shape.width // _HEAD,
            max_position_embeddings=shape.context,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _encoder(shape: Shape, tokenizer: Any) -> Any:
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.width,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.width // _HEAD,
            max_position_embeddings=shape.context,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _encoder_decoder(shape: Shape, tokenizer: Any) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=shape.width,
            d_kv=_HEAD,
            d_ff=shape.inner,
            num_layers=shape.layers,
            num_decoder_layers=shape.layers,
            num_heads=shape.width // _HEAD,
            n_positions=shape.context,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )


_CLASSES = {"decoder": _decoder, "encoder": _encoder, "encoder-decoder": _encoder_decoder}
