"""Whole groups to the parts of a split: rows of one customer or one document never stand on both sides.

Serves `split`; `hold_back` is for one part alone. Greedy, as scikit-learn's StratifiedGroupKFold: each group goes where its classes are missed most.
The one surprise: groups with the rarest classes choose first, since they have the fewest places to go.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hone.core.errors import BadData
from hone.task.records import Example

__all__ = ["assign_groups", "hold_back"]

_MOST_HELD = 1 / 3  # of the rows, that whole groups may take to have one part at all


@dataclass(frozen=True, slots=True)
class _Group:
    key: str
    rows: list[Example]
    labels: Counter[str]


def assign_groups(ordered: Sequence[Example], shares: Mapping[str, float], *, seed: int) -> dict[str, list[Example]]:
    """Give whole groups to parts so that each part comes near its share of every class.

    Args:
        ordered: rows in an order that does not depend on the file. shares: part name to its share; they sum to 1.
    Raises:
        BadData: no assignment was found that has every class in every part.
    """
    groups = _collect(ordered, seed)
    sizes = Counter(example.label for example in ordered)
    spread = Counter(label for group in groups for label in group.labels)
    groups.sort(key=lambda group: (min(spread[label] for label in group.labels), -len(group.rows), group.key))
    want = {part: {label: share * count for label, count in sizes.items()} for part, share in shares.items()}
    held: dict[str, Counter[str]] = {part: Counter() for part in shares}
    assigned: dict[str, list[_Group]] = {part: [] for part in shares}
    for group in groups:

        def need(part: str, group: _Group = group) -> float:
            return sum(count * (1 - held[part][label] / want[part][label]) for label, count in group.labels.items())

        part = max(shares, key=need)
        assigned[part].append(group)
        held[part].update(group.labels)
    _repair(assigned, sorted(sizes))
    return {part: [example for group in chosen for example in group.rows] for part, chosen in assigned.items()}


def hold_back(groups: Sequence[str | None], count: int) -> list[int]:
    """Places of about `count` rows to judge by, ascending, of whole groups where groups come again.

    Groups are taken as they come, as far as they fit; one that does not is taken where all others would be less than half of `count`.

    Args:
        groups: of each row, in an order that says nothing of the rows; None is a group of its own.
    Returns:
        The first `count` places where no group comes again, or where groups are so few that whole ones would be a third of the rows.
    """
    members: defaultdict[object, list[int]] = defaultdict(list)
    for at, name in enumerate(groups):
        members[("row", at) if name is None else ("group", name)].append(at)
    held: list[int] = []
    larger: list[list[int]] = []
    for mine in members.values():
        if len(held) + len(mine) <= count:
            held += mine
        else:
            larger.append(mine)
    if 2 * len(held) < count and larger:
        smallest = min(larger, key=len)
        held += smallest
    fits = len(members) < len(groups) and len(held) <= max(count, _MOST_HELD * len(groups))
    return sorted(held) if fits else list(range(count))


def _collect(ordered: Sequence[Example], seed: int) -> list[_Group]:
    members: defaultdict[str, list[Example]] = defaultdict(list)
    for index, example in enumerate(ordered):
        # The two prefixes keep a row without a group from meeting a group that has the same name.
        members[f"g{example.group}" if example.group is not None else f"r{index}"].append(example)
    return [
        _Group(
            hashlib.sha256(f"{seed}\x1f{key}".encode("utf-8", "surrogatepass")).hexdigest(), rows, Counter(e.label for e in rows)
        )
        for key, rows in members.items()
    ]


def _repair(assigned: dict[str, list[_Group]], labels: Sequence[str]) -> None:
    """Move single groups until every part has every class; a move may not take a class's last group from a part."""
    presence = {part: Counter(label for group in groups for label in group.labels) for part, groups in assigned.items()}
    for label in labels:
        for part in assigned:
            if presence[part][label]:
                continue
            move = next(
                (
                    (source, group)
                    for source in assigned
                    if source != part
                    for group in sorted(assigned[source], key=lambda group: (len(group.rows), group.key))
                    if label in group.labels and all(presence[source][other] > 1 for other in group.labels)
                ),
                None,
            )
            if move is None:
                raise BadData(
                    f"Class '{label}' cannot stand in training, validation and test without cutting a group in two: "
                    "its groups are also the only ones of other classes. "
                    "Add groups, leave small classes out with --drop-rare, or leave out --group."
                )
            source, group = move
            assigned[source].remove(group)
            assigned[part].append(group)
            presence[source].subtract(group.labels.keys())
            presence[part].update(group.labels.keys())
