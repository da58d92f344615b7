"""The door to transformers for loading: tokenizer and backbone; every failure becomes one clear line."""

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from hone.core.errors import BadModel
from hone.model.locate import ModelFolder

__all__ = ["context_length", "load_backbone", "load_tokenizer", "quiet_transformers"]

_LONG = 1_000_000  # tokenizers without a limit say 1e30
# Their positions count from pad id + 1 (create_position_ids_from_input_ids), so the table holds two rows that no token uses.
_OFFSET_POSITIONS = {
    *("camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mpnet"),
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
}


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
        BadModel: it is missing or damaged.
    """
    from transformers import AutoTokenizer

    with quiet_transformers(), _clear_errors(folder, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def load_backbone(folder: ModelFolder) -> nn.Module:
    """The encoder without any head, in fp32, in evaluation mode; what hone does not use of it takes no gradient.

    Raises:
        BadModel: it is not an encoder, or its weights do not fit its configuration.
    """
    from transformers import AutoModel

    _encoder_config(folder)
    with quiet_transformers(), _clear_errors(folder, "weights"):
        net, report = AutoModel.from_pretrained(
            folder.path, local_files_only=True, use_safetensors=True, dtype="float32", output_loading_info=True
        )
    _check_loaded(folder, report["missing_keys"])
    net.config._name_or_path = net.name_or_path = folder.published_name or folder.name  # adapters record it as their base
    net.config._commit_hash = folder.revision
    for name, parameter in net.named_parameters():
        parameter.requires_grad = not name.startswith("pooler.")  # hone pools by itself: nothing would ever move there
    net.eval()
    return net  # type: ignore[no-any-return]


def context_length(folder: ModelFolder, tokenizer: Any) -> int:
    """Longest input in tokens: the least of what the tokenizer, the position table and the sentence configuration allow."""
    config = _encoder_config(folder)
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length < _LONG else []
    positions = getattr(config, "max_position_embeddings", None)
    if positions:
        limits.append(positions - (2 if config.model_type in _OFFSET_POSITIONS else 0))
    said = folder.path / "sentence_bert_config.json"
    if said.is_file():
        limit = json.loads(said.read_text(encoding="utf-8")).get("max_seq_length")
        limits += [limit] if limit else []
    return int(min(limits)) if limits else 512


def _encoder_config(folder: ModelFolder) -> Any:
    """The configuration; refused where it is not an encoder's."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    with quiet_transformers(), _clear_errors(folder, "configuration"):
        config = AutoConfig.from_pretrained(folder.path, local_files_only=True)
    if config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or getattr(config, "is_encoder_decoder", False):
        raise BadModel(
            f"'{folder.name}' is a {config.model_type} model, not an encoder. Comparing classifiers needs an encoder, "
            "such as starter/encoder, a BERT, RoBERTa, DeBERTa, ModernBERT or a sentence-transformers model. Name one with --model."
        )
    return config


def _check_loaded(folder: ModelFolder, missing: Sequence[str]) -> None:
    lost = sorted(key for key in missing if "position_ids" not in key and "pooler" not in key)
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
