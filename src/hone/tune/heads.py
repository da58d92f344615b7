"""How good a head's answers are, by the metrics of its kind of rows: classes, several labels, numbers, tags, stretches of a passage."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hone.core.seeds import derive_seed
from hone.measure import (
    ERRORS,
    LABEL_METRICS,
    METRIC_VERSIONS,
    NUMBER_METRICS,
    Groups,
    Interval,
    LabelKey,
    ResampledScore,
    marks_entities,
    number_interval,
    number_score,
    score_entities,
    score_interval,
    score_label_sets,
    score_texts,
)
from hone.model import TextReader
from hone.task import Passage
from hone.train import Answers, AnswerSpan, LogitObjective, Stretch, Tag
from hone.tune.choose import Chosen
from hone.tune.metrics import head_metrics
from hone.tune.records import HeadScore

__all__ = ["HeadKey", "HeadMetric", "outside", "passage_answers"]

_OF_CLASSES = ("accuracy", "macro_f1")  # those that are shown where nothing else is asked for


class HeadMetric(NamedTuple):
    """A metric of some answers."""

    signature: str
    value: float
    interval: Callable[[int], Interval | None]
    """From a seed; None where the rows do not tell one."""


class HeadKey:
    """Rows that a head answers, with what is right."""

    def __init__(self, chosen: Chosen, items: Sequence[Any], rows: Sequence[Any]) -> None:
        """`items`: as the objective encoded them. `rows`: as they were read, of which stretches of passages know their place."""
        self._chosen = chosen
        self._items = items
        self._rows = rows

    def mark(self, answers: Sequence[Any], names: Sequence[str]) -> dict[str, HeadMetric]:
        """Metrics of answers as `LogitObjective.answers` tells them, in the order of the items."""
        name = self._chosen.name
        if name == "classify":
            return _of_classes([item.target for item in self._items], np.stack(answers), names, None)
        if name == "multi_label":
            truth = np.array([item.target for item in self._items], dtype=bool)
            return _resampled(score_label_sets(truth, np.stack(answers), names))
        if name == "regression":
            truth = self._numbers()
            return {
                one: HeadMetric(
                    f"{one}, in the rows' unit, v1" if one in ERRORS else f"{one}, v1",
                    number_score(one, truth, answers),
                    lambda seed, one=one: number_interval(one, truth, answers, seed=seed),  # type: ignore[misc]
                )
                for one in names
            }
        if name == "tag":
            return self._mark_tags(self._word_tags(answers), names)
        assert name == "answers", name
        texts = self._spans(answers)
        return _resampled(score_texts([text for _, text in texts], [row.answers or ("",) for row, _ in texts], names))

    def _mark_tags(self, given: Sequence[Sequence[int | None]], names: Sequence[str]) -> dict[str, HeadMetric]:
        """Of all words of all rows: a word without a tag is outside of every entity, and else wrong."""
        labels = self._chosen.labels
        if marks_entities(labels):
            return _resampled(score_entities([row.tags for row in self._rows], [self._named(tags) for tags in given], names))
        index = {label: at for at, label in enumerate(labels)}
        truth = [index[tag] for row in self._rows for tag in row.tags]
        none = np.zeros(len(labels))  # all as likely: no answer
        likeliest = np.stack([none if tag is None else np.eye(len(labels))[tag] for tags in given for tag in tags])
        groups = Groups.named([str(at) for at, row in enumerate(self._rows) for _ in row.tags])
        return _of_classes(truth, likeliest, names, groups)

    def _word_tags(self, answers: Sequence[Any]) -> list[list[int | None]]:
        """The class index that each word of each row is given; None where it has no token or stands behind the context."""
        found, told = [], iter(answers)
        for row, read in zip(self._rows, self._read, strict=True):
            tags = dict(zip(read, next(told), strict=True)) if read else {}
            found.append([tags.get(word) for word in range(len(row.tokens))])
        return found

    def _named(self, tags: Sequence[int | None]) -> list[str]:
        return [outside(self._chosen.labels) if tag is None else self._chosen.labels[tag] for tag in tags]

    @cached_property
    def _read(self) -> list[list[int]]:
        """The words of each row that are read."""
        objective: Any = self._chosen.objective
        assert isinstance(objective, Tag)
        return [list(objective.place(row.tokens)[1]) for row in self._rows]

    def score(self, answers: Sequence[Any], *, metric: str, seed: int) -> tuple[HeadScore, ...]:
        """The metrics that are shown, and the one by which the checkpoint was chosen, with intervals and the plainest answer's."""
        known = head_metrics(self._chosen.name, self._chosen.labels)
        is_fit = self.count > 1 or known is not NUMBER_METRICS  # one row rises with nothing
        shown = tuple(
            name
            for name in known
            if (known is not LABEL_METRICS or name in (*_OF_CLASSES, metric)) and (is_fit or name in ERRORS)
        )
        found, least = self.mark(answers, shown), self._mark_plain(shown)
        draw = derive_seed(seed, "heads")
        made = []
        for name in shown:
            interval = found[name].interval(draw) if self.count > 1 else None
            made.append(
                HeadScore(
                    metric=name,
                    signature=found[name].signature,
                    n=self.count,
                    value=found[name].value,
                    low=None if interval is None else interval.low,
                    high=None if interval is None else interval.high,
                    plain=least[name].value if least else None,
                )
            )
        return tuple(made)

    @property
    def count(self) -> int:
        """Rows; of passages in stretches, questions."""
        return len(self._rows) if self._chosen.name in ("answers", "tag") else len(self._items)

    def told(self, answers: Sequence[Any], reader: TextReader) -> list[dict[str, object]]:
        """A line for each row: what was read, what is right, what is answered."""
        name, labels = self._chosen.name, self._chosen.labels
        if name == "answers":
            return [
                {"read": f"{row.question}\n{row.context}", "right": list(row.answers), "tuned": text}
                for row, text in self._spans(answers)
            ]
        if name == "tag":
            return [
                {"read": " ".join(row.tokens), "right": list(row.tags), "tuned": self._named(tags)}
                for row, tags in zip(self._rows, self._word_tags(answers), strict=True)
            ]
        right: Sequence[Any] = [getattr(item, "target", None) for item in self._items]
        if name == "regression":
            right = self._numbers().tolist()

        def say(one: Any, *, is_answer: bool) -> object:
            if name == "classify":
                return labels[int(np.argmax(one)) if is_answer else one]
            if name == "multi_label":
                return [label for label, is_there in zip(labels, one, strict=True) if is_there]
            return one

        return [
            {
                "read": reader.tokenizer.decode(item.ids, skip_special_tokens=True),
                "right": say(target, is_answer=False),
                "tuned": say(answer, is_answer=True),
            }
            for item, target, answer in zip(self._items, right, answers, strict=True)
        ]

    def _mark_plain(self, names: Sequence[str]) -> dict[str, HeadMetric]:
        """Of always the commonest class, label or tag, or the mean; empty of stretches of passages."""
        name, labels = self._chosen.name, self._chosen.labels
        if name == "classify":
            commonest = Counter(item.target for item in self._items).most_common(1)[0][0]
            return self.mark(np.eye(len(labels))[[commonest] * len(self._items)], names)
        if name == "multi_label":
            share = np.array([item.target for item in self._items]).mean(axis=0)
            return self.mark([np.arange(len(labels)) == share.argmax()] * len(self._items), names)
        if name == "regression":
            return self.mark([float(self._numbers().mean())] * len(self._items), names)
        if name == "tag":
            tag = labels.index(Counter(tag for row in self._rows for tag in row.tags).most_common(1)[0][0])
            return self._mark_tags([[tag] * len(row.tags) for row in self._rows], names)
        return {}

    def _numbers(self) -> npt.NDArray[np.float64]:
        return np.array([row.score for row in self._rows], dtype=np.float64)

    def _spans(self, answers: Sequence[Stretch]) -> list[tuple[Passage, str]]:
        """Each question with the text that its stretches answer."""
        objective: LogitObjective[Any] | Any = self._chosen.objective
        assert isinstance(objective, Answers)
        found = passage_answers(self._items, self._rows, answers, always=bool(objective.always))
        return [(self._rows[example], text) for example, text in found.items()]


