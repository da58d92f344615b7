"""Rows that a head answers with more than a class, as examples: a number for a text, several labels, or a tag for every word.

An example's label is how the answer is written down, for people and for digests; the row itself goes with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hone.task.kinds import Kind, Material, MultiLabelled, Scored, Tagged
from hone.task.records import Example, TaskKind
from hone.task.unseen import other_labels

__all__ = ["HEAD_KINDS", "as_head_examples", "head_labels"]

HEAD_KINDS: Mapping[Kind, TaskKind] = {
    "score": "regression",
    "multi_label": "multi-label-classification",
    "tag": "token-classification",
}
"""Kinds of rows, and what is answered to them."""


def as_head_examples(material: Material) -> list[Example]:
    """Examples in the order of the rows."""
    return [_example(row) for row in material.rows]


def _example(row: Any) -> Example:
    if isinstance(row, Scored):
        return Example(row.text, f"{row.score:.12g}", row.file, row.line, row.group, row=row)
    if isinstance(row, MultiLabelled):
        return Example(row.text, ", ".join(sorted(row.labels)), row.file, row.line, row.group, row=row)
    assert isinstance(row, Tagged)
    tags = tuple("_".join(tag.split()) for tag in row.tags)  # a space stands between tags
    return Example(" ".join(row.tokens), " ".join(tags), row.file, row.line, row.group, row=replace(row, tags=tags))


def head_labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """All labels or tags, sorted; of numbers none."""
    return other_labels(examples, ())
