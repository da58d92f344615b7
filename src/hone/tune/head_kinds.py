"""What heads answer, a class for each kind of rows: a class, several labels, a number, a tag for every word, a stretch of a passage."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from hone.measure import (
    ENTITY_METRICS,
    ERRORS,
    LABEL_SET_METRICS,
    METRIC_VERSIONS,
    NUMBER_METRICS,
    Groups,
    Interval,
    LabelKey,
    marks_entities,
    number_interval,
    number_score,
    score_entities,
    score_label_sets,
    score_texts,
)
from hone.model import TextReader
from hone.task import Example, MultiLabelled, Passage, Scored, Tagged, other_labels
from hone.train import Answers, AnswerSpan, Labelled, Stretch, Tag, passage_answers
from hone.tune.choose import Chosen
from hone.tune.heads import HeadKey, HeadMetric, resampled

__all__ = ["make_key", "outside"]

_OF_CLASSES = ("accuracy", "macro_f1")


def make_key(chosen: Chosen, items: Sequence[Any], rows: Sequence[Any]) -> HeadKey:
    """What is right for rows, by what a head was trained to answer.

    Args:
        items: as the objective encoded them. rows: as they were read.
    """
    objective, labels = chosen.objective, (*chosen.labels, *other_labels(rows, chosen.labels))
    if isinstance(objective, Tag):
        kind = _Entities if marks_entities(chosen.labels) else _Tags
        return kind(objective, labels, rows, answered=len(chosen.labels))
    if isinstance(objective, Answers):
        return _Stretches(items, rows, always=bool(objective.always))
    if chosen.name == "regression":
        return _Numbers(items, rows)
    kind_of_text = _Classes if chosen.name == "classify" else _LabelSets
    return kind_of_text(items, rows, labels, answered=len(chosen.labels))


class _PerText(HeadKey):
    """One answer per text. `answered`: of the labels, how many come first that the head answers; rows may have others, never right."""

    _items: Sequence[Labelled]

    def texts(self, reader: TextReader) -> list[str]:
        """As the model reads them, cut where they are too long."""
        return [str(reader.tokenizer.decode(item.ids, skip_special_tokens=True)) for item in self._items]


class _Classes(_PerText):
    """The index of a class for each text."""

    shown = _OF_CLASSES

    def __init__(self, items: Sequence[Labelled], rows: Sequence[Example], labels: Sequence[str], *, answered: int) -> None:
        self._items = items
        self._labels = labels
        self._answered = answered
        index = {label: at for at, label in enumerate(labels)}
        self.right = [index[row.label] for row in rows]

    def read(self, answers: Sequence[Any]) -> list[int]:
        return [int(np.argmax(shares)) for shares in answers]

    def plain(self) -> list[int]:
        return [_commonest(self.right, self._answered)] * len(self.right)

    def measure(self, said: Sequence[int], names: Sequence[str]) -> dict[str, HeadMetric]:
        return _of_classes(self.right, said, names, classes=len(self._labels))

    def name(self, one: int) -> str:
        return self._labels[one]


class _LabelSets(_PerText):
    """Whether each label is there, [C], for each text."""

    shown = LABEL_SET_METRICS

    def __init__(self, items: Sequence[Labelled], rows: Sequence[MultiLabelled], labels: Sequence[str], *, answered: int) -> None:
        self._items = items
        self._labels = labels
        self._answered = answered
        self.right = [np.array([label in row.labels for label in labels]) for row in rows]

    def read(self, answers: Sequence[Any]) -> list[Any]:
        unseen = np.zeros(len(self._labels) - self._answered, dtype=bool)
        return [np.concatenate([said, unseen]) for said in answers]

    def plain(self) -> list[Any]:
        commonest = np.mean(self.right, axis=0)[: self._answered].argmax()
        return [np.arange(len(self._labels)) == commonest] * len(self.right)

    def measure(self, said: Sequence[Any], names: Sequence[str]) -> dict[str, HeadMetric]:
        return resampled(score_label_sets(np.stack(self.right), np.stack(said), names))

    def name(self, one: Any) -> list[str]:
        return [label for label, is_there in zip(self._labels, one, strict=True) if is_there]


class _Numbers(_PerText):
    """A number for each text, in the rows' own unit."""

    shown = NUMBER_METRICS

    def __init__(self, items: Sequence[Labelled], rows: Sequence[Scored]) -> None:
        self._items = items
        self.right = [row.score for row in rows]

    def read(self, answers: Sequence[Any]) -> list[float]:
        return list(answers)

    def plain(self) -> list[float]:
        return [float(np.mean(self.right))] * len(self.right)

    def measure(self, said: Sequence[float], names: Sequence[str]) -> dict[str, HeadMetric]:
        def interval(name: str, seed: int) -> Interval | None:
            return number_interval(name, self.right, said, seed=seed)

        return {
            name: HeadMetric(
                f"{name}, in the rows' unit, v1" if name in ERRORS else f"{name}, v1",
                number_score(name, self.right, said),
                partial(interval, name),
            )
            for name in names
        }

    def can_tell(self, metric: str) -> bool:
        """One row rises with nothing."""
        return len(self.right) > 1 or metric in ERRORS


