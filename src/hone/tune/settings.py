"""What a training run was asked to do."""

from typing import Any, Literal

from pydantic import Field, model_validator

from hone.core.configuration import Form, parse_names, parse_retained, parse_share
from hone.core.errors import Usage, as_option
from hone.core.record import Record
from hone.model import Precision
from hone.task import Kind
from hone.train import Schedule

__all__ = ["TUNE", "Method", "ObjectiveName", "TuneSettings"]

Method = Literal["full", "head", "bias", "top", "lora", "ia3", "adapter", "prompt", "prefix"]
ObjectiveName = Literal["completion", "causal", "masked", "span", "classify", "multi_label", "regression", "tag", "answers"]


class TuneSettings(Record):
    """Settings of `hone tune`. Only `data` and `model` are required."""

    data: str
    """File (CSV, TSV, JSON, JSONL, Parquet), Hub id, or YAML of a mixture of tasks."""
    model: str
    """Starter, folder or Hub id: an encoder, a decoder or an encoder-decoder."""
    method: Method = "lora"
    """What moves."""
    objective: ObjectiveName | None = None
    """Toward what; none means what fits the rows and the model."""
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
    """File of rows to choose the best checkpoint on; none means a tenth of the data."""
    template: str | None = None
    """Text that the model reads before it answers, with {prompt} in it."""
    chat: bool | None = None
    """Whether the model's chat template is used; none means where it has one."""
    train_on_prompt: bool = False
    """Whether prompts are trained too."""
    mask_rate: float = Field(default=0.15, gt=0, lt=1)
    """Share of tokens that masked and span training take out."""
    length: int | None = Field(default=None, ge=8)
    """Longest sequence in tokens; none means the model's context, at most 2,048."""
    rank: int = Field(default=8, ge=1)
    """Of LoRA."""
    alpha: int | None = Field(default=None, ge=1)
    """LoRA's scale times its rank; none means twice the rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Of LoRA's input."""
    rslora: bool = False
    """Rank-stabilised LoRA."""
    dora: bool = False
    """Weight-decomposed LoRA."""
    lora_layers: int | None = Field(default=None, ge=1)
    """Last blocks that LoRA is put on; none means all."""
    lora_plus: float = Field(default=1.0, ge=1)
    """How many times the rate LoRA's B moves with."""
    layers: int = Field(default=2, ge=1)
    """Blocks that `top` trains."""
    tokens: int = Field(default=20, ge=1)
    """Virtual tokens of prompt and prefix tuning."""
    hold: Literal["none", "l2sp", "ewc", "kl"] = "none"
    """What holds training back from the base."""
    hold_strength: float = Field(default=0.1, gt=0)
    """How strongly."""
    replay: str | None = None
    """File of older rows of the same kind, mixed in so that they are not forgotten."""
    replay_rate: float = Field(default=0.1, gt=0, lt=1)
    """Their share of the examples drawn."""
    remember: Literal["none", "self"] = "none"
    """What keeps the model from forgetting: self holds it to samples of its own, drawn before the first step, and an encoder to its sentence
    vectors; replay:FILE is short for `replay`."""
    remember_rate: float = Field(default=0.1, gt=0, lt=1)
    """Own samples in each step, as a share of its rows."""
    remember_strength: float = Field(default=1.0, gt=0)
    """How strongly they hold; with `may_lose` only at the first step."""
    own_samples: int | None = Field(default=None, ge=1)
    """How many are drawn; none means as many as the steps will show, at least 64 and at most 1,000."""
    retain: tuple[str, ...] = ("bundled",)
    """Tasks answered before and after, to see what is forgotten: names of hone's own, bundled for all of them, files, folders of
    public benchmarks, `harness:NAME` of lm-evaluation-harness's, or earlier runs."""
    retain_items: int = Field(default=60, ge=2)
    """Items of each."""
    may_lose: float | None = Field(default=None, gt=0, lt=1)
    """Share of the retained items that may be right before and wrong after: what was learnt is turned down until that is certain enough."""
    confidence: float = Field(default=0.9, gt=0, lt=1)
    """Of that promise."""
    epochs: float = Field(default=3.0, gt=0)
    """Passes over the training rows."""
    steps: int | None = Field(default=None, ge=1)
    """Optimiser steps, instead of epochs."""
    batch_rows: int = Field(default=16, ge=1)
    """Rows per optimiser step."""
    forward_tokens: int | None = Field(default=None, ge=8)
    """Tokens per forward pass: larger batches are divided, and the step is that of the undivided batch. None means 2,048, and
    1,024 above a thousand million parameters: larger passes are a little faster and take more memory."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; none means a default by method and size of the model."""
    schedule: Schedule = "linear"
    """How the rate falls after the warm-up."""
    warmup: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the rate rises."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's, on matrices."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    test: str | None = None
    """File of rows on which the end is measured, and nothing chosen."""
    metric: str = "loss"
    """By which the best checkpoint is chosen: the validation loss; accuracy, the share of trained terms that are answered rightly; or a metric
    of the answers: macro_f1 and its like of classes, micro_f1 of several labels, rmse, mae, pearson and spearman of numbers, entity_f1 of tags,
    exact_match and token_f1 of stretches, ROUGE, BLEU and their like of written ones (on as many rows as `answers` says)."""
    answers: int = Field(default=32, ge=0)
    """Validation rows, and as many of a test file, that the model answers in words before and after, for ROUGE and its like; completions
    only. Of a mixture of tasks its file says how many; 0 asks none there either."""
    evaluations: int = Field(default=6, ge=0)
    """Times the validation rows are scored."""
    patience: int = Field(default=3, ge=1)
    """Scores without a better one after which training ends."""
    gradient_checkpointing: bool = False
    """Less memory for more time."""
    compile: bool = False
    """Use torch.compile."""
    keep_gib: float = Field(default=2.0, ge=0)
    """Most memory, in GiB, for what frozen blocks make of the rows, which then is computed once; 0 keeps nothing."""
    shard: bool = False
    """Divide weights, gradients and moments over the processes (FSDP)."""
    precision: Precision = "auto"
    """Arithmetic of the forward pass; auto is bf16 where the machine has units for it."""
    load: Literal["plain", "4bit", "8bit"] = "plain"
    """How the base's weights are held; 4bit and 8bit need bitsandbytes."""
    track: tuple[str, ...] = ()
    """Where the log also goes: tensorboard, trackio, mlflow, wandb."""
    seed: int = Field(default=0, ge=0)
    out: str | None = None
    """Run folder; none means runs/ and a name made of the data's name and the settings."""

    @property
    def remember_rows(self) -> int:
        """Own samples, or texts of an encoder, in each step."""
        return max(1, round(self.batch_rows * self.remember_rate))

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        """`remember: replay:FILE` names a file of older rows; a budget without any way to hold or to remember takes self-replay."""
        if not isinstance(given, dict):
            return given
        remember = str(given.get("remember", ""))
        if remember.startswith("replay:"):
            moved = {"remember": "none", "replay": remember.removeprefix("replay:")}
            if "remember_rate" in given:
                moved["replay_rate"] = given["remember_rate"]
            for name, value in moved.items():
                if name != "remember" and given.get(name, value) != value:
                    raise Usage(f"--remember {remember} and {as_option(name)} {given[name]} both say what is mixed in. Keep one.")
            return {**{name: value for name, value in given.items() if name != "remember_rate"}, **moved}
        is_held = given.get("replay") or given.get("hold", "none") != "none"
        if given.get("may_lose") is not None and not remember and not is_held:
            return {**given, "remember": "self"}
        return given


TUNE = Form(
    TuneSettings,
    "hone tune",
    aliases={
        "base": "model",
        "base_model": "model",
        "model_name_or_path": "model",
        "num_epochs": "epochs",
        "num_train_epochs": "epochs",
        "max_steps": "steps",
        "lr": "learning_rate",
        "lr_scheduler_type": "schedule",
        "warmup_ratio": "warmup",
        "batch_size": "batch_rows",
        "per_device_train_batch_size": "batch_rows",
        "max_length": "length",
        "cutoff_len": "length",
        "sequence_len": "length",
        "lora_r": "rank",
        "lora_rank": "rank",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "use_rslora": "rslora",
        "use_dora": "dora",
        "max_grad_norm": "clip",
        "output_dir": "out",
        "output": "out",
        "report_to": "track",
    },
    readers={
        "text": parse_names,
        "track": parse_names,
        "retain": parse_retained,
        "may_lose": parse_share,
        "confidence": parse_share,
    },
)
