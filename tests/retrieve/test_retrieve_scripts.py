"""Scripts without spaces between words, words that never end, and very long documents."""

import itertools

import pytest

from hone.retrieve import Chunker, ChunkSettings, Document, chunk, holding, shared_words
from hone.retrieve.records import Passage
from tiny import SENTENCES

THAI = "ประกาศวันหยุดประจำปีของพนักงานทุกคน"


def passages(*texts):
    return [Passage(text, "d", "", 0, len(text), 1.0) for text in texts]


@pytest.mark.parametrize(
    ("answer", "text", "is_held"),
    [
        ("三十天", "年假有三十天。", True),
        ("三十天。", "年假有三十天,不多", True),
        ("三十日", "年假有三十天。", False),
        ("休暇は", "年次休暇は三十日です", True),
        ("วันหยุด", THAI, True),
        ("art", "a party", False),
        ("IBM", "在IBM工作", True),
        ("30 days", "leave: 30 days", True),
        ("서울", "서울시청", False),
    ],
)
def test_an_answer_is_found_within_a_run_of_characters_where_a_script_has_no_spaces(answer, text, is_held):
    assert holding(passages("nothing", text), [answer]) == [False, is_held]


def test_characters_are_the_words_that_are_shared_where_a_script_has_no_spaces():
    assert shared_words("三十天", "年假有三十天。") == 1.0
    assert shared_words("三百天", "年假有三十天。") == pytest.approx(2 / 3)


@pytest.mark.parametrize("text", [THAI * 60, "deadbeef01234567" * 400], ids=["thai", "hex"])
def test_what_is_one_unknown_word_to_the_tokenizer_is_cut(reader, text):
    assert len(reader.tokenizer(text, add_special_tokens=False)["input_ids"]) == 1
    chunks = Chunker(reader, ChunkSettings(tokens=40)).cut(Document("d", text))
    assert "".join(chunk.text for chunk in chunks) == text
    assert max(len(chunk.text) for chunk in chunks) <= 17 * 40  # parts of 16, and marks that the tokenizer takes off
    around = Chunker(reader, ChunkSettings(tokens=40)).cut(Document("d", f"my parcel {text} is late"))
    assert around[0].text.startswith("my parcel") and around[-1].text.endswith("is late")


@pytest.mark.parametrize("stop", ["。", "！", "？", "。」"])
def test_a_passage_ends_at_a_sentence_also_where_no_space_follows_it(reader, stop):
    text = f"東京日本語の文東京日本語{stop}" * 12
    chunks = Chunker(reader, ChunkSettings(tokens=40)).cut(Document("d", text))
    assert len(chunks) > 2
    assert all(chunk.text.endswith(stop) for chunk in chunks)


def test_a_document_above_a_block_is_cut_at_its_paragraphs_and_covered_whole(reader, monkeypatch):
    text = "\n\n".join(" ".join(SENTENCES[at % 5 :]) for at in range(40))
    document, chunker = Document("d", text), Chunker(reader, ChunkSettings(tokens=40))
    whole = [(each.start, each.end) for each in chunker.cut(document)]
    monkeypatch.setattr(chunk, "_BLOCK", len(text))
    assert [(each.start, each.end) for each in chunker.cut(document)] == whole
    monkeypatch.setattr(chunk, "_BLOCK", 2_000)
    asked, offsets = [], Chunker._offsets
    monkeypatch.setattr(Chunker, "_offsets", lambda self, texts: asked.extend(texts) or offsets(self, texts))
    parts = chunker.cut(document)
    assert 1_000 < max(map(len, asked)) <= 2_000
    assert "".join("".join(each.text.split()) for each in parts) == "".join(text.split())
    edges = list(itertools.accumulate(map(len, asked)))[:-1]
    assert all(text[edge - 2 : edge] == "\n\n" for edge in edges)


def test_a_block_without_blanks_is_cut_where_it_is_full(reader, monkeypatch):
    monkeypatch.setattr(chunk, "_BLOCK", 500)
    text = "deadbeef" * 200
    chunks = Chunker(reader, ChunkSettings(tokens=40)).cut(Document("d", text))
    assert "".join(each.text for each in chunks) == text
