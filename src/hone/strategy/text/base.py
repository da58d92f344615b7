"""The model that answers in words: a local decoder or encoder-decoder, or one behind a server."""

from dataclasses import dataclass
from functools import cached_property

import torch

from hone.catalogue import ModelFolder, locate_model
from hone.core.device import best_device, release_memory
from hone.measure import Tokens
from hone.model import (
    Backend,
    LocalBackend,
    Precision,
    RemoteBackend,
    RemoteSettings,
    TextModel,
    TextReader,
    family,
    is_behind_server,
    is_elsewhere,
    load_backend,
    load_reader,
    load_text_model,
    read_config,
)

__all__ = ["TextBase", "backend_of", "plain_backend"]


@dataclass(frozen=True)
class TextBase:
    """A model by name. Its weights are loaded when first asked for, and can be let go while another copy is trained."""

    name: str
    precision: Precision = "auto"
    base_url: str | None = None
    """Of the server; None where the weights are here."""
    server: RemoteSettings | None = None
    """How it is asked."""

    @property
    def is_local(self) -> bool:
        """Whether the weights are here, so that they can be trained."""
        return not is_elsewhere(self.name)

    @property
    def is_billed(self) -> bool:
        """Whether every answer may cost money."""
        return is_behind_server(self.name)

    @cached_property
    def folder(self) -> ModelFolder:
        """Where the weights lie."""
        return locate_model(self.name)

    @cached_property
    def reader(self) -> TextReader:
        """The tokenizer, with device and arithmetic."""
        return load_reader(self.folder, precision=self.precision)

    @property
    def device(self) -> torch.device:
        """Where it computes; for a server the device of whatever is computed beside it."""
        return self.reader.device if self.is_local else best_device()

    @property
    def is_decoder(self) -> bool:
        """A local decoder."""
        return self.is_local and family(read_config(self.folder)) == "decoder"

    @property
    def joins(self) -> bool:
        """Whether an answer follows its prompt as one text: a decoder without a chat template."""
        return self.is_decoder and not self.reader.tokenizer.chat_template

    @cached_property
    def backend(self) -> Backend:
        """Scores and writes; loaded once."""
        if self.is_local:
            return backend_of(self.load(), self.reader)
        return load_backend(
            self.name, precision=self.precision, base_url=self.base_url, settings=self.server, template="{prompt}"
        )

    def charge(self, payer: str) -> None:
        """Let what a server is asked from now on be paid for by someone; nothing where it is not billed."""
        if isinstance(self.backend, RemoteBackend):
            self.backend.payer = payer

    def paid(self, payer: str) -> Tokens | None:
        """What a server read and wrote for someone, in this run and earlier ones; None where it is not billed."""
        return self.backend.paid(payer) if isinstance(self.backend, RemoteBackend) else None

    def release(self) -> None:
        """Let the weights go; they are loaded again when they are asked for."""
        if self.is_local and self.__dict__.pop("backend", None) is not None:
            release_memory()

    def load(self) -> TextModel:
        """A fresh copy of the network, to be trained or asked, on its device."""
        return load_text_model(self.folder, pad_id=self.reader.pad_id).to(self.device)

    @cached_property
    def parameters(self) -> int:
        """How many there are; 0 for a server, which does not say."""
        if not self.is_local:
            return 0
        backend = self.backend
        assert isinstance(backend, LocalBackend)
        return sum(parameter.numel() for parameter in backend.net.parameters())

    @cached_property
    def has_biases(self) -> bool:
        """Whether there are any to train; Llama and T5 have none."""
        backend = self.backend
        assert isinstance(backend, LocalBackend)
        return any(name.endswith("bias") and value.ndim == 1 for name, value in backend.net.backbone.named_parameters())

    @property
    def context_length(self) -> int:
        """Tokens that it may read and write."""
        return self.reader.context_length if self.is_local else self.backend.context_length


def backend_of(net: TextModel, reader: TextReader, *, is_tuned: bool = False) -> LocalBackend:
    """A network's two primitives; prompts are whole texts, so nothing is put around them but a chat template.

    Args:
        is_tuned: whether it has learnt where its answers end, which then counts.
    """
    return LocalBackend(net, reader, template="{prompt}", scores_end=is_tuned)


def plain_backend(backend: LocalBackend) -> LocalBackend:
    """The same network with nothing put around prompts, also no chat template, and no end that counts: for retained tasks."""
    return LocalBackend(backend.net, backend.reader, template="{prompt}", chat=False)
