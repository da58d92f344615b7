"""Texts that a model writes of itself: what it knows, without the data it learnt that from.

A decoder writes from the token that begins a text (a chat model from where a user's turn opens, and then the answer); an encoder-decoder
fills gaps behind what it has written so far, starting from nothing, and then gaps cut into that. Drawn at temperature 1, so that they are
samples of its own distribution: there its divergence from itself foretells what it forgets, and holding it there prevents that
(https://arxiv.org/abs/2505.13811). What a model learnt late and narrowly it hardly writes unasked: prompts of that kind, without their
answers, bring it out.
"""

import random
from collections.abc import Sequence
from typing import Any

from hone.core.console import progress
from hone.core.seeds import derive_seed
from hone.model import Generator, LanguageModel, Renderer, Sampling, TextModel, TextReader
from hone.train.objective import Placed, SourceTarget

__all__ = ["OwnSample", "draw_own_samples"]

OwnSample = Placed | SourceTarget
_TOGETHER = 128  # written at a time
_ROUNDS = 4  # gaps that an encoder-decoder fills one behind the other
_GROWN = 16  # one in so many is a text grown from nothing; into the others gaps are cut (docs/log.md)
_MEAN_GAP = 3  # tokens of a gap within a text, as in T5's training
_USER_SAYS = "\u241f"  # stands for what a user says; no chat template holds it


def draw_own_samples(
    net: TextModel, reader: TextReader, *, count: int, length: int = 128, seed: int = 0, prompts: Sequence[str] = ()
) -> list[OwnSample]:
    """Samples as items to train on or to measure at; samples of no token are left out. The network stays as it is.

    Args:
        length: tokens of a sample at most; fewer where the context has no room for them. prompts: as the model reads them; half of the
            samples are written behind them.
    """
    length = min(length, _room(net, reader, has_prompts=bool(prompts)))
    was_training = net.training
    generator = Generator(net, reader.tokenizer, precision=reader.precision, takes_over=False)
    draw = _from_decoder if isinstance(net, LanguageModel) else _from_encoder_decoder
    found: list[OwnSample] = []
    with progress("Sampling the base", count) as bar:
        asked = count // 2 if prompts else 0
        if asked:
            found += _behind(prompts, asked, generator, reader, length=length, seed=seed)
            bar.advance(asked)
        for first in range(0, count - asked, _TOGETHER):
            wanted = min(_TOGETHER, count - asked - first)
            sampling = Sampling(
                max_new_tokens=length, temperature=1.0, samples=wanted, seed=derive_seed(seed, "own samples", first)
            )
            found += draw(generator, reader, sampling)
            bar.advance(wanted)
    net.train(was_training)
    return found


