"""Whatever answers prompts: a network here, a server, an engine. Texts in; texts and likelihoods out, in the order of the prompts.

So a large model's prompting can stand in one table with a small tuned one. One surprise: a network behind a backend no longer trains.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch

from hone.catalogue.locate import locate_model, without_languages
from hone.core.console import Bar
from hone.core.errors import BadModel, Usage
from hone.model.arithmetic import Precision
from hone.model.generate import Generator
from hone.model.generated import Generated
from hone.model.language import Seq2SeqModel, TextModel, load_text_model
from hone.model.loading import family, read_config
from hone.model.reader import TextReader, load_reader
from hone.model.remote import RemoteBackend
from hone.model.remote_settings import RemoteSettings
from hone.model.render import PLAIN_TEMPLATE, Renderer
from hone.model.sampling import Sampling
from hone.model.score import Likelihood, Scorer
from hone.model.spending import Ledger, Spent
from hone.model.thoughts import tell_thoughts
from hone.model.vllm_engine import VllmBackend

__all__ = ["Backend", "LocalBackend", "load_backend"]


class Backend(Protocol):
    """Something that answers prompts."""

    @property
    def name(self) -> str:
        """As the user asked for it."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens that the model reads."""
        ...

    @property
    def can_score(self) -> bool:
        """Whether log-likelihoods of given continuations are available."""
        ...

    def score(self, prompts: Sequence[str], continuations: Sequence[str], *, bar: Bar | None = None) -> list[Likelihood]:
        """Log-likelihood of each continuation behind its prompt; prompts too long lose their oldest part."""
        ...

    def generate(self, prompts: Sequence[str], sampling: Sampling, *, bar: Bar | None = None) -> list[list[Generated]]:
        """`sampling.samples` answers per prompt."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens per text."""
        ...

    def spent(self) -> Spent:
        """Tokens, requests and money so far."""
        ...


class LocalBackend:
    """A network on this machine."""

    can_score = True
    is_estimate = False
    """Whether `count_tokens` estimates."""

    def __init__(
        self,
        net: TextModel,
        reader: TextReader,
        *,
        template: str | None = None,
        chat: bool | None = None,
        scores_end: bool = False,
        name: str | None = None,
        takes_over: bool = True,
    ) -> None:
        """
        Args:
            template: text around {prompt}; None: a line break behind it for a decoder, nothing for an encoder-decoder. '{prompt}' where
                prompts are whole texts already. chat: whether the tokenizer's chat template is used; None: where it has one.
            scores_end: whether the end of the text counts in the likelihood of a continuation.
            takes_over: the network answers, and no longer trains; else its parameters stay as they are.
        Raises:
            BadModel: the network writes no texts. Usage: the template shows no prompt.
        """
        if net.head == "masked":
            raise BadModel("An encoder fills gaps and writes no answers. Take a decoder or an encoder-decoder.")
        is_pair = isinstance(net, Seq2SeqModel)
        self._template = ("{prompt}" if is_pair else PLAIN_TEMPLATE) if template is None else template
        if "{prompt}" not in self._template:
            raise Usage(f"The template {self._template!r} has no {{prompt}} in it, so the model would read none of the rows.")
        self.net, self.reader = net, reader
        self.name = name or str(getattr(net.base.config, "_name_or_path", "") or "local")
        self.context_length = reader.context_length
        self._scores_end = scores_end
        self._takes_over = takes_over
        self._renderer = (
            None if is_pair else Renderer(reader.tokenizer, length=reader.context_length, template=self._template, chat=chat)
        )
        self._ledger = Ledger()

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self.net, precision=self.reader.precision, takes_over=self._takes_over)

    @cached_property
    def _generator(self) -> Generator:
        return Generator(
            self.net, self.reader.tokenizer, precision=self.reader.precision, takes_over=self._takes_over, follows="words"
        )

    def score(self, prompts: Sequence[str], continuations: Sequence[str], *, bar: Bar | None = None) -> list[Likelihood]:
        """Log-likelihood of each continuation, tokenised apart from its prompt as in training.

        Raises:
            Usage: a continuation has no tokens, or too many for the context.
        """
        assert len(prompts) == len(continuations)
        if self._renderer is not None:
            before, after = self._renderer.pairs(prompts, continuations, ends=self._scores_end)
        else:
            before, after = self._sources(prompts), self._targets(continuations)
        found = self._scorer.score(before, after, bar=bar)
        self._ledger.add(sum(map(len, before)) + sum(map(len, after)), 0, requests=len(found))
        return found

    def generate(self, prompts: Sequence[str], sampling: Sampling, *, bar: Bar | None = None) -> list[list[Generated]]:
        """`sampling.samples` answers per prompt.

        Raises:
            Usage: answers of that length leave no room for a prompt.
        """
        renderer = self._renderer
        ids = renderer.prompts(prompts, leaving=sampling.max_new_tokens) if renderer else self._sources(prompts)
        found = self._generator.generate(ids, sampling, bar=bar)
        tell_thoughts(found, model=self.name, tokens=sampling.max_new_tokens)
        written = sum(len(answer.ids) for answers in found for answer in answers)
        self._ledger.add(sum(map(len, ids)), written, requests=len(found))
        return found

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens per text, special ones included."""
        return self.reader.count_tokens(texts)

    def spent(self) -> Spent:
        """Tokens and requests so far; no money, as time here is not billed by tokens."""
        return self._ledger.spent()

    def _sources(self, prompts: Sequence[str]) -> list[list[int]]:
        """What the encoder reads, cut at the context's end as in training."""
        return self.reader.tokenize([self._template.replace("{prompt}", prompt) for prompt in prompts])

    def _targets(self, continuations: Sequence[str]) -> list[list[int]]:
        """What the decoder is asked about: as in training, with or without the end of the text."""
        end = self.reader.tokenizer.eos_token_id
        found = []
        for index, text in enumerate(continuations, 1):
            ids: list[int] = self.reader.tokenizer(text_target=text, verbose=False)["input_ids"]
            if not self._scores_end and ids and ids[-1] == end:
                ids = ids[:-1]
            words = set(ids) - set(self.reader.tokenizer.all_special_ids)
            if len(ids) > self.context_length or not (words or self.reader.tokenizer.unk_token_id in ids):
                raise Usage(
                    f"Continuation {index} of {len(continuations)}, {text[:40]!r}, has {len(ids):,} tokens: "
                    f"at least 1 is needed, and the model writes {self.context_length:,}."
                )
            found.append(ids)
        return found


