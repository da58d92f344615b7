"""Text metrics against their reference packages, and that resampling them means what it says."""

from dataclasses import replace

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from hone.core.errors import NotEnough, Usage
from hone.measure import (
    TEXT_METRICS,
    first_sentences,
    normalise_answer,
    paired_score_interval,
    perplexity_interval,
    score_interval,
    score_texts,
    wilson_interval,
)
from hone.measure.intervals import unseen_share
from hone.measure.scores import score_permutation_p

ANSWERS = ["The cat sat on the mat.", "a dog barked loudly", "", "They agree to meet on Monday at noon."]
RIGHT = [
    ["A cat was sitting on the mat."],
    ["The dog barked.", "a dog barked loudly"],
    ["nothing"],
    ["They will meet on Monday."],
]


def test_rouge_is_that_of_rouge_score():
    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    names = [name for name in TEXT_METRICS if name.startswith("rouge")]
    scorer = RougeScorer(kinds, use_stemmer=True)
    found = score_texts(ANSWERS, RIGHT, names)
    for row, (answer, known) in enumerate(zip(ANSWERS, RIGHT, strict=True)):
        for kind in kinds:
            best = max((scorer.score(right, answer)[kind] for right in known), key=lambda score: score.fmeasure)
            assert found[kind].per_row[row] == best.fmeasure
            assert found[f"{kind}_precision"].per_row[row] == best.precision
            assert found[f"{kind}_recall"].per_row[row] == best.recall
    assert found["rouge1"].value == pytest.approx(found["rouge1"].per_row.mean())
    assert "rouge_score" in found["rouge1"].signature


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_bleu_and_chrf_are_those_of_sacrebleu(name):
    answers, right = [*ANSWERS, "the parcel came late on Tuesday"], [*RIGHT, ["the parcel came late on Tuesday"]]
    found = score_texts(answers, right, [name])[name]
    streams = [[known[0] for known in right], [known[-1] for known in right]]
    theirs = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf}[name](answers, streams)
    assert found.value == pytest.approx(theirs.score / 100)
    assert "version:" in found.signature and 0 < found.value < 1
    assert found.per_row[-1] == pytest.approx(1.0)
    counts = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 3]], dtype=float)
    assert found.values(counts).tolist() == pytest.approx([found.value, 1.0])


def test_squad_metrics():
    found = score_texts(
        ["The Eiffel Tower!", "in 1889", "", "tower"], [["eiffel tower"], ["1889"], [""], ["bridge"]], ["exact_match", "token_f1"]
    )
    assert found["exact_match"].per_row.tolist() == [1, 0, 1, 0]
    assert found["token_f1"].per_row.tolist() == pytest.approx([1, 2 / 3, 1, 0])
    assert normalise_answer("  An  apple, a day.") == "apple day"


@pytest.mark.parametrize(
    ("answer", "right", "same"),
    [
        ("5", "-5", False),
        ("-5", "-5", True),
        ("\u22125", "-5", True),
        ("15", "1.5", False),
        ("1.50", "1.5", True),
        ("1,5", "1.5", True),
        ("1000", "1,000", True),
        ("$5", "5", True),
        ("5.", "5", True),
        ("-0", "0", True),
        ("It is -5.", "it is -5", True),
        ("it is 5", "it is -5", False),
        ("", "A", False),
        ("The", "A", False),
        ("a", "A", True),
        ("19-20", "1920", True),  # no number: SQuAD's
    ],
)
def test_numbers_are_compared_by_value_and_letters_that_are_articles_as_they_are(answer: str, right: str, same: bool):
    found = score_texts([answer], [[right]], ["exact_match", "token_f1"])
    assert found["exact_match"].value == same
    assert (found["token_f1"].value == 1) == same


def test_few_rows_are_never_certain():
    perfect, nothing = (
        score_texts(texts, [["one two three"]] * 3, ["chrf"])["chrf"] for texts in (["one two three"] * 3, [""] * 3)
    )
    assert score_permutation_p(perfect, nothing, seed=0) == 0.25  # of 8 patterns two are as far apart
    found = paired_score_interval(perfect, nothing, seed=0)
    assert found.low < 0.5 and found.mid == found.high == 1
    same = paired_score_interval(perfect, perfect, seed=0)
    assert same.low < 0 < same.high and score_interval(perfect, seed=0).low < 1 and score_interval(nothing, seed=0).high > 0
    assert score_permutation_p(perfect, perfect, seed=0) == 1


@pytest.mark.parametrize(("rows", "share"), [(20, 0.5), (30, 0.85)])
def test_the_share_of_exact_matches_gets_the_interval_that_accuracy_gets(rows, share):
    """Resampling rows covers 89 and 93% of such sets."""
    right = np.random.default_rng(0).random(rows) < share
    answers, known = ["yes" if one else "no" for one in right], [["yes"]] * rows
    interval = score_interval(score_texts(answers, known, ["exact_match"])["exact_match"], seed=0)
    assert interval == wilson_interval(int(right.sum()), rows)


def test_the_interval_of_scores_that_are_mostly_nothing_covers_their_mean():
    """Plain percentiles cover 88% of such sets of 20 rows."""
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        score = replace(
            score_texts(["a"], [["a"]], ["token_f1"])["token_f1"], per_row=rng.beta(2, 2, 20) * (rng.random(20) < 0.2)
        )
        interval = score_interval(score, draws=300, seed=seed)
        held += interval.low <= 0.1 <= interval.high
        assert 0 <= interval.low <= interval.mid <= interval.high <= 1
    assert held / 200 > 0.91


