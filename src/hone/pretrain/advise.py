"""How large a model, and on how many tokens: from the compute at hand, by Chinchilla's ratio, and no more passes than pay.

Source: Hoffmann 2022, https://arxiv.org/abs/2203.15556: at a given compute the best model sees about 20 tokens a parameter. Muennighoff 2023,
https://arxiv.org/abs/2305.16264: up to 4 passes over a text teach almost as much as new text.
"""

from typing import NamedTuple

from hone.core.errors import Usage
from hone.measure import human_count, human_seconds

__all__ = ["MOST_PASSES", "RATIO", "Pace", "advise_size", "advise_tokens", "tell_cost"]

RATIO = 20
MOST_PASSES = 4
_FLOPS = 6  # of training, per parameter and token
_SMALLEST, _LARGEST = 1_000_000, 100_000_000_000


class Pace(NamedTuple):
    """What this machine manages, measured with a network of `parameters`."""

    parameters: int
    tokens_per_second: float

    def at(self, parameters: int) -> float:
        """Tokens a second of a model of another size, at as many operations a second."""
        return self.tokens_per_second * self.parameters / parameters


def advise_size(*, corpus_tokens: int, tokens: int | None, budget: float | None, pace: Pace | None) -> int:
    """Parameters for which the tokens, or those that the budget buys, are 20 each; where neither is named, four passes over the corpus.

    Where time buys more than the text can fill, twice what four passes fill: a larger model would only learn it by heart.
    """
    if tokens is None and budget is not None and pace is not None:
        flops = _FLOPS * pace.parameters * pace.tokens_per_second * budget
        size = min((flops / (_FLOPS * RATIO)) ** 0.5, 2 * MOST_PASSES * corpus_tokens / RATIO)
    else:
        size = (tokens or MOST_PASSES * corpus_tokens) / RATIO
    return int(min(max(size, _SMALLEST), _LARGEST))


def advise_tokens(*, parameters: int, corpus_tokens: int, budget: float | None, pace: Pace) -> int:
    """What the budget buys; without a budget 20 for each parameter, but no more than four passes.

    Raises:
        Usage: the budget buys no step.
    """
    if budget is not None:
        bought = int(pace.at(parameters) * budget)
        if bought < RATIO:
            raise Usage(f"{human_seconds(budget)} buy {bought} tokens here. Give a longer --budget or a smaller --size.")
        return bought
    return min(RATIO * parameters, MOST_PASSES * corpus_tokens)


def tell_cost(*, parameters: int, tokens: int, corpus_tokens: int, pace: Pace) -> str:
    """The plan held against the rules of thumb, with its time."""
    passes = tokens / corpus_tokens
    ratio = tokens / parameters
    lines = [
        f"{human_count(parameters)} parameters, {human_count(tokens)} tokens: {ratio:.1f} a parameter (Chinchilla's ratio is {RATIO}) "
        f"and {passes:.2f} passes over {human_count(corpus_tokens)} tokens of text.",
        f"Here {pace.at(parameters):,.0f} tokens a second: {human_seconds(tokens / pace.at(parameters))}.",
    ]
    if passes > MOST_PASSES * 1.01:
        lines.append(f"More than {MOST_PASSES} passes teach little that is new: more text would serve better than more steps.")
    compute = parameters * tokens
    best = (compute / RATIO) ** 0.5
    if not 0.6 < best / parameters < 1.67:
        lines.append(
            f"The same time would make the most of {human_count(round(best))} parameters and {human_count(round(compute / best))} tokens"
            + (", where the text is there." if compute / best > MOST_PASSES * corpus_tokens else ".")
        )
    return "\n".join(lines)
