"""The last block of a network, computed only for the tokens whose answer is asked for.

Keys and values come from every token. What follows (attention's output layer, the sum with what entered the block, the feed-forward layers)
is a matter of each token by itself, and behind the last block nobody reads the others: of a prompt that is not learnt, of a context whose
continuation is scored. transformers' own code computes it, handed two stand-ins for tensors: attention's answer, which is chosen
from when it is given its shape, and the stream that enters the block, which is chosen from when something shorter is added to it.
"""

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from hone.model.arithmetic import common_size

__all__ = ["Chosen", "LastBlock", "find_last_block"]

_WORTH = 0.75  # of a pass's tokens; where more are asked for, all are computed


class Chosen:
    """Attention's answer for some tokens, [1, M, H, D], in the place of the one for all: whatever shape it is given, its tokens stay these."""

    def __init__(self, found: torch.Tensor) -> None:
        self._found = found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def reshape(self, *_shape: Any) -> torch.Tensor:
        """[1, M, H x D], for which every network asks, one way or another."""
        return self._found.flatten(2)

    view = reshape


class _Stream:
    """What enters the block, [1, T, D]; a sum with M tokens is that of M of its own."""

    def __init__(self, states: torch.Tensor, places: torch.Tensor) -> None:
        self.whole, self._places = states, places

    @property
    def chosen(self) -> torch.Tensor:
        """[1, M, D]."""
        return self.whole.index_select(1, self._places)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def __add__(self, other: Any) -> Any:
        return self.chosen + other

    __radd__ = __add__

    @classmethod
    def __torch_function__(cls, function: Any, _types: Any, arguments: Any = (), named: Any = None) -> Any:
        if function in (torch.add, torch.Tensor.add) and not named:
            one, other = arguments
            return one + other if isinstance(one, cls) else other + one
        plain = [one.whole if isinstance(one, cls) else one for one in arguments]
        return function(*plain, **(named or {}))


def find_last_block(base: nn.Module) -> "LastBlock | None":
    """That of a single-stack transformers network which was made ready for packed batches; None where attention is not met once in each."""
    found = [(name, module) for name, module in base.named_modules() if hasattr(module, "reads")]
    if len(found) != base.config.get_text_config().num_hidden_layers:  # type: ignore[union-attr, operator]
        return None  # blocks that are called several times, or of several kinds
    name, attention = found[-1]
    parts = name.split(".")
    number = max((at for at, part in enumerate(parts) if part.isdecimal()), default=None)
    return None if number is None else LastBlock(base.get_submodule(".".join(parts[: number + 1])), attention)


class LastBlock:
    """Of a packed single-stack network."""

    def __init__(self, block: Any, attention: Any) -> None:
        """`attention`: within the block, the last that mixes tokens."""
        self._block, self._attention = block, attention

    def enough(self, places: torch.Tensor, tokens: int) -> torch.Tensor | None:
        """The places to compute where these are asked for among `tokens`, perhaps with the first token behind them; None where all are as good."""
        size = common_size(max(1, len(places)), places.device)
        if size > _WORTH * tokens:
            return None
        return nn.functional.pad(places, (0, size - len(places)))

    @contextlib.contextmanager
    def only_at(self, places: torch.Tensor) -> Iterator[None]:
        """Inside this block of code the network's last hidden states are those at `places` [M] of a pass: [1, M, D]."""
        block = self._block
        before, own = vars(block).get("forward"), block.forward
        stream: Any = None
        is_answered = False

        def forward(_block: Any, *arguments: Any, **named: Any) -> Any:
            nonlocal stream
            stream = _Stream(arguments[0] if arguments else named.pop("hidden_states"), places)
            return own(stream, *arguments[1:], **named)

        def enter(_part: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
            """Before a part is called: until attention has answered it reads all tokens, then those that are chosen."""
            read: Any = arguments[0] if arguments else None
            if getattr(read, "shape", ())[:-1] != stream.shape[:-1]:
                return None
            if isinstance(read, _Stream):
                read = read.chosen if is_answered else read.whole
            elif is_answered:
                read = read.index_select(1, places)
            return (read, *arguments[1:]), named

        def answered(*_: Any) -> None:
            nonlocal is_answered
            is_answered = True

        parts = [part for part in block.modules() if part is self._attention or self._attention not in part.modules()]
        hooks = [part.register_forward_pre_hook(enter, with_kwargs=True) for part in parts]
        hooks.append(self._attention.register_forward_hook(answered))
        self._attention.answers_at = places
        block.forward = types.MethodType(forward, block)
        try:
            yield
        finally:
            del block.forward, self._attention.answers_at
            if before is not None:
                block.forward = before
            for hook in hooks:
                hook.remove()
