"""A model behind an OpenAI-compatible server, asked for the same two things as one that runs here.

Takes texts, gives texts and likelihoods in the order of the prompts. Every finished answer is kept, the same question is asked once,
and what has been spent counts an answer that an earlier run paid for, so an interrupted run tells the same costs as an uninterrupted one.
"""

import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from hone.catalogue.locate import ModelFolder
from hone.core.console import Bar, note, warn
from hone.core.errors import BadModel, Failed, HoneError, Usage
from hone.core.store import digest_text
from hone.measure import Tokens
from hone.model.answer_cache import AnswerCache
from hone.model.endpoint import MALFORMED, Endpoint, Refusal, Stopped
from hone.model.generated import Generated
from hone.model.loading import load_tokenizer
from hone.model.openai_protocol import (
    generated,
    generation_body,
    likelihood,
    opens_thoughts,
    read_answers,
    read_echo,
    scoring_body,
)
from hone.model.remote_settings import RemoteSettings
from hone.model.render import PLAIN_TEMPLATE, Renderer
from hone.model.sampling import Sampling
from hone.model.score import Likelihood
from hone.model.spending import Ledger, Spent
from hone.model.thoughts import tell_cut, tell_thoughts

__all__ = ["RemoteBackend"]

_ASSUMED = 8192  # tokens that a model reads where nobody says: less than hosted models do today
_LETTERS = 4  # per token of English: https://help.openai.com/en/articles/4936856
_OF_A_ROW = (400, 413, 422)  # what a server says about one prompt, such as one too long
_NO_ECHO = (400, 404, 405, 422, 500, 501)
_UNLIMITED = 1_000_000  # tokenizers without a limit say 1e30
Answer = dict[str, Any]
Asked = tuple[dict[str, Any], Callable[[dict[str, Any]], Answer]]


