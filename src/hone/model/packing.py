"""Whether a network computes the same for a packed batch, and how it is made ready for one.

Any architecture that asks transformers' registry for its attention is served; that packing changes nothing is tried once
with real numbers, and a network that fails is padded instead.
"""

import types
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hone.model.arithmetic import common_size
from hone.model.loading import quiet_transformers
from hone.model.packed_attention import (
    ATTENTION,
    Layout,
    Role,
    current_layout,
    current_memory,
    register_attention,
    set_layout,
    tried,
)

__all__ = ["REFUSALS", "as_pass", "pack", "pack_as", "try_packing"]

# Of a network that is called in a way that it does not know:
REFUSALS = (ValueError, TypeError, AttributeError, RuntimeError, IndexError, KeyError, NotImplementedError)
_TOLERANCE = 1e-3  # of the largest hidden state, fp32


def pack(
    rows: Sequence[Sequence[int]], device: torch.device, *, offset: int = 0, filler: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and positions within their sequence, both int64 of shape [1, T] with T the tokens of all rows.

    With `filler`, an id, such tokens may stand behind the last row: no layout counts them, nothing attends to them, and they are never read.
    """
    ids = [token for row in rows for token in row]
    positions = torch.cat([torch.arange(offset, offset + len(row)) for row in rows])
    return as_pass(ids, positions, device, filler=filler)


def as_pass(
    ids: Sequence[int], positions: torch.Tensor, device: torch.device, *, filler: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and their positions [T] as a network reads them, [1, T] or with a filler a few more."""
    more = 0 if filler is None else common_size(len(ids), device) - len(ids)
    tokens = torch.tensor([*ids, *[filler] * more], dtype=torch.long)
    return tokens[None].to(device), nn.functional.pad(positions, (0, more))[None].to(device)


def pack_as(net: Any, twin: Any, *, is_encoder_decoder: bool) -> int | None:
    """Prepare a network without numbers for packed batches as `try_packing` prepared `twin`, of the same architecture, and return its `start`."""
    start: int | None = twin.start
    if start is not None:
        reads = {type(module): module.reads for module in twin.backbone.modules() if hasattr(module, "reads")}
        for module in net.modules():
            if type(module) in reads:
                module.reads = reads[type(module)]
        register_attention()
        with quiet_transformers():
            net.set_attn_implementation(ATTENTION)
        _mark(net, is_encoder_decoder)
        _patch(net, is_encoder_decoder)
    return start


def try_packing(net: Any, *, is_encoder_decoder: bool) -> int | None:
    """Prepare a transformers network for packed batches and check, with real numbers, that packing changes nothing.

    Returns:
        The position of a sequence's first token (0, or the padding id + 1 of RoBERTa's kin); None where the network
        computes something else when packed, and is left as it was.
    """
    register_attention()
    if any(hasattr(module, "expert_capacity") for module in net.modules()):
        return None  # an expert turns tokens away once it has so many of a row: those of other rows would fill it, too
    before = net.config._attn_implementation
    patched: list[tuple[Any, str]] = []
    try:
        with quiet_transformers():
            net.set_attn_implementation("eager")  # the model's own; transformers' other functions leave out caps and sinks
        wanted = _alone(net, is_encoder_decoder)
        with quiet_transformers():
            net.set_attn_implementation(ATTENTION)
        _mark(net, is_encoder_decoder)
        patched = _patch(net, is_encoder_decoder)
        pad = getattr(net.config, "pad_token_id", None) or 0
        for offset in dict.fromkeys((0, pad + 1)):
            if _is_same(net, wanted, offset, is_encoder_decoder):
                return offset
    except REFUSALS:
        pass  # an architecture that knows no registry, no positions or no such call: it is padded
    finally:
        set_layout(None)
    for module, name in patched:
        delattr(module, name)
        if name == "compute_bias" and getattr(module, "_role", "") == "cross":
            module.has_relative_attention_bias = False  # as T5 makes every cross-attention
    with quiet_transformers():
        net.set_attn_implementation(before)
    return None


def _mark(net: Any, is_encoder_decoder: bool) -> None:
    """Tell every module which sequences it sees."""
    for name, module in net.named_modules():
        parts = name.lower().split(".")
        role: Role = "source" if is_encoder_decoder and "encoder" in parts else "target"
        if role == "target" and any(part in ("encdecattention", "encoder_attn", "crossattention") for part in parts):
            role = "cross"
        module._role = role


def _patch(net: Any, is_encoder_decoder: bool) -> list[tuple[Any, str]]:
    """Where positions do not come from `position_ids`: T5's relative bias, and tables that count along the batch."""
    patched = []
    for module in net.modules():
        if hasattr(module, "compute_bias") and hasattr(module, "has_relative_attention_bias"):
            _patch_bias(module)
            patched.append((module, "compute_bias"))
        elif is_encoder_decoder and type(module).__name__.endswith("PositionalEmbedding"):
            module.forward = types.MethodType(_learned_positions(type(module).forward), module)
            patched.append((module, "forward"))
    return patched


def _patch_bias(module: Any) -> None:
    own = type(module).compute_bias
    is_cross = module._role == "cross"

    def compute_bias(self: Any, query_length: int, key_length: int, device: Any = None, past_seen_tokens: int = 0) -> Any:
        layout = current_layout()
        if is_cross:
            if layout is not None:
                return None
            return torch.zeros((1, self.n_heads, query_length, key_length), device=device, dtype=self.q.weight.dtype)
        memory = current_memory()
        if memory is not None and memory.mode == "rows":  # of the longest row's new token: others read it from its end
            query_length, key_length = 1, max(memory.lengths) + 1
            past_seen_tokens = key_length - 1
        elif layout is not None:  # relative: one square serves all sequences
            query_length = key_length = max(layout.lengths(self._role))
        return own(self, query_length, key_length, device=device, past_seen_tokens=past_seen_tokens)

    module.compute_bias = types.MethodType(compute_bias, module)
    if is_cross:
        module.has_relative_attention_bias = True  # else zeros over all pairs of tokens of the batch are made


def _learned_positions(own: Any) -> Any:
    def forward(self: Any, *arguments: Any, position_ids: torch.Tensor | None = None, **named: Any) -> Any:
        layout = current_layout()
        if layout is not None:
            inside = [torch.arange(length) for length in layout.lengths(self._role)]
            is_later = bool(layout.positions) and self._role == "target"
            places = torch.tensor(layout.positions) if is_later else torch.cat(inside)
            read: Any = arguments[0] if arguments else named.get("input_ids", named.get("input_ids_shape"))
            more = (read[-1] if isinstance(read, tuple) else read.shape[-1]) - len(places)  # tokens behind the last row
            position_ids = nn.functional.pad(places, (0, more)).to(self.weight.device)
        return own(self, *arguments, position_ids=position_ids, **named)

    return forward


def _rows(net: Any) -> tuple[list[list[int]], list[list[int]]]:
    """Three sequences, two of them of one length, and what they are read with where there is an encoder."""
    generator = torch.Generator().manual_seed(0)
    size = int(net.get_input_embeddings().weight.shape[0])
    rows, others = (
        [torch.randint(size, (length,), generator=generator).tolist() for length in lengths] for lengths in ((7, 7, 4), (5, 9, 4))
    )
    return rows, others


@torch.no_grad()
def _states(
    net: Any, source: list[list[int]], target: list[list[int]], start: int | None, is_encoder_decoder: bool
) -> torch.Tensor:
    """Hidden states [T, D] of a network that drops nothing out; `start`: the first token's position, None for that of the network."""
    device = next(net.parameters()).device
    was_training = net.training
    net.eval()
    try:
        ids, positions = pack(target, device, offset=start or 0)
        extra = {"position_ids": positions} if start is not None and not is_encoder_decoder else {}
        if is_encoder_decoder:
            body = net.get_encoder()(input_ids=pack(source, device)[0])
            decoder = net.get_decoder()
            found = decoder(input_ids=ids, encoder_hidden_states=body.last_hidden_state, use_cache=False)
        else:
            found = net.base_model(input_ids=ids, **extra)
    finally:
        net.train(was_training)
    hidden: torch.Tensor = found.last_hidden_state[0].float()
    return hidden


def _alone(net: Any, is_encoder_decoder: bool) -> torch.Tensor:
    """Hidden states of the sequences, each alone."""
    set_layout(None)
    rows, others = _rows(net)
    return torch.cat([_states(net, [one], [row], None, is_encoder_decoder) for one, row in zip(others, rows, strict=True)])


def _is_same(net: Any, wanted: torch.Tensor, offset: int, is_encoder_decoder: bool) -> bool:
    """Whether the sequences give the same hidden states packed as each alone, and longer ones will, too."""
    rows, others = _rows(net)
    set_layout(Layout(tuple(map(len, rows)), tuple(map(len, others)) if is_encoder_decoder else ()))
    with tried() as trial:
        found = _states(net, others, rows, offset, is_encoder_decoder)
    is_near = found.shape == wanted.shape and bool((found - wanted).abs().max() <= _TOLERANCE * wanted.abs().max())
    kinds = getattr(net.config.get_text_config(), "layer_types", None)
    is_windowed = kinds is None or any(kind != "full_attention" for kind in kinds)  # masks of windows are made in any case
    longer = {window for window in trial.masked if window > max(map(len, rows))}  # what is shorter the states show
    return is_near and trial.is_whole(longer if is_windowed else set())
