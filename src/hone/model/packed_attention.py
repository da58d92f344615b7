"""Attention within each sequence of a batch that stands packed: one after the other, without padding.

It enters transformers through its registry of attention functions. The one surprise: the layout of the batch at hand is
module state, because gradient checkpointing calls layers again during the backward pass.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from hone.model.arithmetic import product_dtype
from hone.model.attend import Pattern, Stretch, attend, capped, hidden, shares_of
from hone.model.last_block import Chosen
from hone.model.memory import Memory
from hone.model.stacking import stack, unstack

__all__ = [
    "ATTENTION",
    "Layout",
    "Role",
    "Trial",
    "current_layout",
    "current_memory",
    "prefixes_hidden",
    "register_attention",
    "set_layout",
    "tried",
]

ATTENTION = "hone_packed"
_SHORT = 1024  # tokens up to which attention is written out on a CPU; longer ones would keep too many scores

Role = Literal["source", "target", "cross"]


@dataclass(frozen=True)
class Layout:
    """Lengths of the sequences that stand one after the other; `source` for the encoder of an encoder-decoder."""

    target: tuple[int, ...]
    source: tuple[int, ...] = ()
    readers: tuple[int, ...] = ()
    """Target tokens that read each source, where several targets share one; they stand together."""
    positions: tuple[int, ...] = ()
    """Of the target tokens within their sequences, where those begin in an earlier pass."""

    def lengths(self, role: Role) -> tuple[int, ...]:
        """Of the keys that a module with this role reads."""
        return self.target if role == "target" else self.source


class Trial:
    """What a network tells packed attention, so that it is known whether anything of it is left out."""

    def __init__(self) -> None:
        self.masked: set[int] = set()
        """Tokens back that its masks would let a query see, which packed passes make without masks."""
        self._windows: set[int] = set()
        self._unknown: set[str] = set()

    def see(self, rest: dict[str, Any], window: int | None) -> None:
        """One call of attention: its window, and arguments that packed attention does not read."""
        self._windows |= set() if window is None else {window}
        self._unknown |= {name for name, value in rest.items() if value is not None and name not in _HARMLESS}

    def is_whole(self, windows: set[int]) -> bool:
        """Whether attention was told all that the answer depends on, these windows of masks among it (ModernBERT counts one token more)."""
        return not self._unknown and all(any(abs(size - told) <= 1 for told in self._windows) for size in windows)


# Arguments that change no answer, or do so before attention is called:
_HARMLESS = frozenset(
    {
        "cache_position",
        "deterministic",
        "output_attentions",
        "output_hidden_states",
        "past_key_values",
        "position_ids",
        "use_cache",
    }
)
_layout: Layout | None = None
_memory: Memory | None = None
_trial: Trial | None = None
_hides_prefixes = False


@contextlib.contextmanager
def prefixes_hidden() -> Iterator[None]:
    """Inside this block trained keys and values (prefix tuning) are left out."""
    global _hides_prefixes
    before, _hides_prefixes = _hides_prefixes, True
    try:
        yield
    finally:
        _hides_prefixes = before


def set_layout(layout: Layout | None, memory: Memory | None = None) -> None:
    """Say how the next forward pass is packed, None for padded batches, and what it remembers of earlier ones. It holds until the next call."""
    global _layout, _memory
    _layout, _memory = layout, memory


@contextlib.contextmanager
def tried() -> Iterator[Trial]:
    """Inside this block packed passes say what they are told."""
    global _trial
    _trial = Trial()
    try:
        yield _trial
    finally:
        _trial = None


def current_layout() -> Layout | None:
    """What `set_layout` said last."""
    return _layout


def current_memory() -> Memory | None:
    """What the next pass remembers."""
    return _memory


def register_attention() -> None:
    """Make the function known to transformers under its name; for padded batches it hands on to theirs."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, _padded_mask)


