"""Who holds how many bytes at which moment of a pass: every block of memory is entered when an operation makes it, and struck out when it is freed.

It sees the operations below autograd, so what autograd saves, what its functions make on the way back and what autocast copies are all
there. It also counts the multiplications and additions of matrix products. A stretch of the pass may stand for several like it.
"""

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch._subclasses.fake_tensor import FakeTensor, in_kernel_invocation_manager
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["KINDS", "Kind", "Ledger"]

Kind = Literal["weights", "copies", "gradients", "optimiser", "activations", "logits", "temporary"]
KINDS: tuple[Kind, ...] = ("weights", "copies", "gradients", "optimiser", "activations", "logits", "temporary")
"""copies: of weights, in the arithmetic of the products. temporary: made on the way back, beside gradients of weights."""

_FROM_KERNEL = 32 * 2**20  # bytes from which on glibc takes a block from the kernel (`keep_freed_memory` in hone.core.device)

_aten = torch.ops.aten
_PRODUCTS = frozenset({_aten.mm.default, _aten.bmm.default, _aten.addmm.default, _aten.baddbmm.default})
_PLAIN = _PRODUCTS | {
    _aten.view.default,
    _aten._unsafe_view.default,
    _aten.t.default,
    _aten.transpose.int,
    _aten.permute.default,
    _aten.expand.default,
    _aten.slice.Tensor,
    _aten.select.int,
    _aten.unsqueeze.default,
    _aten.alias.default,
    _aten.detach.default,
    _aten.clone.default,
    _aten._to_copy.default,
}
"""Most operations: their shapes say all."""


def _grouped_flops(left: torch.Tensor, right: torch.Tensor, *_: Any, **__: Any) -> int:
    """Each row is multiplied by one expert's matrix: as many operations as one product."""
    return 2 * left.numel() * right.shape[-1]


_FLOPS: dict[Any, Any] = {**flop_registry, _aten._grouped_mm: _grouped_flops}


@dataclass
class _Stretch:
    """What stood in the ledger where a stretch began, the highest within it, and the copies that it made."""

    now: dict[Kind, int]
    heap: int
    flops: int
    highest: dict[Kind, int]
    heap_peak: int
    copies: set[int] = field(default_factory=set)


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
        self._stretch: _Stretch | None = None
        self._alike: dict[int, int] = {}
        """What stands for so many others, which are freed with it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch: whether each call must be hidden from its compiler, which takes longer than the call. Nothing is compiled here."""
        return False

    @property
    def total(self) -> int:
        """Bytes held now."""
        return sum(self.now.values())

    @property
    def peak(self) -> int:
        """Bytes held at the highest moment."""
        return sum(self.highest.values())

    def enter(self, tensor: torch.Tensor, kind: Kind, *, times: int = 1) -> None:
        """Write down what is there already; it stands for so many like it, itself included."""
        if kind == "weights":
            self._weights.add(tensor.untyped_storage()._cdata)
            self._shapes.add(tensor.shape)
        self._enter(tensor, kind, times)

    def begin(self) -> None:
        """Here begins a stretch that may be repeated."""
        self._stretch = _Stretch(dict(self.now), self.heap, self.flops, dict(self.now), self.heap)

    def repeat(self, times: int) -> None:
        """Go on as if the stretch since `begin` had come so many times more, each with the same changes."""
        stretch, self._stretch = self._stretch, None
        assert stretch is not None, "begin comes first"
        more = {kind: times * (self.now[kind] - stretch.now[kind]) for kind in KINDS}
        last = {kind: stretch.highest[kind] + more[kind] for kind in KINDS}
        if sum(last.values()) > self.peak:
            self.highest = last
        self.now = {kind: self.now[kind] + more[kind] for kind in KINDS}
        heap = times * (self.heap - stretch.heap)
        self.heap_peak = max(self.heap_peak, stretch.heap_peak + heap)
        self.heap += heap
        self.flops += times * (self.flops - stretch.flops)
        self._alike |= dict.fromkeys(stretch.copies, times)

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run one operation and write down what it made."""
        if func is torch.ops.prim.device.default and isinstance(args[0], FakeTensor):  # most calls; nothing is made
            return args[0].fake_device
        made = _made(func, args, kwargs or {})
        count = _FLOPS.get(func._overloadpacket)
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

    def _enter(self, tensor: torch.Tensor, kind: Kind, times: int = 1) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._held:
            return

        on_heap = size if size < _FROM_KERNEL and kind not in ("weights", "optimiser") else 0

        def gone(_: object) -> None:
            times = 1 + self._alike.pop(key, 0)
            if self._stretch is not None:
                times = 1  # `repeat` frees the others
                self._stretch.copies.discard(key)  # the next one made may have this key
            self.now[kind] -= times * size
            self.heap -= times * on_heap
            del self._held[key]

        self._held[key] = weakref.ref(storage, gone)
        if times > 1:
            self._alike[key] = times - 1
        self.now[kind] += times * size
        self.heap += times * on_heap
        self.heap_peak = max(self.heap_peak, self.heap)
        if self.total > self.peak:
            self.highest = dict(self.now)
        if self._stretch is not None:
            self._stretch.heap_peak = max(self._stretch.heap_peak, self.heap)
            if kind == "copies":
                self._stretch.copies.add(key)
            if self.total > sum(self._stretch.highest.values()):
                self._stretch.highest = dict(self.now)


def _made(func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """What an operation answers; where tensors hold no numbers, what torch's own way is slow to say or cannot."""
    first = args[0] if args else None
    if not isinstance(first, FakeTensor):
        return func(*args, **named)
    if func in _PLAIN and not named.get("device"):
        return _by_shape(func, first, args, named)
    if func is _aten._local_scalar_dense.default and first.dtype == torch.bool:
        return False  # no layer is skipped by chance, no token is attended to by all: what such questions are about
    if func is _aten._grouped_mm.default and first.dtype != torch.bfloat16:  # torch computes it, but tries it in bf16 alone
        right, ends = args[1:3]
        experts = (len(ends),) if first.ndim == right.ndim else ()
        return first.new_empty(*experts, len(first), right.shape[-1])
    return func(*args, **named)


def _by_shape(func: Any, first: FakeTensor, args: Sequence[Any], named: Mapping[str, Any]) -> FakeTensor:
    """What FakeTensorMode does in the end, without what it does before: it asks a cache, which takes several times as long."""
    with in_kernel_invocation_manager(first.fake_mode):
        if func in _PRODUCTS:
            left, right = args[-2:]
            made = torch.empty((*left.shape[:-1], right.shape[-1]), dtype=left.dtype, device="meta")
        else:
            made = func(*args, **named)
    return FakeTensor(first.fake_mode, made, first.fake_device)
