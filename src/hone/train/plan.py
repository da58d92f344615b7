"""What a training run will do, and what it did."""

from typing import Literal

from hone.core.record import Record
from hone.model import Arithmetic

__all__ = ["OptimiserName", "Schedule", "StepEvent", "StepLog", "TrainPlan", "TrainRecord"]


Schedule = Literal["linear", "cosine", "constant", "wsd"]
OptimiserName = Literal["adamw", "muon"]


class TrainPlan(Record):
    """Settings of one run of the loop."""

    learning_rate: float
    """Peak rate of the backbone's and adapter's parameters."""
    head_learning_rate: float
    """Peak rate of a new classification head."""
    steps: int
    """Optimiser steps."""
    batch_rows: int = 16
    """Examples per optimiser step."""
    forward_tokens: int = 1024
    """Positions per forward pass: a larger batch is divided, and the step is that of the undivided batch."""
    schedule: Schedule = "linear"
    """How the rate falls after the warm-up: in a straight line, along a cosine, not at all, or in a line over the last fifth of the steps (wsd)."""
    warmup: float = 0.1
    """Share of the steps in which the rate rises from 0."""
    lora_plus: float = 1.0
    """How many times the rate LoRA's B moves with (LoRA+, Hayou 2024, https://arxiv.org/abs/2402.12354); 1 is plain LoRA."""
    optimiser: OptimiserName = "adamw"
    """What turns gradients into steps: AdamW, or Muon for the matrices between the layers and AdamW for the rest."""
    beta2: float = 0.999
    """AdamW's memory of squared gradients; large batches of a model's first training want 0.95."""
    weight_decay: float = 0.01
    """On matrices only."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    evaluations: int = 4
    """Times the validation score is taken, evenly spread, the last at the end; 0 takes none."""
    spike: float = 20.0
    """The run stops when the loss of three steps in a row is above this many times the running mean, and 5 above it."""
    compile: bool = False
    """Whether torch.compile makes the network's blocks faster; the first steps then take minutes."""
    gradient_checkpointing: bool = False
    """Whether activations are computed twice instead of kept: less memory, about 15% to 30% more time."""
    keep_bytes: int = 2 * 2**30
    """Most memory for what frozen blocks made of the rows, which then is computed once; 0 keeps nothing. It changes no result."""
    patience: int = 3
    """Evaluations without a better score after which the run ends."""
    tie: float = 0.0
    """How far below the best a later score may lie and still replace it: what chance alone makes of a validation score."""
    checkpoint_seconds: float = 30.0
    """Least time between two checkpoints."""
    precision: Arithmetic = "fp32"
    seed: int = 0


class StepLog(Record):
    """One evaluation during a run."""

    step: int
    loss: float
    """Mean training loss since the last entry."""
    score: float
    learning_rate: float


class StepEvent(Record):
    """One optimiser step, as a listener hears of it."""

    step: int
    steps: int
    loss: float
    """Mean over the step's terms, regularisers not included."""
    penalty: float
    """What regularisers added to the mean loss."""
    gradient_norm: float
    """Before clipping."""
    learning_rate: float
    tokens: int
    """Real tokens since the start."""
    seconds: float
    score: float | None
    """Validation score, where one was taken after this step."""


class TrainRecord(Record):
    """What a run did."""

    steps: int
    best_step: int
    best_score: float | None
    """Validation score of the parameters that were kept; None when none was taken."""
    examples_seen: int
    tokens_seen: int
    """Real tokens, padding left out."""
    padding: float
    """Share of computed positions that held padding."""
    seconds: float
    """Of training, evaluations included; earlier parts of a resumed run included."""
    trainable_parameters: int
    terms_seen: int
    """Trained terms: answers' tokens, masked tokens, rows, by the objective."""
    log: tuple[StepLog, ...]
    stopped_early: bool