class RemoteBackend:
    """One model of one server. The key is read from OPENAI_API_KEY, and shown and stored nowhere."""

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        settings: RemoteSettings | None = None,
        template: str | None = None,
        chat: bool | None = None,
    ) -> None:
        """
        Args:
            model: as the server calls it. base_url: usually ends in /v1.
            template: for `completions`, text around {prompt}; None: as for a decoder that runs here.
            chat: for `completions` with a tokenizer, whether its chat template is used; None: where it has one.
        Raises:
            Usage: no address, or settings that contradict each other. BadModel: the tokenizer cannot be read.
        """
        self.settings = settings or RemoteSettings()
        self.name, self.model = f"openai:{model}", model
        self._endpoint = Endpoint(base_url, self.settings)
        is_chat = self.settings.api == "chat"
        if chat is False and is_chat:
            raise Usage("The chat API always writes prompts in the model's chat template. For none, set the API to completions.")
        if chat and not is_chat and self.settings.tokenizer is None:
            raise Usage("The completions API reads plain text; a chat template needs the folder of the model's tokenizer.")
        self._chat = chat
        self._template = PLAIN_TEMPLATE if template is None else template
        if "{prompt}" not in self._template:
            raise Usage(f"The template {self._template!r} has no {{prompt}} in it, so the model would read none of the rows.")
        self._tokenizer = None if self.settings.tokenizer is None else _tokenizer(self.settings.tokenizer)
        self._cache = AnswerCache(self.settings.cache)
        self._ledger = Ledger(self.settings.price)
        self._entered: set[str] = set()
        self._opens_thoughts = False
        self._asks_afresh = False
        self._turn: tuple[str, ...] = ()
        """Part of every key where answers that are known are not to be used."""
        self._limit = "max_tokens"
        self.payer = ""
        """For whom is asked from now on; see `paid`."""

    def __repr__(self) -> str:
        return f"RemoteBackend({self.model!r}, {self._endpoint.base_url!r})"

    @property
    def is_estimate(self) -> bool:
        """Whether `count_tokens` estimates, as no tokenizer was named."""
        return self._tokenizer is None

    @cached_property
    def context_length(self) -> int:
        """Tokens that the model reads: as set, as the server or the tokenizer says, or assumed, which is told."""
        if self.settings.context_length is not None:
            return self.settings.context_length
        said = self._endpoint.context_length(self.model)
        if said is None and self._tokenizer is not None and self._tokenizer.model_max_length < _UNLIMITED:
            said = int(self._tokenizer.model_max_length)
        if said is None:
            note(
                f"The server does not say how many tokens {self.model} reads; {_ASSUMED:,} are assumed (from Python: context_length).",
                once=f"{self._endpoint.base_url} {self.model}",
            )
        return said or _ASSUMED

    @property
    def can_score(self) -> bool:
        """Whether the server repeats prompts with log-likelihoods; the first look asks it once."""
        return self._why_no_score is None

    @cached_property
    def _why_no_score(self) -> str | None:
        if self.settings.api == "chat":
            return "the chat API tells no log-likelihoods of given texts"
        before, after = self._pairs(["one two"], [" three"])
        body, read = self._scoring(before[0], after[0])

        def read_at_once(found: dict[str, Any]) -> Answer:
            try:
                return read(found)
            except MALFORMED:
                raise Usage("its answers do not hold the prompt's tokens with their log-likelihoods") from None

        try:
            self._ask(body, read_at_once, final=(500,))
        except Refusal as refusal:
            if refusal.status not in _NO_ECHO:
                raise self._explained(refusal) from None
            return f"it refused to repeat a prompt with log-likelihoods ({refusal})"
        except Usage as error:
            return str(error)
        return None

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens per text; an estimate of four letters each where no tokenizer was named."""
        if self._tokenizer is None:
            return [math.ceil(len(text) / _LETTERS) for text in texts]
        return [len(ids) for ids in self._tokenizer(list(texts), verbose=False)["input_ids"]] if texts else []

    def spent(self) -> Spent:
        """Tokens, requests and money of all answers given so far, those an earlier run paid for among them."""
        return self._ledger.spent()

    def paid(self, payer: str) -> Tokens:
        """Of all answers that were asked for this payer, in this run and earlier ones."""
        return self._cache.tokens(payer)

    @contextmanager
    def afresh(self) -> Iterator[None]:
        """Inside this block every question is asked, also where its answer is known: for timing. What that costs is kept like the rest."""
        self._asks_afresh = True
        try:
            yield
        finally:
            self._asks_afresh, self._turn = False, ()

    def generate(self, prompts: Sequence[str], sampling: Sampling, *, bar: Bar | None = None) -> list[list[Generated]]:
        """`sampling.samples` answers per prompt; neither token ids nor likelihoods are known.

        Raises:
            Usage: the protocol or the server refuses. Failed: the server was away too long; what is finished is kept.
        """
        plain = generation_body(self.model, sampling, extras=self.settings.extras)
        if self.settings.api == "chat":
            bodies = [plain | {"messages": [{"role": "user", "content": prompt}]} for prompt in prompts]
        elif self._renderer is None:
            bodies = [plain | {"prompt": self._written(prompt)} for prompt in prompts]
        else:
            rendered = self._renderer.prompts(prompts, leaving=sampling.max_new_tokens)
            bodies = [plain | {"prompt": ids} for ids in rendered]
        read = read_answers(sampling.samples, sampling.stop)
        answers = self._ask_all([(body, read) for body in bodies], bar)
        withheld = sum("withheld" in one for answer in answers for one in answer["answers"])
        if withheld:
            warn(
                f"{withheld} of {len(answers)} answers were refused, withheld or cut by the server's content filter; they stand as they came."
            )
        self._opens_thoughts = self._opens_thoughts or opens_thoughts(answers)
        found = [generated(answer, is_open=self._opens_thoughts) for answer in answers]
        tell_thoughts(found, model=self.model, tokens=sampling.max_new_tokens)
        tell_cut(found, model=self.model, tokens=sampling.max_new_tokens)
        return found

    def score(self, prompts: Sequence[str], continuations: Sequence[str], *, bar: Bar | None = None) -> list[Likelihood]:
        """Log-likelihood of each continuation behind its prompt.

        Raises:
            Usage: the server does not tell them. Failed: it was away too long; what is finished is kept.
        """
        if not self.can_score:
            raise Usage(
                f"{self.name} cannot score given texts: {self._why_no_score}. Let it write its answers instead, or serve the model with "
                "one that repeats prompts (vLLM does: --base-url of its server, API completions), or run it here."
            )
        before, after = self._pairs(prompts, continuations)
        return [likelihood(one) for one in self._ask_all([self._scoring(*pair) for pair in zip(before, after, strict=True)], bar)]

    @cached_property
    def _renderer(self) -> Renderer | None:
        if self._tokenizer is None or self.settings.api == "chat":
            return None
        return Renderer(self._tokenizer, length=self.context_length, template=self._template, chat=self._chat)

    def _written(self, prompt: str) -> str:
        return self._template.replace("{prompt}", prompt)

    def _pairs(self, prompts: Sequence[str], continuations: Sequence[str]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Prompts and continuations as they are sent: token ids where a tokenizer was named, else texts."""
        assert len(prompts) == len(continuations)
        if self._renderer is not None:
            return self._renderer.pairs(prompts, continuations, spare=1)
        written = [self._written(prompt) for prompt in prompts]
        for index, (prompt, continuation) in enumerate(zip(written, continuations, strict=True), 1):
            if not prompt or not continuation:
                part = "continuation" if prompt else "prompt"
                raise Usage(f"Request {index} of {len(prompts)} has an empty {part}, which has no likelihood. Give it a text.")
        return written, continuations

    def _scoring(self, prompt: Any, continuation: Any) -> Asked:
        return scoring_body(self.model, prompt + continuation), read_echo(prompt, continuation)

    def _ask_all(self, asked: Sequence[Asked], bar: Bar | None) -> list[Answer]:
        """Answers in order. The same request is sent once; the first that fails for good ends all, and what is finished is kept."""
        if self._asks_afresh:
            self._turn = (uuid.uuid4().hex,)
        keys = [self._key(body) for body, _ in asked]
        first: dict[str, int] = {}
        for index, key in enumerate(keys):
            first.setdefault(key, index)
        missing = [index for key, index in first.items() if key not in self._cache]
        if bar:
            bar.advance(len(asked) - len(missing))
        self._reuse([key for key in first if key in self._cache], among=len(first))
        self._endpoint.start()
        failed: tuple[int, Exception] | None = None
        with ThreadPoolExecutor(max_workers=self.settings.concurrency, thread_name_prefix="hone-remote") as pool:
            pending = {pool.submit(self._ask_or_stop, asked[index]): index for index in missing}
            try:
                for done in as_completed(pending):
                    error = done.exception()
                    if isinstance(error, Exception) and not isinstance(error, Stopped):
                        failed = failed or (pending[done], error)
                    elif error is None and bar:
                        bar.advance()
            except BaseException:  # above all Ctrl-C: what was sent is waited for and kept
                self._endpoint.stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        if failed:
            raise self._failure(*failed, asked=len(asked), finished=sum(key in self._cache for key in keys)) from None
        for key in keys:
            self._enter(key, self._cache[key])
        return [self._cache[key] for key in keys]

    def _reuse(self, keys: Sequence[str], *, among: int) -> None:
        """Enter the time that known answers spare; those that nobody has paid for yet are this payer's."""
        for key in keys:
            if self.payer and not self._cache[key].get("payer"):
                self._cache.put(key, self._cache[key] | {"payer": self.payer})
        if keys:
            asking = sum(self._cache[key].get("seconds", 0.0) for key in keys)
            self._ledger.spare(asking / min(self.settings.concurrency, among))

    def _failure(self, index: int, error: Exception, *, asked: int, finished: int) -> Exception:
        """Why a request failed, in one line that says which it was and what is finished."""
        if isinstance(error, Refusal):
            which = f"Prompt {index + 1} of {asked}: " if error.status in _OF_A_ROW else ""
            return Usage(f"{which}{self._explained(error)}")
        if not isinstance(error, Failed):
            return error
        if not finished:
            return error
        kept = "No cache folder was named, so they are lost."
        if self._cache.path is not None:
            kept = f"They are kept in {self._cache.path}: run the same command again, and only the others are asked for."
        return Failed(f"{error} {finished} of {asked} answers are finished. {kept}")

    def _ask_or_stop(self, asked: Asked) -> None:
        try:
            self._ask(*asked)
        except BaseException:
            self._endpoint.stop()
            raise

    def _ask(self, body: dict[str, Any], read: Callable[[dict[str, Any]], Answer], *, final: tuple[int, ...] = ()) -> Answer:
        """One answer, kept as soon as it is there."""
        key = self._key(body)
        if key not in self._cache:
            started = time.perf_counter()
            try:
                answer = self._endpoint.ask(self._path, self._sent(body), read, final=final)
            except Refusal as refusal:
                if "max_completion_tokens" not in refusal.said:
                    raise
                self._limit = "max_completion_tokens"  # newer models of OpenAI know the limit by this name alone
                answer = self._endpoint.ask(self._path, self._sent(body), read, final=final)
            if answer["read"] is None or answer["written"] is None:
                answer |= {"read": self._guess(body), "written": self._guess_written(answer), "is_estimate": True}
            answer |= {"seconds": round(time.perf_counter() - started, 4), "payer": self.payer}
            self._cache.put(key, answer)
        self._enter(key, self._cache[key])
        return self._cache[key]

    def _sent(self, body: dict[str, Any]) -> dict[str, Any]:
        return {self._limit if name == "max_tokens" else name: value for name, value in body.items()}

    def _guess(self, body: dict[str, Any]) -> int:
        prompt = body["messages"][0]["content"] if "messages" in body else body["prompt"]
        return self.count_tokens([prompt])[0] if isinstance(prompt, str) else len(prompt)

    def _guess_written(self, answer: Answer) -> int:
        return (
            sum(self.count_tokens([one.get("thought", "") + one["text"] for one in answer["answers"]]))
            if "answers" in answer
            else 1
        )

    def _enter(self, key: str, answer: Answer) -> None:
        if key in self._entered:
            return
        self._entered.add(key)
        self._ledger.add(
            answer["read"], answer["written"], remembered=int(key in self._cache.earlier), is_estimate="is_estimate" in answer
        )

    @property
    def _path(self) -> str:
        return "/chat/completions" if self.settings.api == "chat" else "/completions"

    def _key(self, body: dict[str, Any]) -> str:
        """Digest of everything that decides an answer."""
        return digest_text(self._endpoint.base_url, self._path, json.dumps(body, sort_keys=True), *self._turn)

    def _explained(self, refusal: Refusal) -> HoneError:
        return self._endpoint.explained(refusal, model=self.model, path=self._path)


def _tokenizer(folder: str) -> Any:
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise BadModel(f"There is no tokenizer folder at {folder}. Name one that holds tokenizer.json.")
    return load_tokenizer(ModelFolder(folder, path, "", None, None))