def load_backend(
    model: str,
    *,
    precision: Precision = "auto",
    device: torch.device | None = None,
    base_url: str | None = None,
    settings: RemoteSettings | None = None,
    template: str | None = None,
    chat: bool | None = None,
) -> Backend:
    """The backend that a model's name asks for.

    Args:
        model: `openai:NAME` for a server at `base_url`, `vllm:NAME` for vLLM, else a folder, a starter or a Hub id.
        settings: of the server. template, chat: see `LocalBackend`.
    Raises:
        Usage: options that mean nothing for this model, or no address. BadModel: it cannot be found, or writes no texts.
        MissingPackage: vLLM is not installed.
    """
    kind, _, name = model.partition(":")
    is_remote = kind == "openai"
    if not is_remote and (base_url is not None or settings is not None):
        raise Usage(f"--base-url and a server's settings say nothing about '{model}'. For a server, name the model openai:NAME.")
    if kind in ("openai", "vllm") and not name:
        raise Usage(f"'{model}' names no model. Give one behind the colon, such as {kind}:Qwen/Qwen3-8B.")
    if is_remote:
        if base_url is None:
            raise Usage(
                f"'{model}' is asked over the network, and the prompts, your rows among them, go to that server. "
                "Name it with --base-url, such as http://localhost:8000/v1 or https://api.openai.com/v1."
            )
        return RemoteBackend(name, base_url, settings=settings, template=template, chat=chat)
    if kind == "vllm":
        return VllmBackend(name, precision=precision, template=template, chat=chat)
    return _local(model, precision, device, template, chat)


def _local(
    model: str, precision: Precision, device: torch.device | None, template: str | None, chat: bool | None
) -> LocalBackend:
    if model.startswith("starter/") or Path(model).exists() or ":" not in without_languages(model):
        folder = locate_model(model)
    else:
        raise BadModel(f"'{model}' is no folder, and before a colon stands 'openai' or 'vllm'.")
    if family(read_config(folder)) == "encoder":
        raise BadModel(
            f"'{model}' is an encoder, which answers no prompts in words. Name a decoder or an encoder-decoder, "
            "a server's model as openai:NAME, or compare it as it is: hone compare."
        )
    reader = load_reader(folder, precision=precision, device=device)
    net = load_text_model(folder, pad_id=reader.pad_id)
    return LocalBackend(net.to(reader.device), reader, template=template, chat=chat, name=model)
