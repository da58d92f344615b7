"""The loss and accuracy of a network on encoded rows, and what its head answers, by the objective that trained it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from hone.model import Network, TextReader, token_batches
from hone.train.contracts import LogitObjective

__all__ = ["Measured", "measure_loss", "tell_answers"]

_TOKENS = 2048


class Measured(NamedTuple):
    """Means over trained terms."""

    loss: float
    accuracy: float | None
    """Of all terms, those counted as wrong whose answer cannot be given; None where a term has no single right answer: numbers and several labels."""
    answers: list[Any]
    """Of a head to every item, as its objective tells them; else empty."""


def measure_loss(net: nn.Module, objective: LogitObjective[Any], items: Sequence[Any], reader: TextReader) -> Measured:
    """Mean loss and share of right terms; what is drawn by chance is drawn alike each time."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    total, right, terms, unseen, is_counted = 0.0, 0, 0, 0, True
    answers: dict[int, Any] = {}
    for part, batch, logits in _passes(net, objective, items, reader):
        loss, count = objective.loss_from(logits, batch)
        total, terms, unseen = total + loss.item(), terms + count, unseen + objective.unseen(batch)
        hits = objective.right(logits, batch)
        is_counted = is_counted and hits is not None
        right += hits or 0
        answers.update(zip(part, objective.answers(logits, batch), strict=False))  # texts have none
    torch.set_rng_state(state)
    return Measured(
        total / terms, right / (terms + unseen) if is_counted else None, [answers[index] for index in sorted(answers)]
    )


def tell_answers(net: nn.Module, objective: LogitObjective[Any], items: Sequence[Any], reader: TextReader) -> list[Any]:
    """What a head answers to each item, as `LogitObjective.answers` has it; what is right need not be known."""
    answers: dict[int, Any] = {}
    for part, batch, logits in _passes(net, objective, items, reader):
        answers.update(zip(part, objective.answers(logits, batch), strict=True))
    return [answers[index] for index in range(len(items))]


@torch.no_grad()
def _passes(
    net: nn.Module, objective: LogitObjective[Any], items: Sequence[Any], reader: TextReader
) -> Iterator[tuple[list[int], Sequence[Any], torch.Tensor]]:
    """Items of like length together: their indices, what they were made to, and their logits. The network is left as it was found."""
    was_training = net.training
    net.eval()
    is_packed = isinstance(net, Network) and net.packs
    for part in token_batches([item.length for item in items], max_tokens=_TOKENS, is_packed=is_packed):
        batch = objective.collate([items[index] for index in part])
        with reader.autocast():
            logits = objective.logits(net, batch)
        yield part, batch, logits
    net.train(was_training)
