"""Exact and near duplicates are found, and no row of the test or validation part stands in training."""

import random

import pytest

from hone.core.errors import BadData
from hone.task import Example, Split, find_duplicates, near_duplicates, normalise, remove_leaks, shingle_similarity
from hone.task.near import nearest_copies
from hone.task.shingles import Common

WORDS = [f"word{index}" for index in range(400)]


def example(text, label="a", line=1):
    return Example(text, label, "a.csv", line)


def sentences(count, *, seed, length=(3, 40)):
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randint(*length))) for _ in range(count)]


def test_texts_that_differ_in_case_blanks_or_unicode_form_are_the_same():
    assert normalise("  Caf\u00e9\tSTRASSE\n") == normalise("cafe\u0301 straße") == normalise("ＣＡＦÉ strasse")
    assert normalise("cafe") != normalise("café")


def test_later_copies_with_the_same_label_go_and_the_first_stays():
    kept, findings = find_duplicates([example("Hello  you", line=2), example("other", line=3), example("hello you", line=4)])
    assert [row.line for row in kept] == [2, 3]
    assert (findings[0].kind, findings[0].severity, findings[0].count) == ("exact_duplicate", "removed", 1)
    assert findings[0].places == ("a.csv line 4 repeats line 2",)


def test_a_text_with_two_labels_loses_all_its_rows_and_the_pair_is_named():
    rows = [example("same", "spam", 2), example("Same", "ham", 3), example("same ", "ham", 4), example("other", "ham", 5)]
    kept, (finding,) = find_duplicates(rows)
    assert [row.line for row in kept] == [5]
    assert (finding.kind, finding.severity, finding.count) == ("conflicting_labels", "removed", 3)
    assert "ham / spam (1)" in finding.message and finding.places == ("a.csv line 3 (ham), a.csv line 2 (spam)",)


def test_rows_without_duplicates_pass_unchanged():
    rows = [example(text) for text in ("one", "two", "three")]
    assert find_duplicates(rows) == (rows, [])


def test_the_search_agrees_with_comparing_all_pairs():
    generator = random.Random(0)
    texts = sentences(250, seed=1)
    for text in texts[:120]:
        words = text.split()
        for _ in range(generator.randint(1, 2)):
            words[generator.randrange(len(words))] = generator.choice(WORDS)
        texts.append(" ".join(words))
    similar = {
        later: {earlier for earlier in range(later) if shingle_similarity(texts[later], texts[earlier]) >= 0.7}
        for later in range(len(texts))
    }
    wanted = {later for later, matches in similar.items() if matches}
    found = nearest_copies(texts)
    assert all(match in similar[later] for later, match in found.items())
    assert len(wanted) > 40 and len(wanted - set(found)) <= 1


def test_a_pair_on_both_sides_of_the_length_border_is_found():
    eleven = "please tell me when my new bank card will arrive today"
    assert len(eleven.split()) == 11
    assert nearest_copies([eleven, f"{eleven} thanks"]) == {1: 0}


def test_texts_without_words_and_texts_without_blanks_are_compared_by_characters():
    chinese = "我的新银行卡什么时候才能寄到我的家里请尽快告诉我谢谢"
    assert nearest_copies(["!!! ???", "🙂🙂🙂", "!!! ???", chinese, chinese[:-1]]) == {2: 0, 4: 3}


def test_near_duplicates_inside_the_rows_are_told_and_kept():
    long = "the quick brown fox jumps over the lazy dog while it rains outside of our little house"
    finding = near_duplicates(
        [example(long, line=2), example("something else entirely", line=3), example(long + " again", line=4)]
    )
    assert (finding.kind, finding.severity, finding.count) == ("near_duplicate", "info", 1)
    assert finding.places == ("a.csv line 4 is like line 2",)
    assert near_duplicates([example("one thing"), example("another matter")]) is None


def leaky_split():
    base = [example(text, "ab"[index % 2], index) for index, text in enumerate(sentences(300, seed=7, length=(15, 40)))]
    train, validation, test = base[:180], base[180:240], base[240:]
    train = [
        *train,
        example(test[0].text.upper(), "a", 1000),
        example(f"{test[1].text} indeed", "a", 1001),
        example(validation[0].text, "a", 1002),
    ]
    validation = [*validation, example(f"well {test[2].text}", "a", 1003)]
    return Split(train, validation, test, "old")


def test_leaks_leave_training_and_validation_and_never_the_test():
    before = leaky_split()
    after, findings = remove_leaks(before)
    assert after.test == before.test
    assert [row.line for row in before.train if row not in after.train] == [1000, 1001, 1002]
    assert [row.line for row in before.validation if row not in after.validation] == [1003]
    assert [(finding.kind, finding.severity, finding.count) for finding in findings] == [
        ("leak", "removed", n) for n in (2, 1, 1)
    ]
    assert "1 exactly, 1 nearly" in findings[0].message and after.digest != before.digest


def test_removing_leaks_twice_changes_nothing_more():
    once, _ = remove_leaks(leaky_split())
    again, findings = remove_leaks(once)
    assert again == once and findings == []


def test_the_search_gives_the_same_answer_each_time():
    assert remove_leaks(leaky_split()) == remove_leaks(leaky_split())


def test_a_class_that_lies_wholly_in_the_test_is_refused():
    split = leaky_split()
    only = example(split.test[5].text, "c", 2000)
    with pytest.raises(BadData, match=r"Every training row of 'c' repeats"):
        remove_leaks(Split([*split.train, only], split.validation, split.test, ""))


def test_thousands_of_rows_of_one_template_are_searched_without_comparing_all():
    template = "dear customer your order {} has been shipped by our team and will arrive at your door within {} days from now on"
    texts = [template.format(index, index % 7) for index in range(6000)]
    assert len(nearest_copies(texts[:5000], texts[5000:], common=Common())) > 4900
    assert nearest_copies(texts[:5000], texts[5000:]) == {}  # an order number alone makes no row a copy of another
