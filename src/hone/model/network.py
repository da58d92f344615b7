"""Networks that read rows of token ids: the common ground of classifiers and language models.

A row is a list of ids; a batch is a list of rows; what comes back stands row after row without padding. Packed where the
architecture allows it, padded where not: callers see no difference.
"""

import contextlib
import types
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from hone.model.arithmetic import Arithmetic
from hone.model.batches import pad
from hone.model.lean import make_lean
from hone.model.long_rope import tell_long_rows
from hone.model.packed_attention import Layout, current_layout, current_memory, prefixes_hidden, set_layout
from hone.model.packing import pack, pack_as, try_packing

__all__ = ["Network", "Rows", "as_rows"]

Rows = Sequence[Sequence[int]]


class Network(nn.Module):
    """A transformers network, whatever stands on top of it, and the two ways to feed it."""

    is_encoder_decoder = False

    def __init__(self, backbone: nn.Module, *, pad_id: int, twin: "Network | None" = None) -> None:
        """`twin`: a network of the same architecture, for a backbone without numbers: what was tried with the twin's holds for it."""
        super().__init__()
        self.backbone: Any = backbone
        self.pad_id = pad_id
        make_lean(backbone, twin=None if twin is None else twin.backbone)
        self.mark: int | None = tell_long_rows(backbone) if twin is None else twin.mark
        """Tokens beyond which rows are read by other frequencies; None where all are read alike."""
        is_two = self.is_encoder_decoder
        if twin is None:
            self.start = try_packing(backbone, is_encoder_decoder=is_two)
        else:
            self.start = pack_as(backbone, twin, is_encoder_decoder=is_two)
        """Position of a sequence's first token in a packed batch; None where batches are padded."""
        self.prompt: nn.Parameter | None = None
        self.recomputes = False
        """Whether gradient checkpointing calls layers again during the backward pass."""
        self.narrows = True
        """Whether the last block may compute only what is asked for; not where somebody else reads what it makes of the rest."""
        self._hides_prompt = False
        self.is_balanced = bool(getattr(backbone.config, "output_router_logits", False)) and not is_two
        """Whether the configuration asks that experts be chosen about equally often, as transformers' own loss then does."""
        self.balance: torch.Tensor | None = None
        """What that costs the last pass, in the unit of the mean loss; the loop adds it and takes it away."""
        self.remembers: bool | None = None
        """Whether keys of earlier passes may be read again; None until it is tried."""

    @property
    def base(self) -> Any:
        """The transformers network itself, also where adapters are wrapped around it."""
        return self.backbone.get_base_model() if hasattr(self.backbone, "get_base_model") else self.backbone

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def packs(self) -> bool:
        """Whether batches are packed."""
        return self.start is not None

    def add_prompt(self, tokens: int) -> nn.Parameter:
        """Put virtual tokens, whose embeddings are trained, before every row that is read; [tokens, D].

        They begin as copies of embeddings of the vocabulary, drawn from torch's generator (Lester 2021,
        https://arxiv.org/abs/2104.08691). Embedding ids below 0 stand for them: -1 is the first.
        """
        layer = (self.base.get_encoder() if self.is_encoder_decoder else self.base).get_input_embeddings()
        chosen = torch.randint(len(layer.weight), (tokens,))
        with torch.no_grad():  # what the layer answers, for some scale what stands in it
            self.prompt = nn.Parameter(layer(chosen.to(layer.weight.device)).float().clone())
        own = layer.forward

        def forward(_layer: Any, ids: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = own(ids.clamp(min=0))
            assert self.prompt is not None
            is_virtual = (ids < 0).unsqueeze(-1)
            return torch.where(is_virtual, self.prompt[(-ids - 1).clamp(min=0)].to(found.dtype), found)

        layer.forward = types.MethodType(forward, layer)
        return self.prompt

    @contextlib.contextmanager
    def without_prompt(self) -> Iterator[None]:
        """Inside this block rows are read without the virtual tokens, and attention without trained keys and values."""
        before, self._hides_prompt = self._hides_prompt, True
        with prefixes_hidden():
            try:
                yield
            finally:
                self._hides_prompt = before

    @property
    def virtual(self) -> int:
        """Virtual tokens before each row."""
        return 0 if self.prompt is None or self._hides_prompt else len(self.prompt)

    def lengthened(self, rows: Rows) -> Rows:
        """The rows as they are read, virtual tokens before each."""
        return [[*range(-1, -self.virtual - 1, -1), *row] for row in rows] if self.virtual else rows

    def shifted(self, places: Sequence[int], lengths: Sequence[int]) -> Sequence[int]:
        """Places among the tokens of the rows, as places among those that are read. `lengths`: of the rows themselves."""
        if not self.virtual:
            return places
        owner = [row for row, length in enumerate(lengths) for _ in range(length)]
        return [place + self.virtual * (owner[place] + 1) for place in places]

    def sides(self, lengths: Sequence[int]) -> list[tuple[bool, list[int]]]:
        """Rows of these lengths that may be read in one pass, by their places, and whether they are long."""
        are_long = [self.mark is not None and length + self.virtual > self.mark for length in lengths]
        parts = [(is_long, [at for at, one in enumerate(are_long) if one == is_long]) for is_long in (False, True)]
        return [(is_long, part) for is_long, part in parts if part]

    def feed(self, rows: Rows) -> dict[str, torch.Tensor]:
        """Arguments of a single-stack network for a batch, and the layout told to its attention."""
        if self.start is None:
            set_layout(None)
            ids, mask = pad(rows, pad_id=self.pad_id, device=self.device)
            return {"input_ids": ids, "attention_mask": mask}
        set_layout(Layout(tuple(len(row) for row in rows)))
        filler = None if self.is_balanced else self.pad_id  # experts would be chosen for it, too
        ids, positions = pack(rows, self.device, offset=self.start, filler=filler)
        return {"input_ids": ids, "position_ids": positions}

    def narrow_frozen(self) -> None:
        """Hold the matrices of frozen linear layers in bf16: they are multiplied in bf16 anyway, and need not be converted each time."""
        tables = {
            id(module.weight) for module in self.modules() if isinstance(module, nn.Embedding)
        }  # tied: their rows are read, too
        for module in self.modules():
            if type(module) is nn.Linear and not module.weight.requires_grad and id(module.weight) not in tables:
                module.weight.data = module.weight.data.to(torch.bfloat16)

    def train_alone(self, *, alone: bool) -> None:
        """Told by the loop whether one process trains: then gradients need not pass through autograd's hooks."""

    def stop_training(self, precision: Arithmetic) -> None:
        """From now on it only answers: nothing moves, and in bf16 its matrices are held so."""
        self.eval().requires_grad_(False)
        if precision == "bf16":
            self.narrow_frozen()

    @contextlib.contextmanager
    def untaught(self) -> Iterator[None]:
        """Around another library's wrapping of layers."""
        yield

    def forget_layout(self) -> None:
        """After a forward pass: what else calls the network is not packed. Gradient checkpointing still needs the layout."""
        if not (self.recomputes and torch.is_grad_enabled()):
            set_layout(None)

    @contextlib.contextmanager
    def layout_kept(self) -> Iterator[None]:
        """For a pass inside a pass: behind this block the layout is what it was, which the recomputation of the outer one needs."""
        layout, memory = current_layout(), current_memory()
        try:
            yield
        finally:
            set_layout(layout, memory)

    def states(self, rows: Rows) -> torch.Tensor:
        """Last hidden states of all tokens, [T, D] with T the tokens of the batch, row after row."""
        longer = self.lengthened(rows)
        hidden: torch.Tensor = self.base.base_model(**self.feed(longer)).last_hidden_state
        self.forget_layout()
        flat = hidden[0, : sum(map(len, longer))] if self.packs else as_rows(hidden, [len(row) for row in longer])
        if not self.virtual:
            return flat
        return torch.cat([part[self.virtual :] for part in torch.split(flat, [len(row) for row in longer])])


def as_rows(padded: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """[B, longest, ...] to [T, ...]: what stands behind the shorter rows is left out."""
    longest = padded.shape[1]
    places = torch.cat([torch.arange(length) + row * longest for row, length in enumerate(lengths)])
    return padded.flatten(0, 1)[places.to(padded.device)]
