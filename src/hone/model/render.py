"""From a row to the tokens a language model reads, and which of them it is trained to write. The one renderer.

Prompt and answer are tokenised apart, as they are when the model is used: there the prompt ends where the answer
begins. Chat models get their own chat template. Masks go by position, never by token id. A row that is too long loses
its oldest tokens, as a prompt does when the model is used, so that the last answer stays.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from hone.core.errors import BadModel, Usage
from hone.model.thoughts import closed

__all__ = ["PLAIN_TEMPLATE", "Rendered", "Renderer", "Turn"]

PLAIN_TEMPLATE = "{prompt}\n"
"""What a decoder without a chat template reads before it answers."""

Turn = tuple[str, str]
"""Role (system, user, assistant, tool) and content."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Token ids, and for each whether the model is trained to write it."""

    ids: list[int]
    is_trained: list[bool]
    is_cut: bool
    answer: tuple[int, int]
    """Where the last answer begins, and ends, in the ids; both 0 where there is none."""


class Renderer:
    """Renders prompts with answers, and dialogues, for one tokenizer."""

    def __init__(
        self, tokenizer: Any, *, length: int, template: str = PLAIN_TEMPLATE, chat: bool | None = None, trains_all: bool = False
    ) -> None:
        """
        Args:
            length: tokens that the model may read. template: text before the answer, with {prompt} in it.
            chat: whether the tokenizer's chat template is used; None: where it has one.
            trains_all: whether prompts are trained too.
        """
        assert "{prompt}" in template, "a template without {prompt} would show the model no row"
        self._tokenizer = tokenizer
        self._length = length
        self._template = template
        self.uses_chat = bool(tokenizer.chat_template) if chat is None else chat
        self._trains_all = trains_all
        first = tokenizer("x")["input_ids"]
        self._start = [first[0]] if first and first[0] == tokenizer.bos_token_id else []

    def completion(self, prompt: str, completion: str) -> Rendered:
        """A prompt and its answer; the answer ends with the end-of-sequence token, which is trained too."""
        if self.uses_chat:
            return self.dialogue([("user", prompt), ("assistant", completion)])
        return self._finish([(self.prompt(prompt), False), ([*self._tokens(completion), self._end], True)])

    def dialogue(self, turns: Sequence[Turn]) -> Rendered:
        """All turns of a dialogue; those of the assistant are trained, each with the token that ends it. Too long, it loses its oldest turns."""
        pieces: list[tuple[list[int], bool]] = []
        if not self.uses_chat:
            pieces.append((list(self._start), False))
            for role, content in turns:
                pieces.append((self._tokens(f"{role.capitalize()}:"), False))
                answer = [*self._tokens(f" {content}"), self._end] if role == "assistant" else self._tokens(f" {content}\n")
                pieces.append((answer, role == "assistant"))
            return self._finish(pieces)
        done = ""
        for index, (role, _) in enumerate(turns):
            if role != "assistant":
                continue
            prompt = self._chat(turns[:index], opens_answer=True)
            whole = self._chat(turns[: index + 1], opens_answer=False)
            if not (prompt.startswith(done) and whole.startswith(prompt)):
                raise BadModel(
                    "The chat template of this model writes earlier turns differently once a later one follows, so which tokens "
                    "are the answer cannot be told. Give each answer a row of its own, or train with --no-chat."
                )
            pieces += [(self._tokens(prompt[len(done) :]), False), (self._tokens(whole[len(prompt) :]), True)]
            done = whole
        return self._finish(pieces)

    def prompt(self, prompt: str, *, closes: bool = False) -> list[int]:
        """Token ids of a prompt alone, as the model reads it before it answers.

        Args:
            closes: the answer follows at once, so a thought that the chat template begins is ended.
        """
        if self.uses_chat:
            text = self._chat([("user", prompt)], opens_answer=True)
            return self._tokens(closed(text) if closes else text)
        return [*self._start, *self._tokens(self._template.replace("{prompt}", prompt))]

    def answer(self, text: str, *, ends: bool = False) -> list[int]:
        """Token ids of an answer alone, as it follows its prompt; with the end-of-sequence token where it `ends`."""
        return [*self._tokens(text), *([self._end] if ends else [])]

    def prompts(self, prompts: Sequence[str], *, leaving: int) -> list[list[int]]:
        """Token ids of prompts, at least one each, the oldest cut away so that `leaving` more tokens fit into the context.

        Raises:
            Usage: nothing of a prompt would be left.
        """
        known = {prompt: self.fitting(self._readable(prompt), leaving=leaving) for prompt in dict.fromkeys(prompts)}
        return [known[prompt] for prompt in prompts]

    def fitting(self, ids: list[int], *, leaving: int) -> list[int]:
        """Token ids of a prompt, the oldest cut away so that `leaving` more tokens fit into the context.

        Raises:
            Usage: nothing of the prompt would be left.
        """
        room = self._length - leaving
        if room < len(self._start) + 1:
            raise Usage(f"An answer of {leaving:,} tokens leaves no room for a prompt: the model reads {self._length:,} in all.")
        return self._cut(ids, room)

    def pairs(
        self, prompts: Sequence[str], continuations: Sequence[str], *, ends: bool = False, spare: int = 0
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Token ids of prompts and of the continuations that are scored behind them, cut to leave `spare` tokens free.

        Raises:
            Usage: a continuation is empty, or too long to stand behind any prompt.
        """
        known = {prompt: self._readable(prompt, closes=True) for prompt in dict.fromkeys(prompts)}
        before, after = [], []
        for index, (prompt, continuation) in enumerate(zip(prompts, continuations, strict=True), 1):
            ids = self.answer(continuation, ends=ends)
            room = self._length - spare - len(ids)
            if not ids or room < len(self._start) + 1:
                raise Usage(
                    f"Continuation {index} of {len(prompts)}, {continuation[:40]!r}, has {len(ids):,} tokens: "
                    f"at least 1 is needed, and the model reads {self._length:,} together with the prompt."
                )
            before.append(self._cut(known[prompt], room))
            after.append(ids)
        return before, after

    def _readable(self, prompt: str, *, closes: bool = False) -> list[int]:
        """A prompt of at least one token: where there is none, the end of an earlier text stands for the beginning of this one."""
        return self.prompt(prompt, closes=closes) or [self._end]

    def _cut(self, ids: list[int], room: int) -> list[int]:
        """The last tokens of a prompt that fit, behind the one that begins every text."""
        if len(ids) <= room:
            return ids
        start = self._begun(ids)
        return [*start, *ids[len(ids) - (room - len(start)) :]]

    def _begun(self, ids: list[int]) -> list[int]:
        """The token that begins every text, where these begin with it: a chat template may leave it out."""
        return self._start if ids[: len(self._start)] == self._start else []

    def _finish(self, pieces: list[tuple[list[int], bool]]) -> Rendered:
        """Pieces of text in their order, those of the model marked, as one row that fits the context."""
        total = sum(len(tokens) for tokens, _ in pieces)
        kept = pieces if total <= self._length else self._newest(pieces)
        ids = [token for tokens, _ in kept for token in tokens]
        trained = [self._trains_all or flag for tokens, flag in kept for _ in tokens]
        ends = list(itertools.accumulate(len(tokens) for tokens, _ in kept))
        last = next(((end - len(kept[at][0]), end) for at, end in reversed(list(enumerate(ends))) if kept[at][1]), (0, 0))
        answer = (min(last[0], self._length), min(last[1], self._length))
        return Rendered(ids[: self._length], trained[: self._length], total > self._length, answer)

    def _newest(self, pieces: list[tuple[list[int], bool]]) -> list[tuple[list[int], bool]]:
        """As many of the last answers as fit, the first of them behind the end of its prompt. The answers are what is learnt."""
        turns: list[tuple[list[int], list[int]]] = []  # prompt and answer
        for tokens, is_answer in pieces:
            if not turns or (turns[-1][1] and not is_answer):
                turns.append(([], []))
            turns[-1][is_answer].extend(tokens)
        start = self._begun(turns[0][0])
        while len(turns) > 1 and not turns[-1][1]:  # nothing is learnt behind the last answer
            turns.pop()
        least = len(start) + 1
        sizes = [len(prompt) + len(answer) for prompt, answer in turns]
        first, behind = 0, sum(sizes) - len(turns[0][0])
        while first + 1 < len(turns) and behind + min(least, len(turns[first][0])) > self._length:
            behind -= len(turns[first][1]) + len(turns[first + 1][0])
            first += 1
        turns = turns[first:]
        oldest = turns[0][0] if first == 0 else [*start, *turns[0][0]]
        turns[0] = (self._cut(oldest, max(self._length - behind, least)), turns[0][1])
        return [(tokens, is_answer) for pair in turns for tokens, is_answer in zip(pair, (False, True), strict=True)]

    def _chat(self, turns: Sequence[Turn], *, opens_answer: bool) -> str:
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opens_answer)
        except TemplateError as error:
            raise BadModel(
                f"The chat template of this model refuses a dialogue of {', '.join(role for role, _ in turns)}: {error}. "
                "Leave such turns out of the rows, or the chat template with --no-chat."
            ) from error
        return text

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    @property
    def _end(self) -> int:
        end = self._tokenizer.eos_token_id
        if end is None:
            raise BadModel(
                "The tokenizer of this model has no end-of-sequence token, so the model cannot learn to stop. Set one."
            )
        return int(end)
