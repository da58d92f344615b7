"""Each rule removes what it says, with its threshold, offline; C4 keeps paragraphs and indentation."""

from collections import Counter
from random import Random

import pytest
from corpus import document, sentence
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter

from hone.core.errors import BadData, Usage
from hone.curate.judges import C4, Language, Mask, fineweb, quality, repetition
from hone.curate.settings import C4Rules, CurateSettings, FineWebRules, QualityRules, RepetitionRules
from hone.curate.words import Words


def settings(**changed):
    return CurateSettings(sources=("x",), **changed)


def judged(judge, text):
    """(reason or None, the text afterwards, counts of parts)."""
    counts: Counter[str] = Counter()
    made = Document(text=text, id="x")
    reason = judge(made, lambda label, number=1: counts.update({label: number}))
    return reason, made.text, {label: number for label, number in counts.items() if number}


def test_a_sound_document_passes_every_rule_unchanged():
    text = document(1)
    for judge in (C4(settings()), repetition(settings()), quality(settings()), fineweb(settings()), Language("en", 0.65), Mask()):
        assert judged(judge, text)[:2] == (None, text)


def test_c4_removes_lines_and_says_by_which_rule():
    text = (
        "Contents\n\n"
        + document(2)
        + "\nWe use cookies on all of our pages.\nPlease enable Javascript in your browser.\nAs shown [3] by many."
    )
    reason, left, counts = judged(C4(settings()), text)
    assert reason is None
    assert left == document(2) + "\nAs shown  by many."
    assert counts == {"part:too_few_words": 1, "part:policy": 1, "part:javascript": 1}


def test_c4_keeps_blank_lines_and_indentation_and_otherwise_does_what_datatrove_does():
    text = (
        document(3)
        + "\n\nAn example follows here:\n\n    first line of code\n        second line of code\nend\n\n\nLast words of it."
    )
    _, left, _ = judged(C4(settings()), text)
    theirs = Document(text=text, id="x")
    assert C4QualityFilter(filter_no_terminal_punct=False, language=Words("en")).filter(theirs) is True
    assert [line.strip() for line in left.split("\n") if line.strip()] == theirs.text.split("\n")
    assert "here:\n\n    first line of code\n        second line of code\n\nLast words" in left


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (document(4) + "\nint main() { return 0; }", "curly_bracket"),
        (document(4) + "\nLorem ipsum dolor sit amet.", "lorem_ipsum"),
        (document(4, paragraphs=1, sentences=4), "too_few_sentences"),
    ],
)
def test_c4_removes_pages(text, reason):
    assert judged(C4(settings()), text)[0] == reason


def test_c4s_rules_can_be_set():
    brackets = document(5) + "\nint main() { return 0; }"
    assert judged(C4(settings(c4=C4Rules(curly_bracket=False))), brackets)[:2] == (None, brackets)
    unended = document(5) + "\n\nA line without an end"
    _, left, counts = judged(C4(settings(c4=C4Rules(terminal_punctuation=True))), unended)
    assert (left, counts) == (document(5), {"part:no_terminal_punc": 1})
    short = "One line.\n\nTwo\n\nThree."
    assert judged(C4(settings(c4=C4Rules(min_line_words=0, min_sentences=0))), short)[:2] == (None, short)


def test_repetition_within_a_document_is_found_and_its_threshold_can_be_set():
    rng = Random(0)
    text = "\n".join(
        [sentence(rng), *["The same line stands here again and again and again."] * 4, *[sentence(rng) for _ in range(4)]]
    )
    assert judged(repetition(settings()), text)[0] == "dup_line_frac"
    lenient = RepetitionRules(
        duplicate_lines=1, duplicate_line_characters=1, duplicate_paragraphs=1, duplicate_paragraph_characters=1,
        top_ngrams=(1, 1, 1), duplicate_ngrams=(1,) * 6,
    )  # fmt: skip
    assert judged(repetition(settings(repetition=lenient)), text)[0] is None


