"""The model card of a bundle, in the Hub's layout: what it is for, what it was made from, how good it is, where it fails."""

from hone.catalogue import STARTERS
from hone.compare.records import Comparison, Row
from hone.measure import human_bytes, human_count, human_seconds
from hone.model import CardFacts, CardScore, card_metadata, energy_line

__all__ = ["write_card"]

_PIPELINES = {
    "text-classification": "text-classification",
    "multiple-choice": "multiple-choice",
    "text-generation": "text-generation",
    "regression": "text-classification",
    "multi-label-classification": "text-classification",
    "token-classification": "token-classification",
}

_HEADS = ("regression", "multi-label-classification", "token-classification")

_PREDICT = '    hone predict FOLDER "a text"'
_USES = {"multiple-choice": '    hone predict FOLDER "a question" --choice "one" --choice "another"'}
"""Where more is asked with than a text."""


def write_card(comparison: Comparison, row: Row, *, licence: str | None = None) -> str:
    """`README.md` with its metadata block. `licence`: instead of the base's."""
    metric = comparison.task.metric
    found = row.metrics[metric]
    model = comparison.model_of(row)
    scores = "\n".join(
        f"| {name.replace('_', ' ')} | {value.value:.4f} | {value.low:.4f} to {value.high:.4f} |"
        for name, value in row.metrics.items()
    )
    settings = ", ".join(f"{name} {value}" for name, value in row.settings.items())
    ranked = [metric, *(name for name in row.metrics if name != metric)]
    head = card_metadata(
        CardFacts(
            name=f"{comparison.data.source}: {row.title}",
            library="hone",
            pipeline=_PIPELINES[comparison.task.kind],
            base_model=model.name if model.revision or model.name in STARTERS else None,  # folders and servers have no revision
            licence=licence or model.licence,
            dataset=comparison.data.source,
            scores=tuple(
                CardScore(metric=name, value=one.value, low=one.low, high=one.high, n=one.n)
                for name, one in ((name, row.metrics[name]) for name in ranked)
            ),
        )
    )
    return f"""{head}
# {comparison.data.source}: {row.title}

## What it is for

{_purpose(comparison)} Other uses were not tried.

{_USES.get(comparison.task.kind, _PREDICT)}

## How good it is

{_unbeaten(comparison)}On {found.n} rows that took no part in training or in any choice. Intervals are 95% and cover the choice of test rows.

| metric | value | interval |
|---|---|---|
{scores}

{_details(comparison, row)}

## How it was made

- Base: {model.name}{f", {human_count(model.parameters)} parameters, weights sha256 {model.sha256}" if model.parameters else ", behind a server"}.
- Strategy: {row.title} ({settings}); {human_count(row.cost.trainable_parameters)} trained parameters, {human_bytes(row.cost.bytes_on_disk)} on disk.
- Rows: {comparison.data.train} for training, {comparison.data.validation} to choose settings; {comparison.data.removed} left out by checks.
- Time: {human_seconds(row.cost.train_seconds)} on {comparison.machine.processor}, {comparison.machine.cores} cores.
- {energy_line(row.cost.train_seconds, is_cpu=comparison.machine.accelerator is None)}
- hone {comparison.hone_version}, seed {comparison.seed}, split {comparison.data.split_digest[:12]}.

## Limits

{_honesty(comparison, row)} Texts unlike the rows it was made from were not measured.{_unseen(comparison)}

{_forgetting(row)}
"""


def _unbeaten(comparison: Comparison) -> str:
    """Where no strategy beats the plainest baseline, that before all numbers."""
    return f"**{comparison.recommended.unbeaten}**\n\n" if comparison.recommended.unbeaten else ""


def _forgetting(row: Row) -> str:
    """What the base could do and this no longer can."""
    found = row.forgetting
    if found.unchanged:
        return f"It forgot nothing: {found.unchanged}."
    if found.mean is None or found.low is None or found.high is None:
        return f"What the base model forgot was not measured: {found.not_measured}."
    tasks = "\n".join(
        f"| {one.task} | {one.metric} | {one.items} | {one.before:.3f} | {one.after:.3f} | {one.low:+.3f} to {one.high:+.3f} |"
        for one in found.details
    )
    return f"""## What it forgot

On tasks that it was not trained on it lost {-found.mean:.1%} on average (95% interval {-found.high:+.1%} to {-found.low:+.1%}), most on
{found.worst_task}. The same items were answered by the base and by this model; negative changes are losses.

| task | metric | items | before | after | change, 95% |
|---|---|--:|--:|--:|--:|
{tasks}"""


def _purpose(comparison: Comparison) -> str:
    labels, columns = comparison.task.labels, comparison.data.columns
    return {
        "text-classification": f"Answers which of {len(labels)} labels a text belongs to: {', '.join(labels)}.",
        "multiple-choice": f"Answers which of up to {len(labels)} choices is right.",
        "text-generation": f"Writes {repr(columns.label) if columns.label else 'the next answer'} for {' and '.join(map(repr, columns.text))}.",
        "regression": f"Answers a text with a number, {columns.label!r}, in the unit of the rows.",
        "multi-label-classification": f"Answers which of {len(labels)} labels a text has, any number of them: {', '.join(labels)}.",
        "token-classification": f"Answers every word of a text with one of {len(labels)} tags: {', '.join(labels)}.",
    }[comparison.task.kind]


def _details(comparison: Comparison, row: Row) -> str:
    """What lies behind the averages: the weakest classes, or how each metric of texts is computed."""
    if not row.per_class:
        return "\n".join(f"- {name}: {signature}" for name, signature in comparison.task.metrics.items())
    weak = sorted((one for one in row.per_class if one.support), key=lambda one: one.f1)[:3]
    return f"Weakest classes by F1: {', '.join(f'{one.label} ({one.f1:.2f}, {one.support} rows)' for one in weak)}."


def _unseen(comparison: Comparison) -> str:
    labels = comparison.task.unseen
    return (
        f" It knows nothing of {', '.join(labels)}, which test rows have and no training row has; that counted as wrong."
        if labels
        else ""
    )


def _honesty(comparison: Comparison, row: Row) -> str:
    if comparison.task.kind in _HEADS:
        return "It answers every text, also one that is unlike all it was made from, and does not say how sure it is."
    if "ece" not in row.metrics:
        return "It writes an answer also where it knows none, and its texts may say what is not so."
    return (
        f"It answers with one of its labels also when none fits, and its probabilities are off by {row.metrics['ece'].value:.1%} on average\n"
        "(expected calibration error)."
    )
