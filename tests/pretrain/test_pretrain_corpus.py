"""The corpus on disk: what is cut, what is held out, and that nothing is lost or mixed on the way."""

import gzip
import json

import numpy as np
import pytest

from hone.core.errors import BadData
from hone.model import train_tokenizer
from hone.pretrain.corpus import Pieces, encode_corpus, hold_out, open_corpus, sample_texts
from hone.task import find_sources, read_texts
from tiny import SENTENCES

TEXTS = [" ".join((text, other)) for text in SENTENCES for other in SENTENCES]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, words=420, family="decoder", context=64)


def encoded(folder, tokenizer, texts, around=([], [0])):
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return encode_corpus(
        find_sources([str(file)]), folder / "corpus", tokenizer=tokenizer, around=around, text=(), total=len(texts)
    )


def test_a_folder_gives_whole_text_files_and_the_rows_of_row_files(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.txt").write_text("one text,\nof two lines", encoding="utf-8")
    (tmp_path / "deep" / "b.md").write_text("# another", encoding="utf-8")
    (tmp_path / ".hidden.txt").write_text("never read", encoding="utf-8")
    with gzip.open(tmp_path / "c.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write('{"title": "t", "text": "first"}\n{"title": "u", "text": ""}\n{"title": "v", "text": "last"}\n')
    found = [text for source in find_sources([str(tmp_path)]) for text in read_texts(source)]
    assert found == ["one text,\nof two lines", "first", "last", "# another"]


def test_a_text_column_may_be_named(tmp_path):
    (tmp_path / "rows.csv").write_text("headline,words\nhello,the words that are meant\n", encoding="utf-8")
    assert list(read_texts(*find_sources([str(tmp_path / "rows.csv")]), text=("words",))) == ["the words that are meant"]


@pytest.mark.parametrize(
    ("names", "said"), [([], "No text is named"), (["empty"], "holds no file"), (["none.jsonl"], "does not exist")]
)
def test_what_cannot_be_read_is_said(names, said, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match=said):
        [list(read_texts(source)) for source in find_sources([str(tmp_path / name) for name in names])]


def test_what_cannot_be_read_is_told_with_its_reason_and_the_rest_goes_on(tmp_path):
    (tmp_path / "a.txt").write_text("a good text", encoding="utf-8")
    (tmp_path / "blank.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("caf\xe9 au lait ".encode("latin-1") * 9)
    (tmp_path / "nul.txt").write_text("good \0 bad", encoding="utf-8")
    (tmp_path / "wide.txt").write_text("caf\xe9", encoding="utf-16")
    (tmp_path / "rows.jsonl").write_text(
        '{"text": "first"}\n{"text": broken}\n{"text": ""}\n{"text": "last"}\n', encoding="utf-8"
    )
    (tmp_path / "stray.json").write_text('[{"name": "x", "v": 1}]', encoding="utf-8")
    (tmp_path / "blank.jsonl").write_text("\n", encoding="utf-8")
    (tmp_path / "cover.png").write_bytes(b"x")
    told = []
    sources = find_sources([str(tmp_path)], unread=told.append)
    assert [text for source in sources for text in read_texts(source, unread=told.append)] == [
        "a good text", "first", "last", "caf\xe9"
    ]  # fmt: skip
    reasons = {one.name.removeprefix(f"{tmp_path}/"): one.reason for one in told}
    names = (
        "cover.png",
        "blank.jsonl",
        "blank.txt",
        "latin.txt",
        "nul.txt",
        "rows.jsonl line 2",
        "rows.jsonl line 3",
        "stray.json",
    )
    assert tuple(reasons) == names
    assert "is empty" in reasons["blank.txt"]
    assert "iconv" in reasons["latin.txt"]
    assert "NUL" in reasons["nul.txt"]


def test_a_named_blank_table_is_passed_over_and_a_named_one_without_a_text_is_refused(tmp_path):
    (tmp_path / "blank.jsonl").write_text("\n", encoding="utf-8")
    (tmp_path / "stray.json").write_text('[{"name": "x", "v": 1}]', encoding="utf-8")
    told = []
    assert list(read_texts(*find_sources([str(tmp_path / "blank.jsonl")]), unread=told.append)) == []
    assert len(told) == 1
    with pytest.raises(BadData, match=r"stray\.json"):
        list(read_texts(*find_sources([str(tmp_path / "stray.json")]), unread=told.append))


def test_the_stream_holds_every_text_and_its_end(tokenizer, tmp_path):
    corpus = encoded(tmp_path, tokenizer, TEXTS)
    for index, text in enumerate(TEXTS):
        ids = corpus.tokens[corpus.starts[index] : corpus.ends[index]].tolist()
        assert ids[-1] == 0
        assert tokenizer.decode(ids[:-1]) == text
    assert corpus.sizes.tolist() == [len(text.encode()) for text in TEXTS]


@pytest.mark.parametrize("room", [9, 16, 1000])
def test_pieces_cover_each_text_and_never_hold_two(room, tokenizer, tmp_path):
    corpus = encoded(tmp_path, tokenizer, TEXTS[:30])
    chosen = np.array([3, 4, 11])
    pieces = Pieces(corpus, chosen, room=room, make=list)
    whole = [corpus.tokens[corpus.starts[index] : corpus.ends[index]].tolist() for index in chosen]
    expected = [text[at : at + room] for text in whole for at in range(0, len(text), room)]
    kept = [piece for piece in expected if len(piece) >= 8 or piece in whole]
    assert list(pieces) == kept
    assert pieces.tokens == sum(map(len, kept))
    assert max(map(len, pieces)) <= room


def test_a_validation_text_is_in_training_neither_once_nor_again(tokenizer, tmp_path):
    corpus = encoded(tmp_path, tokenizer, [*TEXTS, *TEXTS])
    train, held = hold_out(corpus, seed=0)
    said = set(corpus.digests[held].tolist())
    assert held.size
    assert not said & set(corpus.digests[train].tolist())
    assert len(train) == 2 * len(TEXTS) - 2 * len(said)


def test_one_text_alone_cannot_be_validated(tokenizer, tmp_path):
    corpus = encoded(tmp_path, tokenizer, TEXTS[:1])
    with pytest.raises(BadData, match="one text"):
        hold_out(corpus, seed=0)


def test_a_corpus_is_opened_again_as_it_was(tokenizer, tmp_path):
    made = encoded(tmp_path, tokenizer, TEXTS)
    found = open_corpus(tmp_path / "corpus")
    assert np.array_equal(found.tokens, made.tokens)
    assert open_corpus(tmp_path / "nowhere") is None


def test_every_third_text_is_sampled(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": f"text {n}"}) + "\n" for n in range(7)), encoding="utf-8")
    assert list(sample_texts(find_sources([str(tmp_path / "rows.jsonl")]), text=(), every=3)) == ["text 0", "text 3", "text 6"]
