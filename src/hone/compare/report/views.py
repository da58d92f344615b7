"""What the report shows beyond the record's own fields: worst pairs, grouped answers, cut texts, shaded cells.

Pure functions from records to small frozen records, so that the template holds no arithmetic.
"""

import re
from dataclasses import dataclass

from hone.compare.records import ClassScore, Comparison, Mistake, Row
from hone.compare.report.words import metric_name
from hone.core.console import visible

__all__ = [
    "MANY_CLASSES",
    "Answer",
    "ClassLine",
    "Pair",
    "PromptTrial",
    "class_lines",
    "column_metrics",
    "confused_pairs",
    "grouped_answers",
    "prompt_trials",
    "readable",
    "shortened",
    "titles",
]

MANY_CLASSES = 12
"""Up to here a confusion matrix is a table with numbers; above, a heat map with a list of the worst pairs."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A true class and the class it is taken for."""

    true: str
    answered: str
    count: int
    share: float
    """Of the rows of the true class."""


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class: the recommended strategy's scores, and the F1 of every strategy in the order of the table."""

    score: ClassScore
    f1: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a test row, and who gave it: (title, confidence or None), the surest first."""

    label: str
    is_right: bool
    given_by: tuple[tuple[str, float | None], ...]


@dataclass(frozen=True, slots=True)
class PromptTrial:
    """So many examples in the prompt: how often tried, and the best and worst score."""

    examples: int
    prompts: int
    best: float
    worst: float


def titles(comparison: Comparison) -> dict[str, str]:
    """Title by strategy, in the order of the table."""
    return {row.strategy: row.title for row in comparison.rows}


def column_metrics(comparison: Comparison) -> list[tuple[str, str]]:
    """Every metric that some row has, as (name, name for people), the primary first."""
    names = dict.fromkeys([comparison.task.metric, *(name for row in comparison.rows for name in row.metrics)])
    return [(name, metric_name(name)) for name in names]


def confused_pairs(row: Row, labels: tuple[str, ...], *, count: int) -> list[Pair]:
    """The most frequent errors, at most `count`."""
    pairs = [
        Pair(true=labels[true], answered=labels[said], count=number, share=number / sum(counts))
        for true, counts in enumerate(row.confusion)
        for said, number in enumerate(counts)
        if number and said != true
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.true, pair.answered))[:count]


def class_lines(comparison: Comparison, recommended: Row) -> list[ClassLine]:
    """Classes, the recommended strategy's weakest F1 first."""
    scores = {row.strategy: {score.label: score.f1 for score in row.per_class} for row in comparison.rows}
    lines = [
        ClassLine(score=score, f1=tuple(scores[row.strategy].get(score.label) for row in comparison.rows))
        for score in recommended.per_class
    ]
    return sorted(lines, key=lambda line: line.score.f1)


def grouped_answers(mistake: Mistake, names: dict[str, str]) -> list[Answer]:
    """Who answered what: the right answer first, then the wrong ones by how many gave them."""
    groups: dict[str, list[tuple[str, float | None]]] = {}
    for strategy, label in mistake.answers.items():
        groups.setdefault(label, []).append((names.get(strategy, strategy), mistake.confidence.get(strategy)))
    answers = [
        Answer(label=label, is_right=label == mistake.label, given_by=tuple(sorted(given, key=lambda each: -(each[1] or 0))))
        for label, given in groups.items()
    ]
    return sorted(answers, key=lambda answer: (not answer.is_right, -len(answer.given_by), answer.label))


def prompt_trials(row: Row) -> list[PromptTrial]:
    """Scores on validation rows by number of examples, where that was varied: the curve that says how many help."""
    by_count: dict[int, list[float]] = {}
    for tried in row.tried:
        if "k" in tried.settings:
            by_count.setdefault(int(tried.settings["k"]), []).append(tried.score)
    if len(by_count) < 2:
        return []
    return [PromptTrial(k, len(scores), max(scores), min(scores)) for k, scores in sorted(by_count.items())]


def readable(text: str) -> str:
    """The text with control characters made visible and runs of empty lines closed; nothing else is changed."""
    return re.sub(r"\n\s*\n\s*", "\n\n", visible(text)).strip("\n") or "(empty)"


def shortened(text: str, length: int) -> tuple[str, int]:
    """The readable text, cut to `length` letters, and how many letters the whole has (0 when nothing was cut)."""
    shown = readable(text)
    return (shown, 0) if len(shown) <= length else (shown[:length].rstrip() + "…", len(text))
