"""The model card of a bundle, in the Hub's layout: what it is for, what it was made from, how good it is, where it fails."""

import json

from hone.compare.records import Comparison, Row
from hone.measure import human_bytes, human_count, human_seconds

__all__ = ["write_card"]


def write_card(comparison: Comparison, row: Row) -> str:
    """`README.md` with its metadata block."""
    metric = comparison.task.metric
    found = row.metrics[metric]
    weak = sorted((one for one in row.per_class if one.support), key=lambda one: one.f1)[:3]
    scores = "\n".join(
        f"| {name.replace('_', ' ')} | {value.value:.4f} | {value.low:.4f} to {value.high:.4f} |"
        for name, value in row.metrics.items()
    )
    settings = ", ".join(f"{name} {value}" for name, value in row.settings.items())
    licence = f"license: {_quoted(comparison.model.licence)}\n" if comparison.model.licence else ""
    return f"""---
{licence}base_model: {_quoted(comparison.model.name)}
pipeline_tag: text-classification
library_name: hone
metrics:
- {metric}
---

# {comparison.data.source}: {row.title}

Answers which of {len(comparison.task.labels)} labels a text belongs to: {", ".join(comparison.task.labels)}.

    hone predict FOLDER "a text"

## How good it is

On {found.n} rows that took no part in training or in any choice. Intervals are 95% and cover the choice of test rows.

| metric | value | interval |
|---|---|---|
{scores}

Weakest classes by F1: {", ".join(f"{one.label} ({one.f1:.2f}, {one.support} rows)" for one in weak)}.

## How it was made

- Base: {comparison.model.name}, {human_count(comparison.model.parameters)} parameters, weights sha256 {comparison.model.sha256}.
- Strategy: {row.title} ({settings}); {human_count(row.cost.trainable_parameters)} trained parameters, {human_bytes(row.cost.bytes_on_disk)} on disk.
- Rows: {comparison.data.train} for training, {comparison.data.validation} to choose settings; {comparison.data.removed} left out by checks.
- Time: {human_seconds(row.cost.train_seconds)} on {comparison.machine.processor}, {comparison.machine.cores} cores.
- hone {comparison.hone_version}, seed {comparison.seed}, split {comparison.data.split_digest[:12]}.

## Limits

It answers with one of its labels also when none fits, and its probabilities are off by {row.metrics["ece"].value:.1%} on average
(expected calibration error). Texts unlike the rows it was made from were not measured. What the base model forgot was not measured:
{row.forgetting.not_measured}.
"""


def _quoted(text: str) -> str:
    """A YAML string; a folder's name may hold what YAML would take for its own."""
    return json.dumps(text, ensure_ascii=False)
