"""The example desk keeps what its README says, and the checker finds what was put there for it."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from hone.task import find_duplicates, load_table, near_duplicates

DESK = Path(__file__).parents[1] / "examples" / "support"


def read(name: str) -> list[dict[str, str]]:
    with (DESK / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_are_enough_messages_in_eight_uneven_topics():
    rows = read("tickets.csv")
    counts = Counter(row["topic"] for row in rows)
    assert len(rows) >= 640
    assert len(counts) == 8
    assert max(counts.values()) >= 1.5 * min(counts.values())


def test_at_most_two_in_a_hundred_messages_nearly_repeat_another():
    examples = [*load_table(str(DESK / "tickets.csv")).examples, *load_table(str(DESK / "tickets_test.csv")).examples]
    found = near_duplicates(find_duplicates(examples)[0])
    assert (found.count if found else 0) <= 0.02 * len(examples)


def test_the_two_messages_that_were_sent_twice_are_found():
    _, findings = find_duplicates(load_table(str(DESK / "tickets.csv")).examples)
    assert [(finding.kind, finding.count) for finding in findings] == [("exact_duplicate", 2)]


def test_the_wrong_label_is_among_the_places_to_look_at(starter_encoder):
    from hone.compare.prepare import look_closer, prepare
    from hone.compare.settings import CompareSettings

    planted = next(row for row in read("tickets.csv") if row["id"] == "M1539")
    assert planted["topic"] == "product question"
    settings = CompareSettings(data=str(DESK / "tickets.csv"), test=str(DESK / "tickets_test.csv"))
    task = look_closer(prepare(settings).task, starter_encoder, seed=0)
    doubtful = next(finding for finding in task.findings if finding.kind == "likely_mislabel")
    place = next(one.place for one in load_table(settings.data).examples if one.text == planted["message"])
    assert any(one.startswith(f"{place}: product question -> payment") for one in doubtful.places)


def test_no_message_stands_in_both_files():
    assert not {row["message"] for row in read("tickets.csv")} & {row["message"] for row in read("tickets_test.csv")}


@pytest.mark.parametrize("name", ["tickets.csv", "tickets_test.csv"])
def test_the_readme_counts_the_rows_that_are_there(name: str):
    assert f"| `{name}` | {len(read(name)):,} |" in (DESK / "README.md").read_text(encoding="utf-8")
