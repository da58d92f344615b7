"""Named entities: stretches of tagged words, of which type and both ends have to be right (CoNLL's scores).

Tags are B-TYPE, I-TYPE and O, in any of the usual schemes (IOB1, IOB2, IOBES, BILOU), or B, I and O alone. The one surprise: an I-TYPE
behind another type or behind O begins an entity, as in the scorer of the shared task, so a forgotten B- costs nothing.
Source: Tjong Kim Sang and De Meulder 2003, https://aclanthology.org/W03-0419
"""

import re
from collections.abc import Sequence

import numpy as np

from hone.measure.label_sets import f1_alone, f1_of, precision_of, recall_of
from hone.measure.resample import require_rows
from hone.measure.scores import ResampledScore, SumScore

__all__ = ["ENTITY_METRICS", "entities", "marks_entities", "score_entities"]

ENTITY_METRICS = ("entity_f1", "entity_precision", "entity_recall")
"""Over all entities of all rows together."""

_OUTSIDE = "O"
_PART = re.compile(r"([BIESLUM])(?:[-_](.+))?")
_LAST = "ELSU"  # behind these an entity is over


def marks_entities(labels: Sequence[str]) -> bool:
    """Whether tags mark entities: each is O or a part of a type, and some begin or continue one. Single letters may be anything but B, I and O."""
    parts = [part for part in map(_PART.fullmatch, labels) if part]
    if len(parts) + (_OUTSIDE in labels) < len(labels) or not any(part[1] in "BI" for part in parts):
        return False
    return all(part[2] for part in parts) or {"B", _OUTSIDE} <= set(labels) <= {"B", "I", _OUTSIDE}


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Type, first word and the word behind the last of every entity of a row."""
    found: set[tuple[str, int, int]] = set()
    begun: tuple[str, int] | None = None
    before = ""
    for place, tag in enumerate((*tags, _OUTSIDE)):
        part = _PART.fullmatch(tag)
        kind, name = (part[1], part[2] or "") if part else (_OUTSIDE, "")
        if begun and (kind in "BOSU" or name != begun[0] or before in _LAST):
            found.add((*begun, place))
            begun = None
        if kind != _OUTSIDE and begun is None:
            begun = (name, place)
        before = kind
    return found


def score_entities(
    truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], names: Sequence[str] = ENTITY_METRICS
) -> dict[str, ResampledScore]:
    """Precision, recall and F1 of entities.

    Args:
        truth, predicted: the tags of each row; rows are what intervals resample. names: of ENTITY_METRICS.
    Raises:
        NotEnough: there are no rows.
    """
    require_rows(len(truth), "A score of entities", least=1)
    counts = np.zeros((len(truth), 3))
    for row, (right, given) in enumerate(zip(truth, predicted, strict=True)):
        assert len(right) == len(given), f"row {row}: {len(right)} tags and {len(given)}"
        mine, theirs = entities(given), entities(right)
        counts[row] = len(mine & theirs), len(mine), len(theirs)
    ways = {"entity_f1": f1_of, "entity_precision": precision_of, "entity_recall": recall_of}
    signature, alone = "type and both ends right, over all rows, v1", f1_alone(counts)
    return {name: SumScore(name, signature, counts, ways[name], alone=alone) for name in names}