def _padded_mask(*arguments: Any, **named: Any) -> Any:
    from transformers.masking_utils import sdpa_mask

    if _trial is not None and named.get("local_size") is not None:
        _trial.masked.add(named["local_size"])
    return None if _layout is not None else sdpa_mask(*arguments, **named)


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: torch.Tensor | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **rest: Any,
) -> tuple[Any, None]:
    """transformers' attention interface: query [B, H, T, D], key and value [B, K, S, D], s_aux [H]; result [B, T, H, D]."""
    if _layout is None:
        assert _hides_prefixes or not hasattr(module, "prefix"), "a padded pass would leave out what prefix tuning trained"
        named = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, "position_bias": position_bias, **rest}
        return _padded(module, query, key, value, attention_mask, softcap, s_aux, named)
    if _trial is not None:
        _trial.see(rest | {"attention_mask": None if _hides_nothing(attention_mask) else attention_mask}, sliding_window)
    role: Role = getattr(module, "_role", "target")
    queries, keys = _layout.source if role == "source" else _layout.target, _layout.lengths(role)
    if role == "cross" and _layout.readers:
        queries = _layout.readers
    causal = role != "cross" and bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    groups = key.shape[1]
    dtype = product_dtype(value)  # rotations leave fp32 behind in the others
    q, k, v = (one.squeeze(0).transpose(0, 1).to(dtype) for one in (query, key, value))  # [T, H, D], [S, K, D]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    module.reads = (groups, key.shape[3])  # type: ignore[assignment]  # for prefix tuning, which puts keys of this shape before them
    prefix = None if _hides_prefixes else getattr(module, "prefix", None)  # [2, K, P, D]
    pattern = Pattern(queries, keys, scale, causal, sliding_window, dropout, s_aux)
    if _memory is not None and role != "source":
        prefix = _memory.ahead(module)
        if role == "target":
            q, k, v = (one[: sum(queries)] for one in (q, k, v))  # tokens behind the last sequence are not remembered
        if _memory.mode != "packed" or (sliding_window is not None and prefix is not None):
            found = _remembering(
                _memory, module, (q, k, v), position_bias, pattern, softcap
            ).contiguous()  # networks take views of it
            _memory.keep(module, k, v)
            return _answer(module, query, found), None
        _memory.keep(module, k, v)
    if q.device.type == "cpu" and softcap is None and s_aux is None and max(keys) <= _SHORT:
        return _answer(module, query, attend(q, k, v, position_bias, prefix, pattern)), None
    return _answer(module, query, _by_stretches(q, k, v, position_bias, prefix, pattern, softcap)), None


def _hides_nothing(mask: torch.Tensor | None) -> bool:
    return mask is None or bool((mask if mask.dtype == torch.bool else mask == 0).all())


def _answer(module: nn.Module, query: torch.Tensor, found: torch.Tensor) -> Any:
    """[1, T, H, D] from what was found, [t, H, D]: zeros for tokens behind the last sequence, or only the tokens that the module is asked for.

    `query`: [1, H, T, D].
    """
    places = getattr(module, "answers_at", None)
    if places is not None:
        return Chosen(found.index_select(0, places)[None])
    behind = query.shape[2] - len(found)
    return (nn.functional.pad(found, (0, 0, 0, 0, 0, behind)) if behind else found)[None]


