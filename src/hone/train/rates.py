"""What usually does well, by what moves and how large the model is: peak learning rates, and tokens per pass."""

__all__ = ["usual_rate", "usual_tokens"]

_SMALL = 200e6  # parameters


def usual_rate(method: str, *, parameters: int, is_headed: bool) -> float:
    """Small models and methods that move little take larger steps.

    Args:
        parameters: of the whole network. is_headed: whether a new head answers, rather than the vocabulary.
    """
    is_small = parameters < _SMALL
    full = 1e-4 if is_small else 2e-5
    rates = {
        "full": full if is_headed or not is_small else 3e-4,
        "top": full if is_headed or not is_small else 3e-4,
        "head": 2e-3,
        "bias": 3e-3,
        "lora": 1e-3 if is_small else 2e-4,
        "ia3": 1e-2,
        "adapter": 1e-3,
        "prompt": 3e-2,
        "prefix": 1e-2,
    }
    return rates[method]


def usual_tokens(parameters: int) -> int:
    """Tokens per forward pass: what a pass costs beside its tokens (weights converted, gradients added up) is spread over more of them."""
    return 2048 if parameters < 1e9 else 1024
