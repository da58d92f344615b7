"""Rows made ready: read, divided, freed of what validation holds too, encoded, counted."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hone.core.console import note, warn
from hone.core.errors import BadData
from hone.core.seeds import derive_seed
from hone.core.store import digest_text
from hone.task import (
    Choice,
    Example,
    Material,
    MaterialRow,
    MultiLabelled,
    Passage,
    Plain,
    Scored,
    Tagged,
    as_completion,
    choice_template,
    hold_back,
    load_like,
    load_material,
    unseen_labels,
)
from hone.train import Classify, LogitObjective, MultiLabel, Objective, Tag
from hone.tune.records import RowCounts
from hone.tune.settings import TuneSettings

__all__ = ["Divided", "Rows", "count_rows", "encode_rows", "read_rows", "trainable_items"]

_SHARE = 0.1
_MOST = 1000
_OF_SEVERAL = ("pearson", "spearman")
_READ: dict[type, tuple[str, ...]] = {
    Example: ("text", "choices"),
    MultiLabelled: ("text",),
    Scored: ("text",),
    Tagged: ("tokens",),
    Passage: ("question", "context"),
}


@dataclass(frozen=True)
class Divided:
    """Rows as they were read, by what they are for."""

    material: Material
    """The source as a whole."""
    train: list[Any]
    validation: list[Any]
    test: list[Any]
    duplicates: int
    """Rows whose text stood in validation or test too, whatever its label, and which were left out."""


@dataclass(frozen=True)
class Rows:
    """Encoded rows: to train on (older ones to replay behind them), to choose on, and to measure the end on."""

    train: list[Any]
    replayed: int
    validation: list[Any]
    test: list[Any]
    counts: RowCounts
    digest: str
    unseen: int = 0
    """Rows to measure the end on with a label that no training row has."""
    origins: Sequence[Any] = ()
    """The row, with `file` and `line`, that each encoded one is made of; empty where pieces of texts are learnt."""


def read_rows(settings: TuneSettings) -> Divided:
    """The source and the files beside it; no row stands in two of the parts.

    Raises:
        BadData: too few rows to train and to choose on, or none to test on.
    """
    material = _as_prompts(_load(settings, settings.data))
    if settings.validation:
        train, validation = list(material.rows), list(_load_like(settings, settings.validation, material).rows)
    else:
        train, validation = _divide(material.rows, seed=settings.seed)
    test = list(_load_like(settings, settings.test, material).rows) if settings.test else []
    tested = {_question(row) for row in test}
    chosen_on = [row for row in validation if _question(row) not in tested]
    known = tested | {_question(row) for row in chosen_on}
    kept = [row for row in train if _question(row) not in known]
    _tell_others(train, [*test, *chosen_on], known)
    if len(kept) < 2 or not chosen_on:
        without = f" without those of {settings.test}" if settings.test else ""
        raise BadData(
            f"{settings.data} has {len(material.rows)} usable rows, of which{without} {len(kept)} are left to train on and {len(chosen_on)} to "
            "choose on. Add rows."
        )
    return Divided(material, kept, chosen_on, test, len(train) - len(kept) + len(validation) - len(chosen_on))


def _divide(rows: Sequence[Any], *, seed: int) -> tuple[list[Any], list[Any]]:
    """A tenth to choose on, of whole groups where there are enough; that there are not is said."""
    order = list(rows)
    random.Random(derive_seed(seed, "split")).shuffle(order)
    held = set(hold_back([_group(row) for row in order], min(_MOST, max(1, round(_SHARE * len(order))))))
    validation, train = ([row for at, row in enumerate(order) if (at in held) == is_held] for is_held in (True, False))
    known = {_group(row) for row in train} - {None}
    shared = sum(_group(row) in known for row in validation)
    if shared:
        note(
            f"{shared:,} of {len(validation):,} validation rows ask about a passage that training rows ask about too: there are too few to keep "
            "them apart."
        )
    return train, validation


def _group(row: Any) -> str | None:
    """What rows have in common that belong together."""
    found: str | None = getattr(row, "group", None)
    return found


def _load(settings: TuneSettings, source: str) -> Material:
    """The rows of a source, in the columns that the user named or that are recognised."""
    return load_material(
        source,
        kind=settings.kind,
        prompt=settings.prompt,
        completion=settings.completion,
        text=settings.text,
        label=settings.label,
    )


def _as_prompts(material: Material) -> Material:
    """A choice is a completion from here on, with the choices in its prompt."""
    if material.kind != "choice":
        return material
    rows: list[MaterialRow] = [as_completion(row) if isinstance(row, Choice) else row for row in material.rows]
    because = f"{material.because} Written as prompts with {choice_template().id}."
    return replace(material, rows=rows, because=because)


def _load_like(settings: TuneSettings, source: str, material: Material) -> Material:
    """Another file of rows of the same kind: in the same columns, or, where it has others, in those that are recognised and told.

    Raises:
        BadData: they are of another.
    """
    other = load_like(source, material)
    if other is None:
        other = _load(settings, source)
        if other.kind == material.kind:
            note(f"{source}: {other.because}")
    if other.kind != material.kind:
        raise BadData(f"{source} holds rows of the kind '{other.kind}', and {settings.data} of '{material.kind}'.")
    if other.rejected:
        first = other.rejected[0]
        of = len(other.rejected) + len(other.rows)
        note(f"{source}: {len(other.rejected):,} of {of:,} rows are unusable, the first in line {first.line}: {first.reason}.")
    return _as_prompts(other)


def _content(row: Any) -> tuple[Any, ...]:
    """What a row says, wherever it stands."""
    return tuple(getattr(row, name) for name in row.__slots__ if name not in ("file", "line", "group"))


def _question(row: Any) -> tuple[Any, ...]:
    """What a row gives to read, where a label or a number is the answer to it; of other rows all they say."""
    read = _READ.get(type(row), ())
    return tuple(getattr(row, name) for name in read) if read else _content(row)


def _tell_others(train: Sequence[Any], judging: Sequence[Any], known: set[tuple[Any, ...]]) -> None:
    """Say how many training rows are left out that ask what a row of validation or test asks, and answer something else."""
    answers = {_content(row) for row in judging}
    others = [row for row in train if _question(row) in known and _content(row) not in answers]
    if others:
        note(
            f"{len(others):,} training rows are left out that have a text of validation or test with another answer, the first in "
            f"{others[0].place}."
        )


def encode_rows(settings: TuneSettings, divided: Divided, objective: Objective) -> Rows:
    """Tokens and targets of all rows; rows with nothing left to train are dropped and counted.

    Raises:
        BadData: nothing at all is left to train.
    """
    assert isinstance(objective, LogitObjective) and hasattr(objective, "encode")
    material, encoded = divided.material, objective.encode(divided.train)
    items, chosen_on = trainable_items(encoded), _judging(objective, divided.validation)
    if not items or not chosen_on:
        raise BadData(
            f"{settings.data}: once rows are cut to the model's context, nothing is left to train in any of them. Give a larger --length."
        )
    if settings.metric in _OF_SEVERAL and len(chosen_on) < 2:
        raise BadData(
            f"--metric {settings.metric} takes at least 2 rows to choose on, and there is 1. Add rows, or name a --validation file."
        )
    tested = _judging(objective, divided.test)
    if divided.test and not tested:
        raise BadData(
            f"{settings.test}: once rows are cut to the model's context, nothing is left to measure. Give a larger --length."
        )
    _warn_of_unseen(divided.validation, divided.train, name=settings.validation or f"{settings.data}, validation rows")
    unseen = _warn_of_unseen(divided.test, divided.train, name=settings.test) if settings.test else 0
    older: list[Any] = []
    origins = _origins(divided.train, encoded)
    if settings.replay:
        rows = _load_like(settings, settings.replay, material).rows
        replayed = objective.encode(rows)
        older, origins = trainable_items(replayed), [*origins, *_origins(rows, replayed)]
    counts = count_rows(
        items,
        chosen_on,
        read=len(material.rows) + len(material.rejected),
        rejected=len(material.rejected),
        duplicates=divided.duplicates,
        dropped=len(encoded) - len(items),
    )
    digest = digest_text(*(repr(_content(row)) for row in (*divided.train, *divided.validation, *divided.test)))
    return Rows([*items, *older], len(older), chosen_on, tested, counts, digest, unseen, origins)


def _origins(rows: Sequence[Any], encoded: Sequence[Any]) -> list[Any]:
    """The row that each trainable item is made of; none where one text makes several items, or several make one."""
    if all(hasattr(item, "example") for item in encoded):
        return [rows[item.example] for item in trainable_items(encoded)]
    if len(rows) != len(encoded) or isinstance(rows[0], Plain):
        return []
    return [row for row, item in zip(rows, encoded, strict=True) if _terms(item)]


def _warn_of_unseen(rows: Sequence[Any], train: Sequence[Any], *, name: str) -> int:
    """Say which labels these rows have and no training row has; the number of rows with one."""
    found = unseen_labels(rows, train, name=name)
    if found is None:
        return 0
    warn(found.message)
    return found.count


def _judging(objective: LogitObjective[Any], rows: Sequence[Any]) -> list[Any]:
    """Encoded rows that nothing is learnt from: labels may come that the head does not answer."""
    if isinstance(objective, Classify | MultiLabel | Tag):
        return trainable_items(objective.encode(rows, judges=True))
    return trainable_items(objective.encode(rows)) if rows else []  # type: ignore[attr-defined]


def trainable_items(encoded: Sequence[Any]) -> list[Any]:
    """Those in which something is left to train."""
    return [item for item in encoded if _terms(item)]


def count_rows(
    items: Sequence[Any], validation: Sequence[Any], *, read: int, rejected: int, duplicates: int, dropped: int, cut: int = 0
) -> RowCounts:
    """What became of the rows. `cut`: rows that were shortened before they were encoded."""
    return RowCounts(
        read=read,
        rejected=rejected,
        duplicates=duplicates,
        dropped=dropped,
        cut=cut + sum(bool(getattr(item, "is_cut", False)) for item in items),
        train=len(items),
        validation=len(validation),
        tokens=sum(item.length for item in items),
        trained_tokens=sum(_terms(item) for item in items),
    )


def _terms(item: Any) -> int:
    """Trained terms of an item, as far as they are known before chance has its say."""
    if hasattr(item, "places"):
        return len(item.places)
    if hasattr(item, "target") and isinstance(item.target, list):
        return len(item.target) or len(item.source)  # span corruption draws its targets later
    return 1
