"""What is right for rows that a head answers with more than a class: numbers, sets of labels, a tag for every word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hone.measure.entities import ENTITY_METRICS, marks_entities, score_entities
from hone.measure.groups import Groups
from hone.measure.intervals import Interval
from hone.measure.label_sets import LABEL_SET_METRICS, macro_f1_of, score_label_sets
from hone.measure.labels import ratio
from hone.measure.marks import Answers, with_unanswered
from hone.measure.numbers import NUMBER_METRICS, RANKING_NUMBER_METRICS, number_interval, score_numbers
from hone.measure.resample import require_rows
from hone.measure.score_marks import ScoreKey, ScoreMarks
from hone.measure.scores import ResampledScore, SumScore

__all__ = ["LIKELY", "TAG_METRICS", "LabelSetKey", "NumberKey", "TagKey", "score_tags", "tag_metrics"]

FloatArray = npt.NDArray[np.float64]

TAG_METRICS = ("accuracy", "macro_f1")
"""Over words, of tags that mark no entities."""

LIKELY = 0.5
"""From here on a label is said to be there."""


@dataclass(frozen=True)
class NumberKey(ScoreKey):
    """Right numbers."""

    truth: FloatArray
    """[n]."""
    metric: str
    groups: Groups | None = None

    @property
    def names(self) -> Sequence[str]:
        """Both by which strategies can be ranked."""
        return [self.metric, *(name for name in RANKING_NUMBER_METRICS if name != self.metric)]

    def fits(self, answers: Answers) -> bool:
        """Numbers, [n]."""
        return isinstance(answers, np.ndarray) and answers.shape == self.truth.shape

    def score(self, answers: Answers, names: Sequence[str]) -> Mapping[str, ResampledScore]:
        """Of numbers."""
        return score_numbers(self.truth, np.asarray(answers), names)

    def intervals(self, scores: Mapping[str, ResampledScore], answers: Answers, *, seed: int) -> dict[str, Interval]:
        """Those that rank, and the errors in the rows' own unit, where the rows tell an interval of them."""
        given = np.asarray(answers, dtype=np.float64)
        found = super().intervals(scores, answers, seed=seed)
        others = {name: number_interval(name, self.truth, given, seed=seed) for name in NUMBER_METRICS if name not in found}
        return found | {name: interval for name, interval in others.items() if interval is not None}

    def words(self, answers: Answers) -> tuple[str, ...]:
        """To six digits."""
        return tuple(f"{value:.6g}" for value in answers)


@dataclass(frozen=True)
class LabelSetKey(ScoreKey):
    """Right sets of labels."""

    truth: npt.NDArray[np.bool_]
    """Whether a row has a label, [n, C]."""
    labels: tuple[str, ...]
    """The last may be such as no strategy answers."""
    metric: str
    groups: Groups | None = None

    @property
    def names(self) -> Sequence[str]:
        """All there are."""
        return [self.metric, *(name for name in LABEL_SET_METRICS if name != self.metric)]

    def fits(self, answers: Answers) -> bool:
        """How likely each label is there, [n, C]."""
        return isinstance(answers, np.ndarray) and answers.shape == self.truth.shape

    def mark(self, answers: Answers) -> ScoreMarks:
        """Columns of the last labels may be missing."""
        assert isinstance(answers, np.ndarray)
        return super().mark(with_unanswered(answers, len(self.labels)))

    def score(self, answers: Answers, names: Sequence[str]) -> Mapping[str, ResampledScore]:
        """Of the labels that are said to be there."""
        return score_label_sets(self.truth, _sets(answers), names)

    def words(self, answers: Answers) -> tuple[str, ...]:
        """The labels that are there."""
        rows = (zip(self.labels, row, strict=True) for row in _sets(answers))
        return tuple(", ".join(label for label, is_there in row if is_there) for row in rows)


def _sets(answers: Answers) -> npt.NDArray[np.bool_]:
    return np.asarray(np.asarray(answers) > LIKELY)


@dataclass(frozen=True)
class TagKey(ScoreKey):
    """A right tag for every word."""

    truth: tuple[str, ...]
    """Tags of each row, with spaces between them, [n]."""
    tags: tuple[str, ...]
    """All there are."""
    metric: str
    groups: Groups | None = None

    @property
    def names(self) -> Sequence[str]:
        """Of entities where tags mark them, else over words."""
        return [self.metric, *(name for name in tag_metrics(self.tags) if name != self.metric)]

    def fits(self, answers: Answers) -> bool:
        """The tags of each row, with spaces between them, [n]."""
        return isinstance(answers, tuple) and len(answers) == len(self.truth)

    def score(self, answers: Answers, names: Sequence[str]) -> Mapping[str, ResampledScore]:
        """Of entities, or over words."""
        right, given = ([row.split(" ") for row in rows] for rows in (self.truth, self.words(answers)))
        ways = score_entities if marks_entities(self.tags) else score_tags
        return ways(right, given, names)

    def words(self, answers: Answers) -> tuple[str, ...]:
        """As they are."""
        assert isinstance(answers, tuple)
        return answers


def tag_metrics(tags: Sequence[str]) -> tuple[str, ...]:
    """By which answers of these tags are measured, the usual one first."""
    return ENTITY_METRICS if marks_entities(tags) else TAG_METRICS


def score_tags(
    truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], names: Sequence[str]
) -> dict[str, ResampledScore]:
    """Share of words whose tag is right, and the mean over tags of their F1; rows are what intervals resample.

    Args:
        truth, predicted: the tags of each row. names: of TAG_METRICS.
    Raises:
        NotEnough: there are no rows.
    """
    require_rows(len(truth), "A score of tags", least=1)
    known = {tag: at for at, tag in enumerate(sorted({tag for row in truth for tag in row}))}
    counts = np.zeros((len(truth), len(known), 3))  # right, predicted, true ones
    for row, (right, given) in enumerate(zip(truth, predicted, strict=True)):
        for mine, said in zip(right, given, strict=True):
            counts[row, known[mine], 2] += 1
            counts[row, known[mine], 0] += mine == said
            if said in known:  # a tag that is never right is missed by the one that was
                counts[row, known[said], 1] += 1
    hits = counts[..., [0, 2]].sum(axis=1)  # [n, 2]
    scores = {
        "accuracy": SumScore("accuracy", "over words, v1", hits, _share, alone=_share(hits)),
        "macro_f1": SumScore(
            "macro_f1",
            "over the tags that occur, v1",
            counts.reshape(len(truth), -1),
            macro_f1_of(len(known), held=len(known)),
            alone=_share(hits),
        ),
    }
    return {name: scores[name] for name in names}


def _share(hits: FloatArray) -> FloatArray:
    """Of [..., 2] right ones and all, [...]."""
    return ratio(hits[..., 0], hits[..., 1])
