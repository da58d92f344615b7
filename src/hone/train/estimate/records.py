"""What is asked of a dry run, and what it answers."""

from typing import Any, NamedTuple

from pydantic import Field

from hone.core.record import Record
from hone.model import Arithmetic, DryHead, DryHeld

__all__ = ["DryRun", "MemoryEstimate", "RowLength"]


class RowLength(NamedTuple):
    """Tokens of one row."""

    read: int
    """All that a decoder or an encoder reads, answers included; of an encoder-decoder those of the source."""
    learnt: int = 1
    """Tokens with a label; of an encoder-decoder those of the target."""


class DryRun(Record):
    """A training run, as far as its memory depends on it."""

    head: DryHead
    rows: tuple[RowLength, ...] = Field(min_length=1)
    """Of one optimiser step."""
    method: str = "full"
    options: dict[str, Any] = Field(default_factory=dict)
    """Of the method: LoRA's rank."""
    held: DryHeld = "plain"
    """How the base's weights are held: 4bit is QLoRA."""
    outputs: int = 2
    """Classes of a new head."""
    forward_tokens: int = Field(default=2048, gt=0)
    """Positions per forward pass; a larger batch is divided."""
    precision: Arithmetic = "bf16"
    gradient_checkpointing: bool = False
    words: int | None = None
    """How many words of the vocabulary the rows hold, where only these rows of an encoder's table are trained; None: all are."""
    keeps_best: bool = False
    """Whether the best parameters are kept in memory, where no checkpoint is written."""

    @property
    def has_words(self) -> bool:
        """Whether an output layer over the vocabulary stands on the network; only such networks are held in few bits."""
        return self.head in ("causal", "masked", "seq2seq")


class MemoryEstimate(Record):
    """Bytes at the moment of the highest use within a step, by who holds them, and what the step computes."""

    weights: int
    copies: int
    """Of weights in bf16, which autocast keeps until the pass ends."""
    gradients: int
    optimiser: int
    """AdamW's two moments of every parameter that moves, in fp32."""
    activations: int
    """Kept for the way back."""
    logits: int
    temporary: int
    """On the way back, beside gradients of weights."""
    holes: int
    """Memory between tensors that none of them fits: glibc's, on a CPU, in a process without hone's allocator."""
    best: int
    """A copy of the best parameters."""
    process: int
    """What the process takes before there is a model: Python, torch, transformers, and the kernels' own working memory."""
    parameters: int
    trainable_parameters: int
    flops: int
    """Of the matrix products of the pass that was tried, there and back."""
    tokens: int
    """Of that pass."""

    @property
    def tensors(self) -> int:
        """All but the process's own."""
        return (
            self.weights
            + self.copies
            + self.gradients
            + self.optimiser
            + self.activations
            + self.logits
            + self.temporary
            + self.best
        )

    @property
    def peak(self) -> int:
        """All together."""
        return self.tensors + self.holes + self.process

    @property
    def flops_per_token(self) -> float:
        """Of training."""
        return self.flops / self.tokens
