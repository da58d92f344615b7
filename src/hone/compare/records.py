"""The record of a comparison, exactly as it stands in comparison.json.

Its JSON Schema is `comparison.schema.json` beside this file; a test keeps the two equal.
A number that could not be measured is null, and `not_measured` says why; it is never 0.
"""

from typing import Literal

from hone.core.record import Record
from hone.evaluate.records import ClassScore, Metric
from hone.measure.cost import cost_seconds
from hone.task.records import Columns, Finding

__all__ = [
    "ANSWERED_ROWS",
    "ClassScore",
    "Comparison",
    "Cost",
    "CurvePoint",
    "Data",
    "Difference",
    "Estimate",
    "Forgetting",
    "LearningCurve",
    "Machine",
    "Metric",
    "Mistake",
    "ModelInfo",
    "Recommendation",
    "Row",
    "TaskInfo",
]


ANSWERED_ROWS = 10_000


class Difference(Record):
    """This strategy minus the best one on the same rows, in the primary metric."""

    value: float
    low: float
    high: float
    p_value: float
    p_holm: float
    test: Literal["mcnemar_exact", "paired_bootstrap"]


class Forgetting(Record):
    """Change on tasks that were not trained. Not yet measured for encoders with a new head: see `not_measured`."""

    mean: float | None = None
    worst: float | None = None
    tasks: dict[str, float] | None = None
    not_measured: str | None = None


class Estimate(Record):
    """What was expected before the run, to be read beside `Cost`."""

    seconds: float
    peak_bytes: int


class Cost(Record):
    """What a strategy took. `train_seconds` includes its search over settings; rates are rows per second in batches."""

    train_seconds: float
    peak_bytes: int | None
    trainable_parameters: int
    bytes_on_disk: int
    latency_ms_median: float
    latency_ms_p95: float
    rows_per_second: float
    estimate: Estimate | None = None

    @property
    def seconds(self) -> float:
        """To train the strategy and then answer `ANSWERED_ROWS` rows: the cost by which strategies are ordered."""
        return cost_seconds(self.train_seconds, self.rows_per_second, rows=ANSWERED_ROWS)


class Row(Record):
    """One strategy: how good, how sure, at what cost, with which settings."""

    strategy: str
    title: str
    """For people: 'LoRA', 'frozen encoder + head'."""
    metrics: dict[str, Metric]
    """accuracy, macro_precision, macro_recall, macro_f1, weighted_precision, weighted_recall, weighted_f1, ece."""
    validation: float
    """Primary metric on the validation rows, by which settings were chosen."""
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts, [true label, predicted label], both in the order of `task.labels`."""
    difference: Difference | None
    """None for the best row itself."""
    p_best: float
    is_pareto: bool
    """No other strategy is at least as good and cheaper (in the primary metric and cost seconds)."""
    cost: Cost
    forgetting: Forgetting
    settings: dict[str, str | float | int]
    """What was chosen on validation data: {'k': 8} or {'learning_rate': 1e-4, 'epochs': 6}."""
    stopped_early: str | None
    """None, or why training ended before its full length."""


class CurvePoint(Record):
    """Primary metric on validation rows when trained on `rows` rows: mean over draws, lowest and highest draw."""

    rows: int
    value: float
    low: float
    high: float


class LearningCurve(Record):
    """How the metric grows with labelled rows."""

    strategy: str
    points: tuple[CurvePoint, ...]
    still_rises: bool | None
    """True when all rows beat half of them with 95% confidence; None when that was not measured."""
    gain_low: float | None
    gain_high: float | None
    forecast_rows: int | None
    forecast: float | None
    """Expected value at `forecast_rows` (at most twice the rows), from a fit of a - b * n^-c."""


class Mistake(Record):
    """A test row that the strategies get wrong: the text, the truth, and each strategy's answer with its confidence."""

    place: str
    text: str
    label: str
    answers: dict[str, str]
    confidence: dict[str, float]


class Recommendation(Record):
    """The cheapest strategy that is not distinguishably worse than the best, and the evidence for each word."""

    strategy: str
    best: str
    """Highest primary metric on the test rows (may be the same)."""
    because: tuple[str, ...]
    would_change: tuple[str, ...]
    """What would change this answer."""
    minimal_detectable_difference: float
    """Smallest difference in the primary metric that this test set reveals with 80% power at 5%."""


class Data(Record):
    """Counts of rows by fate; `findings` is the checker's whole report."""

    train: int
    validation: int
    test: int
    removed: int
    source: str
    columns: Columns
    split_digest: str
    findings: tuple[Finding, ...]


class TaskInfo(Record):
    """Kind of task, its labels and the metric by which strategies are ranked."""

    kind: Literal["text-classification"]
    labels: tuple[str, ...]
    metric: Literal["accuracy", "macro_f1", "weighted_f1"]


class ModelInfo(Record):
    """The base model: as asked for, where it was found, its size and the digest of its weights."""

    name: str
    revision: str | None
    sha256: str
    parameters: int
    context_length: int
    licence: str | None


class Machine(Record):
    """Where the costs were measured; `arithmetic` is bf16 or fp32."""

    processor: str
    cores: int
    memory_bytes: int
    accelerator: str | None
    arithmetic: str
    versions: dict[str, str]


class Comparison(Record):
    """All strategies on the same rows, one recommendation."""

    schema_version: Literal[1] = 1
    hone_version: str
    command: str
    """The command that repeats this run."""
    started: str
    """ISO 8601, UTC."""
    seconds: float
    seed: int
    task: TaskInfo
    model: ModelInfo
    data: Data
    rows: tuple[Row, ...]
    """Sorted by the primary metric, best first; strategies stopped early last."""
    recommended: Recommendation
    learning_curve: LearningCurve | None
    mistakes: tuple[Mistake, ...]
    """At most 20, those that most strategies get wrong with most confidence first."""
    machine: Machine
    folder: str
    not_run: dict[str, str]
    """Strategies that did not run, with the reason."""
