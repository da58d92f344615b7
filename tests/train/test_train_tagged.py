"""Tagged words as a model reads them, whatever its tokenizer does with spaces."""

import re

import pytest
import torch

from hone.model import TextReader
from hone.task import Tagged
from hone.train import Tag
from tiny import SENTENCES, save_tokenizer


def reader_of(tokenizer):
    return TextReader(tokenizer, length=64, device=torch.device("cpu"), precision="fp32")


def byte_tokenizer(**more):
    """Byte-level BPE as RoBERTa has it, and as `hone pretrain` trains it: a word in a sentence begins with its space."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special, alphabet = ["<s>", "</s>", "<pad>"], pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.Sequence(
        [
            processors.ByteLevel(**more),
            processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]),
        ]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


@pytest.mark.parametrize("trim_offsets", [True, False])
def test_tagged_words_are_read_as_the_text_they_are(trim_offsets):
    reader = reader_of(byte_tokenizer(trim_offsets=trim_offsets))
    tokenizer = reader.tokenizer
    rows = [("my", "parcel", "is", "late"), ("the", "\U0001f4e6", "never", "", "came")]
    for words in rows:
        (found,) = Tag(words, reader).encode([Tagged(words, words, "f", 1)])
        assert found.ids == tokenizer(" ".join(words))["input_ids"]
        told = [words[label] for label in found.labels]
        assert told == [word for word in words if word]
        for place, word in zip(found.places, told, strict=True):
            first = tokenizer.decode([found.ids[place]]).strip()
            assert word.startswith(first) or first == "\ufffd"


def test_tagged_words_in_word_pieces_are_read_as_before(tmp_path):
    """Word pieces are the same whether the words come one by one or as text."""
    reader = reader_of(save_tokenizer(tmp_path))
    for text in SENTENCES:
        words = tuple(re.findall(r"\S+", text))
        (found,) = Tag(words, reader).encode([Tagged(words, words, "f", 1)])
        theirs = reader.tokenizer(list(words), is_split_into_words=True)
        owners = theirs.word_ids()
        assert found.ids == theirs["input_ids"]
        assert found.places == [at for at, one in enumerate(owners) if one is not None and one not in owners[:at]]
        assert [words[label] for label in found.labels] == list(words)
