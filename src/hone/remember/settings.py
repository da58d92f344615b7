"""What a comparison of ways to remember was asked to do."""

from pydantic import Field

from hone.core.configuration import Form, parse_names, parse_retained, parse_share
from hone.core.record import Record
from hone.model import Precision
from hone.task import Kind

__all__ = ["REMEMBER", "RememberSettings"]


class RememberSettings(Record):
    """Settings of `hone remember`. Only `data` and `model` are required; what is not named here is as in `hone tune`."""

    data: str
    """File (CSV, TSV, JSON, JSONL, Parquet) or Hub id of the rows to learn."""
    model: str
    """Starter, folder or Hub id."""
    ways: tuple[str, ...] = ()
    """Names of ways; none means all that apply."""
    replay: str | None = None
    """File of older rows of the same kind, for the way `replay`."""
    may_lose: float | None = Field(default=None, gt=0, lt=1)
    """Mean drop that is acceptable, as a share: drawn and marked, and decides what is advised."""
    kind: Kind | None = None
    """What the rows are; none means recognised by their columns."""
    prompt: str | None = None
    """Column of the prompt."""
    completion: str | None = None
    """Column of the completion."""
    text: tuple[str, ...] = ()
    """Text columns."""
    label: str | None = None
    """Column of what is learnt about a text."""
    validation: str | None = None
    """File of rows on which the gain is measured; none means a tenth of the data."""
    template: str | None = None
    """Text that the model reads before it answers, with {prompt} in it."""
    retain: tuple[str, ...] = Field(default=("bundled",), min_length=1)
    """Tasks answered before and after: names of hone's own, bundled for all of them, or files."""
    retain_items: int = Field(default=60, ge=2)
    """Items of each."""
    own_samples: int | None = Field(default=None, ge=1)
    """How many samples of its own self-replay holds the model to; none means as many as the steps will show."""
    epochs: float = Field(default=3.0, gt=0)
    """Passes over the training rows."""
    steps: int | None = Field(default=None, ge=1)
    """Optimiser steps, instead of epochs."""
    batch_rows: int = Field(default=16, ge=1)
    """Rows per optimiser step."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak, of full fine-tuning; none means its usual rate for the size of the model. LoRA always goes at its own usual rate."""
    evaluations: int = Field(default=6, ge=1)
    """Times the validation rows are scored on the way."""
    answers: int = Field(default=32, ge=0)
    """Validation rows answered in words before and after."""
    precision: Precision = "auto"
    """Arithmetic of the forward pass; auto is bf16 where the machine has units for it."""
    seed: int = Field(default=0, ge=0)
    out: str | None = None
    """Folder; none means runs/ and a name made of the data's name and the settings."""


REMEMBER = Form(
    RememberSettings,
    "hone remember",
    aliases={
        "base": "model",
        "base_model": "model",
        "num_epochs": "epochs",
        "max_steps": "steps",
        "lr": "learning_rate",
        "batch_size": "batch_rows",
        "output_dir": "out",
        "output": "out",
    },
    readers={"ways": parse_names, "text": parse_names, "retain": parse_retained, "may_lose": parse_share},
)
