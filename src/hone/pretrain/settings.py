"""What a pretraining was asked to do."""

from typing import Literal

from pydantic import Field

from hone.core.configuration import Form, parse_count, parse_duration, parse_names
from hone.core.errors import Usage
from hone.core.record import Record
from hone.model import Precision
from hone.train import OptimiserName, Schedule

__all__ = ["PRETRAIN", "PretrainObjective", "PretrainSettings", "refuse_idle"]

PretrainObjective = Literal["causal", "masked", "span"]


class PretrainSettings(Record):
    """Settings of `hone pretrain`. Only `data` is required."""

    data: tuple[str, ...]
    """Files or folders of texts, or Hub data sets."""
    text: tuple[str, ...] = ()
    """Text columns of row files; none means the one that is named like a text."""
    objective: PretrainObjective | None = None
    """Toward what: causal makes a decoder, masked an encoder, span an encoder-decoder. None means causal, or what the base is for."""
    base: str | None = None
    """Model to go on with, with its tokenizer; none means from scratch."""
    size: int | None = Field(default=None, ge=100_000)
    """Parameters of a new model; none means advised from the corpus and the budget."""
    tokens: int | None = Field(default=None, ge=1)
    """Tokens to train on, passes counted anew; none means advised from size, corpus and budget."""
    budget: float | None = Field(default=None, gt=0)
    """Seconds that the training may take, from which size and tokens are advised."""
    vocabulary: int | None = Field(default=None, ge=300)
    """Entries of a new tokenizer; none means by the model's size."""
    length: int = Field(default=512, ge=16)
    """Longest sequence in tokens."""
    mask_rate: float = Field(default=0.15, gt=0, lt=1)
    """Share of tokens that masked and span training take out."""
    gap: float = Field(default=3.0, ge=1)
    """Mean length in tokens of what span training takes out."""
    optimiser: OptimiserName = "muon"
    """Muon for the matrices between the layers, or AdamW for all."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; none means a default by size, and a tenth of it for a model that goes on."""
    batch_tokens: int = Field(default=8192, ge=16)
    """Tokens per optimiser step."""
    forward_tokens: int = Field(default=4096, ge=16)
    """Tokens per forward pass."""
    schedule: Schedule = "wsd"
    """How the rate falls after the warm-up; wsd stays high and falls over the last fifth."""
    warmup: float = Field(default=0.02, ge=0, le=1)
    """Share of the steps in which the rate rises."""
    weight_decay: float = Field(default=0.1, ge=0)
    """On matrices."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    evaluations: int = Field(default=10, ge=1)
    """Times the validation loss is taken and samples are written."""
    samples: int = Field(default=3, ge=0)
    """Texts that the model writes at each of them."""
    gradient_checkpointing: bool = False
    compile: bool = False
    precision: Precision = "auto"
    track: tuple[str, ...] = ()
    """Where the log also goes: tensorboard, trackio, mlflow, wandb."""
    seed: int = Field(default=0, ge=0)
    out: str | None = None
    """Run folder; none means runs/ and a name made of the data's name and the settings."""


PRETRAIN = Form(
    PretrainSettings,
    "hone pretrain",
    aliases={
        "texts": "data",
        "model": "base",
        "from": "base",
        "base_model": "base",
        "vocab_size": "vocabulary",
        "context": "length",
        "max_length": "length",
        "sequence_len": "length",
        "lr": "learning_rate",
        "optimizer": "optimiser",
        "lr_scheduler_type": "schedule",
        "warmup_ratio": "warmup",
        "max_grad_norm": "clip",
        "output_dir": "out",
        "report_to": "track",
    },
    readers={
        "data": parse_names,
        "text": parse_names,
        "track": parse_names,
        "size": parse_count,
        "tokens": parse_count,
        "vocabulary": parse_count,
        "budget": parse_duration,
    },
)


def refuse_idle(settings: PretrainSettings) -> None:
    """Nothing, where what is said of the model's size and the time has something to decide.

    Raises:
        Usage: it would do nothing.
    """
    idle = [name for name in ("size", "vocabulary") if settings.base is not None and getattr(settings, name) is not None]
    if idle:
        raise Usage(
            f"--{' and --'.join(idle)} would do nothing: the model of --from has its size and its tokenizer. Leave it out."
        )
    if settings.budget is not None and settings.tokens is not None and (settings.size is not None or settings.base is not None):
        raise Usage("--budget would do nothing: model and tokens are named, and time follows from them. Leave one of them out.")