def test_a_long_document_is_not_removed_for_its_length():
    """200 KB of prose, as a chapter has. New words throughout, since a few dozen would repeat themselves in sequences of five."""
    rng = Random(6)
    made = ["".join(rng.choices("abdefgiklmnoprstu", k=6)) for _ in range(15_000)]
    sentences = [
        f"The {made[at]} and {made[at + 1]} of the {made[at + 2]} have {made[at + 3]} that {made[at + 4]}."
        for at in range(0, 15_000, 5)
    ]
    text = "\n\n".join(" ".join(sentences[at : at + 6]) for at in range(0, len(sentences), 6))
    assert len(text) > 150_000
    for judge in (C4(settings()), repetition(settings()), quality(settings()), fineweb(settings())):
        assert judged(judge, text)[:2] == (None, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Too short to be a document.", "short_doc"),
        ("a b c d e f " * 20, "below_avg_threshold"),
        ("uncharacteristically " * 60, "above_avg_threshold"),
        ("# word here " * 40, "too_many_hashes"),
        ("the words 1200 3400 5600 that have no letters 7800 9000 1100 1200 1300 1400 " * 5, "below_alpha_threshold"),
        ("quick brown foxes jumping over lazy dogs " * 10, "enough_stop_words"),
    ],
)
def test_what_is_no_running_text_is_removed(text, reason):
    assert judged(quality(settings()), text)[0] == reason


def test_stop_words_are_asked_of_english_only_and_quality_can_be_set():
    foxes = "quick brown foxes jumping over lazy dogs " * 10
    assert judged(quality(settings(language="de")), foxes)[0] is None
    assert judged(quality(settings(quality=QualityRules(stop_words=0))), foxes)[0] is None


def test_dialogue_is_running_text():
    """Words are what stands between blanks: with commas and quotes counted as words, this would fall below 80% words with letters."""
    text = "“Oh, no!” said he, “no, no; never!” “But why?” “Why, sir? Because, to be plain, I have that to do.” " * 6
    assert judged(quality(settings()), text)[0] is None


def test_lists_and_broken_lines_are_removed():
    unended = "\n".join(f"A line of some length that goes on to number {index} and stops" for index in range(20))
    assert judged(fineweb(settings()), unended)[0] == "line_punct_ratio"
    short = "\n".join(f"Short line {index}." for index in range(20))
    assert judged(fineweb(settings()), short)[0] == "short_line_ratio"
    assert judged(fineweb(settings(fineweb=FineWebRules(short_lines=1, lines_per_word=1))), short)[0] is None


def test_another_language_is_removed_with_its_name():
    german = "Der alte Fischer ging jeden Morgen zum Hafen, weil er das Meer sehen wollte, bevor die Stadt erwachte. " * 5
    assert judged(Language("en", 0.65), german)[0] == "language de"
    assert judged(Language("de", 0.65), german)[0] is None


def test_an_unsure_language_is_removed():
    assert judged(Language("en", 1.0), "the")[0] is not None


def test_a_long_text_is_judged_by_its_beginning_middle_and_end():
    german = "Der alte Fischer ging jeden Morgen zum Hafen, weil er das Meer sehen wollte, bevor die Stadt erwachte. " * 400
    assert judged(Language("en", 0.65), document(7, paragraphs=1) + german)[0] == "language de"


def test_languages_that_cannot_be_served_are_refused():
    with pytest.raises(Usage, match="language 'xx' is not known"):
        Language("xx", 0.5)
    with pytest.raises(BadData, match="writes none"):
        C4(settings(language="ja"))


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("He said “No.” And left", ["He said “No.”", "And left"]),
        ("It cost 3.50 in all.", ["It cost 3.50 in all."]),
        ("", []),
    ],
)
def test_sentences_end_at_marks_before_a_blank(text, sentences):
    assert Words("en").sent_tokenize(text) == sentences
