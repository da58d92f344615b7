"""The checks that only look: balance, small classes, long texts, likely wrong labels; and the folder's promises."""

import subprocess
import sys

import numpy
import pytest

import hone.task
from hone.task import Example, Split, class_balance, likely_mislabels, long_texts, near_duplicates, remove_leaks


def rows(labels):
    return [Example(f"text {index}", label, "a.csv", index + 2) for index, label in enumerate(labels)]


def test_even_classes_are_information_and_uneven_ones_a_warning():
    (even,) = class_balance(rows(["a"] * 30 + ["b"] * 20))
    (uneven,) = class_balance(rows(["a"] * 220 + ["b"] * 20))
    assert even.severity == "info" and "a 30, b 20" in even.message and "1.5 to 1" in even.message
    assert uneven.severity == "warning" and "macro F1" in uneven.message


def test_a_ratio_of_exactly_ten_is_not_yet_a_warning():
    assert class_balance(rows(["a"] * 100 + ["b"] * 10))[0].severity == "info"


def test_classes_with_few_rows_are_named():
    _, rare = class_balance(rows(["a"] * 30 + ["b"] * 9 + ["c"] * 4))
    assert (rare.kind, rare.count, rare.places) == ("rare_class", 2, ("c: 4 rows", "b: 9 rows"))


def test_many_classes_stay_on_one_line():
    (finding,) = class_balance(rows([f"class{index % 50}" for index in range(5000)]))
    assert "\n" not in finding.message and len(finding.message) < 250


def test_texts_that_do_not_fit_are_counted_longest_first():
    examples = rows("ab" * 50)
    finding = long_texts(examples, [600 if index == 3 else 513 if index == 7 else 512 for index in range(100)], 512)
    assert (finding.severity, finding.count) == ("warning", 2)
    assert finding.places == ("a.csv line 5: 600 tokens", "a.csv line 9: 513 tokens")
    assert long_texts(examples, [512] * 100, 512) is None
    assert long_texts(examples, [513] + [1] * 99, 512).severity == "info"


def clusters(per_class=200, classes=4, dimensions=16, *, seed=0):
    generator = numpy.random.default_rng(seed)
    centres = generator.normal(size=(classes, dimensions)) * 3
    labels = numpy.arange(per_class * classes) % classes
    return centres[labels] + generator.normal(size=(len(labels), dimensions)), labels


def test_planted_wrong_labels_are_found_with_the_right_suggestion_and_nothing_else_is():
    vectors, truth = clusters()
    planted = list(range(7, 800, 41))  # 20 rows, in turn from every class
    labels = truth.copy()
    labels[planted] = (labels[planted] + 1) % 4
    names = ["bill", "login", "order", "refund"]
    finding = likely_mislabels(vectors, labels.tolist(), rows([names[index] for index in labels]), seed=0)
    found = {int(place.split(":")[0].split()[-1]) - 2: place for place in finding.places}
    assert (finding.kind, finding.severity) == ("likely_mislabel", "warning")
    assert set(found) <= set(planted) and 16 <= finding.count == len(found)
    for index, place in found.items():
        assert f"{names[labels[index]]} -> {names[truth[index]]}" in place


def test_right_labels_are_left_alone():
    vectors, labels = clusters()
    assert likely_mislabels(vectors, labels.tolist(), rows([str(label) for label in labels]), seed=0) is None


def test_vectors_that_say_nothing_flag_little():
    generator = numpy.random.default_rng(0)
    labels = numpy.arange(400) % 4
    finding = likely_mislabels(generator.normal(size=(400, 16)), labels.tolist(), rows([str(label) for label in labels]), seed=0)
    assert finding is None or finding.count < 20


def test_the_verdict_depends_on_the_seed_only():
    vectors, labels = clusters()
    labels[:6] = (labels[:6] + 1) % 4
    examples = rows([str(label) for label in labels])
    one, other = (likely_mislabels(vectors, labels.tolist(), examples, seed=3) for _ in range(2))
    assert one == other and one is not None


def test_classes_with_one_or_two_rows_do_not_stop_the_check():
    vectors, labels = clusters()
    labels[0], labels[1:3] = 7, 8
    labels[10] = (labels[10] + 1) % 4
    finding = likely_mislabels(vectors, labels.tolist(), rows([f"class {label}" for label in labels]), seed=0)
    assert any(place.startswith("a.csv line 12:") for place in finding.places)


def test_too_few_rows_give_no_verdict():
    assert likely_mislabels(numpy.zeros((4, 2)), [0, 0, 1, 1], rows("aabb"), seed=0) is None


def test_everything_promised_is_there():
    assert hone.task.__all__ == sorted(hone.task.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert all(hasattr(hone.task, name) for name in hone.task.__all__)


@pytest.mark.parametrize("package", ["torch", "sklearn", "pyarrow", "rensa", "datasets", "pandas", "scipy"])
def test_importing_the_folder_loads_no_heavy_package(package):
    code = f"import sys, hone.task; sys.exit('{package}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


PASSAGE = "the parcel left the depot on monday morning and reached the customer on the other side of the river by friday night"


def questions(*asked, first=1):
    """Rows that ask about one passage, as questions on contexts are written."""
    return [Example(f"{PASSAGE}\n\n{text}", f"answer {n}", "a.jsonl", first + n, group=PASSAGE) for n, text in enumerate(asked)]


def test_several_questions_on_one_passage_are_no_near_copies_and_the_same_question_is_one():
    asked = questions("when did it leave?", "where did it go in the end?", "who waited for the driver there?")
    assert near_duplicates(asked) is None
    found = near_duplicates([*asked, *questions("Where did it go in the end??", first=9)])
    assert found is not None and found.count == 1 and found.places[0] == "a.jsonl line 9 is like line 2"


def test_a_passage_of_the_test_leaves_other_questions_on_it_in_training():
    train = questions("when did it leave?", "where did it go in the end?", "how long is the river?")
    held = [Example("a wholly different text about gardens and their owners", "x", "b.jsonl", 1)]
    test = questions("Where did it go in the end ?", first=50)
    split, findings = remove_leaks(Split(train=train, validation=held, test=test, digest=""), is_labelled=False)
    assert [row.line for row in split.train] == [1, 3]
    leak = next(finding for finding in findings if finding.severity == "removed")
    shared = next(finding for finding in findings if finding.severity == "info")
    assert leak.count == 1 and leak.places[0].startswith("a.jsonl line 2 ")
    assert shared.count == 2 and "with another question on a passage of the test rows; kept" in shared.message
