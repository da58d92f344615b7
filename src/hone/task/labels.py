"""A label column as a whole: numbers written as decimals are made plain, and columns that are no classes are refused."""

import re
import unicodedata
from collections import Counter
from dataclasses import replace

from hone.core.errors import BadData
from hone.task.profile import is_number
from hone.task.records import Example

__all__ = ["check_label_column", "composed", "tidy_labels"]

_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_REGRESSION_VALUES = 50
_REGRESSION_SHARE = 0.2
_UNIQUE_SHARE = 0.5
_FEWEST_ROWS = 20


def composed(label: str) -> str:
    """A label with composed letters (Unicode NFC): one word may be written with composed and with decomposed ones, and is one class."""
    return unicodedata.normalize("NFC", label)


def tidy_labels(examples: list[Example]) -> list[Example]:
    """Write '1.0' as '1' when every label of the column is a whole number.

    Spreadsheets and pandas turn a column of 0 and 1 into decimals as soon as one cell is empty.
    """
    labels = {example.label for example in examples}
    if not all(_WHOLE.fullmatch(label) for label in labels) or not any("." in label for label in labels):
        return examples
    plain = {label: label.split(".")[0] for label in labels}
    return [replace(example, label=plain[example.label]) for example in examples]


def check_label_column(examples: list[Example], *, name: str, column: str) -> None:
    """Refuse a label column that cannot be classes.

    Raises:
        BadData: many distinct decimals (a quantity to be predicted: regression), or nearly every row different (text, ids).
    """
    counts = Counter(example.label for example in examples)
    rows, distinct = len(examples), len(counts)
    shown = ", ".join(f"'{label[:40]}'" for label in list(counts)[:3])
    decimals = sum(is_number(label) and not label.lstrip("+-").isdigit() for label in counts)
    if (
        distinct > _REGRESSION_VALUES
        and distinct > _REGRESSION_SHARE * rows
        and decimals > 0.5 * distinct
        and all(map(is_number, counts))
    ):
        raise BadData(
            f"{name}: column '{column}' holds {distinct} different numbers in {rows} rows, such as {shown}. "
            "These are no classes; this looks like regression. Say --kind score with the columns, --text and --label, to answer with numbers, "
            "put them into a few named classes (low, medium, high), or name another column with --label."
        )
    if rows >= _FEWEST_ROWS and distinct > _UNIQUE_SHARE * rows:
        raise BadData(
            f"{name}: column '{column}' holds {distinct} different values in {rows} rows, such as {shown}. "
            "A label names one of a few classes; this looks like free text or identifiers. Name the label column with --label."
        )
