"""Where a model that thinks before it answers has its answer: behind its thoughts, which are no part of it.

Reasoning models write thoughts between marks into their text; where their chat template opens the thought, the closing mark is written
alone. As with lm-evaluation-harness's `think_end_token`, the answer is what stands behind the last closing mark, and stop texts hold in it
alone. One surprise: a thought that does not end leaves no answer, where the harness takes the thought for one.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hone.core.console import warn
from hone.model.generated import Generated

__all__ = [
    "answer_in",
    "begins_unopened",
    "closed",
    "decoded",
    "kept_marks",
    "may_open",
    "opens",
    "opens_at_end",
    "stopped",
    "tell_thoughts",
    "without_thoughts",
]

_MARKS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, QwQ, GLM, SmolLM3
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # gpt-oss, https://github.com/openai/harmony
)
_OPENING, _CLOSING = ("|".join(map(re.escape, side)) for side in zip(*_MARKS, strict=True))
_BEGINS = re.compile(rf"\s*(?:{_OPENING})")
_ENDS = re.compile(rf"({_OPENING})\s*\Z")
_CLOSED = re.compile(rf"(?:{_CLOSING})\s*")
_PIECES = ("<|channel|>", "<|message|>")
_PROMPT_END = 12  # tokens that hold an opening mark and the blanks behind it


def _behind(text: str, is_open: bool) -> int | None:
    """Where the answer begins in a text; None where a thought has not ended."""
    last = 0
    for closing in _CLOSED.finditer(text):
        last = closing.end()
    is_thinking = _BEGINS.match(text, last) is not None or (is_open and not last)
    return None if is_thinking else last


def answer_in(text: str, *, is_open: bool = False) -> str | None:
    """The answer in what a model wrote: all of it, or what stands behind its thoughts; None where they have not ended.

    Args:
        is_open: whether the prompt has begun a thought.
    """
    begin = _behind(text, is_open)
    return None if begin is None else text[begin:]


def without_thoughts(text: str) -> str:
    """The answer in a right answer that was written with thoughts before it."""
    return answer_in(text) or text


def stopped(text: str, stops: Sequence[str], *, is_open: bool = False) -> str | None:
    """The text up to the first of the stop texts in its answer; None where there is none. In a thought they end nothing."""
    begin = _behind(text, is_open)
    places = [] if begin is None else [at for stop in stops if (at := text.find(stop, begin)) >= 0]
    return text[: min(places)] if places else None


def may_open(text: str) -> bool:
    """Whether a text may yet become the opening mark of a thought."""
    return any(opening.startswith(text.lstrip()) for opening, _ in _MARKS)


def begins_unopened(text: str) -> bool:
    """Whether a text begins within a thought, as it closes one that it has not opened: the chat template did."""
    return bool(_CLOSED.search(text)) and not _BEGINS.match(text)


def opens(text: str) -> bool:
    """Whether the end of a prompt begins a thought."""
    return bool(_ENDS.search(text))


def opens_at_end(tokenizer: Any, prompt: Sequence[int]) -> bool:
    """Whether a prompt's last tokens begin a thought."""
    return opens(tokenizer.decode(list(prompt[-_PROMPT_END:]), skip_special_tokens=False))


def closed(prompt: str) -> str:
    """A prompt behind which an answer follows at once: a thought that it begins is ended without a word."""
    begun = _ENDS.search(prompt)
    return prompt if begun is None else f"{prompt[: begun.end(1)]}\n\n{dict(_MARKS)[begun[1]]}\n\n"


def kept_marks(tokenizer: Any) -> dict[int, str]:
    """Marks of thoughts that a tokenizer counts as special tokens, and would leave out of a text."""
    marks = {*(mark for pair in _MARKS for mark in pair), *_PIECES}
    return {tokenizer.convert_tokens_to_ids(token): token for token in tokenizer.all_special_tokens if token in marks}


def decoded(ids: Sequence[int], tokenizer: Any, marks: Mapping[int, str]) -> str:
    """Token ids as text, without special tokens but with these marks."""
    places = [at for at, token in enumerate(ids) if token in marks] if marks else []
    borders = [*places, len(ids)]
    text: str = tokenizer.decode(ids[: borders[0]], skip_special_tokens=True)
    for at, end in itertools.pairwise(borders):
        text += marks[ids[at]] + tokenizer.decode(ids[at + 1 : end], skip_special_tokens=True)
    return text


def tell_thoughts(found: Sequence[Sequence[Generated]], *, model: str, tokens: int) -> None:
    """Warn, once for a model and a length, where thoughts took the place of answers.

    Args:
        tokens: that each answer could have.
    """
    lost = [one for answers in found for one in answers if one.is_thought]
    if not lost:
        return
    count = sum(map(len, found))
    said = f"{len(lost)} of {count} answers are empty, for"
    if any(one.finish == "length" for one in lost):
        cause = f"their {tokens:,} tokens were used up before the first word: {model} thinks before it answers"
    else:
        cause = f"{model} thinks before it answers, and its thoughts ended without an answer, as at a stop text"
    warn(
        f"{said} {cause}. Allow more tokens (--max-tokens), turn its thinking off, or name a model that does not think.",
        once=f"{model} {tokens}",
    )


def tell_cut(found: Sequence[Sequence[Generated]], *, model: str, tokens: int) -> None:
    """Warn, once for a model and a length, where most answers were cut off: of a thought that the chat template began nothing else shows."""
    cut = sum(one.finish == "length" and not one.is_thought for answers in found for one in answers)
    count = sum(map(len, found))
    if 2 * cut > count:
        warn(
            f"{cut} of {count} answers were cut off at their {tokens:,} tokens: {model} thinks before it answers, or writes at length. "
            "Allow more tokens (--max-tokens), or turn its thinking off.",
            once=f"{model} {tokens} cut",
        )
