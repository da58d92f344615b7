"""The contracts of the training axes. The loop knows these and the name of no choice.

What moves (`Trainable`) x on what (`Mixture`) x toward what (`Objective`) x held back by what (`Regulariser`) x one loop.
A new choice is a new file that keeps one contract.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import torch
from torch import nn

from hone.model import Network

__all__ = [
    "Encoded",
    "HeadKind",
    "LogitObjective",
    "Mixture",
    "Objective",
    "Regulariser",
    "Stateless",
    "StreamObjective",
    "Trainable",
]

HeadKind = Literal["pooled", "token", "causal", "masked", "seq2seq", "none"]
"""What stands on the network: one answer per text or per token, or a language model's output layer."""


class Encoded(Protocol):
    """An example as an objective has prepared it; the loop reads only its length."""

    @property
    def length(self) -> int:
        """Tokens that the network computes for it."""
        ...


class Objective(Protocol):
    """Toward what: turns examples into tokens, and a network's answer into a loss."""

    name: str
    head: HeadKind
    is_divisible: bool
    """Whether the loss of a batch is the sum over its parts; if not, a batch is never divided."""

    def collate(self, items: Sequence[Any]) -> Any:
        """What `loss` reads for these items; whatever is drawn by chance is drawn here, from torch's generator."""
        ...

    def loss(self, net: nn.Module, batch: Any) -> tuple[torch.Tensor, int]:
        """Sum of the loss over a batch, fp32 scalar, and how many terms it sums.

        The loop divides once by the count of a whole accumulation window, which gives the gradient of the big batch.
        """
        ...

    def words(self, items: Sequence[Any]) -> set[int] | None:
        """Ids of all words that a network may read when it is trained on these items; None where any may come."""
        ...


Item = TypeVar("Item", bound=Any)


class LogitObjective(ABC, Generic[Item]):
    """An objective whose loss is computed from logits [N, V] of N trained terms: what a regulariser on answers needs."""

    name: str
    head: HeadKind
    is_divisible = True

    def collate(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items as they are: nothing is drawn by chance."""
        return items

    @abstractmethod
    def logits(self, net: nn.Module, batch: Sequence[Item]) -> torch.Tensor:
        """Logits [N, V] of the trained terms."""

    @abstractmethod
    def loss_from(self, logits: torch.Tensor, batch: Sequence[Item]) -> tuple[torch.Tensor, int]:
        """Summed loss in fp32 and the number of its terms, from the logits."""

    def drawn(self, logits: torch.Tensor, batch: Sequence[Item]) -> torch.Tensor:
        """Summed log-likelihood, fp32 scalar, of an answer that is drawn from what the logits say; here one of V for each term."""
        shares = logits.float().log_softmax(dim=-1)  # [N, V]
        return shares.gather(1, torch.multinomial(shares.detach().exp(), 1)).sum()

    def right(self, logits: torch.Tensor, batch: Sequence[Item]) -> int | None:
        """How many terms the likeliest answer gets right; None where a term has no single right answer."""
        return None

    def unseen(self, batch: Sequence[Item]) -> int:
        """Terms whose right answer is none that can be given, in rows that only judge: they have no loss, and are never right."""
        return 0

    def answers(self, logits: torch.Tensor, batch: Sequence[Item]) -> list[Any]:
        """What a head answers to each item; empty where the answers are texts, which are written and not told."""
        return []

    def words(self, items: Sequence[Item]) -> set[int] | None:
        """Those of the items: nothing is drawn by chance."""
        return {token for item in items for token in item.ids}

    def loss(self, net: nn.Module, batch: Sequence[Item]) -> tuple[torch.Tensor, int]:
        """The same from the network; a faster way may take its place."""
        return self.loss_from(self.logits(net, batch), batch)


class StreamObjective(Protocol):
    """An objective that learns from texts as they run: a text is cut into pieces, each an item."""

    around: tuple[list[int], list[int]]
    """Tokens before and behind a text."""
    room: int
    """Tokens of a text in its longest piece."""

    def piece(self, tokens: list[int]) -> Any:
        """The item of a piece."""
        ...


class Trainable(Protocol):
    """What moves: which parameters of a network are trained, and how they are kept.

    `prepare` may wrap or extend the network; it returns the one to use from then on. Whatever is new
    (a head, an adapter) is trained too, and saved with the rest.
    """

    name: str

    def prepare(self, net: Network) -> Network:
        """Freeze what does not move, insert what is new.

        Raises:
            Usage: the method means nothing on this network; the reason stands in the message.
        """
        ...

    def save(self, net: Network, folder: Path) -> None:
        """Write what was trained, in the layout that other loaders expect where there is one."""
        ...

    def load(self, net: Network, folder: Path) -> Network:
        """From an untouched base network and a saved folder to the tuned network."""
        ...


class Regulariser(Protocol):
    """Held back by what. Strengths are in units of the objective's mean loss."""

    name: str
    needs_logits: bool
    """Whether `on_batch` reads the answers of the network; then the objective must be a `LogitObjective`."""

    def start(self, net: nn.Module, objective: Objective, encoded: Sequence[Any]) -> None:
        """Take down what is needed of the network before its first step."""
        ...

    def on_batch(self, net: nn.Module, objective: Objective, batch: Any, logits: torch.Tensor | None) -> torch.Tensor | None:
        """A penalty summed over the batch's terms, which the loop adds to the loss; None for none."""
        ...

    def on_step(self, net: nn.Module) -> float:
        """Once per optimiser step: add the gradient of a penalty to that of the parameters, and return the penalty."""
        ...

    def words(self) -> set[int]:
        """Ids of the words that it has the network read, beside those of the examples."""
        ...

    def state(self) -> list[float]:
        """What `restore` needs beside `start` to go on."""
        ...

    def restore(self, state: Sequence[float]) -> None:
        """Go on where `state` was taken."""
        ...

    @property
    def bytes(self) -> int:
        """Memory that it holds, for the ledger of cost."""
        ...


class Stateless:
    """Of a regulariser that reads nothing but the examples and learns nothing on the way: what `start` took down is all it needs."""

    def words(self) -> set[int]:
        """None of its own."""
        return set()

    def state(self) -> list[float]:
        """Nothing."""
        return []

    def restore(self, state: Sequence[float]) -> None:
        """Nothing to do."""


class Mixture(Protocol):
    """On what: a stream of examples, which can be stopped and continued."""

    def draw(self, rng: random.Random) -> int:
        """Index of the next example."""
        ...

    def state(self) -> Any:
        """What `restore` needs to continue the stream; lists, numbers and texts only."""
        ...

    def restore(self, state: Any) -> None:
        """Continue where `state` was taken."""
        ...

    @property
    def epoch(self) -> int:
        """Draws in one pass over the data."""
        ...

    def effective_epochs(self, draws: int) -> dict[str, float]:
        """How often each task's examples are seen, on average, in so many draws."""
        ...
