"""From a file to a checked, split task: read, find duplicates, split, remove leaks, look closer with the model.

`hone check` is this file and nothing more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hone.compare.settings import CompareSettings
from hone.core.console import progress
from hone.core.errors import BadData, Usage, did_you_mean
from hone.core.seeds import derive_seed
from hone.measure import ENTITY_METRICS, ERRORS, RANKING_NUMBER_METRICS, TAG_METRICS, TEXT_METRICS, marks_entities
from hone.model import Encoder
from hone.task import (
    ANSWERED_KINDS,
    HEAD_KINDS,
    LETTERS,
    MIN_ROWS_PER_CLASS,
    Columns,
    Example,
    Finding,
    Kind,
    Material,
    Refused,
    Rejected,
    Split,
    Table,
    Task,
    TaskKind,
    as_examples,
    as_head_examples,
    class_balance,
    composed,
    drop_rare,
    find_duplicates,
    head_labels,
    join_references,
    likely_mislabels,
    load_like,
    load_material,
    load_table,
    long_texts,
    near_duplicates,
    recognise_kind,
    recognise_layout,
    rejected_rows,
    remove_leaks,
    split_examples,
    split_unlabelled,
    unseen_labels,
    usual_metric,
)

__all__ = ["Prepared", "look_closer", "prepare"]

_NOT_COMPARED: Mapping[Kind, str] = {
    "plain": "plain texts",
}
_RANKING: Mapping[TaskKind, Sequence[str]] = {
    "regression": RANKING_NUMBER_METRICS,
    "multi-label-classification": ("micro_f1", "macro_f1", "subset_accuracy"),
}
"""By what strategies can be ranked, the usual first."""
_RARE = 0.2  # of the values of a column that holds classes, those with too few rows for one
MISLABEL_ROWS = 20_000  # cross-validated regression on more rows takes minutes and finds no other kind of error


@dataclass(frozen=True)
class Prepared:
    """A task ready to be compared on, with the rows that were set aside while reading."""

    task: Task
    rejected: list[Rejected]
    removed: int
    """Rows taken out by the checks, rejected ones included."""


def prepare(settings: CompareSettings, *, writes: bool | None = False) -> Prepared:
    """Read and check the rows, and divide them.

    Args:
        writes: whether a model that answers in words takes part, so that answers may be texts; None where none is chosen yet.
    Raises:
        BadData: with every problem that keeps the rows from being used. Usage: options that do not fit the rows.
    """
    with progress("Reading and checking rows", 1):
        material = _material(settings, writes=writes)
        if material is not None:
            return _prepare_unlabelled(settings, material)
        try:
            found = _prepare_labelled(settings)
        except BadData as error:
            return _prepare_other(settings, besides="", as_classes=str(error), error=error)
        label = found.task.columns.label
        if _other_kind(settings, besides=label) is None:
            return found
        return _prepare_other(
            settings, besides=label, as_classes=f"the label would be '{label}'. Name it with --label to compare on it."
        )


def _prepare_other(settings: CompareSettings, *, besides: str, as_classes: str, error: BadData | None = None) -> Prepared:
    """Rows that are of another kind than classes, where that is known."""
    kind = _other_kind(settings, besides=besides)
    if kind in HEAD_KINDS:
        return _prepare_unlabelled(settings, _load_written(settings, settings.data, kind=kind))
    if kind is not None:
        raise _not_compared(settings, _NOT_COMPARED[kind], as_classes) from error
    assert error is not None
    raise error


def _not_compared(settings: CompareSettings, rows: str, as_classes: str) -> BadData:
    return BadData(
        f"{settings.data} looks like {rows}, which 'hone tune {settings.data}' trains; compared and checked are classes, choices, "
        f"numbers, tags and answers. Read as classes: {as_classes}"
    )


def _other_kind(settings: CompareSettings, *, besides: str = "") -> Kind | None:
    """The kind of rows that are no classes, where it is known and nothing else was named than the column of its answers.

    Args:
        besides: a column of classes; numbers that stand there may as well be names of classes.
    """
    if settings.kind or settings.prompt or settings.completion or (settings.text and not settings.label):
        return None
    try:
        layout = recognise_layout(settings.data, group=settings.group)
    except BadData:
        return None
    if settings.label:
        return layout.kind if layout.kind in HEAD_KINDS and settings.label == layout.target != besides else None
    is_other = layout.kind in HEAD_KINDS or layout.kind in _NOT_COMPARED
    return layout.kind if is_other and layout.target != besides else None


def _material(settings: CompareSettings, *, writes: bool | None) -> Material | None:
    """The rows, where their answers are written or chosen, or named as other than classes; None where they are classes.

    Raises:
        Usage: answers are texts, and no model takes part that writes any. Refused: preferences, or several examples a row.
    """
    if settings.kind in HEAD_KINDS:
        return _load_written(settings, settings.data, kind=settings.kind)
    if settings.kind == "classify" or (settings.kind is None and (settings.text or settings.label)):
        if settings.prompt or settings.completion:
            raise Usage(
                "--prompt and --completion name columns of written answers, and these rows are read as classes, whose columns --text and "
                "--label name. Leave out the one or the other."
            )
        return None
    kind, prompt, completion = settings.kind, settings.prompt, settings.completion
    try:
        known = recognise_kind(settings.data, kind=kind, prompt=prompt, completion=completion, group=settings.group)
    except BadData as error:
        if kind or prompt or completion or isinstance(error, Refused):
            raise
        return None  # read again as classes, whose error names what to do
    if known not in ANSWERED_KINDS:
        return None
    found = _load_written(settings, settings.data, kind=kind)
    if writes or found.kind == "answers":  # an encoder marks those in their passages
        return found
    if settings.kind is None and found.kind != "choice" and _reads_as_classes(settings, found):
        return None
    if writes is None:
        return found
    raise Usage(
        f"{settings.data}: {found.because} Answers are texts, and an encoder writes none. Name a decoder or an encoder-decoder "
        "with --model, or the label column with --label to tell classes apart."
    )


def _load_written(settings: CompareSettings, source: str, *, kind: str | None) -> Material:
    """A source with the columns that were named. Raises: as `load_material` does."""
    return load_material(
        source,
        kind=kind,
        prompt=settings.prompt,
        completion=settings.completion,
        text=settings.text,
        label=settings.label,
        group=settings.group,
    )


def _reads_as_classes(settings: CompareSettings, material: Material) -> bool:
    """Whether the column of the answers holds classes: few values that repeat, hardly one of them too rarely to stand in every part."""
    try:
        table = load_table(settings.data, group=settings.group)
    except BadData:
        return False
    counts = Counter(example.label for example in table.examples).values()
    rare = sum(count < MIN_ROWS_PER_CLASS for count in counts)
    return table.columns.label == material.target and (settings.drop_rare or rare <= _RARE * len(counts))


def _prepare_labelled(settings: CompareSettings) -> Prepared:
    table = load_table(settings.data, text=settings.text, label=settings.label, group=settings.group)
    rejected = list(table.rejected)
    examples, findings = find_duplicates(table.examples)
    if settings.drop_rare:
        examples, dropped = drop_rare(examples, grouped=settings.group is not None)
        findings += [dropped] if dropped else []
    held: dict[str, list[Example]] = {}
    for name in ("test", "validation"):
        source = getattr(settings, name)
        if source:
            other = _load_like(source, table)
            held[name] = other.examples
            rejected += other.rejected
    split = split_examples(
        examples, seed=settings.seed, test=held.get("test"), validation=held.get("validation"), grouped=_grouped(settings)
    )
    split, leaks = remove_leaks(split)
    everyone = [*split.train, *split.validation, *split.test]
    told = [
        rejected_rows(rejected),
        *findings,
        *leaks,
        *_unseen(settings, split),
        near_duplicates(examples),
        *class_balance(everyone),
    ]
    labels = tuple(sorted({example.label for example in split.train}))
    descriptions = {composed(label): text for label, text in settings.descriptions.items()}
    _check_descriptions(descriptions, labels)
    task = Task(
        name=Path(settings.data).name,
        kind="text-classification",
        shape="classification",
        labels=labels,
        metric=_metric(settings, "accuracy", ("accuracy", "macro_f1", "weighted_f1")),
        split=split,
        columns=table.columns,
        findings=tuple(finding for finding in told if finding is not None),
        descriptions=descriptions,
    )
    given = len(table.examples) + sum(len(rows) for rows in held.values()) + len(rejected)
    return Prepared(task, rejected, given - len(everyone))


def _prepare_unlabelled(settings: CompareSettings, material: Material) -> Prepared:
    """Rows whose answer is no class: written, chosen, a number, several labels, or a tag for every word."""
    if settings.descriptions or settings.drop_rare:
        raise Usage("--describe and --drop-rare are for rows with one label each, and these have answers of another kind.")
    sources = {"train": material}
    for name in ("test", "validation"):
        if source := getattr(settings, name):
            sources[name] = load_like(source, material) or _load_written(settings, source, kind=material.kind)
    is_head, rejected, rows = material.kind in HEAD_KINDS, list[Rejected](), dict[str, list[Example]]()
    for name, one in sources.items():
        rows[name], unusable = (as_head_examples(one), []) if is_head else as_examples(one)
        rejected += [*one.rejected, *unusable]
    given = sum(len(one.rows) + len(one.rejected) for one in sources.values())
    examples = rows.pop("train")
    examples, findings = find_duplicates(examples, is_labelled=False) if is_head else join_references(examples)
    held = rows if is_head else {name: join_references(mine)[0] for name, mine in rows.items()}
    split = split_unlabelled(
        examples, seed=settings.seed, test=held.get("test"), validation=held.get("validation"), grouped=_grouped(settings)
    )
    split, leaks = remove_leaks(split, is_labelled=False)
    everyone = [*split.train, *split.validation, *split.test]
    unseen = _unseen(settings, split) if is_head else []
    told = [rejected_rows(rejected), *findings, *leaks, *unseen, near_duplicates(examples)]
    kind, labels, usual, known = _answers(material, split)
    shape = material.shape or ("instruction" if material.kind == "chat" else "text-to-text")
    task = Task(
        name=Path(settings.data).name,
        kind=kind,
        shape="classification" if is_head else shape,
        labels=labels,
        metric=_metric(settings, usual, known),
        split=split,
        columns=Columns(
            text=_in_order(material),
            label=material.target or "",
            group=settings.group,
            because=material.because,
            choices=material.choices,
        ),
        findings=tuple(finding for finding in told if finding is not None),
        descriptions={},
    )
    return Prepared(task, rejected, given - len(everyone))


def _grouped(settings: CompareSettings) -> bool | None:
    """Whether groups must stay whole; None where that is wished for the passages that rows ask about."""
    return True if settings.group is not None else None


def _answers(material: Material, split: Split) -> tuple[TaskKind, tuple[str, ...], str, Sequence[str]]:
    """What rows are answered with, its labels, the metric that usually ranks it, and all that can."""
    if material.kind == "choice":
        most = max(len(row.choices) for part in (split.train, split.validation, split.test) for row in part)
        return "multiple-choice", tuple(LETTERS[:most]), "accuracy", ("accuracy",)
    if material.kind not in HEAD_KINDS:
        return "text-generation", (), usual_metric(material.shape, split.train), TEXT_METRICS
    kind, labels = HEAD_KINDS[material.kind], head_labels(split.train)
    known = _RANKING.get(kind) or (ENTITY_METRICS[:1] if marks_entities(labels) else TAG_METRICS)
    return kind, labels, known[0], known


def _unseen(settings: CompareSettings, split: Split) -> list[Finding | None]:
    """What is told of labels that rows which judge have and no training row has."""
    judging = {"validation": split.validation, "test": split.test}
    names = {name: Path(getattr(settings, name) or f"{name} rows").name for name in judging}
    return [unseen_labels(rows, split.train, name=names[name]) for name, rows in judging.items()]


def _in_order(material: Material) -> tuple[str, ...]:
    """The columns that are read, as they follow one another: the question stands behind its context."""
    return material.inputs[::-1] if material.kind == "answers" else material.inputs


def _metric(settings: CompareSettings, usual: str, known: Sequence[str]) -> str:
    if settings.metric in ERRORS and "r2" in known:
        raise Usage(
            f"Strategies are ranked by what is better the higher it is: name r2, which orders them as rmse does. '{settings.metric}' is told "
            "beside it."
        )
    if settings.metric is not None and settings.metric not in known:
        raise Usage(f"The metric '{settings.metric}' does not fit these rows. {did_you_mean(settings.metric, known)}")
    return settings.metric or usual


def _load_like(source: str, table: Table) -> Table:
    """Another file of the same task, read with the same columns."""
    columns = table.columns
    return load_table(source, text=columns.text, label=columns.label, group=columns.group, is_held_out=True)


def _check_descriptions(descriptions: dict[str, str], labels: tuple[str, ...]) -> None:
    unknown = sorted(set(descriptions) - set(labels))
    if unknown:
        raise BadData(
            f"descriptions are given for {', '.join(map(repr, unknown))}, which no training row has. Labels: {', '.join(labels)}."
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
    index = {label: position for position, label in enumerate(sorted({example.label for example in everyone}))}
    targets = [index[example.label] for example in everyone]
    found.append(likely_mislabels(vectors, targets, everyone, seed=derive_seed(seed, "mislabels")))
    return replace(task, findings=(*task.findings, *(finding for finding in found if finding is not None)))


def _token_counts(examples: list[Example], encoder: Encoder) -> list[int]:
    counts: list[int] = []
    for at in range(0, len(examples), 10_000):
        counts += encoder.reader.count_tokens([example.text for example in examples[at : at + 10_000]])
    return counts
