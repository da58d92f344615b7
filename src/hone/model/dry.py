"""A network without numbers: every shape, every operation and no memory, so that a run can be tried before anything is downloaded.

Its tensors are torch's meta tensors that say they lie on a CPU (`FakeTensorMode`), because autocast and hone's own paths ask where a tensor
lies. The one surprise: whether a network can be packed is found out with real numbers, so a small twin of one layer is made first.
"""

import contextlib
import copy
import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from hone.core.errors import BadModel
from hone.model.attend import forget_masks
from hone.model.classifier import HeadedNetwork, PooledClassifier, TokenClassifier
from hone.model.four_bits import hold_in_four_bits
from hone.model.language import LanguageModel, Seq2SeqModel
from hone.model.loading import quiet_transformers
from hone.model.network import Network

__all__ = ["DryHead", "DryHeld", "cut_depth", "cut_words", "dry_network", "outline", "random_network", "without_numbers"]

DryHead = Literal["pooled", "token", "causal", "masked", "seq2seq"]
DryHeld = Literal["plain", "4bit"]

_WORDS, _INNER = 128, 64  # of the twin: what is tried does not depend on them
_INNERS = ("intermediate_size", "d_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner")
_DEPTHS = ("num_hidden_layers", "num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers", "n_layer", "n_layers")
_PER_LAYER = re.compile("layer|block|window")  # lists with an entry for each layer
_DTYPES: dict[DryHeld, str] = {"plain": "float32", "4bit": "bfloat16"}
_CLASSES: dict[DryHead, str] = {
    "pooled": "AutoModel",
    "token": "AutoModel",
    "causal": "AutoModelForCausalLM",
    "masked": "AutoModelForMaskedLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
}


@contextlib.contextmanager
def without_numbers() -> Iterator[None]:
    """Inside this block every new tensor has a shape, a type and a place, and no numbers.

    Modules stay where they are and in their arithmetic: torch cannot swap such tensors in a module, which peft asks for to no purpose.
    """
    move = nn.Module._apply
    forget_masks()
    nn.Module._apply = lambda self, fn, recurse=True: self  # type: ignore[method-assign]
    try:
        with FakeTensorMode():
            yield
    finally:
        nn.Module._apply = move  # type: ignore[method-assign]
        forget_masks()


def dry_network(config: Any, head: DryHead, *, outputs: int = 2, held: DryHeld = "plain") -> Network:
    """The network of a configuration with a head on top, in training mode; to be made and used within `without_numbers`.

    Args:
        outputs: classes, where the head is one of hone's own. held: fp32, or as `load_pretrained` holds it in few bits.
    Raises:
        BadModel: transformers makes no such network of the configuration.
    """
    with unset_fake_temporarily():  # the twin is neither moved nor converted
        twin = _twin(config.to_json_string(use_diff=False), config.__class__, head, held)
    forget_masks()  # the twin was tried with numbers
    backbone = _undrawn(config, head, _DTYPES[held])
    if held == "4bit":
        backbone = hold_in_four_bits(backbone)
    return _on_top(backbone, head, outputs, twin).train()


def outline(config: Any, head: DryHead) -> nn.Module:
    """transformers' own network of a configuration, to be looked at: it cannot be called, and takes a fifth of the time to make.

    Raises:
        BadModel: transformers makes no such network of the configuration.
    """
    with unset_fake_temporarily(), torch.device("meta"):
        return _undrawn(config, head)


def random_network(config: Any, head: DryHead, *, outputs: int = 2) -> Network:
    """The same network with random numbers, drawn from torch's generator: to rehearse a model that is not on this machine."""
    return _on_top(_backbone(config, head), head, outputs, None).train()


def _on_top(backbone: Any, head: DryHead, outputs: int, twin: Network | None) -> Network:
    if head in ("pooled", "token"):
        labels = tuple(map(str, range(outputs)))
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad = not name.startswith("pooler.")  # as `load_backbone` has it
        if head == "token":
            return TokenClassifier(backbone, labels=labels, twin=twin)
        return PooledClassifier(backbone, pooling="mean", labels=labels, twin=twin)
    pad = HeadedNetwork.base_pad_id(backbone)
    assert twin is None or isinstance(twin, LanguageModel | Seq2SeqModel)
    if head == "seq2seq":
        return Seq2SeqModel(backbone, pad_id=pad, twin=twin)
    assert head in ("causal", "masked")
    return LanguageModel(backbone, pad_id=pad, head=head, twin=twin)


def _undrawn(config: Any, head: DryHead, dtype: str = "float32") -> nn.Module:
    """No weights are drawn, for there is nowhere to write them, and some drawings look at what they drew."""
    from transformers.initialization import no_init_weights

    with no_init_weights():
        net = _backbone(config, head, dtype)
    net.tie_weights()  # type: ignore[operator]  # as transformers does after it has drawn
    return net


def _backbone(config: Any, head: DryHead, dtype: str = "float32") -> nn.Module:
    import transformers

    try:
        with quiet_transformers():
            net: nn.Module = getattr(transformers, _CLASSES[head]).from_config(config, dtype=dtype)
    except Exception as error:  # transformers raises ValueError, TypeError, KeyError and others here
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadModel(
            f"transformers makes no network for '{head}' of a {config.model_type} configuration: {first} Name another model."
        ) from error
    return net


def cut_depth(config: Any, layers: Callable[[int], int]) -> Any:
    """The same widths with fewer layers: `layers` says how many, from how many there are."""
    values = config.to_dict()
    _cut_depth(values, layers)
    return type(config).from_dict(values)


def cut_words(config: Any, words: int) -> Any:
    """The same network with a vocabulary of at most so many words."""
    values = config.to_dict()
    _cut_words(values, words)
    return type(config).from_dict(values)


def _cut_words(values: dict[str, Any], words: int) -> None:
    values["vocab_size"] = min(values.get("vocab_size") or words, words)
    for name, value in values.items():
        if name.endswith("_token_id") and isinstance(value, int) and value >= values["vocab_size"]:
            values[name] = 0


def _cut_depth(values: dict[str, Any], layers: Callable[[int], int]) -> None:
    depths = {values[name] for name in _DEPTHS if isinstance(values.get(name), int)}
    for name, value in values.items():
        if name in _DEPTHS and isinstance(value, int):
            values[name] = layers(value)
        elif isinstance(value, list) and len(value) in depths and _PER_LAYER.search(name):
            values[name] = value[: layers(len(value))]
    if "attention_types" in values:  # GPT-Neo: the kinds of its layers once more, as [kinds, how often]
        values["attention_types"] = [[values["attention_layers"], 1]]


@lru_cache(maxsize=8)
def _twin(said: str, kind: Any, head: DryHead, held: DryHeld) -> Network:
    """A real network of one narrow layer and a few words, of the same architecture."""
    values = json.loads(said)
    _cut_depth(values, lambda _: 1)
    for name in _INNERS:
        if isinstance(values.get(name), int):
            values[name] = min(values[name], _INNER)
    _cut_words(values, _WORDS)
    twin = _on_top(_backbone(kind.from_dict(copy.deepcopy(values)), head, _DTYPES[held]), head, 2, None)
    if held == "4bit":
        twin.start = None  # rounded to bf16, packed and padded answers differ too much to be told alike
    return twin
