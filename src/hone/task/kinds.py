"""The rows that can be trained on, one dataclass per kind, and the `Material` that holds those of one source.

`load_material` makes them; the class of the rows says which kind it is. Texts stand as the file has them, blanks
included, for every kind but `Example`, `Scored` and `MultiLabelled`, whose texts are read as `load_table` reads them.
Rows of one `group` belong together: that of a column which the user named, or the passage that they ask about.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from hone.task.records import Example, Rejected, TaskShape

__all__ = [
    "KINDS",
    "SHAPES",
    "Choice",
    "Completion",
    "Dialogue",
    "Kind",
    "Material",
    "MaterialRow",
    "Message",
    "MultiLabelled",
    "Passage",
    "Plain",
    "Role",
    "Scored",
    "Tagged",
    "TaskShape",
]

Kind: TypeAlias = Literal["classify", "completion", "chat", "plain", "tag", "answers", "score", "multi_label", "choice"]
"""What a row asks of the model; `KINDS` lists the names."""

KINDS: tuple[Kind, ...] = get_args(Kind)

SHAPES: tuple[TaskShape, ...] = get_args(TaskShape)

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class _Placed:
    """A row that knows where it stands. `line` is 1-based; for Parquet and Hub data it is the row number."""

    __slots__ = ()
    file: str
    line: int

    @property
    def place(self) -> str:
        """Where a person finds the row: 'tickets.csv line 41'."""
        return f"{self.file} line {self.line}"


@dataclass(frozen=True, slots=True)
class Plain(_Placed):
    """Raw text to continue."""

    text: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Completion(_Placed):
    """A prompt and the answer to be learnt; `more` are other answers that are as right, which are marked but not learnt."""

    prompt: str
    completion: str
    file: str
    line: int
    more: tuple[str, ...] = ()
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a dialogue."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Dialogue(_Placed):
    """Messages in order; at least one is the assistant's."""

    messages: tuple[Message, ...]
    file: str
    line: int
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Tagged(_Placed):
    """A tag for every token: as many `tags` as `tokens`."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    file: str
    line: int
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Passage(_Placed):
    """A question whose answers are stretches of the context.

    `starts` are character offsets: `context[start:]` begins with the answer. Both tuples empty: it cannot be answered.
    """

    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]
    file: str
    line: int
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Scored(_Placed):
    """A number for a text; a pair of texts is joined by a line break."""

    text: str
    score: float
    file: str
    line: int
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class MultiLabelled(_Placed):
    """Any number of labels for a text, none included, each once and in the file's order."""

    text: str
    labels: tuple[str, ...]
    file: str
    line: int
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Choice(_Placed):
    """A question and its choices, one of which is right: `choices[answer]`."""

    question: str
    choices: tuple[str, ...]
    answer: int
    """Index of the right choice, from 0; -1 where it is asked for."""
    file: str
    line: int
    group: str | None = field(default=None, compare=False)


MaterialRow: TypeAlias = Example | Plain | Completion | Dialogue | Tagged | Passage | Scored | MultiLabelled | Choice


@dataclass(frozen=True, slots=True)
class Material:
    """The rows of one source, all of one kind and in file order, and those set aside."""

    source: str
    kind: Kind
    rows: list[MaterialRow]
    rejected: list[Rejected]
    because: str
    """One sentence: which columns were taken, why, and which were left out."""
    shape: TaskShape | None = None
    """Which prompt templates fit the rows; None where none do: tags, scores, several labels, dialogues, plain text."""
    inputs: tuple[str, ...] = ()
    """Columns that the model reads."""
    target: str | None = None
    """Column of what it learns; None where that is the same."""
    group: str | None = None
    """Column that was named as telling which rows belong together."""
    choices: tuple[str, ...] = ()
    """Of multiple choice: the columns of the choices; none where they stand inside the question's own."""
