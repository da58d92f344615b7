"""The door to transformers for loading: tokenizer and backbone; every failure becomes one clear line."""

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from torch import nn

from hone.catalogue.locate import ModelFolder, without_languages
from hone.core.errors import BadModel, Usage, need
from hone.model.translators import is_told_by_tokenizer, name_languages, opens_with

__all__ = [
    "Family",
    "Held",
    "context_length",
    "family",
    "load_backbone",
    "load_pretrained",
    "load_tokenizer",
    "quantisation",
    "quiet_transformers",
    "read_config",
]

Held = Literal["plain", "4bit", "8bit"]
Family = Literal["encoder", "decoder", "encoder-decoder"]

_A: dict[Family, str] = {"encoder": "an encoder", "decoder": "a decoder", "encoder-decoder": "an encoder-decoder"}
_FAMILY_OF_HEAD: dict[str, Family] = {"causal": "decoder", "masked": "encoder", "seq2seq": "encoder-decoder"}
_CLASS_OF_HEAD = {"causal": "AutoModelForCausalLM", "masked": "AutoModelForMaskedLM", "seq2seq": "AutoModelForSeq2SeqLM"}
_LONG = 1_000_000  # tokenizers without a limit say 1e30
# Their positions count from pad id + 1 (create_position_ids_from_input_ids), so the table holds two rows that no token uses.
_OFFSET_POSITIONS = {
    *("camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mpnet"),
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
}
_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")  # the last two: MPT and BLOOM
_RELATIVE_POSITIONS = {"t5", "mt5", "umt5", "longt5", "switch_transformers"}  # their n_positions bounds nothing


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' own bars and load reports off the terminal; what matters is raised as an error."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging as their_logging

    level = their_logging.get_verbosity()
    their_logging.set_verbosity(logging.ERROR)
    their_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        their_logging.set_verbosity(level)


