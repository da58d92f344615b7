"""Exact duplicates: rows whose text is the same once case, blanks and Unicode forms are set aside.

Runs before the split, on all rows. Nothing is judged by similarity here; `near` does that.
"""

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

from hone.task.records import Example, Finding
from hone.task.wording import counted

__all__ = ["find_duplicates", "normalise", "text_key"]

_PLACES = 20
_PAIRS = 5


def normalise(text: str) -> str:
    """Unicode NFKC, casefolded, every run of blanks one space: what makes two texts the same."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def text_key(text: str) -> bytes:
    """16 bytes that are equal when the normalised texts are; a million of them stay small whatever the texts' length."""
    return hashlib.blake2b(normalise(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def find_duplicates(examples: Sequence[Example], *, is_labelled: bool = True) -> tuple[list[Example], list[Finding]]:
    """Keep the first of equal rows, and none of the rows whose text has two different labels.

    Args:
        is_labelled: whether answers are classes; numbers and the like that differ are kept, as judgements do differ.
    Returns:
        The rows kept, in order, and up to two findings: `exact_duplicate` and `conflicting_labels`.
    """
    copies: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        copies[text_key(example.text if is_labelled else f"{example.text}\x1f{example.label}")].append(index)
    repeated: list[tuple[int, int]] = []
    conflicts: list[list[int]] = []
    for indexes in copies.values():
        if len(indexes) == 1:
            continue
        if len({examples[index].label for index in indexes}) > 1:
            conflicts.append(indexes)
        else:
            repeated += [(index, indexes[0]) for index in indexes[1:]]
    gone = {index for index, _ in repeated} | {index for indexes in conflicts for index in indexes}
    findings = []
    if repeated:
        repeated.sort()
        places = tuple(f"{examples[index].place} repeats line {examples[first].line}" for index, first in repeated[:_PLACES])
        findings.append(
            Finding(
                kind="exact_duplicate",
                severity="removed",
                message=f"{counted(len(repeated), 'row')} left out that repeat the text and label of an earlier row.",
                count=len(repeated),
                places=places,
            )
        )
    if conflicts:
        findings.append(_conflict_finding(examples, conflicts))
    return [example for index, example in enumerate(examples) if index not in gone], findings


def _conflict_finding(examples: Sequence[Example], conflicts: list[list[int]]) -> Finding:
    pairs: Counter[tuple[str, str]] = Counter()
    places: list[str] = []
    for indexes in conflicts:
        labels = sorted({examples[index].label for index in indexes})
        pairs.update(combinations(labels, 2))
        if len(places) < _PLACES:
            first = {label: next(examples[index] for index in indexes if examples[index].label == label) for label in labels}
            places.append(", ".join(f"{example.place} ({label})" for label, example in first.items()))
    rows = sum(map(len, conflicts))
    shown = ", ".join(f"{one} / {other} ({count})" for (one, other), count in pairs.most_common(_PAIRS))
    return Finding(
        kind="conflicting_labels",
        severity="removed",
        message=f"{counted(len(conflicts), 'text')} with different labels, all {rows} rows left out: {shown}. "
        "Decide on one label for each and put one row back.",
        count=rows,
        places=tuple(places),
    )