def outside(labels: Sequence[str]) -> str:
    """The tag of a word that the model never read: behind its context, or of no token."""
    return "O" if "O" in labels else ""


def passage_answers(
    items: Sequence[AnswerSpan], rows: Sequence[Passage], answers: Sequence[Stretch], *, always: bool
) -> dict[int, str]:
    """The text that the stretches of each question's passage answer, by the index of its row; '' where they find none.

    Args:
        items: the stretches, in the order of the answers. always: whether every question has an answer.
    """
    stretches: dict[int, list[Stretch]] = {}
    for item, answer in zip(items, answers, strict=True):
        stretches.setdefault(item.example, []).append(answer)
    found = {}
    for example, mine in stretches.items():
        best = max(mine, key=lambda one: one.score)
        is_none = not always and min(one.none for one in mine) > best.score
        found[example] = "" if is_none else rows[example].context[best.begins : best.ends]
    return found


def _of_classes(
    truth: Sequence[int], given: npt.NDArray[np.float64], names: Sequence[str], groups: Groups | None
) -> dict[str, HeadMetric]:
    marks = LabelKey(np.array(truth), "accuracy", groups).mark(given)
    return {
        name: HeadMetric(METRIC_VERSIONS[name], marks.value_of(name), lambda seed, name=name: marks.interval(name, seed=seed))  # type: ignore[misc]
        for name in names
    }


def _resampled(scores: dict[str, Any]) -> dict[str, HeadMetric]:
    return {name: HeadMetric(one.signature, one.value, partial(_interval, one)) for name, one in scores.items()}


def _interval(score: ResampledScore, seed: int) -> Interval:
    return score_interval(score, seed=seed)