def load_tokenizer(folder: ModelFolder) -> Any:
    """The model's fast tokenizer, padding on the right.

    Raises:
        BadModel: it is missing or damaged. Usage: the model translates between many languages, and which is not said.
    """
    from transformers import AutoTokenizer

    with quiet_transformers(), _clear_errors(folder, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    name_languages(tokenizer, folder)
    return tokenizer


def load_backbone(folder: ModelFolder) -> nn.Module:
    """The encoder without any head, in fp32, in evaluation mode; what hone does not use of it takes no gradient.

    Raises:
        BadModel: it is not an encoder, or its weights do not fit its configuration.
    """
    _check_encoder(folder, read_config(folder))
    net: nn.Module = _from_pretrained(folder, "AutoModel")
    for name, parameter in net.named_parameters():
        parameter.requires_grad = not name.startswith("pooler.")  # hone pools by itself: nothing would ever move there
    return net


def load_pretrained(folder: ModelFolder, head: str, *, held: Held = "plain") -> Any:
    """The network with its output layer over the vocabulary, in evaluation mode.

    Args:
        head: causal, masked or seq2seq. held: fp32, or quantised by bitsandbytes (QLoRA, https://arxiv.org/abs/2305.14314).
    Raises:
        BadModel: the architecture has no such form, or its weights do not fit its configuration.
    """
    config = read_config(folder)
    has = family(config)
    wanted = _FAMILY_OF_HEAD[head]
    if has != wanted:
        raise BadModel(
            f"'{folder.name}' is a {config.model_type} model, {_A[has]}; this training needs {_A[wanted]}. Name another with --model."
        )
    net = _from_pretrained(folder, _CLASS_OF_HEAD[head], **_quantised(held))
    if head == "seq2seq":
        _open_answers(net, folder)
    # Else bitsandbytes packs 4-bit weights on a CPU when a layer first answers without gradient, and what is packed gives none.
    for module in net.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return net


def _from_pretrained(folder: ModelFolder, class_name: str, **options: Any) -> Any:
    import transformers

    with quiet_transformers(), _clear_errors(folder, "weights"):
        net, report = getattr(transformers, class_name).from_pretrained(
            folder.path, local_files_only=True, use_safetensors=True, output_loading_info=True, **({"dtype": "float32"} | options)
        )
    _check_loaded(folder, report["missing_keys"], below=net.base_model_prefix if hasattr(net, net.base_model_prefix) else None)
    base = folder.published_name or without_languages(folder.name)
    net.config._name_or_path = net.name_or_path = base  # adapters record it
    net.config._commit_hash = folder.revision
    net.eval()
    return net


def _open_answers(net: Any, folder: ModelFolder) -> None:
    """Have a translator's answers begin in the language that stands behind its name, or in its tokenizer where nothing else says one."""
    if not is_told_by_tokenizer(folder):
        return
    start, forced = opens_with(load_tokenizer(folder))
    net.config.decoder_start_token_id = net.config.decoder_start_token_id if start is None else start
    net.generation_config.decoder_start_token_id = net.config.decoder_start_token_id
    net.generation_config.forced_bos_token_id = forced


def _quantised(held: Held) -> dict[str, Any]:
    """What transformers is told about the weights.

    Raises:
        MissingPackage: bitsandbytes is not installed. Usage: it has no arithmetic for this machine.
    """
    if held == "plain":
        return {}
    import torch

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of every 8-bit product that its input is converted
    package = need("bitsandbytes", extra="gpu")
    on_gpu = torch.cuda.is_available()
    if not on_gpu and "cpu" not in getattr(package, "supported_torch_devices", ()):
        raise Usage(
            f"--load {held} needs a CUDA GPU with the bitsandbytes that is installed, and this machine has none. Install a newer one, which "
            "computes on CPUs too, or leave --load out: LoRA then holds the base in plain weights."
        )
    where = torch.cuda.current_device() if on_gpu else "cpu"  # of this process, where several train
    return {"quantization_config": quantisation(held), "dtype": "bfloat16", "device_map": {"": where}}


def quantisation(held: Literal["4bit", "8bit"]) -> Any:
    """transformers' configuration: QLoRA's NF4 with quantised scales and products in bf16, or LLM.int8()."""
    import torch
    from transformers import BitsAndBytesConfig

    if held == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def context_length(folder: ModelFolder, tokenizer: Any) -> int:
    """Longest input in tokens: the least of what the tokenizer, the position table and the sentence configuration allow.

    Where nothing bounds it: 2,048 for a decoder, as in lm-evaluation-harness, else 512.
    """
    config = read_config(folder)
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length < _LONG else []
    if config.model_type not in _RELATIVE_POSITIONS and (positions := _positions(config)):
        limits.append(positions - (2 if config.model_type in _OFFSET_POSITIONS else 0))
    said = folder.path / "sentence_bert_config.json"
    if said.is_file():
        limit = json.loads(said.read_text(encoding="utf-8")).get("max_seq_length")
        limits += [limit] if limit else []
    return int(min(limits)) if limits else (2048 if family(config) == "decoder" else 512)


def _positions(config: Any) -> int | None:
    """Tokens for which an architecture says that it was made; of one that reads images, too, its text part says it."""
    text = config.get_text_config()
    return next((int(size) for name in _POSITIONS if (size := getattr(text, name, None))), None)


def read_config(folder: ModelFolder) -> Any:
    """The model's configuration.

    Raises:
        BadModel: it cannot be read.
    """
    from transformers import AutoConfig

    with quiet_transformers(), _clear_errors(folder, "configuration"):
        return AutoConfig.from_pretrained(folder.path, local_files_only=True)


def family(config: Any) -> Family:
    """What kind of transformer a configuration describes."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    if getattr(config, "is_encoder_decoder", False):
        return "encoder-decoder"
    return "encoder" if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES else "decoder"


def _check_encoder(folder: ModelFolder, config: Any) -> None:
    if family(config) != "encoder":
        raise BadModel(
            f"'{folder.name}' is a {config.model_type} model, not an encoder. Comparing classifiers needs an encoder, "
            "such as starter/encoder, a BERT, RoBERTa, DeBERTa, ModernBERT or a sentence-transformers model. Name one with --model."
        )


def _check_loaded(folder: ModelFolder, missing: Sequence[str], *, below: str | None) -> None:
    """That nothing is lost but what no task needs. `below`: the prefix of all that is under an output layer; None where there is none."""
    lost = sorted(key for key in missing if "position_ids" not in key and "pooler" not in key)
    if lost and below and not any(key.startswith(f"{below}.") for key in lost):
        raise BadModel(
            f"'{folder.name}' has no output layer over its words ({lost[0]} and {len(lost) - 1} more are not among its weights), as is usual "
            "of models for sentence vectors: it can learn classes, numbers and tags, and neither fills gaps nor writes. Name another model."
        )
    if lost:
        raise BadModel(
            f"The weights in {folder.path} lack {len(lost)} tensors of the model, such as {lost[0]}. "
            "The file does not belong to its config.json, or is damaged: download or copy the model again."
        )


@contextlib.contextmanager
def _clear_errors(folder: ModelFolder, part: str) -> Iterator[None]:
    try:
        yield
    except BadModel:
        raise
    except Exception as error:  # transformers raises OSError, ValueError, RuntimeError, SafetensorError and others here
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadModel(
            f"The {part} of '{folder.name}' in {folder.path} cannot be read: {first} Download or copy the model again."
        ) from error
