"""Splits are stratified, whole by group, independent of file order, and refuse what cannot be measured."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from hone.core.errors import BadData
from hone.task import (
    MIN_ROWS_PER_CLASS,
    Example,
    drop_rare,
    hold_back,
    near_duplicates,
    remove_leaks,
    split_examples,
    split_unlabelled,
)


def rows(counts, *, groups=None, start=0):
    made = []
    for label, count in counts.items():
        for index in range(count):
            group = None if groups is None else f"g{index % groups}"
            made.append(Example(f"text {start + index} of {label}", label, "a.csv", start + len(made) + 2, group))
    return made


def texts(part):
    return [example.text for example in part]


def test_the_parts_are_disjoint_complete_and_60_20_20_in_every_class():
    examples = rows({"a": 500, "b": 100, "c": 10})
    split = split_examples(examples, seed=1, grouped=False)
    assert sorted(texts(split.train) + texts(split.validation) + texts(split.test)) == sorted(texts(examples))
    for part, share in ((split.train, 0.6), (split.validation, 0.2), (split.test, 0.2)):
        assert Counter(example.label for example in part) == {"a": 500 * share, "b": 100 * share, "c": 10 * share}


@pytest.mark.parametrize("count", range(MIN_ROWS_PER_CLASS, 12))
def test_every_class_stands_in_every_part(count):
    split = split_examples(rows({"big": 40, "small": count}), seed=0, grouped=False)
    assert all("small" in {example.label for example in part} for part in (split.train, split.validation, split.test))


@pytest.mark.parametrize("grouped", [False, True])
def test_shuffling_the_file_changes_nothing(grouped):
    examples = rows({"a": 90, "b": 60}, groups=25)
    shuffled = random.Random(3).sample(examples, len(examples))
    one, other = (split_examples(order, seed=5, grouped=grouped) for order in (examples, shuffled))
    assert one == other


def test_another_seed_gives_another_split_and_another_digest():
    examples = rows({"a": 90, "b": 60})
    one, other = (split_examples(examples, seed=seed, grouped=False) for seed in (0, 1))
    assert one.digest != other.digest and texts(one.test) != texts(other.test)


def test_the_digest_follows_the_content_and_not_the_place():
    examples = rows({"a": 30, "b": 30})
    moved = [Example(example.text, example.label, "other.csv", example.line + 7) for example in examples]
    changed = [Example(example.text + "!", example.label, example.file, example.line) for example in examples]
    digests = [split_examples(part, seed=0, grouped=False).digest for part in (examples, moved, changed)]
    assert digests[0] == digests[1] != digests[2]


def test_groups_never_straddle_and_classes_stay_balanced():
    generator = random.Random(0)
    examples = [
        Example(f"text {index}", generator.choice("aaabbc"), "a.csv", index, f"customer {generator.randrange(80)}")
        for index in range(2000)
    ]
    split = split_examples(examples, seed=0, grouped=True)
    parts = [split.train, split.validation, split.test]
    sets = [{example.group for example in part} for part in parts]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        for label, total in Counter(example.label for example in examples).items():
            assert abs(Counter(example.label for example in part)[label] / total - share) < 0.05


def test_a_class_with_three_groups_stands_in_all_parts():
    examples = rows({"big": 300}, groups=60)
    examples += [Example(f"rare {index}", "rare", "a.csv", 500 + index, f"rare group {index % 3}") for index in range(9)]
    split = split_examples(examples, seed=0, grouped=True)
    assert all("rare" in {example.label for example in part} for part in (split.train, split.validation, split.test))


def test_rows_without_a_group_stand_alone():
    split = split_examples(rows({"a": 50, "b": 50}), seed=0, grouped=True)
    assert (len(split.train), len(split.validation), len(split.test)) == (60, 20, 20)


def test_a_class_in_two_groups_is_refused_when_groups_must_stay_whole():
    with pytest.raises(BadData, match=r"fewer than 3 groups.*\n  'b': 2 groups"):
        split_examples(rows({"a": 60}, groups=20) + rows({"b": 10}, groups=2, start=100), seed=0, grouped=True)


def test_a_given_test_set_is_kept_whole_and_the_rest_split_75_25():
    given = rows({"a": 10, "b": 10}, start=1000)
    split = split_examples(rows({"a": 80, "b": 40}), seed=0, test=given, grouped=False)
    assert sorted(texts(split.test)) == sorted(texts(given))
    assert (len(split.train), len(split.validation)) == (90, 30)


def test_with_test_and_validation_given_all_rows_train():
    examples = rows({"a": 20, "b": 1})
    split = split_examples(examples, seed=0, test=rows({"a": 5}, start=100), validation=rows({"b": 5}, start=100), grouped=False)
    assert sorted(texts(split.train)) == sorted(texts(examples)) and len(split.validation) == len(split.test) == 5


def test_a_given_test_keeps_labels_that_training_lacks():
    given = rows({"c": 2, "a": 3}, start=1000)
    split = split_examples(rows({"a": 30, "b": 30}), seed=0, test=given, grouped=False)
    assert sorted(texts(split.test)) == sorted(texts(given))


def test_a_group_on_both_sides_of_a_given_test_set_is_refused():
    with pytest.raises(BadData, match="belong to groups that training holds too"):
        split_examples(rows({"a": 30, "b": 30}, groups=9), seed=0, test=rows({"a": 9}, groups=9, start=99), grouped=True)


def test_a_class_with_one_row_is_refused_with_its_place_and_the_way_out():
    with pytest.raises(BadData, match=r"(?s)'odd': 1 row \(a\.csv line 42\).*--drop-rare"):
        split_examples([*rows({"a": 20, "b": 20}), Example("one", "odd", "a.csv", 42)], seed=0, grouped=False)


def test_drop_rare_leaves_out_small_classes_and_says_so():
    examples = rows({"a": 20, "b": 20, "c": 2, "d": 1})
    kept, finding = drop_rare(examples)
    assert {example.label for example in kept} == {"a", "b"}
    assert (finding.kind, finding.severity, finding.count, len(finding.places)) == ("rare_class", "removed", 3, 3)
    assert drop_rare(kept) == (kept, None)
    split_examples(kept, seed=0, grouped=False)


def test_drop_rare_counts_groups_when_groups_stay_whole():
    examples = rows({"a": 60}, groups=20) + rows({"b": 10}, groups=2, start=100)
    assert drop_rare(examples)[1] is None
    assert {example.label for example in drop_rare(examples, grouped=True)[0]} == {"a"}


def test_one_class_is_refused():
    with pytest.raises(BadData, match="All 50 rows have the label 'a'"):
        split_examples(rows({"a": 50}), seed=0, grouped=False)


def test_nineteen_rows_are_refused_and_twenty_are_not():
    with pytest.raises(BadData, match="There are 19 usable rows, at least 20"):
        split_examples(rows({"a": 10, "b": 9}), seed=0, grouped=False)
    split_examples(rows({"a": 10, "b": 10}), seed=0, grouped=False)


def choice_rows(count, *, seed=0):
    """One question, asked of other choices each time."""
    generator = random.Random(seed)
    things = [f"thing{index}" for index in range(5000)]
    question = "Which of the following statements is true?"
    return [
        Example(question, "ABCD"[index % 4], "a.jsonl", index, choices=tuple(generator.sample(things, 4)))
        for index in range(count)
    ]


def test_shuffling_a_file_of_one_question_with_many_choices_changes_no_part():
    examples = choice_rows(100)
    shuffled = random.Random(3).sample(examples, len(examples))
    moved = [Example(row.text, row.label, row.file, line, choices=row.choices) for line, row in enumerate(shuffled)]
    assert split_unlabelled(examples, seed=5).digest == split_unlabelled(moved, seed=5).digest


def test_one_question_with_other_choices_is_no_leak_and_with_the_same_ones_it_is():
    split = split_unlabelled(choice_rows(100), seed=0)
    assert remove_leaks(split, is_labelled=False) == (split, [])
    assert near_duplicates(choice_rows(100)) is None
    copy = replace(split.test[0], line=1000)
    after, (finding,) = remove_leaks(replace(split, train=[*split.train, copy]), is_labelled=False)
    assert after.train == split.train and finding.count == 1 and "1 exactly" in finding.message


def test_rows_without_choices_are_divided_as_they_were_before_choices_counted():
    before = "bf2170d9dc3ed3c90e07b0b32bde634500e21aae8a12849c2eb68f107e0fd057"
    assert (
        split_unlabelled([Example(f"text {index} of a", "a", "a.csv", index + 2) for index in range(20)], seed=5).digest == before
    )


def test_rows_held_back_are_whole_groups_where_groups_come_again():
    held = hold_back([f"g{at % 20}" for at in range(100)], 10)
    assert len(held) == 10 and len({at % 20 for at in held}) == 2
    assert hold_back([None] * 100, 10) == hold_back([f"g{at}" for at in range(100)], 10) == list(range(10))


@pytest.mark.parametrize(("names", "size"), [(3, 20), (5, 12), (2, 6), (1, 6)])
def test_of_large_groups_one_is_held_back_unless_it_is_over_a_third_of_the_rows(names, size):
    groups = [f"g{at % names}" for at in range(60)]
    held = hold_back(groups, 6)
    assert len(held) == size
    assert names < 3 or {groups[at] for at in held} == {groups[held[0]]}


def test_next_to_nothing_is_not_held_back_for_the_sake_of_large_groups():
    groups = ["alone", *[f"g{at % 9}" for at in range(90)]]
    held = hold_back(groups, 9)
    assert len(held) == 11 and {groups[at] for at in held} >= {"alone"}
