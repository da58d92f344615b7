"""Passages of evaluation sets are found by sequences of words, across paragraphs too, and only they are taken out."""

import gzip

import pytest
from corpus import document, write_rows

from hone.core.errors import BadData
from hone.curate.overlap import Overlap, index_sets

QUESTION = "A farmer has seventeen sheep and all but nine of them run away; how many sheep are left on the farm?"


def overlap(tmp_path, rows, *, words=13, name="test.jsonl"):
    file = str(write_rows(tmp_path / name, rows))
    sets = index_sets([file], tmp_path / "index", words=words)
    return Overlap(tmp_path / "index", [file], words=words), sets, file


def test_the_paragraph_that_holds_a_question_goes_and_the_others_stay(tmp_path):
    found, _, file = overlap(tmp_path, [{"question": QUESTION, "answer": "9"}])
    before, after = document(1, paragraphs=2), document(2, paragraphs=2)
    text = f"{before}\n\nQuoted: {QUESTION.upper()}\n\n{after}"
    assert found.find(text) == (f"{before}\n\n\n{after}", {file: 1})


def test_case_signs_and_numbers_do_not_hide_a_passage(tmp_path):
    found, _, file = overlap(
        tmp_path, [{"q": "In 1912 the ship left the old harbour with 700 men, and none of them ever came back."}]
    )
    assert found.find("in 1913 the ship left the OLD harbour (with 800 men) and none of them — ever — came back")[1] == {file: 1}


def test_twelve_words_in_common_are_no_overlap(tmp_path):
    found, _, _ = overlap(tmp_path, [{"question": QUESTION}])
    text = " ".join(QUESTION.split()[:12]) + " stayed."
    assert found.find(text) == (text, {})


def test_a_passage_across_two_paragraphs_takes_both(tmp_path):
    found, _, file = overlap(tmp_path, [{"question": QUESTION}])
    words = QUESTION.split()
    text = f"Before.\n{' '.join(words[:9])}\n{' '.join(words[9:])}\nAfter."
    assert found.find(text) == ("Before.\nAfter.", {file: 2})


def test_strings_inside_lists_are_looked_for_and_short_ones_are_counted(tmp_path):
    found, sets, file = overlap(tmp_path, [{"choices": {"text": [QUESTION, "short"]}, "id": 7}])
    assert (sets[0].texts, sets[0].too_short) == (2, 1)
    assert found.find(QUESTION)[1] == {file: 1}


def test_a_set_without_a_long_text_is_refused(tmp_path):
    with pytest.raises(BadData, match="no text of 13 words"):
        overlap(tmp_path, [{"q": "too short"}])
    assert overlap(tmp_path, [{"q": "this one has just six words"}], words=6)[1][0].too_short == 0


def test_what_two_sets_share_counts_for_the_first(tmp_path):
    files = [str(write_rows(tmp_path / name, [{"q": QUESTION}])) for name in ("a.jsonl", "b.jsonl")]
    index_sets(files, tmp_path / "index", words=13)
    assert Overlap(tmp_path / "index", files, words=13).find(QUESTION)[1] == {files[0]: 1}


@pytest.mark.parametrize("name", ["set.txt", "set.TXT", "set.txt.gz", "SET.TXT.GZ", "set.md", "set.markdown", "set.rst", "set"])
def test_every_kind_of_text_file_is_one_text_from_its_first_line_on(tmp_path, name):
    text = f"{QUESTION}\n\nAnother line, to be read.".encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.lower().endswith(".gz") else text)
    (one,) = index_sets([str(tmp_path / name)], tmp_path / "index", words=13)
    assert (one.texts, one.too_short, one.unread) == (1, 0, 0)
    assert Overlap(tmp_path / "index", [one.name], words=13).find(QUESTION)[1] == {one.name: 1}


def test_rows_that_cannot_be_read_are_counted_and_the_rest_is_looked_for(tmp_path):
    other = "Seven red boats left the harbour before dawn and none of the keepers saw which way they went."
    file = tmp_path / "set.jsonl"
    file.write_bytes(b'{"q": broken}\n[1]\n{"q": "caf\x81", "a": "%b"}\n{"q": "%b"}\n' % (other.encode(), QUESTION.encode()))
    (one,) = index_sets([str(file)], tmp_path / "index", words=13)
    assert (one.texts, one.unread) == (2, 3)
    found = Overlap(tmp_path / "index", [one.name], words=13)
    assert [found.find(text)[1] for text in (QUESTION, other)] == [{str(file): 1}] * 2


def test_a_text_file_of_another_encoding_is_refused_with_the_cure(tmp_path):
    (tmp_path / "set.txt").write_bytes(f"caf\xe9 {QUESTION}".encode("latin-1"))
    with pytest.raises(BadData, match="iconv"):
        index_sets([str(tmp_path / "set.txt")], tmp_path / "index", words=13)
