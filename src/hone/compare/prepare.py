"""From a file to a checked, split task: read, find duplicates, split, remove leaks, look closer with the model.

`hone check` is this file and nothing more.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hone.compare.settings import CompareSettings
from hone.core.console import progress
from hone.core.errors import BadData
from hone.core.seeds import derive_seed
from hone.model import Encoder
from hone.task import (
    Example,
    Finding,
    Rejected,
    Table,
    Task,
    class_balance,
    drop_rare,
    find_duplicates,
    likely_mislabels,
    load_table,
    long_texts,
    near_duplicates,
    rejected_rows,
    remove_leaks,
    split_examples,
)

__all__ = ["Prepared", "look_closer", "prepare"]

MISLABEL_ROWS = 20_000  # cross-validated regression on more rows takes minutes and finds no other kind of error


@dataclass(frozen=True)
class Prepared:
    """A task ready to be compared on, with the rows that were set aside while reading."""

    task: Task
    rejected: list[Rejected]
    removed: int
    """Rows taken out by the checks, rejected ones included."""


def prepare(settings: CompareSettings) -> Prepared:
    """Read and check the rows, and divide them.

    Raises:
        BadData: with every problem that keeps the rows from being used.
    """
    with progress("Reading and checking rows", 1):
        table = load_table(settings.data, text=settings.text, label=settings.label, group=settings.group)
        rejected = list(table.rejected)
        examples, findings = find_duplicates(table.examples)
        if settings.drop_rare:
            examples, dropped = drop_rare(examples, grouped=settings.group is not None)
            findings += [dropped] if dropped else []
        held = {}
        for name in ("test", "validation"):
            source = getattr(settings, name)
            if source:
                other = _load_like(source, table)
                held[name] = other.examples
                rejected += other.rejected
        split = split_examples(examples, seed=settings.seed, grouped=settings.group is not None, **held)
        split, leaks = remove_leaks(split)
        everyone = [*split.train, *split.validation, *split.test]
        near = near_duplicates(examples)
        told = [rejected_rows(rejected), *findings, *leaks, near, *class_balance(everyone)]
    labels = tuple(sorted({example.label for example in everyone}))
    _check_descriptions(settings.descriptions, labels)
    task = Task(
        name=Path(settings.data).name,
        labels=labels,
        split=split,
        columns=table.columns,
        findings=tuple(finding for finding in told if finding is not None),
        descriptions=settings.descriptions,
    )
    given = len(table.examples) + sum(len(rows) for rows in held.values()) + len(rejected)
    return Prepared(task, rejected, given - len(everyone))


def _load_like(source: str, table: Table) -> Table:
    """Another file of the same task, read with the same columns."""
    columns = table.columns
    return load_table(source, text=columns.text, label=columns.label, group=columns.group)


def _check_descriptions(descriptions: dict[str, str], labels: tuple[str, ...]) -> None:
    unknown = sorted(set(descriptions) - set(labels))
    if unknown:
        raise BadData(
            f"descriptions are given for {', '.join(map(repr, unknown))}, which are no labels of the data. Labels: {', '.join(labels)}."
        )


def look_closer(task: Task, encoder: Encoder, *, seed: int) -> Task:
    """Add what only a model can tell: texts beyond its context, and likely mislabels (cross-validated on its sentence vectors)."""
    split = task.split
    everyone = [*split.train, *split.validation, *split.test]
    found: list[Finding | None] = [long_texts(everyone, _token_counts(everyone, encoder), encoder.reader.context_length)]
    if len(everyone) > MISLABEL_ROWS:
        chosen = np.random.default_rng(derive_seed(seed, "mislabels")).choice(len(everyone), MISLABEL_ROWS, replace=False)
        everyone = [everyone[index] for index in sorted(chosen)]
    with progress("Looking for likely mislabels", len(everyone)) as bar:
        vectors = encoder.embed([example.text for example in everyone], advance=bar.advance)
    index = {label: position for position, label in enumerate(task.labels)}
    targets = [index[example.label] for example in everyone]
    found.append(likely_mislabels(vectors, targets, everyone, seed=derive_seed(seed, "mislabels")))
    return replace(task, findings=(*task.findings, *(finding for finding in found if finding is not None)))


def _token_counts(examples: list[Example], encoder: Encoder) -> list[int]:
    counts: list[int] = []
    for at in range(0, len(examples), 10_000):
        counts += encoder.reader.count_tokens([example.text for example in examples[at : at + 10_000]])
    return counts
