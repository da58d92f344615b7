"""From a model's two primitives to answers: the likeliest option, or a text.

Options are scored by their log-likelihood: summed, per token, against how likely they are without the question (PMI, Holtzman 2021,
https://arxiv.org/abs/2104.08315), or with the answer to content-free questions divided out (contextual calibration, Zhao 2021,
https://arxiv.org/abs/2102.09690). A server that tells no likelihoods is asked to write, and its text is held against the options.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hone.measure import normalise_answer
from hone.model import Backend, Sampling
from hone.strategy.scorers import softmax
from hone.strategy.text.form import Form, fitting

__all__ = ["MARGIN", "RULES", "Asked", "OptionScores", "Rule", "content_free", "probabilities", "score_options", "write_texts"]

Floats = NDArray[np.float64]
Rule = Literal["sum", "mean", "pmi", "calibrated"]
RULES: tuple[Rule, ...] = ("sum", "mean", "pmi", "calibrated")
_CONTENT_FREE = ("N/A", "[MASK]", "")  # Zhao 2021
_PREMISE = "Answer:"
_ABSENT = -1e9  # the score of an option that a row does not have
_NAMING = 32  # tokens in which an option is named
MARGIN = 8
"""Tokens of a chat template and of rounding."""


@dataclass(frozen=True)
class Asked:
    """A row as it is put to the model."""

    form: Form
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class OptionScores:
    """What a model makes of the options of some rows, before a rule weighs it. C is the largest number of options."""

    sums: Floats
    """Log-likelihoods, [n, C]."""
    tokens: Floats
    """Of each option, [n, C]."""
    premise: Floats | None = None
    """Log-likelihoods of the options after a premise alone, [n, C]; None where no rule asked for them."""
    content_free: Floats | None = None
    """Mean log-probabilities of the options of content-free questions, [C]; None where options differ from row to row."""

    def weighed(self, rule: Rule) -> Floats:
        """Scores by a rule, [n, C]."""
        if rule == "mean":
            found = self.sums / np.maximum(self.tokens, 1)  # an option that a row does not have has none
        elif rule == "pmi":
            assert self.premise is not None, "options were not scored after a premise"
            found = self.sums - self.premise
        elif rule == "calibrated":
            assert self.content_free is not None, "options that differ from row to row have no common content-free answer"
            found = self.sums - self.content_free
        else:
            found = self.sums
        return np.where(self.tokens > 0, found, _ABSENT)


def probabilities(scores: Floats, temperature: float, *, classes: int = 0) -> Floats:
    """Softmax of scores divided by a temperature, [n, C]; filled up with 0 to at least so many classes."""
    found = softmax(np.maximum(scores / temperature, _ABSENT))
    return np.pad(found, ((0, 0), (0, max(0, classes - found.shape[1]))))


def score_options(backend: Backend, asked: Sequence[Asked], *, rules: Sequence[Rule], longest: int = _NAMING) -> OptionScores:
    """Score every option of every row.

    Args:
        rules: what is needed to weigh by these; 'calibrated' means that all rows have the same options, as labels are.
        longest: tokens in which a model that tells no likelihoods names an option, at least.
    """
    width = max((len(one.options) for one in asked), default=0)
    if not backend.can_score:
        return _matched(backend, asked, width, max(longest, _NAMING))
    room = (
        backend.context_length - MARGIN - max(backend.count_tokens(sorted({o for one in asked for o in one.options})), default=0)
    )
    prompts, continuations, places = [], [], []
    for row, one in enumerate(asked):
        form = fitting(one.form, backend, one.text, one.options, room=room)
        for column, option in enumerate(one.options):
            prompts.append(form.prompt(one.text, one.options))
            continuations.append(form.written(option, one.options))
            places.append((row, column))
    shape = (len(asked), width)
    sums, tokens = np.zeros(shape), np.zeros(shape)
    for place, found in zip(places, backend.score(prompts, continuations), strict=True):
        sums[place], tokens[place] = found.log_likelihood, found.tokens
    premise = None
    if "pmi" in rules:
        premise, distinct = np.zeros(shape), sorted(set(continuations))
        found_alone = backend.score([_PREMISE] * len(distinct), distinct)
        alone = {text: each.log_likelihood for text, each in zip(distinct, found_alone, strict=True)}
        for place, continuation in zip(places, continuations, strict=True):
            premise[place] = alone[continuation]
    known = content_free(backend, asked[0], room=room) if "calibrated" in rules and asked else None
    return OptionScores(sums, tokens, premise, known)


def content_free(backend: Backend, one: Asked, *, room: int) -> Floats:
    """Logarithms of the options' mean probabilities where the question says nothing, [C]."""
    form = fitting(one.form, backend, max(_CONTENT_FREE, key=len), one.options, room=room)
    prompts = [form.prompt(text, one.options) for text in _CONTENT_FREE for _ in one.options]
    written = [form.written(option, one.options) for option in one.options] * len(_CONTENT_FREE)
    found = np.array([each.log_likelihood for each in backend.score(prompts, written)]).reshape(len(_CONTENT_FREE), -1)
    return np.asarray(np.log(softmax(found).mean(axis=0)), dtype=np.float64)


