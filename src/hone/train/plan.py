"""What a training run will do, and what it did."""

from typing import Literal

from hone.core.record import Record

__all__ = ["StepLog", "TrainPlan", "TrainRecord"]


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
    warmup: float = 0.1
    """Share of the steps in which the rate rises from 0; it then falls to 0 in a straight line."""
    weight_decay: float = 0.01
    """AdamW's, on matrices only."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    evaluations: int = 4
    """Times the validation score is taken, evenly spread, the last at the end; 0 takes none."""
    patience: int = 3
    """Evaluations without a better score after which the run ends."""
    checkpoint_seconds: float = 30.0
    """Least time between two checkpoints."""
    precision: Literal["bf16", "fp32"] = "fp32"
    seed: int = 0


class StepLog(Record):
    """One evaluation during a run."""

    step: int
    loss: float
    """Mean training loss since the last entry."""
    score: float
    learning_rate: float


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
    log: tuple[StepLog, ...]
    stopped_early: bool
