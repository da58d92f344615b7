"""What a comparison was asked to do."""

from typing import Literal

from pydantic import Field

from hone.core.configuration import Form, parse_duration, parse_names, parse_retained, parse_share
from hone.core.record import Record

__all__ = ["COMPARE", "CompareSettings", "MetricName"]

MetricName = Literal[
    "accuracy", "macro_f1", "weighted_f1",
    "rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf", "exact_match", "token_f1",
    "r2", "pearson", "rmse", "mae", "micro_f1", "subset_accuracy", "entity_f1",
]  # fmt: skip


class CompareSettings(Record):
    """Settings of `hone compare`. Only `data` is required."""

    data: str
    """File (CSV, TSV, JSON, JSONL, Parquet) or Hub id."""
    model: tuple[str, ...] = ()
    """Starters, folders or Hub ids of encoders, decoders or encoder-decoders; openai:NAME for a model behind a server. None named means
    starter/encoder for labels, and starter/decoder for written answers and choices."""
    strategies: tuple[str, ...] = ()
    """Names of strategies; none means all."""
    budget_seconds: float = Field(default=600.0, gt=0)
    """Time that the whole comparison should take on this machine."""
    seed: int = Field(default=0, ge=0)
    metric: MetricName | None = None
    """By which settings are chosen and strategies ranked: a metric of labels, of written answers, of numbers, of several labels or of tags;
    none means what is usual for the task."""
    kind: Literal["classify", "completion", "chat", "answers", "choice", "score", "multi_label", "tag"] | None = None
    """What the rows are; none means recognised."""
    prompt: str | None = None
    """Column of what is asked, where answers are texts; none means inferred."""
    completion: str | None = None
    """Column of the answers, where they are texts; none means inferred."""
    templates: str | None = None
    """File of prompt templates (TOML); none means those that come with hone."""
    docs: str | None = None
    """Documents to be looked up: a folder or file of texts, or an index made by `hone index`."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server, for models named openai:NAME; the key comes from OPENAI_API_KEY."""
    api: Literal["chat", "completions"] = "chat"
    """How that server is asked."""
    price: str | None = None
    """IN,OUT: US dollars per million tokens read and written by that server."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of a written answer, thoughts before it among them; none means a little more than the rows' answers have."""
    text: tuple[str, ...] = ()
    """Text columns; none means inferred."""
    label: str | None = None
    """Label column; none means inferred."""
    group: str | None = None
    """Column whose equal values must not be divided between training and test (a customer, a document)."""
    test: str | None = None
    """File of rows to test on; none means a fifth of the data."""
    validation: str | None = None
    """File of rows to choose settings on; none means a fifth of the data."""
    descriptions: dict[str, str] = Field(default_factory=dict)
    """A sentence per label, used by zero-shot."""
    drop_rare: bool = False
    """Leave out classes with too few rows instead of stopping."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the forward pass; auto is bf16 where the machine has units for it."""
    retain: tuple[str, ...] = ("bundled",)
    """Tasks asked before and after training, by which forgetting is measured: hone's own (bundled), by name, or files; empty: none."""
    may_lose: float | None = Field(default=None, gt=0, lt=1)
    """Share of the retained items that a strategy may lose, on average over the tasks, to be recommended; none means any."""
    out: str | None = None
    """Run folder; none means runs/ and a name made of the data's name and the settings."""
    epochs: float | None = Field(default=None, gt=0)
    """Passes over the training rows in a full run; none means what the budget allows."""
    arms: int | None = Field(default=None, ge=1, le=3)
    """Learning rates tried per strategy; none means what the budget allows."""
    batch_rows: int | None = Field(default=None, ge=1)
    """Rows per optimiser step; none means 16 below 2,000 training rows, else 32."""


COMPARE = Form(
    CompareSettings,
    "hone compare",
    aliases={
        "base": "model",
        "base_model": "model",
        "model_name_or_path": "model",
        "num_epochs": "epochs",
        "num_train_epochs": "epochs",
        "batch_size": "batch_rows",
        "micro_batch_size": "batch_rows",
        "per_device_train_batch_size": "batch_rows",
        "text_column": "text",
        "label_column": "label",
        "group_column": "group",
        "test_file": "test",
        "validation_file": "validation",
        "output_dir": "out",
        "output": "out",
        "budget": "budget_seconds",
    },
    readers={
        "model": parse_names,
        "strategies": parse_names,
        "text": parse_names,
        "retain": parse_retained,
        "budget_seconds": parse_duration,
        "may_lose": parse_share,
    },
)
