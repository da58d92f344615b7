"""Who holds how many bytes at which moment of a pass: every block of memory is entered when an operation makes it, and struck out when it is freed.

It sees the operations below autograd, so what autograd saves, what its functions make on the way back and what autocast copies are all
there. It also counts the multiplications and additions of matrix products.
"""

import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["KINDS", "Kind", "Ledger"]

Kind = Literal["weights", "copies", "gradients", "optimiser", "activations", "logits", "temporary"]
KINDS: tuple[Kind, ...] = ("weights", "copies", "gradients", "optimiser", "activations", "logits", "temporary")
"""copies: of weights, in the arithmetic of the products. temporary: made on the way back, beside gradients of weights."""

_FROM_KERNEL = 32 * 2**20  # bytes from which on glibc takes a block from the kernel (`keep_freed_memory` in hone.core.device)


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes by kind, now and at the highest moment so far. What is written is by the phase: set `phase` before each."""

    def __init__(self, *, words: int | None) -> None:
        """`words`: size of the vocabulary; a tensor whose last axis is that long holds logits."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.phase: Literal["forward", "backward"] = "forward"
        self.now: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self.highest: dict[Kind, int] = dict(self.now)
        self.flops = 0
        self.heap = 0
        """Bytes of the heap that passes hold now, and at the highest moment: blocks below glibc's limit, weights left out."""
        self.heap_peak = 0
        self._words = words
        self._held: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._weights: set[int] = set()
        self._shapes: set[torch.Size] = set()

    @property
    def total(self) -> int:
        """Bytes held now."""
        return sum(self.now.values())

    @property
    def peak(self) -> int:
        """Bytes held at the highest moment."""
        return sum(self.highest.values())

    def enter(self, tensors: Iterable[torch.Tensor], kind: Kind) -> None:
        """Write down what is there already."""
        for tensor in tensors:
            if kind == "weights":
                self._weights.add(tensor.untyped_storage()._cdata)
                self._shapes.add(tensor.shape)
            self._enter(tensor, kind)

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run one operation and write down what it made."""
        made = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=made)
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor):
                self._enter(tensor, self._kind_of(tensor, func, args))
        return made

    def _kind_of(self, tensor: torch.Tensor, func: Any, args: Sequence[Any]) -> Kind:
        if func is torch.ops.aten._to_copy.default and args[0].untyped_storage()._cdata in self._weights:
            return "copies"
        if self._words is not None and tensor.ndim > 1 and tensor.shape[-1] == self._words and tensor.is_floating_point():
            return "logits"
        if self.phase == "forward":
            return "activations"
        return "gradients" if tensor.shape in self._shapes else "temporary"

    def _enter(self, tensor: torch.Tensor, kind: Kind) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._held:
            return

        on_heap = size if size < _FROM_KERNEL and kind not in ("weights", "optimiser") else 0

        def gone(_: object) -> None:
            self.now[kind] -= size
            self.heap -= on_heap
            del self._held[key]

        self._held[key] = weakref.ref(storage, gone)
        self.now[kind] += size
        self.heap += on_heap
        self.heap_peak = max(self.heap_peak, self.heap)
        if self.total > self.peak:
            self.highest = dict(self.now)
