"""Training, validation and test rows: stratified by class, the same for the same rows in any order.

Takes examples whose exact duplicates are out. The one surprise: nothing is shuffled; rows are ordered by the
SHA-256 of the seed and what they ask, so sorting or shuffling the file changes no part.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hone.core.errors import BadData
from hone.task.groups import assign_groups
from hone.task.records import Example, Finding, Split
from hone.task.wording import counted

__all__ = ["MIN_ROWS_PER_CLASS", "drop_rare", "split_digest", "split_examples", "split_unlabelled"]

MIN_ROWS_PER_CLASS = 3
"""One row of each class for training, validation and test."""

_FEWEST_ROWS = 20
_PLACES = 20
_SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
_HELD = 0.25
_LEAST_SHARE = 0.5  # of its share, that a part must have of whole groups
_MOST_HELD = 1000  # rows held back for choosing beside a given test file: their accuracy is known to 2 points, the rest trains


def split_examples(
    examples: Sequence[Example],
    *,
    seed: int,
    test: Sequence[Example] | None = None,
    validation: Sequence[Example] | None = None,
    grouped: bool | None,
    is_labelled: bool = True,
) -> Split:
    """Divide 60/20/20 per class; with test or validation given, the rest 75/25; with both given, all of it trains.

    Beside a given test file at most about 1,000 rows are held back for validation.

    Args:
        test, validation: rows that the user keeps apart; they are taken whole.
        grouped: keep rows of one `Example.group` together; a row without a group is a group of its own. None: where groups come again and
            every part can have its share, with every class, of whole ones; they are not held against rows that the user keeps apart.
        is_labelled: whether there must be two labels at least.
    Returns:
        Three disjoint lists, each with every class, each ordered by hash; and the digest over them.
    Raises:
        BadData: fewer than 20 rows, one class only, a class with fewer than 3 rows (or groups), a given part with groups that stand on
            both sides.
    """
    given = {name: rows for name, rows in (("validation", validation), ("test", test)) if rows is not None}
    _check_amount(examples, given, is_labelled=is_labelled)
    parts: dict[str, list[Example]] = {name: list(rows) for name, rows in given.items()}
    if len(given) == 2:
        parts["train"] = list(examples)
    else:
        shares = dict(_SHARES)
        if given:
            open_part = next(name for name in ("validation", "test") if name not in given)
            held_share = _HELD if open_part == "test" else min(_HELD, _MOST_HELD / len(examples))
            shares = {"train": 1 - held_share, open_part: held_share}
        parts |= _divide(examples, shares, seed=seed, grouped=grouped)
    for name in given if grouped else ():
        _check_given(name, given[name], parts["train"])
    train, held, tested = (_by_hash(parts[name], seed) for name in ("train", "validation", "test"))
    return Split(train=train, validation=held, test=tested, digest=split_digest(train, held, tested))


def _divide(
    examples: Sequence[Example], shares: Mapping[str, float], *, seed: int, grouped: bool | None
) -> dict[str, list[Example]]:
    """Rows to parts; see `split_examples`, whose errors it raises."""
    ordered = _by_hash(examples, seed)
    if grouped is None and (parts := _whole_groups(ordered, shares, seed=seed)) is not None:
        return parts
    _check_rare(examples, grouped=bool(grouped))
    return assign_groups(ordered, shares, seed=seed) if grouped else _stratify(ordered, shares)


def _whole_groups(ordered: list[Example], shares: Mapping[str, float], *, seed: int) -> dict[str, list[Example]] | None:
    """Whole groups to parts; None where no group comes again, or some part would lack a class or half of its share."""
    names = [row.group for row in ordered if row.group is not None]
    if len(set(names)) == len(names):
        return None
    try:
        _check_rare(ordered, grouped=True)
        parts = assign_groups(ordered, shares, seed=seed)
    except BadData:
        return None
    fits = all(len(parts[name]) >= _LEAST_SHARE * share * len(ordered) for name, share in shares.items())
    return parts if fits else None


def split_unlabelled(
    examples: Sequence[Example],
    *,
    seed: int,
    test: Sequence[Example] | None = None,
    validation: Sequence[Example] | None = None,
    grouped: bool | None = None,
) -> Split:
    """As `split_examples`, for rows whose answers are no classes: written ones, choices, numbers and the like. Nothing is stratified.

    Raises:
        BadData: fewer than 20 rows, fewer than 3 groups that must be kept together, or such as stand in a given part too.
    """
    whole: dict[int, Example] = {}

    def bare(rows: Sequence[Example] | None) -> list[Example] | None:
        if rows is None:
            return None
        made = [replace(row, label="") for row in rows]
        whole.update((id(one), row) for one, row in zip(made, rows, strict=True))
        return made

    kept = bare(examples), bare(test), bare(validation)  # the dictionary goes by identity: they must live until its last use
    assert kept[0] is not None
    if grouped and (test is None or validation is None):
        _check_groups(kept[0])
    split = split_examples(kept[0], seed=seed, test=kept[1], validation=kept[2], grouped=grouped, is_labelled=False)
    train, held, tested = ([whole[id(row)] for row in part] for part in (split.train, split.validation, split.test))
    return Split(train=train, validation=held, test=tested, digest=split_digest(train, held, tested))


def _check_groups(examples: Sequence[Example]) -> None:
    count = _class_sizes(examples, grouped=True).total()
    if count < MIN_ROWS_PER_CLASS:
        raise BadData(
            f"The column named with --group holds {counted(count, 'group')}, and at least {MIN_ROWS_PER_CLASS} are needed: one to train on, one "
            "to choose on and one for the test. Name another column, or leave out --group."
        )


def split_digest(train: Iterable[Example], validation: Iterable[Example], test: Iterable[Example]) -> str:
    """SHA-256 over texts, labels and choices of the three lists in order; file names and lines do not count."""
    digest = hashlib.sha256()
    for name, rows in (("train", train), ("validation", validation), ("test", test)):
        digest.update(f"\x1d{name}".encode())
        for example in rows:
            answers = "\x1f".join((example.label, *example.choices, *example.more))
            digest.update(f"\x1e{example.text}\x1f{answers}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def drop_rare(examples: Sequence[Example], *, grouped: bool = False) -> tuple[list[Example], Finding | None]:
    """Leave out the classes that are too small to stand in all three parts.

    Returns:
        The rows of the other classes in their order, and what was left out; None when no class is that small.
    """
    counts = _class_sizes(examples, grouped=grouped)
    rare = {label: count for label, count in counts.items() if count < MIN_ROWS_PER_CLASS}
    if not rare:
        return list(examples), None
    gone = [example for example in examples if example.label in rare]
    finding = Finding(
        kind="rare_class",
        severity="removed",
        message=f"{counted(len(gone), 'row')} of {counted(len(rare), 'class')} with fewer than {MIN_ROWS_PER_CLASS} "
        f"{_unit(grouped)} left out: {_names(rare)}.",
        count=len(gone),
        places=tuple(f"{example.place}: {example.label}" for example in gone[:_PLACES]),
    )
    return [example for example in examples if example.label not in rare], finding


def _by_hash(examples: Iterable[Example], seed: int) -> list[Example]:
    prefix = hashlib.sha256(f"{seed}\x1f".encode())

    def key(example: Example) -> tuple[bytes, str, str, str, int]:
        digest = prefix.copy()
        digest.update(example.asked.encode("utf-8", "surrogatepass"))
        return digest.digest(), example.label, example.group or "", example.file, example.line

    return sorted(examples, key=key)


def _stratify(ordered: list[Example], shares: Mapping[str, float]) -> dict[str, list[Example]]:
    """Each class by itself: the first rows are held out, the remainder trains."""
    by_label: defaultdict[str, list[Example]] = defaultdict(list)
    for example in ordered:
        by_label[example.label].append(example)
    parts: dict[str, list[Example]] = {name: [] for name in shares}
    for label in sorted(by_label):
        rows = by_label[label]
        start = 0
        for name, share in shares.items():
            if name != "train":
                count = max(1, int(share * len(rows) + 0.5))
                parts[name] += rows[start : start + count]
                start += count
        parts["train"] += rows[start:]
    return parts


def _check_amount(examples: Sequence[Example], given: Mapping[str, Sequence[Example]], *, is_labelled: bool) -> None:
    rows = len(examples) + sum(map(len, given.values()))
    for name, part in (("training", examples), *given.items()):
        if not part:
            raise BadData(
                f"There are no {name} rows. Every part needs rows of every class. Check the file that was given for it."
            )
    if rows < _FEWEST_ROWS:
        raise BadData(
            f"There are {rows} usable rows, at least {_FEWEST_ROWS} are needed: "
            "with fewer, chance decides which strategy looks best. Add labelled rows; 200 or more give a useful answer."
        )
    labels = {example.label for example in examples}
    if is_labelled and len(labels) == 1:
        raise BadData(
            f"All {len(examples)} rows have the label '{next(iter(labels))}'. Telling classes apart needs at least two. "
            "Add rows of another class, or name another column with --label."
        )


def _check_rare(examples: Sequence[Example], *, grouped: bool) -> None:
    counts = _class_sizes(examples, grouped=grouped)
    rare = {label: count for label, count in counts.items() if count < MIN_ROWS_PER_CLASS}
    if not rare:
        return
    places: defaultdict[str, list[str]] = defaultdict(list)
    for example in examples:
        if example.label in rare and len(places[example.label]) < 3:
            places[example.label].append(example.place)
    shown = "\n".join(
        f"  '{label}': {counted(rare[label], _unit(grouped)[:-1])} ({', '.join(places[label])})" for label in sorted(rare)[:10]
    )
    more = f"\n  and {len(rare) - 10} more classes" if len(rare) > 10 else ""
    raise BadData(
        f"{len(rare)} of {counted(len(counts), 'class')} with fewer than {MIN_ROWS_PER_CLASS} {_unit(grouped)}; "
        f"each needs one for training, one for validation and one for the test:\n{shown}{more}\n"
        "Add rows, or leave such classes out with --drop-rare."
    )


def _check_given(name: str, rows: Sequence[Example], train: Sequence[Example]) -> None:
    """What a given part may not hold: groups that training holds too."""
    groups = {example.group for example in train if example.group is not None}
    shared = [example for example in rows if example.group in groups]
    if shared:
        raise BadData(
            f"{len(shared)} {name} rows belong to groups that training holds too, such as '{shared[0].group}' "
            f"({shared[0].place}). A group on both sides makes the test easier than real use. "
            "Take them out of one file, or leave out --group."
        )


def _class_sizes(examples: Sequence[Example], *, grouped: bool) -> Counter[str]:
    """Rows per class, or groups per class."""
    if not grouped:
        return Counter(example.label for example in examples)
    pairs = {(row.label, row.group if row.group is not None else ("", index)) for index, row in enumerate(examples)}
    return Counter(label for label, _ in pairs)


def _unit(grouped: bool) -> str:
    return "groups" if grouped else "rows"


def _names(counts: Mapping[str, int]) -> str:
    shown = [f"'{label}' ({counts[label]})" for label in sorted(counts)[:10]]
    return ", ".join(shown) + (f" and {len(counts) - 10} more" if len(counts) > 10 else "")
