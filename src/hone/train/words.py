"""Full fine-tuning of the words that occur: the rows of a large embedding that no training row reads are left out of the training.

They would get no gradient, yet cost memory three times over (gradient, two moments) and time in every step: of the 30,522 words of a BERT
vocabulary a table of 1,000 short texts reads some 3,000. What is trained is the same but for weight decay, which here leaves rows alone
that nothing trains.
"""

import contextlib
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from hone.model import Network

__all__ = ["only_these_words"]

_WORTH = 0.5  # share of the vocabulary that occurs, above which nothing is gained


@contextlib.contextmanager
def only_these_words(net: nn.Module, words: Callable[[], Iterable[int] | None] | None) -> Iterator[None]:
    """Inside this block the input embedding of `net` is a parameter of the rows `words()` alone, under its usual name; afterwards whole.

    Other ids are read from the frozen rest. Nothing changes where any id may come (None), where the embedding is frozen or shared with an
    output layer, whose rows all move, or where most of it occurs.
    """
    table = _own_table(net)
    ids = None if table is None or words is None else words()  # asked only here: to know them, all rows are read
    always = (getattr(net, name) for name in ("pad_id", "start_id") if hasattr(net, name))  # no item holds these
    used = torch.tensor(sorted({*(ids or ()), *always}), dtype=torch.long)
    if table is None or ids is None or len(used) > _WORTH * len(table.weight):
        yield
        return
    whole, before = table.weight, vars(table).get("forward")
    used = used.to(whole.device)
    places = torch.full((len(whole),), -1, dtype=torch.long, device=whole.device)
    places[used] = torch.arange(len(used), device=whole.device)
    table.weight = nn.Parameter(whole.detach()[used])
    table.forward = types.MethodType(_reading(whole.detach(), places), table)  # type: ignore[method-assign]
    try:
        yield
    finally:
        with torch.no_grad():
            whole[used] = table.weight
        table.weight = whole
        del table.forward
        if before is not None:
            table.forward = before  # type: ignore[method-assign]


def _own_table(net: nn.Module) -> nn.Embedding | None:
    """The input embedding, if it is trained, plain and read by nothing else."""
    if not isinstance(net, Network):
        return None
    table = net.base.get_input_embeddings()
    if type(table) is not nn.Embedding or not table.weight.requires_grad or table.max_norm is not None:
        return None
    holders = {id(module) for module in net.modules() for parameter in module._parameters.values() if parameter is table.weight}
    return table if len(holders) == 1 else None


def _reading(whole: torch.Tensor, places: torch.Tensor) -> Any:
    def forward(self: Any, ids: torch.Tensor) -> torch.Tensor:
        at = places[ids]
        is_known = at >= 0
        padding = None if self.padding_idx is None else int(places[self.padding_idx])
        found = nn.functional.embedding(at.clamp(min=0), self.weight, padding_idx=None if padding == -1 else padding)
        if bool(is_known.all()):
            return found
        assert not (self.training and torch.is_grad_enabled()), "an objective drew a word that its items do not hold"
        return torch.where(is_known[..., None], found, nn.functional.embedding(ids, whole))

    return forward