def _room(net: TextModel, reader: TextReader, *, has_prompts: bool) -> int:
    """Tokens of a sample for which the context has room, beside what is read before them."""
    context, tokenizer = reader.context_length, reader.tokenizer
    if not isinstance(net, LanguageModel):
        return max(1, context - len(_gap(tokenizer)[0]) - int(tokenizer.num_special_tokens_to_add()))
    start, answers = _openings(tokenizer)
    found = context - len(start) if answers is None else (context - len(start) - len(answers)) // 2  # a user's turn and a reply
    return max(1, min(found, context // 2) if has_prompts else found)


def _behind(
    prompts: Sequence[str], count: int, generator: Generator, reader: TextReader, *, length: int, seed: int
) -> list[OwnSample]:
    """What the model writes when it is asked, so many times in all, as often behind each prompt as it takes."""
    is_decoder = isinstance(generator.net, LanguageModel)
    each = -(-count // len(prompts))
    at_once = max(1, _TOGETHER // each)
    found: list[OwnSample] = []
    for first in range(0, min(len(prompts), count), at_once):
        part = prompts[first : first + at_once]
        sampling = Sampling(max_new_tokens=length, temperature=1.0, samples=each, seed=derive_seed(seed, "asked samples", first))
        if is_decoder:
            read = Renderer(reader.tokenizer, length=reader.context_length, chat=False).prompts(part, leaving=length)
        else:
            read = reader.tokenize(part)
        written = _write(generator, reader.tokenizer, read, sampling)
        pairs = zip((ids for ids in read for _ in range(each)), written, strict=True)
        found += [_continued(before, ids) if is_decoder else SourceTarget(before, ids) for before, ids in pairs if ids]
    return found[:count]


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


def _ids(tokenizer: Any, text: str, *, special: bool = False) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
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
    """Texts grown from nothing by gaps behind what is there, then gaps cut into them; most of what is returned is of the latter sort.

    A growing text alone would not do: once it is whole, nothing follows, and what is read never ends in its midst. A model that marks gaps with a
    mask, or with nothing, writes the whole text anew.
    """
    tokenizer = reader.tokenizer
    gap, empty = _gap(tokenizer)
    is_appended = gap != [tokenizer.mask_token_id] and bool(gap)
    begin = [tokenizer.bos_token_id] if _ids(tokenizer, "", special=True)[:1] == [tokenizer.bos_token_id] else []
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    rng = random.Random(sampling.seed)
    texts: list[list[int]] = [[] for _ in range(sampling.samples)]
    behind: list[tuple[list[int], list[int]]] = []

    def fill(sources: list[list[int]], turn: int) -> list[tuple[list[int], list[int]]]:
        """Each source with what is written for it."""
        most = max(8, sampling.max_new_tokens // _ROUNDS)
        more = {"samples": 1, "max_new_tokens": most, "seed": sampling.seed + turn}
        return list(zip(sources, _distinct(generator, tokenizer, sources, sampling.model_copy(update=more)), strict=True))

    for turn in range(_ROUNDS):
        filled = fill([[*begin, *text, *gap, *end] or [0] for text in texts], turn)
        behind += [pair for pair in filled if set(pair[1]) - empty]
        grown = [[token for token in ids if token not in empty] for _, ids in filled]
        texts = [[*text, *more] if is_appended else more for text, more in zip(texts, grown, strict=True)]
    whole = [text for text in texts if len(text) > 1] if gap else []
    cut = fill([[*begin, *_cut(text, gap, rng), *end] for text in whole], _ROUNDS) if whole else []
    few = min(len(behind), sampling.samples - min(len(cut), sampling.samples - sampling.samples // _GROWN))
    chosen = [*rng.sample(behind, few), *rng.sample(cut, min(len(cut), sampling.samples - few))]
    return [SourceTarget(source, ids) for source, ids in chosen if ids]


def _gap(tokenizer: Any) -> tuple[list[int], set[int]]:
    """What stands for a gap, a sentinel or a mask or nothing; and the tokens that are no text: sentinels and the end."""
    known = tokenizer.get_vocab()
    empty = {token for word, token in known.items() if word.startswith("<extra_id_")}
    first = known.get("<extra_id_0>", tokenizer.mask_token_id)
    return [] if first is None else [first], empty | set(tokenizer.all_special_ids)


def _cut(text: list[int], gap: list[int], rng: random.Random) -> list[int]:
    """The text with a gap somewhere: of all that follows, or of a few tokens."""
    at = rng.randrange(len(text))
    return [*text[:at], *gap, *(text[at + rng.randint(1, 2 * _MEAN_GAP - 1) :] if rng.random() < 0.5 else [])]


def _distinct(generator: Generator, tokenizer: Any, sources: list[list[int]], sampling: Sampling) -> list[list[int]]:
    """One draw per source; sources that are equal, as at the start, get draws of their own."""
    if all(source == sources[0] for source in sources):
        return _write(generator, tokenizer, sources[:1], sampling.model_copy(update={"samples": len(sources)}))
    return _write(generator, tokenizer, sources, sampling)