def test_the_perplexity_of_few_texts_is_not_too_certain():
    """Plain percentiles cover 89% of such sets of 10 texts."""
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        tokens = rng.integers(5, 30, 10)
        interval = perplexity_interval(-tokens * rng.normal(3, 0.5, 10), tokens, draws=300, seed=seed)
        held += interval.low <= np.exp(3) <= interval.high
    assert held / 200 > 0.92


def test_other_scripts_are_not_scored_zero():
    answers, right = ["Посылка пришла поздно", "我的包裹没有到"], [["Посылка не пришла"], ["包裹没有到"]]
    found = score_texts(answers, right, ["rouge1"])["rouge1"]
    assert found.per_row.min() > 0.5
    assert "any script" in found.signature


@pytest.mark.parametrize(
    ("answer", "right", "shared"),
    [
        ("लड़का आया", "लड़की आई", 0),  # other words, of which the vowel signs alone differ
        ("लड़का आया", "लड़का गया", 1 / 2),
        ("كِتاب جديد", "كُتّاب جديد", 1 / 2),
        ("می‌خواهم بروم", "میخواهم بروم", 1),  # with and without what only says how letters are drawn
    ],
)
def test_vowel_signs_tell_words_apart(answer: str, right: str, shared: float):
    assert score_texts([answer], [[right]], ["rouge1"])["rouge1"].value == pytest.approx(shared)


@pytest.mark.parametrize(
    ("answer", "right", "f1"),
    [
        ("年假有三十天", "三十天", 2 * 3 / 9),
        ("三十天。", "三十天", 1),
        ("สามสิบวัน", "สามสิบวัน", 1),
        ("वह दिल्ली गया।", "दिल्ली", 1 / 2),
        ("thirty days", "三十天", 0),
    ],
)
def test_short_answers_of_other_scripts_share_words_and_know_their_punctuation(answer: str, right: str, f1: float):
    found = score_texts([answer], [[right]], ["exact_match", "token_f1"])
    assert found["token_f1"].value == pytest.approx(f1)
    assert found["exact_match"].value == (f1 == 1)


@pytest.mark.parametrize(
    ("answer", "right", "tokens"),
    [
        ("我的包裹还没有到，请退款。", "我的包裹一直没有到，请退款。", "zh"),
        ("荷物がまだ届いていません。", "荷物がまだ届きません。", "char"),
        ("the parcel has not yet come to me", "the parcel has not yet come", "13a"),
        ("Посылка так и не пришла ко мне", "Посылка так и не пришла", "13a"),
    ],
)
def test_bleu_is_that_of_the_tokenizer_which_sacrebleu_has_for_a_script(answer: str, right: str, tokens: str):
    found = score_texts([answer], [[right]], ["bleu"])["bleu"]
    assert found.value == pytest.approx(sacrebleu.corpus_bleu([answer], [[right]], tokenize=tokens).score / 100)
    assert found.value > 0.3 and f"tok:{tokens}" in found.signature


def test_intervals_cover_and_pairs_are_narrower():
    """Two systems that differ by little on rows that differ by much: resampled together the difference is seen, apart it is not."""
    rng = np.random.default_rng(0)
    words = [f"w{index}" for index in range(50)]
    right = [[" ".join(rng.choice(words, 20))] for _ in range(120)]
    worse, better = [], []
    for (known,) in right:
        share = rng.random()
        answer = [word if rng.random() < share else "x" for word in known.split()]
        worse.append(" ".join(answer))
        mended = [word if own == "x" and rng.random() < 0.15 else own for word, own in zip(known.split(), answer, strict=True)]
        better.append(" ".join(mended))
    for name in ("rouge1", "bleu"):
        a, b = (score_texts(answers, right, [name])[name] for answers in (better, worse))
        alone, difference = score_interval(a, seed=0), paired_score_interval(a, b, seed=0)
        assert alone.low < a.value < alone.high
        assert difference.mid == pytest.approx(a.value - b.value) and difference.excludes_zero
        assert difference.width < alone.width
        same = paired_score_interval(a, a, seed=0)
        assert same.mid == 0 and same.low == -same.high and same.high == pytest.approx(unseen_share(120, 0.95))


def test_unknown_names_and_no_rows():
    with pytest.raises(Usage, match="rouge1"):
        score_texts(["a"], [["a"]], ["rogue1"])
    with pytest.raises(NotEnough):
        score_texts([], [], ["bleu"])
    with pytest.raises(NotEnough):
        score_interval(score_texts(["a"], [["a"]], ["rouge1"])["rouge1"], seed=0)


def test_the_first_sentences_are_the_baseline():
    assert first_sentences("One. Two! Three? Four.") == "One. Two! Three?"
    assert first_sentences("#A#: hello\n#B#: hi there\nmore", 2) == "#A#: hello #B#: hi there"
    assert first_sentences("no end") == "no end"
    assert first_sentences("年假有三十天。他说：“好。”病假？没有。", 2) == "年假有三十天。他说：“好。”"
    assert first_sentences("पार्सल नहीं आया। क्या करूँ? बताइए।", 1) == "पार्सल नहीं आया।"
    assert first_sentences("أين الطرد؟ لم يصل بعد.", 1) == "أين الطرد؟"
    assert first_sentences("Version 1.5 is out. It is new.", 1) == "Version 1.5 is out."
