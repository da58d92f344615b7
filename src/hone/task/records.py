"""What stage 1 hands on: examples, the columns they came from, rejected cells, findings, a split, a task."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hone.core.record import Record

__all__ = ["Columns", "Example", "Finding", "Rejected", "Split", "Table", "Task", "TaskKind", "TaskShape"]

TaskKind: TypeAlias = Literal[
    "text-classification",
    "multiple-choice",
    "text-generation",
    "regression",
    "multi-label-classification",
    "token-classification",
    "question-answering",
]
"""What answers are: a label of a fixed set, one of a row's own choices, a text, a number, several labels, a tag for every word, or a stretch of
a passage, which a model that writes may also answer in its own words."""

TaskShape: TypeAlias = Literal[
    "classification", "summarization", "question-answering", "multiple-choice", "translation", "instruction", "text-to-text"
]
"""What is asked of a model that answers in words: which prompt templates fit. `SHAPES` lists the names."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row of the user's data. A dataclass, since there may be a million.

    `line` is the line in `file` where the row starts (1-based; for Parquet, Hub data and a JSON list on one line the row number).
    """

    text: str
    label: str
    """The right answer: a class, the letter of a choice, or a text; of other answers, how they are written down."""
    file: str
    line: int
    group: str | None = None
    choices: tuple[str, ...] = ()
    """Of a multiple choice."""
    more: tuple[str, ...] = ()
    """Other texts that are as right as the label."""
    row: Any = None
    """The row as it was read, a `Scored`, `MultiLabelled`, `Tagged` or `Passage`: what a head on an encoder learns."""

    @property
    def place(self) -> str:
        """Where a person finds the row: 'tickets.csv line 41'."""
        return f"{self.file} line {self.line}"

    @property
    def asked(self) -> str:
        """What tells the row from others: its text, followed by the choices where there are any."""
        return "\x1f".join((self.text, *self.choices))


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used, and why. It is reported and stored; it is never dropped in silence."""

    file: str
    line: int
    column: str
    reason: str


class Columns(Record):
    """Which columns are read. `text` may name several: they are joined by a line break, empty cells left out."""

    text: tuple[str, ...]
    label: str
    group: str | None = None
    because: str = ""
    """Why these were chosen, for the user to see; empty when the user named them."""
    choices: tuple[str, ...] = ()
    """Of multiple choice; none where the choices stand inside the question's own column."""

    @property
    def answer(self) -> str:
        """Where the right answers stand, in words: the label's column; of dialogues, which have none, what is said last."""
        return self.label or "the assistant's last turn"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one source, as read: usable examples in file order, and those set aside."""

    source: str
    columns: Columns
    examples: list[Example]
    rejected: list[Rejected]


class Finding(Record):
    """One thing the checker saw.

    `removed`: lines taken out of the run. `warning`: a person should look. `info`: worth knowing.
    `places` holds at most 20 places as text, `count` how many there are in all.
    """

    kind: Literal[
        "rejected_row",
        "exact_duplicate",
        "near_duplicate",
        "conflicting_labels",
        "leak",
        "class_balance",
        "rare_class",
        "long_text",
        "likely_mislabel",
        "unused_rows",
        "unseen_label",
    ]
    severity: Literal["removed", "warning", "info"]
    message: str
    count: int
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Train, validation and test. Disjoint also by text: leaks are already out of `train` and `validation`."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    digest: str
    """SHA-256 over the three lists in order: the same digest means the same split."""


@dataclass(frozen=True, slots=True)
class Task:
    """One set of rows: what a right answer is.

    `labels` are those of the training rows, sorted, and empty where answers are written or numbers; a class index anywhere in hone is an
    index into it. Labels that only validation or test rows have are not among them: they count as wrong.
    """

    name: str
    kind: TaskKind
    shape: TaskShape
    """In which words a model is asked."""
    labels: tuple[str, ...]
    metric: str
    """By which settings are chosen and strategies ranked."""
    split: Split
    columns: Columns
    findings: tuple[Finding, ...]
    descriptions: dict[str, str]
    """A sentence per label, from the user; may be empty."""