def _matched(backend: Backend, asked: Sequence[Asked], width: int, longest: int) -> OptionScores:
    """By what the model writes: 0 for the option that it names, else -4; all alike where it names none or several."""
    texts = write_texts(backend, asked, Sampling(max_new_tokens=longest), finish=str.strip)
    sums, tokens = np.zeros((len(asked), width)), np.zeros((len(asked), width))
    for row, (one, text) in enumerate(zip(asked, texts, strict=True)):
        names = [one.form.written(option, one.options) for option in one.options]
        hits = _named(text, names)
        tokens[row, : len(names)] = 1
        if sum(hits) == 1:
            sums[row, : len(names)] = np.where(hits, 0.0, -4.0)
    return OptionScores(sums, tokens, np.zeros_like(sums), np.zeros(width))  # nothing to subtract, whatever the rule


def _named(text: str, names: Sequence[str]) -> list[bool]:
    """Which names a text is, else which it has among its words."""
    said, plain = _words(text), [_words(name) for name in names]
    bare = [normalise_answer(name) for name in names]
    as_is = [name.strip() for name in names]
    tries = (
        [name.casefold() == text.strip().casefold() for name in as_is],
        [name.casefold() == said.casefold() for name in plain],
        [name == normalise_answer(text) for name in bare],
        _among(plain, said),
        _among(bare, normalise_answer(text)),
    )
    for hits, given in zip(tries, (as_is, plain, bare, plain, bare), strict=True):
        found = [hit and bool(name) for hit, name in zip(hits, given, strict=True)]
        if any(found):
            return found
    return [False] * len(names)


def _among(names: Sequence[str], words: str) -> list[bool]:
    """Which names stand among some words; one within a longer one does not: who says 'not late' does not say 'late'.

    The letter of a choice is no article: it counts in its own case.
    """
    found = [False] * len(names)
    for at in sorted(range(len(names)), key=lambda at: len(names[at]), reverse=True):
        case = re.IGNORECASE if len(names[at]) > 1 else re.NOFLAG
        words, times = re.subn(rf"(?<!\S){re.escape(names[at])}(?!\S)", "|", words, flags=case)
        found[at] = times > 0
    return found


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text))


def write_texts(backend: Backend, asked: Sequence[Asked], sampling: Sampling, *, finish: Callable[[str], str]) -> tuple[str, ...]:
    """One text per row; of several samples the first."""
    room = backend.context_length - MARGIN - sampling.max_new_tokens
    prompts = [fitting(one.form, backend, one.text, one.options, room=room).prompt(one.text, one.options) for one in asked]
    return tuple(finish(found[0].text) for found in backend.generate(prompts, sampling))
