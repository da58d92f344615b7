"""What a training run expected and what it measured: `hone.json` of its folder."""

from hone.core.record import Record
from hone.evaluate import Forgetting, VectorForgetting
from hone.measure import Certificate, wilson_interval
from hone.task import Kind
from hone.train import TrainRecord
from hone.tune.settings import ObjectiveName, TuneSettings
from hone.tune.task_records import MixtureRecord

__all__ = ["AnswerScore", "Expected", "HeadScore", "RowCounts", "TestScores", "TuneRecord"]


class RowCounts(Record):
    """What became of the rows before the first step."""

    read: int
    rejected: int
    duplicates: int
    """Rows that stand in the validation rows too, taken out of training."""
    dropped: int
    """Rows in which nothing was left to train once they were cut."""
    cut: int
    """Rows longer than the model reads."""
    train: int
    validation: int
    tokens: int
    """Of the training rows, in one pass."""
    trained_tokens: int
    """Those, or the words or rows, that the loss counts, in one pass."""


class Expected(Record):
    """Measured in a few steps before the run."""

    seconds: float
    peak_bytes: int


class AnswerScore(Record):
    """How good the written answers to validation rows are, in one metric."""

    metric: str
    signature: str
    """Package, version and settings of the metric."""
    n: int
    base: float
    """Before the first step."""
    value: float
    """Of what was kept."""
    low: float | None
    high: float | None
    """95% interval of `value` over the rows; None where all score alike, for a width of 0 would read as certainty."""
    gain_low: float | None
    gain_high: float | None
    """95% interval of value - base on the same rows; None where all gain alike."""
    first_sentences: float
    """Of copying the first three sentences of what the model reads."""


class HeadScore(Record):
    """How good a head's answers to some rows are, in one metric; before training it was drawn by chance, so there is no gain to tell."""

    metric: str
    signature: str
    n: int
    value: float
    low: float | None
    high: float | None
    """95% interval over the rows; None where they do not tell one."""
    plain: float | None
    """Of always the commonest class, label or tag, or the mean; None of stretches of passages."""


class TestScores(Record):
    """Rows that took part in nothing: no step was taken on them, and no checkpoint chosen."""

    file: str
    rows: int
    loss: float
    """Mean over trained terms."""
    accuracy: float | None
    answers: tuple[AnswerScore, ...] = ()
    scores: tuple[HeadScore, ...] = ()
    unseen: int = 0
    """Rows with a label that no training row has, which count as wrong."""

    @property
    def told_unseen(self) -> str:
        """How many rows could not be answered rightly; empty where all could."""
        return (
            f" {self.unseen:,} of them have a label or tag that no training row has, which counts as wrong."
            if self.unseen
            else ""
        )


class Commonest(Record):
    """The most frequent class or tag of the validation rows, and the share of terms that it alone would get right."""

    label: str
    share: float


class TuneRecord(Record):
    """One training run."""

    settings: TuneSettings
    objective: ObjectiveName
    base: str
    base_sha256: str
    labels: tuple[str, ...]
    kind: Kind | None = None
    """What the rows are; None of a mixture of tasks."""
    columns: tuple[str, ...] = ()
    """Of what the model reads."""
    choice_columns: tuple[str, ...] = ()
    """Of multiple choice; none where the choices stand inside the question's own column."""
    answer_tokens: int | None = None
    """Of the longest answer that was learnt; None where none is written."""
    answers_always: bool | None = None
    """Of stretches of passages: whether every question that trained had an answer, so that none is left without."""
    score_mean: float | None = None
    """Of rows with a number: by their mean and deviation numbers are scaled in training and in the losses below, not in what was written."""
    score_deviation: float | None = None
    template: str | None
    """The text before an answer, as it was trained and must be used."""
    choices_template: str | None = None
    """Of multiple choice: id of the bundled template that wrote question and choices as a prompt."""
    rows: RowCounts
    data_sha256: str
    effective_epochs: dict[str, float]
    expected: Expected
    training: TrainRecord
    seconds: float
    """Of the training, validation scores included."""
    peak_bytes: int | None
    base_loss: float | None
    """Validation loss of the base model, before the first step."""
    loss: float | None
    """Validation loss of what was kept, mean over trained terms."""
    accuracy: float | None
    """Share of the validation rows' trained terms that are answered rightly."""
    commonest: Commonest | None = None
    """Of classes and tags: what the accuracy has to beat."""
    answers: tuple[AnswerScore, ...]
    """For completions: how good the answers are that the model writes; empty where none were asked for."""
    scores: tuple[HeadScore, ...] = ()
    """For heads: how good their answers to the validation rows are."""
    test: TestScores | None = None
    """On the rows of a test file, where one was named."""
    mixture: MixtureRecord | None = None
    """Of a mixture of tasks: each task, and how well it is answered before and after."""
    forgetting: Forgetting | None = None
    """Retained tasks and divergences, before and after."""
    vectors: VectorForgetting | None = None
    """Of an encoder: its sentence vectors, before and after."""
    forgetting_not_measured: str | None = None
    """Why there is none."""
    certificate: Certificate | None = None
    """Of a budget for what may be lost: where the dial stands, and what is promised there."""
    loss_at_full: float | None = None
    """Validation loss before the dial was turned down: what the promise costs is the difference."""
    dial: float | None = None
    """How much of what was learnt is on, where `hone dial` turned it down; None where nothing was turned since training."""
    held_bytes: int
    """What the regulariser kept in memory."""
    versions: dict[str, str]

    @property
    def breaks_promise(self) -> bool:
        """Whether a budget was named and nothing could be certified, or what is reported is surely above it."""
        if self.certificate is None:
            return False
        answered = self.forgetting.drops.tasks if self.forgetting and self.forgetting.drops else ()
        reported = [(task.items, task.right_to_wrong) for task in answered]
        reported += [(task.items, task.lost) for task in self.vectors.tasks if task.lost is not None] if self.vectors else []
        items, gone = sum(count for count, _ in reported), sum(lost for _, lost in reported)
        is_above = items > 0 and wilson_interval(gone, items).low > self.certificate.budget
        return self.certificate.dial == 0 or is_above
