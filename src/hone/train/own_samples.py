"""Texts that a model writes of itself: what it knows, without the data it learnt that from.

A decoder writes from the token that begins a text (a chat model from where a user's turn opens, and then the answer); an encoder-decoder
fills a gap behind what it has written so far, starting from nothing. Drawn at temperature 1, so that they are samples of its own
distribution: there its divergence from itself foretells what it forgets, and holding it there prevents that
(https://arxiv.org/abs/2505.13811).
"""

import random
from collections.abc import Sequence
from typing import Any

from hone.core.console import progress
from hone.core.seeds import derive_seed
from hone.model import Generator, LanguageModel, Sampling, TextModel, TextReader
from hone.train.objective import Placed, SourceTarget

__all__ = ["OwnSample", "draw_own_samples"]

OwnSample = Placed | SourceTarget
_TOGETHER = 128  # written at a time
_ROUNDS = 4  # gaps that an encoder-decoder fills one behind the other
_USER_SAYS = "\u241f"  # stands for what a user says; no chat template holds it


def draw_own_samples(net: TextModel, reader: TextReader, *, count: int, length: int = 128, seed: int = 0) -> list[OwnSample]:
    """Samples as items to train on or to measure at; samples of no token are left out. The network stays as it is.

    Args:
        length: tokens of a sample at most.
    """
    was_training = net.training
    generator = Generator(net, reader.tokenizer, precision=reader.precision, takes_over=False)
    draw = _from_decoder if isinstance(net, LanguageModel) else _from_encoder_decoder
    found: list[OwnSample] = []
    with progress("Sampling the base", count) as bar:
        for first in range(0, count, _TOGETHER):
            wanted = min(_TOGETHER, count - first)
            sampling = Sampling(
                max_new_tokens=length, temperature=1.0, samples=wanted, seed=derive_seed(seed, "own samples", first)
            )
            found += draw(generator, reader, sampling)
            bar.advance(wanted)
    net.train(was_training)
    return found


def _from_decoder(generator: Generator, reader: TextReader, sampling: Sampling) -> list[OwnSample]:
    tokenizer = reader.tokenizer
    start, answers = _openings(tokenizer)
    if answers is None:
        return [_continued(start, ids) for ids in _write(generator, tokenizer, [start], sampling) if ids]
    said = _write(generator, tokenizer, [start], sampling)
    asked = [[*start, *_without_end(ids, tokenizer), *answers] for ids in said]
    replies = _write(generator, tokenizer, asked, sampling.model_copy(update={"samples": 1}))
    return [_continued(start, [*before[len(start) :], *ids]) for before, ids in zip(asked, replies, strict=True) if ids]


def _openings(tokenizer: Any) -> tuple[list[int], list[int] | None]:
    """Tokens before what a user says, and those between it and the answer; the latter None for a model without a chat template."""
    if tokenizer.chat_template:
        turn = [{"role": "user", "content": _USER_SAYS}]
        text: str = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        before, is_there, after = text.partition(_USER_SAYS)
        if is_there and before:
            return _ids(tokenizer, before), _ids(tokenizer, after)
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return [begin if begin is not None else 0], None


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _write(generator: Generator, tokenizer: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
    """What was written behind the prompts, the end-of-sequence token included where it was."""
    return [
        [*answer.ids, *([tokenizer.eos_token_id] if answer.finish == "end" else [])]
        for answers in generator.generate(prompts, sampling)
        for answer in answers
    ]


def _without_end(ids: list[int], tokenizer: Any) -> list[int]:
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def _continued(start: list[int], ids: list[int]) -> Placed:
    whole = [*start, *ids]
    return Placed(whole, list(range(len(start) - 1, len(whole) - 1)), ids)


def _from_encoder_decoder(generator: Generator, reader: TextReader, sampling: Sampling) -> list[OwnSample]:
    """Gaps filled one behind the other; a model without sentinels writes anew what it wrote before."""
    tokenizer = reader.tokenizer
    known = tokenizer.get_vocab()
    gap = [known["<extra_id_0>"]] if "<extra_id_0>" in known else []
    sentinels = {token for word, token in known.items() if word.startswith("<extra_id_")}
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    rng = random.Random(sampling.seed)
    texts: list[list[int]] = [[] for _ in range(sampling.samples)]
    items: list[OwnSample] = []
    for turn in range(_ROUNDS):
        sources = [[*text, *gap, *end] or [0] for text in texts]
        one = sampling.model_copy(
            update={"samples": 1, "max_new_tokens": max(8, sampling.max_new_tokens // _ROUNDS), "seed": sampling.seed + turn}
        )
        written = _distinct(generator, tokenizer, sources, one)
        items += [SourceTarget(source, ids) for source, ids in zip(sources, written, strict=True) if ids]
        grown = [[token for token in ids if token not in sentinels and token not in end] for ids in written]
        texts = [[*text, *more] if gap else more for text, more in zip(texts, grown, strict=True)]
    return rng.sample(items, min(len(items), sampling.samples))


def _distinct(generator: Generator, tokenizer: Any, sources: list[list[int]], sampling: Sampling) -> list[list[int]]:
    """One draw per source; sources that are equal, as at the start, get draws of their own."""
    if all(source == sources[0] for source in sources):
        return _write(generator, tokenizer, sources[:1], sampling.model_copy(update={"samples": len(sources)}))
    return _write(generator, tokenizer, sources, sampling)
