"""An answer written from passages, with what each passage has to do with it.

The last step of `hone ask`. The one surprise: nobody can see from outside which passage a model took its words from; what is
reported is how many of the answer's words occur in a passage, and it is called that.
"""

import textwrap
from collections.abc import Callable, Sequence

from hone.core.errors import Usage
from hone.core.record import Record
from hone.measure import compared_words
from hone.model import Backend, Generator, Renderer, Sampling, TextModel, TextReader, tell_thoughts
from hone.retrieve.prompt import with_passages
from hone.retrieve.records import Passage

__all__ = ["Answer", "Citation", "answer_from", "answer_text", "answer_with", "cited", "shared_words"]

_LONGEST = 96  # tokens of an answer
_AROUND = 64  # that a server's chat template may put around a prompt
_MARKED = 0.5  # share of the answer's words from which a passage is marked


class Citation(Record):
    """A passage that was found, and what it has to do with the answer."""

    number: int
    """As it stands in the prompt: [1]."""
    document: str
    title: str
    start: int
    end: int
    """Characters of the document."""
    score: float
    text: str
    is_shown: bool
    """Whether the model read it; false where it did not fit, or no model was asked."""
    words_shared: float | None = None
    """Share of the answer's words that occur in the passage (SQuAD normalisation); none where there is no answer."""
    is_marked: bool = False
    """The answer's words occur here more than in any other passage, and at least half of them."""


class Answer(Record):
    """What `hone ask --json` prints."""

    question: str
    answer: str | None
    """None where no model was asked."""
    passages: tuple[Citation, ...]


def answer_from(
    question: str, passages: Sequence[Passage], net: TextModel, reader: TextReader, *, sampling: Sampling | None = None
) -> Answer:
    """Let a model answer from passages; those that do not fit its context are left out, the last ones first.

    Raises:
        Usage: not even the first passage fits.
    """
    sampling = sampling or Sampling(max_new_tokens=_LONGEST)
    room = reader.context_length - (0 if net.is_encoder_decoder else sampling.max_new_tokens)
    prompted = _prompter(net, reader)
    prompt, shown = _fit(question, passages, lambda text: len(prompted(text)), room)
    generator = Generator(net, reader.tokenizer, precision=reader.precision, follows="words")
    found = generator.generate([prompted(prompt)], sampling)
    tell_thoughts(found, model="the model", tokens=sampling.max_new_tokens)
    return cited(question, passages, answer=found[0][0].text.strip(), shown=shown)


def answer_with(question: str, passages: Sequence[Passage], backend: Backend, *, sampling: Sampling | None = None) -> Answer:
    """The same by a model that is asked in texts, behind a server or in vLLM.

    Raises:
        Usage: not even the first passage fits, or the server refuses. Failed: it was away too long.
    """
    sampling = sampling or Sampling(max_new_tokens=_LONGEST)
    room = backend.context_length - sampling.max_new_tokens - _AROUND
    prompt, shown = _fit(question, passages, lambda text: backend.count_tokens([text])[0], room)
    text = backend.generate([prompt], sampling)[0][0].text.strip()
    return cited(question, passages, answer=text, shown=shown)


def _prompter(net: TextModel, reader: TextReader) -> Callable[[str], list[int]]:
    """From a prompt to what the model reads: as `hone tune` renders rows, so an encoder-decoder's source has its special tokens."""
    if net.is_encoder_decoder:
        return lambda text: list(reader.tokenizer(text, verbose=False)["input_ids"])
    return Renderer(reader.tokenizer, length=reader.context_length).prompt


def _fit(question: str, passages: Sequence[Passage], count: Callable[[str], int], room: int) -> tuple[str, int]:
    """The prompt, and how many passages stand in it. `count`: tokens of a prompt as the model reads it."""
    needed = 0
    for shown in range(len(passages), 0, -1):
        prompt = with_passages(question, passages[:shown])
        needed = count(prompt)
        if needed <= room:
            return prompt, shown
    if not passages:
        raise Usage("No passage was found, so there is nothing to answer from. Ask in other words, or with --mode vector.")
    raise Usage(
        f"The question and its first passage are {needed:,} tokens, and the model has room for {max(room, 0):,} beside its answer. "
        "Build the index with smaller passages (--tokens), or name a model with a longer context."
    )


def cited(question: str, passages: Sequence[Passage], *, answer: str | None = None, shown: int = 0) -> Answer:
    """An answer, or none, with its passages as citations; the first `shown` of them were read by the model."""
    shares = [shared_words(answer, passage.text) if answer is not None else None for passage in passages[:shown]]
    most = max((share for share in shares if share is not None), default=0.0)
    citations = []
    for number, passage in enumerate(passages, 1):
        share = shares[number - 1] if number <= shown else None
        citations.append(
            Citation(
                number=number,
                document=passage.document,
                title=passage.title,
                start=passage.start,
                end=passage.end,
                score=passage.score,
                text=passage.text,
                is_shown=number <= shown,
                words_shared=share,
                is_marked=share is not None and share >= _MARKED and share == most,
            )
        )
    return Answer(question=question, answer=answer, passages=tuple(citations))


def answer_text(answer: Answer) -> str:
    """What `hone ask` prints: the answer where there is one, and the passages with their places."""
    parts = [] if answer.answer is None else [answer.answer or "(the model wrote nothing)", ""]
    for each in answer.passages:
        place = f"[{each.number}] {each.document}, characters {each.start:,} to {each.end:,}"
        facts = [f"score {each.score:.4f}"]
        if answer.answer is not None:
            facts.append(
                f"{each.words_shared:.0%} of the answer's words" if each.words_shared is not None else "not shown to the model"
            )
        parts.append(
            f"{'* ' if each.is_marked else ''}{place} ({'; '.join(facts)})" + (f"\n    {each.title}" if each.title else "")
        )
        if answer.answer is None:
            parts += [textwrap.indent(each.text.strip("\n"), "    "), ""]
    if any(each.is_marked for each in answer.passages):
        parts += ["", "* holds most of the answer's words, and at least half: a sign of where they come from, no proof."]
    return "\n".join(parts).rstrip() if parts else "No passage was found."


def shared_words(answer: str, passage: str) -> float:
    """Share of the answer's words, each counted as often as it stands there, that occur in the passage; 0 for no words."""
    words = compared_words(answer)
    known = set(compared_words(passage))
    return sum(word in known for word in words) / len(words) if words else 0.0
