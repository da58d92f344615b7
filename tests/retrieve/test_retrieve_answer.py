"""Prompts and citations: what the model reads, what is left out, and what is said of where an answer's words stand."""

import pytest

from hone.catalogue import locate_model
from hone.core.errors import Usage
from hone.model import Generator, Renderer, Sampling, load_language_model, load_reader
from hone.retrieve import Passage, answer_from, answer_text, cited, shared_words, with_passages
from tiny_language import save_language_model

PASSAGES = [
    Passage("the order is three days late", "a.md", "Desk > Late", 0, 28, 0.9),
    Passage("your courier lost my letter", "b.md", "", 5, 32, 0.8),
    Passage("can I have my money back", "c.md", "", 0, 24, 0.7),
]


@pytest.fixture(scope="module", params=["llama", "t5"])
def model(request, tmp_path_factory):
    """A tiny decoder and a tiny encoder-decoder that read 512 tokens."""
    kind = request.param
    folder = locate_model(str(save_language_model(tmp_path_factory.mktemp(kind), kind)))
    reader = load_reader(folder, precision="fp32")
    reader.context_length = 512
    return load_language_model(folder, "seq2seq" if kind == "t5" else "causal", pad_id=0), reader


def test_the_prompt_numbers_the_passages_in_order_and_ends_where_the_answer_begins():
    prompt = with_passages("who lost it?", PASSAGES)
    places = [
        prompt.index(part) for part in ("[1] Desk > Late\nthe order", "[2] your courier", "[3] can I", "Question: who lost it?")
    ]
    assert places == sorted(places)
    assert prompt.endswith("\nAnswer:")
    assert with_passages("who lost it?", []) == "who lost it?"


def test_the_answer_is_what_the_model_writes_after_that_prompt(model):
    net, reader = model
    sampling = Sampling(max_new_tokens=6)
    prompt = with_passages("who lost it?", PASSAGES)
    ids = (
        reader.tokenizer(prompt)["input_ids"] if net.is_encoder_decoder else Renderer(reader.tokenizer, length=512).prompt(prompt)
    )
    written = Generator(net, reader.tokenizer, precision="fp32").generate([ids], sampling)[0][0].text.strip()
    answer = answer_from("who lost it?", PASSAGES, net, reader, sampling=sampling)
    assert answer.answer == written
    assert [each.is_shown for each in answer.passages] == [True] * 3


def test_passages_leave_from_the_end_until_the_prompt_fits(model):
    net, reader = model
    whole = reader.context_length
    two = len(reader.tokenizer(with_passages("who?", PASSAGES[:2]))["input_ids"])
    try:
        reader.context_length = two + 2 + (0 if net.is_encoder_decoder else 4)
        answer = answer_from("who?", PASSAGES, net, reader, sampling=Sampling(max_new_tokens=4))
        assert [each.is_shown for each in answer.passages] == [True, True, False]
        assert answer.passages[2].words_shared is None
        assert "not shown to the model" in answer_text(answer)
        reader.context_length = 20
        with pytest.raises(Usage, match="its first passage are"):
            answer_from("who?", PASSAGES, net, reader, sampling=Sampling(max_new_tokens=4))
    finally:
        reader.context_length = whole


def test_no_passage_is_no_ground_for_an_answer(model):
    with pytest.raises(Usage, match="No passage was found"):
        answer_from("who?", [], *model)


def test_shared_words_count_the_answers_words_without_articles_and_signs():
    assert shared_words("The courier!", "your courier lost it") == 1
    assert shared_words("courier and driver", "your courier lost it") == pytest.approx(1 / 3)
    assert shared_words("the", "the") == 0


def test_the_passage_with_most_of_the_answers_words_is_marked():
    answer = cited("who?", PASSAGES, answer="your courier lost my money", shown=3)
    assert [each.words_shared for each in answer.passages] == pytest.approx([0, 4 / 5, 2 / 5])
    assert [each.is_marked for each in answer.passages] == [False, True, False]
    text = answer_text(answer)
    assert "* [2] b.md, characters 5 to 32 (score 0.8000; 80% of the answer's words)" in text
    assert "no proof" in text


def test_words_from_nowhere_mark_nothing():
    answer = cited("who?", PASSAGES, answer="seventeen elephants", shown=3)
    assert not any(each.is_marked for each in answer.passages)
    assert "no proof" not in answer_text(answer)


def test_without_a_model_the_passages_themselves_are_shown():
    text = answer_text(cited("who?", PASSAGES))
    assert text.startswith("[1] a.md, characters 0 to 28 (score 0.9000)\n    Desk > Late\n    the order is three days late")
    assert "words" not in text
    assert answer_text(cited("who?", [])) == "No passage was found."
