"""Work that no step changes is done once: the lower blocks of a network of which only upper ones are trained.

What the last frozen block makes of each row is computed before the first step and kept, fp32 or as the network computes it, [T, D] per
row; from then on the frozen blocks hand it on. The one surprise: frozen blocks drop nothing out, whether their work is kept or not.
With dropout they would make something else of a row each time, and what training learns would depend on whether the rows fit into memory.
So keeping changes no result but for rounding. It is left out, with the reason told, where it would change one or serve nobody.
"""

import contextlib
import types
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from hone.core.console import note
from hone.core.errors import Usage
from hone.measure import human_bytes
from hone.model import Network, autocast, token_batches
from hone.train.contracts import LogitObjective, Objective
from hone.train.plan import TrainPlan
from hone.train.trainable.layers import blocks, output_names

__all__ = ["Frozen", "find_frozen"]

_TOLERANCE = 1e-3  # of a loss: the same products on the same numbers, in another place of memory


class _AtTheBorder(Exception):
    """The last frozen block has answered, and nobody needs the rest of the pass."""


class Frozen:
    """The frozen blocks of a network, none where training reaches below the first, and what the last of them made of each row."""

    def __init__(self, net: nn.Module, stack: Sequence[nn.Module], count: int, *, plan: TrainPlan, objective: Objective) -> None:
        """`count`: lowest blocks of the stack that are frozen, and everything before them."""
        self.blocks, self.of = count, len(stack)
        self.bytes = 0
        """Memory that all rows take at most."""
        self.because = "nothing is frozen"
        """Why nothing is kept; empty where it is."""
        self._net, self._plan, self._objective = net, plan, objective
        self._lower = stack[:count]
        upper = {id(module) for block in stack[count:] for module in block.modules()}
        self._still = (
            [one for one in net.base.base_model.modules() if id(one) not in upper] if isinstance(net, Network) and count else []
        )
        self._rows: list[torch.Tensor] = []
        self._given: torch.Tensor | None = None
        self._seen: Any = None
        self._ends = False

    @property
    def keeps(self) -> bool:
        """Whether what they make of a row is kept."""
        return not self.because

    def rest(self) -> None:
        """Let the frozen part compute as it answers, without dropout."""
        for module in self._still:
            module.training = False

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Inside this block the frozen blocks hand on what `rows` has given them."""
        if not self.keeps:
            yield
            return
        before = [vars(block).get("forward") for block in self._lower]
        for at, block in enumerate(self._lower):
            block.forward = types.MethodType(self._handing_on(block.forward, is_last=at + 1 == self.blocks), block)
        try:
            yield
        finally:
            for block, own in zip(self._lower, before, strict=True):
                del block.forward
                if own is not None:
                    block.forward = own
            self._rows = []

    def _handing_on(self, own: Any, *, is_last: bool) -> Any:
        def forward(_block: Any, *arguments: Any, **named: Any) -> Any:
            if self._given is not None:
                read = arguments[0] if arguments else named["hidden_states"]
                behind = read.shape[1] - self._given.shape[1] if is_last else 0  # tokens behind the last row
                given = self._given if is_last else read
                return nn.functional.pad(given, (0, 0, 0, behind)) if behind else given
            found = own(*arguments, **named)
            if is_last and self._ends:
                self._seen = found
                raise _AtTheBorder
            return found

        return forward

    @torch.no_grad()
    def fill(self, encoded: Sequence[Any]) -> None:
        """Compute the frozen blocks once for all rows, always in the same batches: a run that goes on after a kill finds the same bits.

        Tried on the first batch: where the loss from the border is another one than from the beginning, nothing is kept.
        """
        if not self.keeps:
            return
        was_training = self._net.training
        self._net.eval()
        rows: dict[int, torch.Tensor] = {}
        lengths = [item.length for item in encoded]
        for part in token_batches(lengths, max_tokens=self._plan.forward_tokens, is_packed=True):
            items = [encoded[index] for index in part]
            states = self._states(items)  # [1, T, D]
            if states is None or not (rows or self._is_same(items, states)):
                self.because = "the network does not go on from what the last of them makes"
                note(f"Frozen blocks are computed with every row after all, because {self.because}.")
                rows = {}
                break
            pieces = torch.split(states[0].cpu(), [item.length for item in items])
            rows.update((index, piece.clone()) for index, piece in zip(part, pieces, strict=True))
        self._rows = [rows[index] for index in sorted(rows)]
        self._net.train(was_training)

    def _states(self, items: Sequence[Any]) -> torch.Tensor | None:
        """What the last frozen block makes of some rows, [1, T, D]; None where its answer is not one state per token."""
        assert isinstance(self._objective, LogitObjective) and isinstance(self._net, Network)
        narrowed = self._net.narrows
        self._ends, self._net.narrows = True, False
        try:
            with autocast(self._plan.precision, self._net.device):
                self._objective.logits(self._net, items)
        except _AtTheBorder:
            pass
        finally:
            self._ends, self._net.narrows = False, narrowed
            self._net.forget_layout()
        seen, self._seen = self._seen, None
        tokens = sum(item.length for item in items)
        is_per_token = isinstance(seen, torch.Tensor) and len(seen) == 1 and seen.shape[1] >= tokens
        return seen[:, :tokens] if is_per_token else None

    def _is_same(self, items: Sequence[Any], states: torch.Tensor) -> bool:
        """Whether the loss is the same from the border as from the beginning."""
        with autocast(self._plan.precision, states.device):
            whole = float(self._objective.loss(self._net, items)[0])
            with self._giving(states):
                found = float(self._objective.loss(self._net, items)[0])
        return abs(found - whole) <= _TOLERANCE * abs(whole)

    @contextlib.contextmanager
    def _giving(self, states: torch.Tensor) -> Iterator[None]:
        self._given = states
        try:
            yield
        finally:
            self._given = None

    def rows(self, indices: Sequence[int]) -> contextlib.AbstractContextManager[None]:
        """Inside this block the network reads these rows, one after the other, from what was kept of them."""
        if not self.keeps:
            return contextlib.nullcontext()
        device = next(self._net.parameters()).device
        return self._giving(torch.cat([self._rows[index] for index in indices])[None].to(device))  # [1, T, D]


def find_frozen(
    net: nn.Module, encoded: Sequence[Any], *, plan: TrainPlan, objective: Objective, is_held: bool, is_alone: bool
) -> Frozen:
    """The frozen lower blocks, and whether what they make of rows is to be kept.

    Args:
        is_held: whether a regulariser holds training back. is_alone: whether one process trains.
    """
    stack, count = _frozen_blocks(net)
    found = Frozen(net, stack, count, plan=plan, objective=objective)
    if not isinstance(net, Network) or not count:
        return found
    found.bytes = 4 * int(net.base.config.hidden_size) * sum(item.length for item in encoded)
    is_plain = isinstance(objective, LogitObjective) and type(objective).collate is LogitObjective.collate
    budget = plan.keep_bytes
    reasons = {
        "batches are padded": not net.packs,
        "several processes train": not is_alone,
        "what holds training back reads the network too": is_held,
        "blocks are compiled": plan.compile,
        "the objective draws other tokens each time": not is_plain,
        "no row comes again": plan.steps * plan.batch_rows <= len(encoded),
        f"all rows would take {human_bytes(found.bytes)}, and {human_bytes(budget)} are allowed": found.bytes > budget,
    }
    found.because = next((why for why, is_so in reasons.items() if is_so), "")
    return found


def _frozen_blocks(net: nn.Module) -> tuple[list[nn.Module], int]:
    """The blocks, and how many of the lowest are frozen with everything before them."""
    if not isinstance(net, Network) or net.is_encoder_decoder or net.prompt is not None:
        return [], 0  # a decoder's lower blocks read the encoder, which moves
    try:
        stacks = blocks(net)
    except Usage:
        return [], 0
    if len(stacks) != 1:
        return [], 0
    stack = list(stacks[0])
    moves = [any(parameter.requires_grad for parameter in block.parameters()) for block in stack]
    count = moves.index(True) if True in moves else len(stack)
    upper = {id(parameter) for block in stack[count:] for parameter in block.parameters()}
    after = {"classifier.weight", "classifier.bias"} | output_names(net)
    tables = {id(module.weight) for module in net.modules() if isinstance(module, nn.Embedding)}
    is_fed_by_moving = any(
        parameter.requires_grad and id(parameter) not in upper and (name not in after or id(parameter) in tables)
        for name, parameter in net.named_parameters()
    )
    return stack, 0 if is_fed_by_moving else count