def _by_stretches(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    position_bias: torch.Tensor | None,
    prefix: torch.Tensor | None,
    pattern: Pattern,
    softcap: float | None,
) -> torch.Tensor:
    """As `attend`, by torch's fused kernel, or written out where that lacks something: for long sequences and other devices than CPUs."""
    is_written_out = softcap is not None or pattern.sinks is not None
    is_bare = pattern.is_causal and pattern.window is None and prefix is None and position_bias is None
    is_plain = is_bare and not is_written_out  # the flag is quicker than a mask, of which long sequences would keep a large one
    answers = []
    for part in pattern.stretches:
        part_q, part_k, part_v = (
            stack(one, lengths).transpose(1, 2)  # [b, H, t, D]
            for one, lengths in ((q[part.of_q], part.queries), (k[part.of_k], part.keys), (v[part.of_k], part.keys))
        )
        unseen = None if is_plain else hidden(part, pattern, q)
        added = None if position_bias is None else position_bias[..., : max(part.queries), : max(part.keys)].to(q.dtype)
        if unseen is not None:
            added = unseen if added is None else added + unseen
        if prefix is not None:
            ahead = prefix.to(part_k.dtype)[:, None].expand(-1, len(part_k), -1, -1, -1)
            part_k, part_v = torch.cat([ahead[0], part_k], dim=2), torch.cat([ahead[1], part_v], dim=2)
            added = None if added is None else nn.functional.pad(added, (prefix.shape[2], 0))
        if is_written_out:
            found = _written_out(part_q, part_k, part_v, added, pattern, softcap)
        else:
            options: dict[str, Any] = {"is_causal": True} if is_plain else {"attn_mask": added}
            part_k, part_v = _repeated(part_q, part_k, part_v)
            options |= {"dropout_p": pattern.dropout, "scale": pattern.scale}
            found = nn.functional.scaled_dot_product_attention(part_q, part_k, part_v, **options)
        answers.append(unstack(found.transpose(1, 2), part.queries))
    return torch.cat(answers)


def _remembering(
    memory: Memory,
    module: nn.Module,
    tokens: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    position_bias: torch.Tensor | None,
    pattern: Pattern,
    softcap: float | None,
) -> torch.Tensor:
    """Attention of tokens whose keys stand in an earlier pass as well: [T, H, D]."""
    if memory.mode != "rows":
        assert position_bias is None, "trees are read by positions"
        return memory.attend_tree(module, tokens, pattern, softcap)
    if module._role == "cross":
        return memory.attend_sources(module, tokens, pattern)
    back = None if position_bias is None else position_bias[0, :, 0].flip(-1)  # [H, L], by tokens back
    return memory.attend_rows(module, tokens, pattern, softcap, distances=back)


def _repeated(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values once per query head."""
    times = query.shape[1] // key.shape[1]
    return (key, value) if times == 1 else (key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1))


def _padded(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    softcap: float | None,
    sinks: torch.Tensor | None,
    named: dict[str, Any],
) -> tuple[torch.Tensor, None]:
    """transformers' own function; written out where scores are capped or sinks take a share, which the fused kernel lacks."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if softcap is None and sinks is None:
        return ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, mask, **named)  # type: ignore[no-any-return]
    scale = query.shape[-1] ** -0.5 if named["scaling"] is None else named["scaling"]
    added, length = mask, (query.shape[2],)
    pattern = Pattern(length, length, scale, is_causal=True, dropout=named["dropout"], sinks=sinks)
    if mask is None and getattr(module, "is_causal", True):
        added = hidden(Stretch(0, 0, length, length), pattern, query)
    elif mask is not None and mask.dtype == torch.bool:
        added = torch.zeros(mask.shape, dtype=query.dtype, device=mask.device)
        added.masked_fill_(~mask, torch.finfo(query.dtype).min)  # finite: a padded query may see no key at all
    return _written_out(query, key, value, added, pattern, softcap).transpose(1, 2).contiguous(), None


def _written_out(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    added: torch.Tensor | None,
    pattern: Pattern,
    softcap: float | None,
) -> torch.Tensor:
    """Attention for scores with a cap, or with sinks; the softmax in fp32. [b, H, t, D]."""
    k, v = _repeated(q, k, v)
    scores = (torch.matmul(q, k.transpose(2, 3)) * pattern.scale).float()
    scores = scores if softcap is None else capped(scores, softcap)
    sinks = None if pattern.sinks is None else pattern.sinks.view(-1, 1, 1)
    shares = shares_of(scores if added is None else scores + added, sinks).to(v.dtype)
    return torch.matmul(nn.functional.dropout(shares, p=pattern.dropout) if pattern.dropout else shares, v)
