"""What a comparison was asked to do."""

from typing import Literal

from pydantic import Field

from hone.core.configuration import Form, parse_duration, parse_names
from hone.core.record import Record

__all__ = ["COMPARE", "CompareSettings", "MetricName"]

MetricName = Literal["accuracy", "macro_f1", "weighted_f1"]


class CompareSettings(Record):
    """Settings of `hone compare`. Only `data` is required."""

    data: str
    """File (CSV, TSV, JSON, JSONL, Parquet) or Hub id."""
    model: str = "starter/encoder"
    """Starter, folder or Hub id of an encoder."""
    strategies: tuple[str, ...] = ()
    """Names of strategies; none means all."""
    budget_seconds: float = Field(default=600.0, gt=0)
    """Time that the whole comparison should take on this machine."""
    seed: int = Field(default=0, ge=0)
    metric: MetricName = "accuracy"
    """By which settings are chosen and strategies ranked."""
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
    readers={"strategies": parse_names, "text": parse_names, "budget_seconds": parse_duration},
)
