"""What `benchmarks/train.py` trains: its parts, the random models they start from, and the rows.

The models have real shapes and random weights, made from one seed: only size and arithmetic matter here. Every contender gets the same
token ids, which hone's objectives made.
"""

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hone.catalogue import locate_model
from hone.model import Renderer, TextReader, load_reader, quiet_transformers
from hone.train import Classify, Complete, WriteTarget
from labelled_rows import ag_news, banking77, dialogsum

__all__ = ["LENGTH", "PARTS", "WORDS", "Part", "make_models", "make_tokenizer", "prepared_rows"]

LENGTH = 1024
"""Tokens that a decoder, an encoder and a decoder of an encoder-decoder may read; TRL's default. Longer rows are left out."""
WORDS = 16_384


@dataclass(frozen=True)
class Part:
    """One thing to train."""

    name: str
    model: str
    head: str
    """causal, seq2seq or classify."""
    data: str
    trainable: str
    batch_rows: int
    """Rows per optimiser step, the same for all contenders; 8 is the trainers' default."""
    rate: float
    ratio: str
    """How the ratios of this part begin."""
    default: str | None
    """How the ratio to the peer's defaults ends; None where it has none."""


PARTS = {
    part.name: part
    for part in (
        Part("decoder_full", "decoder", "causal", "dialogsum", "full", 8, 3e-4, "decoder_full", "trl_default"),
        Part("decoder_lora", "decoder", "causal", "dialogsum", "lora", 8, 1e-3, "decoder_lora", "trl_default"),
        Part("seq2seq_full", "seq2seq", "seq2seq", "dialogsum", "full", 8, 3e-4, "seq2seq_full", "trainer_default"),
        Part("large_vocabulary", "large_vocabulary", "causal", "dialogsum", "full", 8, 3e-4, "large_vocabulary", "trl_default"),
        Part("banking77", "encoder", "classify", "banking77", "full", 16, 5e-5, "classification", None),
        Part("ag_news", "encoder", "classify", "ag_news", "full", 16, 5e-5, "classification", None),
    )
}


def make_models(folder: Path, data: Path, names: Sequence[str]) -> None:
    """Write the models that are named, each in a folder of its own, with their tokenizer."""
    import transformers

    special = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
    llama = {
        "hidden_size": 512,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "intermediate_size": 1376,
        "max_position_embeddings": LENGTH,
        "tie_word_embeddings": True,
        **special,
    }
    t5 = {"d_model": 512, "num_layers": 8, "num_decoder_layers": 8, "num_heads": 8, "d_kv": 64, "d_ff": 2048, "dropout_rate": 0.0}
    made = {
        "decoder": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**llama, vocab_size=WORDS)),
        "large_vocabulary": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**llama, vocab_size=131_072)),
        "seq2seq": lambda: transformers.T5ForConditionalGeneration(
            transformers.T5Config(**t5, vocab_size=32_000, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
        ),
    }
    tokenizer = None
    for name in dict.fromkeys(names):
        if name == "encoder":
            _copy_encoder(folder / name)
            continue
        tokenizer = tokenizer or make_tokenizer(data, length=LENGTH, adds_end=True)
        torch.manual_seed(0)
        with quiet_transformers():
            made[name]().save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


def make_tokenizer(data: Path, *, length: int, adds_end: bool) -> Any:
    """Byte pairs of DialogSum; models with a larger vocabulary have entries that no text uses. `adds_end`: whether texts end with `</s>`."""
    from tokenizers import ByteLevelBPETokenizer, processors
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    texts = [text for row in dialogsum(data) for text in (row.prompt, row.completion)]
    trained.train_from_iterator(texts, vocab_size=WORDS, min_frequency=1, special_tokens=["<pad>", "</s>"], show_progress=False)
    if adds_end:
        trained._tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, pad_token="<pad>", eos_token="</s>", model_max_length=length
    )


def _copy_encoder(folder: Path) -> None:
    """The starter encoder without dropout."""
    shutil.copytree(locate_model("starter/encoder").path, folder)
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    file.write_text(json.dumps(config | quiet), encoding="utf-8")


@dataclass(frozen=True)
class Prepared:
    """A part's rows as hone encodes them."""

    objective: Any
    items: list[Any]
    labels: tuple[str, ...]
    reader: TextReader


@cache
def prepared_rows(part: Part, models: Path, data: Path) -> Prepared:
    """All rows of a part that fit the context, in a fixed random order."""
    reader = load_reader(locate_model(str(models / part.model)))
    if part.head == "classify":
        examples = ag_news(data) if part.data == "ag_news" else _shuffled(banking77(data, "train"))
        labels = tuple(sorted({example.label for example in examples}))
        classify = Classify(labels, reader)
        return Prepared(classify, classify.encode(examples), labels, reader)
    objective = WriteTarget(reader) if part.head == "seq2seq" else Complete(Renderer(reader.tokenizer, length=LENGTH, chat=False))
    with quiet_transformers():  # of rows too long, which are left out
        items = [item for item in objective.encode(dialogsum(data)) if not item.is_cut]
    return Prepared(objective, items, (), reader)


def _shuffled(examples: list[Any]) -> list[Any]:
    random.Random(0).shuffle(examples)
    return examples
