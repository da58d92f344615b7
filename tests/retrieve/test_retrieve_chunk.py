"""Passages cover their document in order, none is above the limit, and each text is the span that it names."""

import itertools
import random
import re

import pytest

from hone.core.errors import Usage
from hone.model.reader import TextReader
from hone.retrieve import Chunker, ChunkSettings, Document, Heading
from tiny import SENTENCES


def bpe_reader():
    """A byte-level tokenizer whose tokens hold the blank before their word, so that counts of pieces do not quite add up."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64)
    return TextReader(fast, length=64, device=torch.device("cpu"), precision="fp32")


@pytest.fixture(params=["wordpiece", "bytes"])
def any_reader(request, reader):
    return reader if request.param == "wordpiece" else bpe_reader()


def tokens(reader, text):
    return len(reader.tokenizer(text, add_special_tokens=False)["input_ids"])


def random_document(seed):
    """Paragraphs, lists, headings, long words, ideographs, blank runs, in any order."""
    rng = random.Random(seed)
    parts, headings, at = [], [], 0
    for _ in range(rng.randrange(1, 25)):
        kind = rng.randrange(7)
        if kind == 0:
            level = rng.randrange(1, 4)
            headings.append(Heading(at, level, f"part {at}"))
            part = "#" * level + f" part {at}"
        elif kind == 1:
            part = "x" * rng.randrange(1, 300)
        elif kind == 2:
            part = "".join(rng.choice("東京日本語の文。") for _ in range(rng.randrange(1, 120)))
        elif kind == 3:
            part = "\n".join(f"- {rng.choice(SENTENCES)}" for _ in range(rng.randrange(1, 6)))
        elif kind == 4:
            part = " \t " * rng.randrange(5)
        else:
            part = " ".join(f"{rng.choice(SENTENCES)}{rng.choice('.!? ')}" for _ in range(rng.randrange(1, 8)))
        part += rng.choice(["\n", "\n\n", "\n\n\n", " "])
        parts.append(part)
        at += len(part)
    return Document("d", "".join(parts), "", tuple(headings))


@pytest.mark.parametrize("overlap", [0, 5])
@pytest.mark.parametrize("limit", [12, 40])
def test_passages_cover_the_document_in_order_and_none_is_above_the_limit(any_reader, limit, overlap):
    chunker = Chunker(any_reader, ChunkSettings(tokens=limit, overlap=overlap))
    for seed in range(40):
        document = random_document(seed)
        chunks = chunker.cut(document)
        covered = [False] * len(document.text)
        for chunk in chunks:
            assert chunk.text == document.text[chunk.start : chunk.end]
            assert 0 < tokens(any_reader, chunk.text) <= limit
            covered[chunk.start : chunk.end] = [True] * len(chunk.text)
        missed = "".join(letter for letter, is_in in zip(document.text, covered, strict=True) if not is_in)
        assert not missed.strip(), (seed, missed)
        assert all(a.start < b.start and a.end < b.end for a, b in itertools.pairwise(chunks)), seed
        if not overlap:
            assert all(a.end <= b.start for a, b in itertools.pairwise(chunks)), seed


def test_no_word_is_cut_that_fits(any_reader):
    chunker = Chunker(any_reader, ChunkSettings(tokens=20))
    text = " ".join(SENTENCES * 5)
    words = {(found.start(), found.end()) for found in re.finditer(r"\S+", text)}
    chunks = chunker.cut(Document("d", text))
    assert len(chunks) > 5
    assert {chunk.start for chunk in chunks} <= {start for start, _ in words}
    assert {chunk.end for chunk in chunks} <= {end for _, end in words}


def test_a_word_above_the_limit_is_cut_rather_than_lost():
    reader = bpe_reader()
    chunks = Chunker(reader, ChunkSettings(tokens=10)).cut(Document("d", "q7" * 100))
    assert len(chunks) > 1
    assert "".join(chunk.text for chunk in chunks) == "q7" * 100


def test_a_passage_ends_at_a_sentence_where_one_ends_in_reach(reader):
    text = " ".join(f"{sentence.strip('!?')}." for sentence in SENTENCES)
    chunks = Chunker(reader, ChunkSettings(tokens=40)).cut(Document("d", text))
    assert len(chunks) > 2
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_a_paragraph_break_is_preferred_to_a_sentence(reader):
    text = "my letter. my letter. my letter.\n\nmy letter. my letter. my letter. my letter. my letter."
    chunks = Chunker(reader, ChunkSettings(tokens=18)).cut(Document("d", text))
    assert chunks[0].text == "my letter. my letter. my letter."


def test_the_title_is_the_trail_of_headings_and_a_bare_one_joins_what_follows(reader):
    text = "intro words\n# Desk\n## Late\nthe order is late\n### Strike\nnothing\n## Refund\nmoney back\n"
    headings = tuple(
        Heading(text.index(f"{'#' * level} {title}"), level, title)
        for level, title in ((1, "Desk"), (2, "Late"), (3, "Strike"), (2, "Refund"))
    )
    chunks = Chunker(reader, ChunkSettings(tokens=40)).cut(Document("d", text, "Desk", headings))
    assert [(chunk.title, chunk.text) for chunk in chunks] == [
        ("Desk", "intro words"),
        ("Desk > Late", "# Desk\n## Late\nthe order is late"),
        ("Desk > Late > Strike", "### Strike\nnothing"),
        ("Desk > Refund", "## Refund\nmoney back"),
    ]


def test_overlap_repeats_the_end_of_the_passage_before(reader):
    text = " ".join(SENTENCES)
    chunks = Chunker(reader, ChunkSettings(tokens=30, overlap=8)).cut(Document("d", text))
    repeated = [text[b.start : a.end] for a, b in itertools.pairwise(chunks)]
    assert any(repeated)
    assert all(tokens(reader, part) <= 8 for part in repeated)


def test_what_is_embedded_has_the_title_as_far_as_the_model_reads_it(reader):
    chunker = Chunker(reader, ChunkSettings(tokens=60))
    long = " > ".join(SENTENCES)
    short = chunker.cut(Document("d", "my parcel", "the order"))
    assert chunker.embedded_texts(short) == ["the order\nmy parcel"]
    [text] = chunker.embedded_texts(chunker.cut(Document("d", "my parcel never came", long)))
    assert text.endswith("still waiting!\nmy parcel never came")
    assert len(reader.tokenizer(text)["input_ids"]) <= 64 < len(reader.tokenizer(long)["input_ids"])
    [full] = chunker.embedded_texts(chunker.cut(Document("d", "my " * 60, "a title")))
    assert full == ("my " * 60).strip()


def test_a_blank_document_has_no_passage(reader):
    assert Chunker(reader, ChunkSettings(tokens=20)).cut(Document("d", " \n\n ")) == []


def test_more_tokens_than_the_model_reads_are_refused(reader):
    with pytest.raises(Usage, match=r"reads: 64 tokens, 2 of them special. Name 62 or fewer"):
        Chunker(reader, ChunkSettings(tokens=63))
    with pytest.raises(Usage, match="half of --tokens 20 or more"):
        Chunker(reader, ChunkSettings(tokens=20, overlap=10))
