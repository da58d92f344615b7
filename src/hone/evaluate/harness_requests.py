"""What lm-evaluation-harness asks of a model, read: texts to be written, in groups that are written alike, and contexts before continuations."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from lm_eval.models.utils import normalize_gen_kwargs

from hone.core.console import note
from hone.model import Sampling

__all__ = ["dealt", "in_groups", "moved_spaces"]

_WRITTEN = 256  # tokens of an answer where a task names no limit: the harness's own default
_ALIKE = ("top_p", "top_k", "min_p", "repetition_penalty", "length_penalty")  # settings of writing called as in the harness
_UNDERSTOOD = (*_ALIKE, "until", "max_gen_toks", "do_sample", "temperature", "num_beams")


def in_groups(requests: Sequence[Any], *, longest: int | None = None) -> Iterator[tuple[dict[str, list[int]], Sampling]]:
    """Requests for texts that are to be written in the same way: what is read, and the places of those that ask for it.

    Where words are drawn, a text that is asked for several times is written as so many samples; else once. `longest`: tokens of an
    answer, whatever the requests say.
    """
    groups: dict[str, dict[str, list[int]]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(repr(sorted(request.args[1].items())), {}).setdefault(request.args[0], []).append(index)
    for texts in groups.values():
        first = next(iter(texts.values()))[0]
        sampling = _sampling(requests[first].args[1])
        counts = {text: len(places) if sampling.temperature else 1 for text, places in texts.items()}
        for count in sorted(set(counts.values())):
            mine = {text: places for text, places in texts.items() if counts[text] == count}
            yield mine, sampling.model_copy(update={"samples": count, "max_new_tokens": longest or sampling.max_new_tokens})


def dealt(texts: dict[str, list[int]], written: Sequence[Sequence[Any]]) -> Iterator[tuple[int, Any]]:
    """The place of each request with its answer: the samples of a text in turn, one alone for all that ask for it."""
    for places, mine in zip(texts.values(), written, strict=True):
        yield from zip(places, itertools.cycle(mine), strict=False)


def moved_spaces(context: str, continuation: str) -> tuple[str, str]:
    """Spaces at the context's end belong to the continuation, as words are tokenised with the space before them."""
    bare = context.rstrip()
    return (bare, context[len(bare) :] + continuation) if bare else (context, continuation)


def _sampling(asked: dict[str, Any]) -> Sampling:
    """The harness's generation settings as ours; what it asks for and we have no word for is told."""
    said = normalize_gen_kwargs(asked, default_max_gen_toks=_WRITTEN)
    ours = {name: said[name] for name in _ALIKE if said.get(name) is not None}
    unknown = [f"{name}={said[name]}" for name in said if name not in _UNDERSTOOD and said[name] is not None]
    if unknown:
        note(f"A task asks for {', '.join(map(str, unknown))}, which hone does not know; it is left out.")
    draws = bool(said["do_sample"])
    if draws or said.get("num_beams"):
        ours["beams"] = 1 if draws else int(said["num_beams"])
    return Sampling(
        max_new_tokens=said["max_gen_toks"],
        temperature=float(said.get("temperature") or 0.0) if draws else 0.0,
        stop=tuple(text for text in said["until"] if text),
        **ours,
    )
