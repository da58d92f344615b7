"""What a run on a mixture of tasks did with each task, and how well each is answered before and after: part of `hone.json`."""

from typing import Literal

from hone.core.record import Record

__all__ = ["AskedWith", "MixtureRecord", "TaskRecord", "TaskScore"]

AskedWith = Literal["trained", "unseen", "held_out"]
"""A trained task by templates that trained, by templates that never did, or a task that never trained."""


class TaskScore(Record):
    """How well the evaluated rows of one task are answered, without solved examples."""

    task: str
    asked: AskedWith
    templates: tuple[str, ...]
    """Ids; each row is asked with one of them, in turn."""
    n: int
    metric: str
    signature: str
    """How the metric is computed."""
    chance: float | None
    """Of guessing among the options; None where answers are written."""
    plain: float
    """Of always giving the commonest answer of these rows among options, or of copying the first three sentences of the row's text."""
    before: float
    low_before: float
    high_before: float
    after: float
    low: float
    high: float
    """95% interval of `after` over the rows."""
    gain_low: float
    gain_high: float
    """95% interval of after - before on the same rows."""

    @property
    def is_above_chance(self) -> bool | None:
        """Whether the whole interval after training lies above chance; None where there is none."""
        return None if self.chance is None else self.low > self.chance

    @property
    def is_better(self) -> bool:
        """Whether the whole interval of the gain lies above 0."""
        return self.gain_low > 0


class TaskRecord(Record):
    """One task of the mixture."""

    name: str
    kind: str
    shape: str
    held_out: bool
    because: str
    """How its rows were recognised."""
    read: int
    rejected: int
    repeated: int
    leaked: int
    """Training rows taken out because some task is evaluated on what they ask."""
    unreached: int
    """Training rows that stay out because the run's draws do not come to them."""
    train: int
    evaluated: int
    share: float
    """Of the draws; 0 for a task that is held out."""
    trained_templates: tuple[str, ...]
    unseen_templates: tuple[str, ...]
    inverted_templates: tuple[str, ...]
    prompts: int
    """Training rows put in words, anew for each pass; the next four are parts of these."""
    few_shot: int
    """Prompts with solved examples."""
    listed: int
    """Prompts that list the options."""
    inverted: int
    """Prompts that ask for the text."""
    cut: int
    """Prompts whose text was shortened to fit the context."""


class MixtureRecord(Record):
    """A mixture of tasks: what was trained and what it came to."""

    mixing: str
    cap: int
    temperature: float
    tasks: tuple[TaskRecord, ...]
    scores: tuple[TaskScore, ...] = ()
