"""The record of a comparison, exactly as it stands in comparison.json.

Its JSON Schema is `comparison.schema.json` beside this file; a test keeps the two equal.
A number that could not be measured is null, and `not_measured` says why; it is never 0.
"""

from typing import ClassVar, Literal

from hone.core.record import Record
from hone.evaluate.records import ClassScore, Metric
from hone.measure.cost import Tokens, cost_seconds
from hone.measure.marks import PairedTest
from hone.task.records import Columns, Finding, TaskKind

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
    "RetainedChange",
    "Row",
    "Spread",
    "TaskInfo",
    "Tried",
]


ANSWERED_ROWS = 10_000


class Difference(Record):
    """This strategy minus the best one on the same rows, in the primary metric."""

    value: float
    low: float
    high: float
    p_value: float
    p_holm: float
    """By Holm's steps over all pairs of strategies, since the best was picked on the same rows."""
    test: PairedTest


class RetainedChange(Record):
    """One retained task before and after, on the same items."""

    task: str
    metric: str
    """accuracy (of an encoder by an earlier run's head); also spearman (cosines against likeness) and recall@1 (own passage first)."""
    items: int
    before: float
    after: float
    change: float
    """After minus before: negative is forgotten."""
    low: float
    high: float
    p_holm: float | None
    """Of the exact McNemar test, adjusted for the tasks; None where items are not right or wrong."""
    note: str


class Forgetting(Record):
    """Change on tasks that were not trained, after minus before: negative is forgotten. Intervals are at 95%, paired by item.

    Either measured (`tasks`), or 0 because nothing moved (`unchanged` says so), or null (`not_measured` says why).
    """

    mean: float | None = None
    """Over tasks, each counting alike."""
    low: float | None = None
    high: float | None = None
    worst: float | None = None
    """Of the task that changed for the worst; its interval allows for the choice among the tasks."""
    worst_low: float | None = None
    worst_high: float | None = None
    worst_task: str | None = None
    tasks: dict[str, float] | None = None
    details: tuple[RetainedChange, ...] = ()
    loss_rises: dict[str, float] | None = None
    """Of tasks that are texts: loss after minus before, nats per token; positive is forgotten. Not part of the mean."""
    seconds: float | None = None
    """That asking took, the first time with the untouched model."""
    unchanged: str | None = None
    """Why nothing can have been forgotten."""
    not_measured: str | None = None

    @property
    def drop(self) -> float | None:
        """Share lost on average, positive where something was forgotten."""
        return None if self.mean is None else -self.mean

    def is_within(self, budget: float) -> bool:
        """Whether the mean drop, as measured, is at most this; what was not measured is not."""
        return self.drop is not None and self.drop <= budget


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
    paid: Tokens | None = None
    """What a server read and wrote to choose settings, to answer the test rows and to be timed; None where none was asked."""
    further: Tokens | None = None
    """The same for `ANSWERED_ROWS` further answers."""
    usd: float | None = None
    """US dollars for `paid`; None where no price is known."""
    usd_per_answers: float | None = None
    """US dollars for `further`."""
    estimate: Estimate | None = None

    @property
    def seconds(self) -> float:
        """To train the strategy and then answer `ANSWERED_ROWS` rows: the cost by which equals are ordered, behind `usd_per_answers`."""
        return cost_seconds(self.train_seconds, self.rows_per_second, rows=ANSWERED_ROWS)


class Spread(Record):
    """How the validation score of a prompt moves with its wording and the order of its examples, all else equal.

    `sd` is the prompts' own standard deviation, without what the few rows add by chance; `low` and `high` are scores as seen.
    """

    n: int
    """Prompts tried."""
    low: float
    high: float
    sd: float


class Tried(Record):
    """Settings that were tried on validation rows, and how they did; `share` is the part of the full training length."""

    settings: dict[str, str | float | int]
    share: float
    score: float


