"""How likely a model finds continuations: the primitive behind multiple choice, label words, perplexity and harness tasks.

What requests share is computed once: the few-shot block of a task, a question across its answers, a source across the targets that are
scored for it. Words are projected on the vocabulary only where one is scored, and the softmax sums in fp32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from hone.core.console import Bar
from hone.model.arithmetic import Arithmetic, autocast
from hone.model.batches import token_batches
from hone.model.language import LanguageModel, Seq2SeqModel, TextModel
from hone.model.memory import Memory
from hone.model.packed_attention import Layout
from hone.model.sharing import may_share
from hone.model.tree import Crop, Push, Read, shared_reading

__all__ = ["Likelihood", "Scorer"]

_PASS = 512  # tokens of a tree; more made a table of scores too large for the cache
_PACKED = 2048  # tokens of sequences that share nothing, of a remembered prefix, and of sources with their targets


@dataclass(frozen=True)
class Likelihood:
    """Of a continuation after its prompt."""

    log_likelihood: float
    """Natural logarithm, summed over tokens."""
    is_greedy: bool
    """Whether every token was the likeliest."""
    tokens: int


@dataclass
class _Wanted:
    """Words to be scored: at which place of a pass, which word, and for which request."""

    places: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)

    @property
    def distinct(self) -> list[int]:
        """The places, each once, in order."""
        return sorted(set(self.places))

    def add(self, place: int, word: int, request: int) -> None:
        self.places.append(place)
        self.words.append(word)
        self.requests.append(request)


class Scorer:
    """Scores token ids with one network."""

    def __init__(self, net: TextModel, *, precision: Arithmetic, shares: bool | None = None, takes_over: bool = True) -> None:
        """
        Args:
            shares: whether prefixes are shared; None: wherever the architecture, tried with real numbers, allows it.
            takes_over: the network no longer trains, and lies in bf16 where it computes so; else its parameters stay as they are.
        """
        self.net = net
        self.precision = precision
        net.eval()
        self.shares = shares is not False and may_share(net, precision)
        if takes_over:
            net.stop_training(precision)
        self._totals: list[float] = []
        self._greedy: list[bool] = []

    def score(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], *, bar: Bar | None = None
    ) -> list[Likelihood]:
        """One answer per pair, in order.

        Args:
            prompts: token ids, for a causal model with at least one token each. continuations: at least one token each.
        """
        assert len(prompts) == len(continuations) and all(continuations)
        self._totals, self._greedy = [0.0] * len(prompts), [True] * len(prompts)
        with torch.no_grad(), autocast(self.precision, self.net.device):
            if isinstance(self.net, Seq2SeqModel):
                self._score_targets(self.net, prompts, continuations, bar)
            elif self.shares:
                lengths = [
                    len(prompt) + len(continuation) - 1 for prompt, continuation in zip(prompts, continuations, strict=True)
                ]
                for is_long, part in self.net.sides(lengths):
                    memory = Memory(self.net, reads_long=is_long)
                    self._score_shared(self.net, memory, part, prompts, continuations, bar)
            else:
                self._score_rows(self.net, prompts, continuations, bar)
        return [
            Likelihood(total, greedy, len(continuation))
            for total, greedy, continuation in zip(self._totals, self._greedy, continuations, strict=True)
        ]

    def _score_rows(
        self, net: LanguageModel, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], bar: Bar | None
    ) -> None:
        """Each request by itself."""
        rows = [[*prompt, *continuation[:-1]] for prompt, continuation in zip(prompts, continuations, strict=True)]
        lengths = [len(row) for row in rows]
        for part in (
            [side[at] for at in part]
            for _, side in net.sides(lengths)
            for part in token_batches([lengths[at] for at in side], max_tokens=_PACKED, is_packed=net.packs)
        ):
            wanted, at = _Wanted(), 0
            for index in part:
                for offset, word in enumerate(continuations[index]):
                    wanted.add(at + len(prompts[index]) - 1 + offset, word, index)
                at += len(rows[index])
            self._collect(net.words([rows[index] for index in part], wanted.distinct), wanted)
            if bar:
                bar.advance(len(part))

    def _score_shared(
        self,
        net: LanguageModel,
        memory: Memory,
        part: Sequence[int],
        prompts: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[int]],
        bar: Bar | None,
    ) -> None:
        """The requests of a part, which may be read together."""
        requests: dict[tuple[int, ...], list[int]] = {}
        for index in part:
            row = tuple(net.lengthened([[*prompts[index], *continuations[index][:-1]]])[0])
            requests.setdefault(row, []).append(index)
        distinct = list(requests)

        def wanted_in(sequences: Sequence[int], start: int, paths: Sequence[Sequence[int]]) -> _Wanted:
            """The words that are scored at the tokens of some sequences from `start` on, whose places in the pass `paths` names."""
            found = _Wanted()
            for sequence, path in zip(sequences, paths, strict=True):
                for request in requests[distinct[sequence]]:
                    first = len(distinct[sequence]) - len(continuations[request])
                    for offset, word in enumerate(continuations[request]):
                        if start <= first + offset < start + len(path):
                            found.add(path[first + offset - start], word, request)
            return found

        for step in shared_reading(distinct, budget=_PASS):
            if isinstance(step, Crop):
                memory.crop(step.length)
            elif isinstance(step, Push):
                ids = distinct[step.sequences[0]]
                for places, inputs in net.prefix_passes(ids, step.start, step.end, memory, size=_PACKED):
                    wanted = wanted_in(step.sequences, places.start, [range(len(places))] * len(step.sequences))
                    self._collect(net.words_at(inputs, wanted.distinct), wanted)
            else:
                self._read(net, memory, step, wanted_in(step.sequences, step.start, step.paths))
                if bar:
                    bar.advance(sum(len(requests[distinct[sequence]]) for sequence in step.sequences))

    def _read(self, net: LanguageModel, memory: Memory, step: Read, wanted: _Wanted) -> None:
        if step.shares or memory.shared:
            memory.read_tree(step.tree)
            layout = Layout((len(step.ids),))
        else:
            lengths = tuple(len(path) for path in step.paths)
            memory.read_packed(lengths)
            layout = Layout(lengths)
        inputs = net.remembered(step.ids, step.tree.depths, layout, memory)
        self._collect(net.words_at(inputs, wanted.distinct), wanted)

    def _score_targets(
        self, net: Seq2SeqModel, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], bar: Bar | None
    ) -> None:
        """Sources once each, with all targets that are scored for them."""
        owners: dict[tuple[int, ...], list[int]] = {}
        for index, prompt in enumerate(prompts):
            owners.setdefault(tuple(prompt), []).append(index)
        sources = list(owners)
        lengths = [len(source) + sum(len(continuations[index]) for index in owners[source]) for source in sources]
        for part in token_batches(lengths, max_tokens=_PACKED, is_packed=net.packs):
            wanted, at, targets = _Wanted(), 0, []
            for source in (sources[index] for index in part):
                for index in owners[source]:
                    for offset, word in enumerate(continuations[index]):
                        wanted.add(at + offset, word, index)
                    at += len(continuations[index])
                targets.append([continuations[index] for index in owners[source]])
            self._collect(net.words([sources[index] for index in part], targets), wanted)
            if bar:
                bar.advance(sum(len(each) for each in targets))

    def _collect(self, answers: Iterator[tuple[torch.Tensor, torch.Tensor]], wanted: _Wanted) -> None:
        """Add the words' log-likelihoods to those of their requests. `answers`: logits [n, V] in fp32 of some distinct places after another."""
        index_of = {place: index for index, place in enumerate(wanted.distinct)}
        places, words = torch.tensor([index_of[place] for place in wanted.places]), torch.tensor(wanted.words)
        for at, logits in answers:
            mine = ((places >= at[0]) & (places <= at[-1])).nonzero().flatten()
            chosen, word = (places[mine] - at[0]).to(logits.device), words[mine].to(logits.device)
            found = (logits[chosen, word] - logits.logsumexp(dim=1)[chosen]).tolist()
            best = (logits.argmax(dim=1)[chosen] == word).tolist()
            for index, likelihood, is_best in zip(mine.tolist(), found, best, strict=True):
                request = wanted.requests[index]
                self._totals[request] += likelihood
                self._greedy[request] = self._greedy[request] and is_best