class _Tags(HeadKey):
    """The index of a tag for every word of each row; None where the model never read it: behind its context, or of no token."""

    shown: ClassVar[tuple[str, ...]] = _OF_CLASSES

    def __init__(self, objective: Tag, labels: Sequence[str], rows: Sequence[Tagged], *, answered: int) -> None:
        self._objective = objective
        self._labels = labels
        self._answered = answered
        self._rows = rows
        index = {label: at for at, label in enumerate(labels)}
        self.right = [[index[tag] for tag in row.tags] for row in rows]

    @cached_property
    def _words_read(self) -> list[list[int]]:
        """Of each row, the places of the words that are read."""
        return [list(self._objective.place(row.tokens)[1]) for row in self._rows]

    def read(self, answers: Sequence[Any]) -> list[list[int | None]]:
        found, told = [], iter(answers)
        for row, words in zip(self._rows, self._words_read, strict=True):
            tags = dict(zip(words, next(told), strict=True)) if words else {}
            found.append([tags.get(word) for word in range(len(row.tokens))])
        return found

    def plain(self) -> list[list[int]]:
        commonest = _commonest([tag for tags in self.right for tag in tags], self._answered)
        return [[commonest] * len(tags) for tags in self.right]

    def measure(self, said: Sequence[Sequence[int | None]], names: Sequence[str]) -> dict[str, HeadMetric]:
        """Over words; those of one row belong together."""
        groups = Groups.named([str(at) for at, tags in enumerate(self.right) for _ in tags])
        truth = [tag for tags in self.right for tag in tags]
        given = [tag for tags in said for tag in tags]
        return _of_classes(truth, given, names, classes=len(self._labels), groups=groups)

    def texts(self, reader: TextReader) -> list[str]:
        """All words."""
        return [" ".join(row.tokens) for row in self._rows]

    def name(self, one: Sequence[int | None]) -> list[str]:
        return [outside(self._labels) if tag is None else self._labels[tag] for tag in one]


class _Entities(_Tags):
    """Tags that mark entities: a word that was never read is outside of all."""

    shown = ENTITY_METRICS

    def measure(self, said: Sequence[Sequence[int | None]], names: Sequence[str]) -> dict[str, HeadMetric]:
        """Of entities, over all rows together."""
        return resampled(score_entities([row.tags for row in self._rows], [self.name(tags) for tags in said], names))


class _Stretches(HeadKey):
    """A stretch of the passage of each question; '' where it is not answered there."""

    shown = ("exact_match", "token_f1")

    def __init__(self, items: Sequence[AnswerSpan], rows: Sequence[Passage], *, always: bool) -> None:
        self._items = items
        self._rows = rows
        self._always = always
        self.right = [list(row.answers) for row in rows]

    def read(self, answers: Sequence[Stretch]) -> list[str]:
        return passage_answers(self._items, self._rows, answers, always=self._always)

    def plain(self) -> None:
        return None

    def measure(self, said: Sequence[str], names: Sequence[str]) -> dict[str, HeadMetric]:
        return resampled({**score_texts(said, [row.answers or ("",) for row in self._rows], names)})

    def texts(self, reader: TextReader) -> list[str]:
        """Question and passage."""
        return [f"{row.question}\n{row.context}" for row in self._rows]


def _commonest(right: Sequence[int], answered: int) -> int:
    """The commonest of the classes that the head answers."""
    return max(Counter(one for one in right if one < answered).items(), key=lambda one: one[1])[0]


def outside(labels: Sequence[str]) -> str:
    """The tag of a word that the model never read."""
    return "O" if "O" in labels else ""


def _of_classes(
    truth: Sequence[int], said: Sequence[int | None], names: Sequence[str], *, classes: int, groups: Groups | None = None
) -> dict[str, HeadMetric]:
    """Label metrics; nothing said is never right."""
    shares = np.vstack([np.eye(classes), np.zeros(classes)])[[classes if one is None else one for one in said]]
    marks = LabelKey(np.array(truth), "accuracy", groups).mark(shares)

    def interval(name: str, seed: int) -> Interval:
        return marks.interval(name, seed=seed)

    return {name: HeadMetric(METRIC_VERSIONS[name], marks.value_of(name), partial(interval, name)) for name in names}
