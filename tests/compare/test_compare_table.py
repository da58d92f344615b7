"""The comparison and the checker's findings on the terminal."""

from types import SimpleNamespace

import pytest

import sample
from hone.compare.card import write_card
from hone.compare.records import Comparison, Estimate
from hone.compare.report import render_report
from hone.compare.report.words import is_significant, learning_sentence, milliseconds, p_value, places_text, signed
from hone.compare.table import comparison_table, findings_text, plan_table

SAMPLES = sample.samples()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_line_fits_100_columns(name: str):
    assert max(map(len, comparison_table(SAMPLES[name]).splitlines())) <= 100


@pytest.mark.parametrize("name", SAMPLES)
def test_the_table_has_one_row_per_strategy_and_marks_the_recommended_one(name: str):
    comparison = SAMPLES[name]
    lines = comparison_table(comparison).split("─\n")[1].split("\n\n")[0].splitlines()
    rows = [line for line in lines if "[" in line]
    assert len(rows) == len(comparison.rows)
    marked = [index for index, line in enumerate(rows) if line.startswith("* ")]
    assert [comparison.rows[index].strategy for index in marked] == [comparison.recommended.strategy]
    for line, row in zip(rows, comparison.rows, strict=True):
        value = row.metrics[comparison.task.metric]
        assert f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]" in line
        assert ("↓" in line) == is_significant(row.difference)


def test_a_strategy_stopped_early_carries_a_mark_and_its_reason():
    text = comparison_table(SAMPLES["eight"])
    assert "bias-only †" in text
    assert "† bias-only stopped early. The time limit of 60 seconds was reached after epoch 1 of 8." in text
    assert "†" not in comparison_table(SAMPLES["two_classes"])


def test_a_long_title_goes_on_in_the_next_line_instead_of_being_cut():
    base = SAMPLES["eight"]
    row = base.rows[0].model_copy(update={"title": "a strategy with quite a long name in five words or more"})
    text = comparison_table(base.model_copy(update={"rows": (row, *base.rows[1:])}))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_unmeasured_forgetting_is_a_reason_and_not_a_column_of_noughts():
    unmeasured = comparison_table(SAMPLES["many_classes"])
    assert "gotten" not in unmeasured.splitlines()[3]
    assert f"Forgetting: not measured. {sample.REASON}".split(", so")[0] in unmeasured
    measured = comparison_table(SAMPLES["eight"])
    assert "gotten" in measured.splitlines()[3]
    assert "- not measured" in measured


def test_the_sentences_below_the_table_hold_the_counts_and_the_places():
    comparison = SAMPLES["two_classes"]
    text = comparison_table(comparison)
    assert "Rows: 1,904 train, 402 validation, 120 test, 48 removed." in text
    assert f"Record: {comparison.folder}/comparison.json" in text
    assert f"Report: {comparison.folder}/report.html" in text
    assert f"hone predict {comparison.folder}/best" in text


def test_a_folder_with_blanks_is_quoted_in_the_command():
    assert "hone predict 'runs/it'\"'\"'s here & <there>/best'" in comparison_table(SAMPLES["hostile"])


def test_the_next_step_for_choices_hands_the_choices_over():
    """On the command line, which has a place for them now."""
    base = SAMPLES["two_classes"]
    comparison = base.model_copy(update={"task": base.task.model_copy(update={"kind": "multiple-choice"})})
    (step,) = [line for line in comparison_table(comparison).splitlines() if line.startswith("Next:")]
    assert step.endswith(f'hone predict {base.folder}/best "a question" --choice "one" --choice "another"')
    card = write_card(comparison, comparison.rows[0])
    assert 'hone predict FOLDER "a question" --choice "one" --choice "another"' in card
    assert 'hone predict FOLDER "a text"' in write_card(base, base.rows[0])


def test_findings_stand_in_order_of_gravity_with_their_first_places():
    text = findings_text(sample.findings())
    assert text.index("Taken out of the run:") < text.index("To look at:") < text.index("Worth knowing:")
    assert "tickets.csv line 17, 48, 79, 110 and 30 more" in text
    assert text.endswith("In all: 48 rows taken out, 2 things to look at, 1 worth knowing.")
    assert max(map(len, text.splitlines())) <= 100


def test_the_plan_names_every_strategy_and_says_where_nothing_was_estimated():
    strategies = [SimpleNamespace(key=row.strategy, title=row.title) for row in SAMPLES["two_classes"].rows]
    text = plan_table(strategies, {"lora": Estimate(seconds=75, peak_bytes=2**30)})
    assert [line.split()[-1] for line in text.splitlines() if "zero-shot" in line] == ["-"]
    assert "1 min 15 s" in text
    assert "1.0 GB" in text


def test_no_findings_are_said_in_words():
    assert findings_text(()).startswith("Nothing found")


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0.0, "0.0"), (-0.0001, "0.0"), (0.0123, "+1.2"), (-0.04, "-4.0")],
)
def test_a_difference_always_carries_its_sign(given: float, expected: str):
    assert signed(given) == expected


def test_small_numbers_keep_their_meaning():
    assert p_value(0.0004) == "p < 0.001"
    assert p_value(0.0214) == "p = 0.021"
    assert [milliseconds(value) for value in (0.44, 9.96, 12.4, 999.9, 1340)] == ["0.4 ms", "10 ms", "12 ms", "1.0 s", "1.3 s"]


def test_places_of_several_files_keep_their_names():
    assert places_text(["a.csv line 1", "b.csv line 2", "b.csv line 9"], 4, shown=3) == "a.csv line 1, b.csv line 2, 9 and 1 more"
    assert places_text(["somewhere"], 1, shown=3) == "somewhere"


def test_the_learning_curve_is_judged_only_when_it_was_measured():
    def sentence(comparison: Comparison) -> str:
        assert comparison.learning_curve is not None
        return learning_sentence(comparison.learning_curve)

    assert "still rises" in sentence(SAMPLES["eight"])
    assert "not measured" in sentence(SAMPLES["nulls"])
    flat = SAMPLES["eight"].learning_curve
    assert flat is not None
    assert "No rise can be told from chance" in learning_sentence(flat.model_copy(update={"still_rises": False}))


def test_where_nothing_beats_the_baseline_the_headline_and_the_card_say_so_before_all_else():
    base = SAMPLES["eight"]
    said = "No strategy beats answering 'refund' always (31.0% accuracy) beyond chance: tuning brings nothing here yet."
    comparison = base.model_copy(update={"recommended": base.recommended.model_copy(update={"unbeaten": said})})
    text = comparison_table(comparison)
    best, kept = base.rows[0], base.recommended_row
    at = text.index("No strategy beats")
    assert " ".join(text[at:].split()).startswith(
        f"{said} Nearest: {best.title}, {best.metrics['accuracy'].value:.1%} accuracy (95%"
    )
    assert "Recommended: " not in text and "* recommended" not in text and "kept in best/" in text
    if kept is not best:
        assert f"the best is {kept.title}." in " ".join(text.split())
    page = render_report(comparison)
    assert "<h1><bdi>No strategy beats answering" in page and f"Use {kept.title}." not in page and ">recommended<" not in page
    assert "Nearest: " in page
    card = write_card(comparison, kept)
    assert card.index(f"**{said}**") < card.index(f"On {best.metrics['accuracy'].n} rows")
    assert "Recommended: " in comparison_table(base) and said not in write_card(base, kept)