class Row(Record):
    """One strategy: how good, how sure, at what cost, with which settings."""

    strategy: str
    title: str
    """For people: 'LoRA', 'frozen encoder + head'."""
    model: str
    """The base model, as the user named it."""
    metrics: dict[str, Metric]
    """Labels: accuracy, macro_precision, macro_recall, macro_f1, weighted_precision, weighted_recall, weighted_f1, ece.
    Written answers: the metrics of `task.metrics`. Where prompts were varied, the primary metric's interval holds their spread too."""
    perplexity: Metric | None = None
    """Of the right answers to the test rows, per token of the model's own: comparable only between strategies of one model. None
    where answers are no texts, or likelihoods are not told."""
    validation: float
    """Primary metric on the validation rows, by which settings were chosen."""
    per_class: tuple[ClassScore, ...]
    """Empty where answers are written."""
    confusion: tuple[tuple[int, ...], ...]
    """Counts, [true label, predicted label], both in the order of `task.right`; empty where answers are written."""
    difference: Difference | None
    """None for the best row itself."""
    p_best: float
    is_pareto: bool
    """No other strategy is at least as good and cheaper (in the primary metric and cost seconds)."""
    cost: Cost
    forgetting: Forgetting
    settings: dict[str, str | float | int]
    """What was chosen on validation data: {'k': 8} or {'learning_rate': 1e-4, 'epochs': 6}."""
    tried: tuple[Tried, ...]
    spread: Spread | None
    """None where neither wording nor order was varied."""
    note: str
    """What is worth telling: 'Examples fill 40% of the context.'"""
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
    """Expected value at `forecast_rows` (at most twice the rows), from a fit of a - b * n^-c; None where that is below what is there."""

    TOP: ClassVar[str] = "More labelled rows cannot show a gain: with all of them every validation row is right already."
    """What is said of a curve at the top."""

    @property
    def is_at_the_top(self) -> bool:
        """Whether all rows lead to a score that nothing exceeds."""
        return bool(self.points) and self.points[-1].value >= 1


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
    unbeaten: str | None = None
    """Where no strategy beats the plainest baseline beyond chance, that in a sentence; then `strategy` is no advice to use it."""
    because: tuple[str, ...]
    would_change: tuple[str, ...]
    """What would change this answer."""
    keeps_budget: bool | None = None
    """Whether it lost no more than `may_lose`, as measured; None where nothing was set."""
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

    kind: TaskKind
    labels: tuple[str, ...]
    """Of a multiple choice the letters; empty where answers are written."""
    unseen: tuple[str, ...] = ()
    """Labels of test rows that no training row has: nobody answers them, and they count as wrong."""
    metric: str
    metrics: dict[str, str]
    """All metrics of written answers, with their signatures; empty for labels, whose metrics are scikit-learn's."""

    @property
    def right(self) -> tuple[str, ...]:
        """What test rows are right with: `labels`, then those `unseen`."""
        return (*self.labels, *self.unseen)


class ModelInfo(Record):
    """The base model: as asked for, where it was found, its size and the digest of its weights."""

    name: str
    revision: str | None
    sha256: str
    parameters: int | None
    """None for a model behind a server, which does not say."""
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
    """The first model named."""
    models: tuple[ModelInfo, ...]
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
    price: str | None = None
    """US dollars per million tokens that a server reads and writes, as given: IN,OUT; None where none was given."""
    asked: Tokens | None = None
    """All that servers read and wrote for this comparison: for the rows of the table, and to see what they can and how fast they are, and
    for the learning curve; None where none was asked."""
    usd: float | None = None
    """US dollars for `asked`; None where no price is known."""
    may_lose: float | None = None
    """Share that a strategy may lose on retained tasks, on average, to be recommended; None: any."""

    @property
    def recommended_row(self) -> Row:
        """The row of the recommended strategy."""
        return next(row for row in self.rows if row.strategy == self.recommended.strategy)

    def model_of(self, row: Row) -> ModelInfo:
        """The model that a row's strategy stands on."""
        return next((model for model in self.models if model.name == row.model), self.model)

    @property
    def breaks_promise(self) -> bool:
        """Whether what is recommended lost more than was allowed, or nobody knows how much it did."""
        return self.recommended.keeps_budget is False
