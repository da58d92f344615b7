"""Entities by the rules of the CoNLL shared task, in every scheme of tags."""

import pytest

from hone.core.errors import NotEnough
from hone.measure import marks_entities, score_entities, score_interval
from hone.measure.entities import entities

SAME = {("PER", 1, 3), ("LOC", 4, 5)}


@pytest.mark.parametrize(
    "tags",
    [
        "O B-PER I-PER O B-LOC",
        "O I-PER I-PER O I-LOC",
        "O B-PER E-PER O S-LOC",
        "O B-PER L-PER O U-LOC",
        "O B_PER I_PER O B_LOC",
    ],
)
def test_the_same_entities_in_every_scheme(tags):
    assert entities(tags.split()) == SAME


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("B-PER B-PER", {("PER", 0, 1), ("PER", 1, 2)}),
        ("B-PER I-LOC", {("PER", 0, 1), ("LOC", 1, 2)}),
        ("I-PER B-PER I-PER", {("PER", 0, 1), ("PER", 1, 3)}),
        ("S-PER I-PER", {("PER", 0, 1), ("PER", 1, 2)}),
        ("B-PER E-PER E-PER", {("PER", 0, 2), ("PER", 2, 3)}),
        ("B I O I B", {("", 0, 2), ("", 3, 4), ("", 4, 5)}),
        ("O O", set()),
        ("", set()),
    ],
)
def test_where_one_ends_and_the_next_begins(tags, found):
    assert entities(tags.split()) == found


def test_which_tags_mark_entities():
    assert marks_entities(["B-PER", "I-PER", "O"]) and marks_entities(["B", "I", "O"]) and marks_entities(["I-LOC", "O"])
    for others in (["NOUN", "VERB"], ["O"], ["O", "A"], ["B-PER", "NOUN"], ["S", "V", "O"], ["E-1", "S-2"], ["I", "E"]):
        assert not marks_entities(others), others


def test_precision_recall_and_f1_are_over_all_rows_together():
    right = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"], ["O"]]
    given = [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "O"], ["O"]]
    found = {name: score.value for name, score in score_entities(right, given).items()}
    assert found == {"entity_precision": 1 / 3, "entity_recall": 1 / 3, "entity_f1": 1 / 3}
    found = {name: score.value for name, score in score_entities(right, [["O"] * 4, ["O", "B-LOC"], ["O"]]).items()}
    assert found == {"entity_precision": 1.0, "entity_recall": 1 / 3, "entity_f1": pytest.approx(0.5)}
    interval = score_interval(score_entities(right, given)["entity_f1"], seed=0)
    assert interval.low < 1 / 3 < interval.high
    with pytest.raises(NotEnough):
        score_entities([], [])
