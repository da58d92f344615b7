"""What `hone plan` was asked and what it answers."""

from typing import Any, Literal

from pydantic import Field

from hone.core.record import Record
from hone.model import Family

__all__ = ["Cost", "Enough", "Plan", "PlanSettings", "Rule", "Scratch", "Survey"]


class PlanSettings(Record):
    """What is known before anything is run. `data` or `describe` is required."""

    data: str | None = None
    """File of rows (CSV, TSV, JSON, JSONL, Parquet) or Hub id."""
    describe: str | None = None
    """The task in words, where there are no rows yet."""
    model: str | None = None
    """Starter, folder, Hub id or name in the catalogue; none means chosen."""
    kind: str | None = None
    """What the rows are; none means recognised."""
    text: tuple[str, ...] = ()
    label: str | None = None
    prompt: str | None = None
    completion: str | None = None
    gpu: tuple[str, ...] = ()
    """Names of the price list for which the cost is told too."""
    prices: str | None = None
    """File of GPUs and prices (TOML); none means the list that comes with hone."""
    licence: str | None = None
    """What the model's licence must permit, as `hone models --licence` takes it."""
    language: str | None = None
    """What the model must read, as `hone models --language` takes it; none means what a description names."""
    epochs: float = Field(default=3.0, gt=0)
    batch_rows: int = Field(default=16, ge=1)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = Field(default=0, ge=0)


class Survey(Record):
    """What is known of the rows."""

    kind: str
    """Of `hone.task.KINDS`."""
    because: str
    rows: int
    rejected: int = 0
    labels: int | None = None
    """Classes; None where answers are texts."""
    fewest: int | None = None
    """Rows of the rarest class."""
    mean_tokens: float
    """Read for one row, answer included."""
    longest_tokens: int
    """Of 99 in a hundred rows."""
    answer_tokens: float
    words: int | None = None
    """Of the vocabulary, as far as rows were looked at; None where they were not tokenised."""
    counted_with: str
    """How tokens were counted."""


class Rule(Record):
    """One strategy, whether it is worth running, and why."""

    strategy: str
    runs: bool
    because: str
    source: str


class Enough(Record):
    """Whether there are rows enough, by rules of thumb that say that they are."""

    rows: int
    one_task: str
    many_tasks: str
    measure: str
    """How to find out for these rows."""


class Cost(Record):
    """What a training with one method takes in one place."""

    where: str
    method: str
    peak_bytes: int
    memory_bytes: int
    fits: bool
    seconds: float | None
    usd: float | None
    basis: str
    """What memory and time rest on."""
    ways: tuple[str, ...] = ()
    """What would make it fit, with what it would then take; computed."""
    textbook_bytes: int | None = None
    accelerate_bytes: int | None = None


class Scratch(Record):
    """Whether a model of one's own from nothing makes sense."""

    makes_sense: bool
    because: str
    parameters: int
    tokens_wanted: int
    tokens_there: int
    seconds_here: float | None
    usd: dict[str, float] = Field(default_factory=dict)
    """By GPU."""


class Plan(Record):
    """The answer."""

    settings: PlanSettings
    survey: Survey
    assumptions: tuple[str, ...] = ()
    """What nobody said and was therefore taken as so."""
    families: tuple[Family, ...]
    """That fit, the best first."""
    family_because: str
    model: str
    model_because: str
    parameters: int
    rules: tuple[Rule, ...]
    enough: Enough
    costs: tuple[Cost, ...]
    untried: str | None = None
    """Why there are no costs, where the model cannot be tried."""
    cache_bytes: int
    """Of keys and values while 16 rows are answered at once; 0 where no text is written."""
    scratch: Scratch
    prices: str | None
    """Date and source of prices, where any were used."""
    command: str
    """That runs it; for a plan without rows with ROWS in the place of the file."""
    config: dict[str, Any]
    """Settings for `--config` of that command."""
    config_of: Literal["hone compare", "hone tune"]
