"""How texts are to be written: what a request says, whoever writes them."""

from pydantic import Field

from hone.core.record import Record

__all__ = ["Sampling"]


class Sampling(Record):
    """Inference parameters. Temperature 0 takes the likeliest word, or with beams the likeliest text."""

    max_new_tokens: int = Field(default=64, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    top_k: int = Field(default=0, ge=0)
    """Draw from the k likeliest words; 0 for all."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the fewest words that hold this share together."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Draw from words at least this share as likely as the likeliest."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Divides the logits, where positive, of words that have occurred; multiplies negative ones (Keskar 2019, https://arxiv.org/abs/1909.05858).
    With beams it is applied to log-likelihoods, all negative; an encoder-decoder counts the words that it has written."""
    beams: int = Field(default=1, ge=1)
    length_penalty: float = 1.0
    """A beam's log-likelihood is divided by its length to this power."""
    stop: tuple[str, ...] = ()
    """Texts before which an answer ends."""
    samples: int = Field(default=1, ge=1)
    """Answers per prompt."""
    seed: int = 0
