"""Language models as networks: logits, or their cross-entropy, at the positions that are asked for and nowhere else.

Causal and masked models read rows; encoder-decoders read sources and targets. The one surprise: the output layer is
taught to look only at the positions asked for, which spares the largest product of a small model with a large vocabulary.
"""

import contextlib
import itertools
import types
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import nn

from hone.catalogue.locate import ModelFolder
from hone.core.errors import BadModel
from hone.model.arithmetic import product_dtype
from hone.model.batches import pad
from hone.model.cross_entropy import WordTable, linear_cross_entropy, logits_cross_entropy
from hone.model.last_block import find_last_block
from hone.model.loading import Held, family, load_pretrained, read_config
from hone.model.memory import Memory
from hone.model.network import Network, Rows
from hone.model.packed_attention import Layout, set_layout
from hone.model.packing import REFUSALS, as_pass, pack

__all__ = ["Head", "LanguageModel", "Seq2SeqModel", "TextModel", "load_language_model", "load_text_model"]

Head = Literal["causal", "masked", "seq2seq"]
_LOGITS = 16 * 2**20  # that stand in memory at once


class _Narrow:
    """An output layer that computes only the rows it was told to, or hands their hidden states on."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.places: torch.Tensor | None = None
        self.chosen = 0
        """Hidden states that arrive where the last block has chosen them, those of `places` first; fewer than there are tokens."""
        self.hands_on = False
        own = layer.forward

        def forward(_layer: Any, hidden: torch.Tensor) -> torch.Tensor:
            if self.places is None:
                return own(hidden)  # type: ignore[no-any-return]
            states = hidden.flatten(0, -2)
            is_chosen = len(states) == self.chosen
            chosen = (states[: len(self.places)] if is_chosen else states[self.places])[None]  # [1, N, D]
            return chosen if self.hands_on else own(chosen)

        layer.forward = types.MethodType(forward, layer)

    @property
    def is_linear(self) -> bool:
        """Whether it is one matrix, with nothing around it."""
        return type(self.layer) is nn.Linear


class _WithVocabulary(Network):
    """What causal, masked and encoder-decoder models share: an output layer over the vocabulary."""

    def __init__(self, backbone: nn.Module, *, pad_id: int, twin: "_WithVocabulary | None" = None) -> None:
        super().__init__(backbone, pad_id=pad_id, twin=twin)
        self._output = _Narrow(self.base.get_output_embeddings())
        is_whole = self.is_encoder_decoder or self.is_balanced  # all tokens of the last block are asked for
        self._last = find_last_block(self.base) if self.packs and not is_whole else None
        """None where every token is computed."""
        self._can_fuse = self._output.is_linear
        if twin is None:
            self._try_short_ways()
        else:
            self._last, self._can_fuse = None if twin._last is None else self._last, twin._can_fuse
        self._share_table()

    def _share_table(self) -> None:
        """Have the embeddings that are the output layer's matrix, too, make one gradient with it."""
        self._table = WordTable()
        self._sharing = [
            module
            for module in (self.base.modules() if self._can_fuse else ())
            if type(module) is nn.Embedding and module.weight is self.output_layer.weight and module.max_norm is None
        ]
        for module in self._sharing:
            self._table.share(module)

    @contextlib.contextmanager
    def untaught(self) -> Iterator[None]:
        """For a library that copies or wraps layers: output layer and embeddings are transformers' own; what stands there then is taught."""
        for layer in (self._output.layer, *self._sharing):
            del layer.forward
        yield
        self._output = _Narrow(self.base.get_output_embeddings())
        self._can_fuse = self._can_fuse and self._output.is_linear
        self._share_table()

    @property
    def output_layer(self) -> nn.Module:
        """The layer from hidden states to logits."""
        return self._output.layer  # type: ignore[no-any-return]

    def train_alone(self, *, alone: bool) -> None:
        """Whether one process trains, so that the gradient of the words' table may be kept in one place."""
        self._table.adds_in_place = alone and self._can_fuse

    def _try_short_ways(self) -> None:
        """Keep of the last block's choosing and the output layer's being called apart (no cap, scale or bias after it) what changes no logit."""
        *ways, neither = itertools.product(dict.fromkeys((self._last, None)), dict.fromkeys((self._can_fuse, False)))
        was_training = self.training
        self.eval()
        self._last, self._can_fuse = neither
        wanted = self._probed()
        if wanted is not None and wanted.shape[:-1] != (2,):
            raise BadModel(
                f"{type(self.base).__name__} computes its words past its output layer: for two tokens it answers {list(wanted.shape)} "
                "logits, so it cannot be trained or scored here. Choose a model of another architecture."
            )
        for self._last, self._can_fuse in ways:
            found = self._probed()
            if wanted is not None and found is not None and torch.allclose(found, wanted, rtol=1e-3, atol=1e-4):
                break
        else:
            self._last, self._can_fuse = neither
        self.train(was_training)

    @torch.no_grad()
    def _probed(self) -> torch.Tensor | None:
        """Logits of two tokens by the ways that are taken; None where the network takes no such call."""
        try:
            found = self._at(self._probe(), torch.tensor([1, 4], device=self.device), hands_on=self._can_fuse)
            return self._output.layer(found) if self._can_fuse else found
        except REFUSALS:
            return None

    def _probe(self) -> dict[str, Any]:
        raise NotImplementedError

    def _at(self, inputs: dict[str, Any], places: torch.Tensor, *, hands_on: bool) -> torch.Tensor:
        """[N, V] logits, or [N, D] hidden states, at flat places of the network's own layout."""
        last = self._last if self.narrows and not self.recomputes else None
        chosen = None if last is None else last.enough(places, inputs["input_ids"].shape[1])
        self._output.places, self._output.hands_on = places, hands_on
        self._output.chosen = 0 if chosen is None else len(chosen)
        caching = {"use_cache": False} if self._caches else {}
        try:
            with contextlib.nullcontext() if last is None or chosen is None else last.only_at(chosen):
                found = self.base(**inputs, **caching)
        finally:
            self._output.places, self._output.hands_on = None, False
            self.forget_layout()
        if self.is_balanced and torch.is_grad_enabled() and getattr(found, "aux_loss", None) is not None:
            config = self.base.config
            self.balance = found.aux_loss * (
                getattr(config, "router_aux_loss_coef", getattr(config, "aux_loss_coef", 0.0)) or 0.0
            )
        logits: torch.Tensor = found.logits
        return logits[0]

    @property
    def _caches(self) -> bool:
        return bool(getattr(self.base.config, "is_decoder", False) or self.base.can_generate())

    def _answer(self, inputs: dict[str, Any], places: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """Logits [N, V]; with labels the sum of their cross-entropy, fp32."""
        layer = self._output.layer
        if labels is None:
            return self._at(inputs, places, hands_on=False)
        if not self._can_fuse or type(layer) is not nn.Linear:
            return logits_cross_entropy(self._at(inputs, places, hands_on=False), labels)
        return linear_cross_entropy(self._at(inputs, places, hands_on=True), layer.weight, layer.bias, labels, self._table)

    def words_at(self, inputs: dict[str, Any], places: Sequence[int]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Logits in fp32 at flat places of the network's own layout, some at a time: their indices among `places` [n], and [n, V].

        The pass is made when the first are asked for, also where there are no places.
        """
        at = torch.tensor(places, dtype=torch.long, device=self.device)
        if not self._can_fuse:
            logits = self._at(inputs, at, hands_on=False)
            if places:
                yield torch.arange(len(at)), logits.float()
            return
        layer: Any = self._output.layer
        hidden = self._at(inputs, at, hands_on=True)
        matrix = self._table.narrow(layer.weight, product_dtype(hidden))
        rows = max(1, _LOGITS // len(matrix))
        for first in range(0, len(at), rows):
            logits = (hidden[first : first + rows].to(matrix.dtype) @ matrix.T).float()
            yield torch.arange(first, first + len(logits)), logits if layer.bias is None else logits + layer.bias.float()


def _flat(places: Sequence[int], lengths: Sequence[int], *, packs: bool, device: torch.device) -> torch.Tensor:
    """Places among all tokens of a batch, as places in the network's own layout."""
    if packs or len(set(lengths)) == 1:
        return torch.tensor(places, device=device)
    longest = max(lengths)
    where = torch.cat([torch.arange(length) + row * longest for row, length in enumerate(lengths)])
    return where[torch.tensor(places)].to(device)


class LanguageModel(_WithVocabulary):
    """A causal or masked language model."""

    def __init__(
        self,
        backbone: nn.Module,
        *,
        pad_id: int,
        head: Literal["causal", "masked"],
        twin: _WithVocabulary | None = None,
    ) -> None:
        self.head: Head = head
        super().__init__(backbone, pad_id=pad_id, twin=twin)

    def _probe(self) -> dict[str, Any]:
        return self.feed([[1, 2, 1, 2], [2, 1, 1]])

    def forward(self, rows: Rows, places: Sequence[int], labels: torch.Tensor | None = None) -> torch.Tensor:
        """Logits at places, or with labels their summed cross-entropy.

        Args:
            places: N indices into the tokens of all rows, row after row. labels: int64 [N].
        Returns:
            [N, V], or an fp32 scalar.
        """
        return self._answer(*self._asked(rows, places), labels)

    def words(self, rows: Rows, places: Sequence[int]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """As `words_at`, at indices into the tokens of all rows, row after row."""
        inputs, at = self._asked(rows, places)
        return self.words_at(inputs, at.tolist())

    def _asked(self, rows: Rows, places: Sequence[int]) -> tuple[dict[str, Any], torch.Tensor]:
        """Arguments of a pass over rows, and the places among their tokens as flat places of the network's own layout."""
        longer = self.lengthened(rows)
        read = self.shifted(places, [len(row) for row in rows])
        inputs = self.feed(longer)
        at = _flat(read, [len(row) for row in longer], packs=self.packs, device=self.device)
        return inputs, at

    def remembered(self, ids: Sequence[int], positions: Sequence[int], layout: Layout, memory: Memory) -> dict[str, Any]:
        """Arguments of a packed pass whose tokens also see what the memory holds; `positions` within their sequences."""
        assert self.start is not None, "only packed networks remember"
        set_layout(layout, memory)
        filler = self.pad_id if len(ids) > 1 else None  # one row is no matrix: nothing is gained
        tokens, places = as_pass(ids, torch.tensor(positions) + self.start, self.device, filler=filler)
        return {"input_ids": tokens, "position_ids": places}

    def prefix_passes(
        self, ids: Sequence[int], start: int, end: int, memory: Memory, *, size: int
    ) -> Iterator[tuple[range, dict[str, Any]]]:
        """Passes over ids[start:end], at most `size` tokens each, whose keys the memory adds to its shared prefix: their places, their arguments."""
        for first in range(start, end, size):
            places = range(first, min(first + size, end))
            memory.read_packed((len(places),), keeps="shared")
            yield places, self.remembered(ids[first : places.stop], places, Layout((len(places),)), memory)


class Seq2SeqModel(_WithVocabulary):
    """An encoder-decoder: reads sources, writes targets."""

    is_encoder_decoder = True
    head: Head = "seq2seq"

    def _probe(self) -> dict[str, Any]:
        return self._inputs([[1, 2, 3]], [[[1, 2, 1, 2, 1]]])

    @property
    def start_id(self) -> int:
        """The token before the first target token."""
        start = self.base.config.decoder_start_token_id
        return int(self.pad_id if start is None else start)

    @property
    def opening(self) -> list[int]:
        """What stands before the first token that is written: the start, and behind it the token that the model is made to begin with, if any."""
        forced = self.base.generation_config.forced_bos_token_id
        return [self.start_id] if forced is None else [self.start_id, int(forced)]

    def _inputs(self, sources: Rows, targets: Sequence[Rows]) -> dict[str, Any]:
        """`targets[i]` are those of source i, which is read once for all of them."""
        shifted = [[self.start_id, *target[:-1]] for group in targets for target in group]
        encoder = self.base.get_encoder()
        if self.packs:
            readers = tuple(sum(map(len, group)) for group in targets)
            set_layout(Layout(tuple(map(len, shifted)), tuple(map(len, sources)), readers))
            read, written = (pack(rows, self.device, filler=self.pad_id)[0] for rows in (sources, shifted))
            return {"encoder_outputs": encoder(input_ids=read), "decoder_input_ids": written}
        set_layout(None)
        ids, mask = pad(sources, pad_id=self.pad_id, device=self.device)
        body = encoder(input_ids=ids, attention_mask=mask)
        if len(shifted) > len(sources):
            owner = torch.tensor([at for at, group in enumerate(targets) for _ in group], device=self.device)
            body, mask = type(body)(last_hidden_state=body.last_hidden_state[owner]), mask[owner]
        decoder_ids, decoder_mask = pad(shifted, pad_id=self.pad_id, device=self.device)
        return {
            "encoder_outputs": body,
            "attention_mask": mask,
            "decoder_input_ids": decoder_ids,
            "decoder_attention_mask": decoder_mask,
        }

    def forward(self, sources: Rows, targets: Rows, places: Sequence[int], labels: torch.Tensor | None = None) -> torch.Tensor:
        """Logits of target tokens at places, each from the tokens before it; with labels their summed cross-entropy.

        Args:
            places: N indices into the tokens of all targets, row after row. labels: int64 [N].
        Returns:
            [N, V], or an fp32 scalar.
        """
        inputs = self._inputs(self.lengthened(sources), [[target] for target in targets])
        at = _flat(places, [len(row) for row in targets], packs=self.packs, device=self.device)
        return self._answer(inputs, at, labels)

    def read_sources(self, sources: Rows) -> torch.Tensor:
        """What a packed encoder makes of some sources, [1, S, D]."""
        set_layout(Layout((), tuple(len(row) for row in sources)))
        states: torch.Tensor = self.base.get_encoder()(input_ids=pack(sources, self.device)[0]).last_hidden_state
        return states

    def remembered(self, tokens: Sequence[int], states: torch.Tensor, memory: Memory) -> dict[str, Any]:
        """Arguments of a packed pass that writes one token to each row; `states`: the sources' in the first, later ignored."""
        from transformers.modeling_outputs import BaseModelOutput

        layout = Layout((1,) * len(tokens), positions=tuple(memory.lengths))
        set_layout(layout, memory)
        ids = torch.tensor(tokens)[None].to(self.device)
        return {"encoder_outputs": BaseModelOutput(last_hidden_state=states), "decoder_input_ids": ids}

    def words(self, sources: Rows, targets: Sequence[Rows]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """As `words_at`, at every token of the targets, each from the tokens before it; `targets[i]` are those of source i."""
        inputs = self._inputs(self.lengthened(sources), targets)
        lengths = [len(target) for group in targets for target in group]
        at = _flat(range(sum(lengths)), lengths, packs=self.packs, device=self.device)
        return self.words_at(inputs, at.tolist())


TextModel = LanguageModel | Seq2SeqModel


def load_language_model(folder: ModelFolder, head: Head, *, pad_id: int, held: Held = "plain") -> TextModel:
    """The model in a folder with its output layer over the vocabulary.

    Args:
        held: weights in fp32, or in 4 or 8 bits (then only adapters can be trained).
    Raises:
        BadModel: the folder holds no model of that kind, or its weights do not fit.
        MissingPackage, Usage: 4 and 8 bits need bitsandbytes, and an older one a GPU.
    """
    net = load_pretrained(folder, head, held=held)
    if net.get_output_embeddings() is None:
        raise BadModel(f"'{folder.name}' has no output layer over its vocabulary, so it cannot be trained as a {head} model.")
    if pad_id >= len(net.get_input_embeddings().weight):  # added to the tokenizer alone; nothing reads what stands there
        pad_id = 0
    return Seq2SeqModel(net, pad_id=pad_id) if head == "seq2seq" else LanguageModel(net, pad_id=pad_id, head=head)


def load_text_model(folder: ModelFolder, *, pad_id: int) -> TextModel:
    """The decoder or encoder-decoder in a folder, with the head of its family; an encoder is the caller's to refuse."""
    has = family(read_config(folder))
    assert has != "encoder", "an encoder answers no question in words"
    return load_language_model(folder, "causal" if has == "decoder" else "seq2seq", pad_id=pad_id)
