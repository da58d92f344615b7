"""Texts from a model: greedy, sampled, or by beams; in batches whose finished rows leave, the same whatever the batch.

A sampled row draws from a generator of its own, seeded by its prompt: neither its neighbours nor its place change it.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from hone.core.console import Bar, note
from hone.core.errors import Usage
from hone.model.arithmetic import Arithmetic, autocast
from hone.model.configured import Configured, Follows, Rule
from hone.model.generated import Finish, Generated
from hone.model.language import Seq2SeqModel, TextModel
from hone.model.sampling import Sampling
from hone.model.sharing import may_share
from hone.model.thoughts import answer_in, decoded, kept_marks, may_open, opens_at_end, stopped
from hone.model.write import Writing, begin_writing

__all__ = ["Generator"]

_ROWS = 64  # written at a time
_TOKENS = 16_384  # of prompts and answers, remembered at a time


@dataclass
class _Row:
    request: int
    sample: int
    rng: random.Random
    seen: set[int]
    is_open: bool
    """Whether the prompt has begun a thought."""
    rule: Rule | None = None
    ids: list[int] = field(default_factory=list)
    likelihood: float = 0.0
    finish: Finish | None = None
    text: str | None = None


class Generator:
    """Writes with one network."""

    def __init__(
        self,
        net: TextModel,
        tokenizer: Any,
        *,
        precision: Arithmetic,
        shares: bool | None = None,
        takes_over: bool = True,
        follows: Follows = "ends",
    ) -> None:
        """
        Args:
            follows: how much holds of what the model's generation_config.json says where a request leaves it open; what does not is
                told, except by `ends`.
            shares: whether keys are remembered; None: wherever the architecture, tried with real numbers, allows it.
            takes_over: the network no longer trains, and lies in bf16 where it computes so; else its parameters stay as they are.
        """
        self.net, self.tokenizer, self.precision = net, tokenizer, precision
        net.eval()
        self.shares = shares is not False and may_share(net, precision)
        if takes_over:
            net.stop_training(precision)
        self.configured = None if follows == "ends" else Configured(net, follows)
        configured = getattr(net.base.generation_config, "eos_token_id", None)
        ends = configured if isinstance(configured, list) else [configured]
        self._forced = len(net.opening) - 1 if isinstance(net, Seq2SeqModel) else 0
        """Tokens that every answer is made to begin with; they count in the length of a beam, as in transformers."""
        self._ends = {end for end in (*ends, tokenizer.eos_token_id) if end is not None}
        self._told_ends = self._ends - set(tokenizer.all_special_ids) if follows == "all" else set()
        """Ends that transformers leaves in the text: words that are no special tokens."""
        self._marks = kept_marks(tokenizer)

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, *, bar: Bar | None = None) -> list[list[Generated]]:
        """`sampling.samples` answers per prompt, best first where beams are kept; prompts are token ids.

        Raises:
            Usage: more answers than beams, or beams together with a temperature.
        """
        if self.configured is not None:
            self._tell_unfollowed(self.configured.unfollowed(sampling))
            sampling = self.configured.filled(sampling)
        if sampling.beams > 1 and sampling.samples > sampling.beams:
            raise Usage(f"{sampling.samples} answers per prompt are more than {sampling.beams} beams find. Name as many beams.")
        if sampling.beams > 1 and sampling.temperature > 0:
            raise Usage(
                f"Beams take the likeliest text, and a temperature of {sampling.temperature:g} draws. Name the one or the other."
            )
        answers: list[list[Generated]] = [[] for _ in prompts]
        if not prompts:
            return answers
        with torch.no_grad(), autocast(self.precision, self.net.device):
            for writing, together in self._writings(prompts, sampling):
                for part in self._batches(prompts, together, sampling):
                    if sampling.beams > 1:
                        found = self._beams(writing, [prompts[index] for index in part], sampling)
                        for request, texts in zip(part, found, strict=True):
                            answers[request] = texts
                    else:
                        for _ in self._rows(writing, prompts, part, sampling, answers):
                            pass
                    if bar:
                        bar.advance(len(part))
        return answers

    def _tell_unfollowed(self, said: str) -> None:
        if said:
            name = getattr(self.net.base.config, "_name_or_path", "") or "The model"
            note(f"{name}: its generation_config.json says {said}; answers are written without that.", once=f"{name} {said}")

    def stream(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[str]:
        """One answer, piece by piece as it is written; pieces joined are the text that `generate` gives."""
        assert sampling.beams == 1 and sampling.samples == 1, "beams and several answers are known only at their end"
        answers: list[list[Generated]] = [[]]
        shown = ""
        with torch.no_grad(), autocast(self.precision, self.net.device):
            ((writing, together),) = self._writings([prompt], sampling)
            for rows in self._rows(writing, [prompt], together, sampling, answers):
                text = answer_in(self._text(rows[0].ids), is_open=rows[0].is_open)
                if text is None or may_open(text):
                    continue
                held = max((n for stop in sampling.stop for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
                ready = text[: len(text) - held]
                if (
                    not ready.endswith("\ufffd")
                    and ready.startswith(shown)
                    and len(ready) > len(shown)
                    and rows[0].finish is None
                ):
                    yield ready[len(shown) :]
                    shown = ready
        rest = answers[0][0].text[len(shown) :]
        if rest:
            yield rest

    def _begun(self, prompt: Sequence[int]) -> set[int]:
        """Words that have occurred before the first is written: an encoder-decoder's sources do not count, as in transformers."""
        return set(self.net.opening) if isinstance(self.net, Seq2SeqModel) else set(prompt)

    def _is_open(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt begins a thought, that the answer goes on with."""
        return not isinstance(self.net, Seq2SeqModel) and opens_at_end(self.tokenizer, prompt)

    def _rules(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Rule | None]:
        own = self.configured
        return [None if own is None else own.rule(prompt, sampling) for prompt in prompts]

    def _writings(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> Iterator[tuple[Writing, list[int]]]:
        """Prompts whose rows may be read together, by their places; one whose answer may make it long is read anew for each token."""
        shortest, longest = ([len(prompt) + more for prompt in prompts] for more in (0, sampling.max_new_tokens - 1))
        ends_long = {at for is_long, part in self.net.sides(longest) for at in part if is_long}
        for is_long, part in self.net.sides(shortest):
            crossing = [] if is_long else [at for at in part if at in ends_long]
            if together := [at for at in part if at not in crossing]:
                mine = [prompts[at] for at in together]
                yield begin_writing(self.net, mine, shares=self.shares, reads_long=is_long), together
            for at in crossing:
                yield begin_writing(self.net, [prompts[at]], shares=False), [at]

    def _batches(self, prompts: Sequence[Sequence[int]], together: Sequence[int], sampling: Sampling) -> Iterator[list[int]]:
        """Prompts of like length together."""
        width = max(sampling.samples, sampling.beams)
        part: list[int] = []
        filled = 0
        for index in sorted(together, key=lambda index: -len(prompts[index])):
            cost = width * (len(prompts[index]) + sampling.max_new_tokens)
            if part and (filled + cost > _TOKENS or (len(part) + 1) * width > _ROWS):
                yield part
                part, filled = [], 0
            part.append(index)
            filled += cost
        yield part

    def _rows(
        self,
        writing: Writing,
        prompts: Sequence[Sequence[int]],
        part: Sequence[int],
        sampling: Sampling,
        answers: list[list[Generated]],
    ) -> Iterator[list[_Row]]:
        """Write the rows of some prompts; yields them after every token and puts finished ones among the answers."""
        rules = self._rules([prompts[index] for index in part], sampling)
        rows = [
            _Row(
                index,
                sample,
                random.Random(_seed(prompts[index], sample, sampling.seed)),
                self._begun(prompts[index]),
                self._is_open(prompts[index]),
                rules[at],
            )
            for at, index in enumerate(part)
            for sample in range(sampling.samples)
        ]
        everything = list(rows)
        logits = writing.start(
            [prompts[index] for index in part], [at for at in range(len(part)) for _ in range(sampling.samples)]
        )
        while rows:
            tokens = self._next(logits, rows, sampling)
            for row, token in zip(rows, tokens, strict=True):
                self._append(row, token, sampling)
            yield rows
            going = [at for at, row in enumerate(rows) if row.finish is None]
            if len(going) < len(rows):
                rows = [rows[at] for at in going]
                tokens = [tokens[at] for at in going]
                if rows:
                    writing.choose(going)
            if rows:
                logits = writing.step(tokens)
        for row in everything:
            assert row.finish is not None
            text = self._text(row.ids) if row.text is None else row.text
            answers[row.request].append(_generated(text, row.ids, row.likelihood, row.finish, row.is_open))

    def _append(self, row: _Row, token: int, sampling: Sampling) -> None:
        if token in self._ends:
            row.finish = "end"
            if token in self._told_ends:
                text = self._text([*row.ids, token])
                before = stopped(text, sampling.stop, is_open=row.is_open)
                row.text = text if before is None else before
            return
        row.ids.append(token)
        row.seen.add(token)
        if sampling.stop:
            row.text = stopped(self._text(row.ids), sampling.stop, is_open=row.is_open)
            if row.text is not None:
                row.finish = "stop"
                return
        if len(row.ids) >= sampling.max_new_tokens:
            row.finish = "length"

    def _next(self, logits: torch.Tensor, rows: Sequence[_Row], sampling: Sampling) -> list[int]:
        shares = logits.log_softmax(dim=1)
        changed = _changed(logits, rows, sampling.repetition_penalty)
        if sampling.temperature == 0:
            chosen = changed.argmax(dim=1)
        else:
            draws = torch.tensor([row.rng.random() for row in rows], dtype=torch.float64, device=logits.device)
            chosen = _drawn(changed / sampling.temperature, draws, sampling)
        for row, likelihood in zip(rows, shares.gather(1, chosen[:, None])[:, 0].tolist(), strict=True):
            row.likelihood += likelihood
        tokens: list[int] = chosen.tolist()
        return tokens

    def _beams(self, writing: Writing, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Generated]]:
        """The likeliest texts found by beams, as transformers searches them: until no open beam can overtake the kept ones."""
        width = sampling.beams
        rules = self._rules(prompts, sampling)
        searches = [_Search(self._begun(prompt), width, rule) for prompt, rule in zip(prompts, rules, strict=True)]
        logits = writing.start(prompts, list(range(len(prompts))))
        live = list(range(len(prompts)))  # searches still going on; each has its open beams' rows in order
        while live:
            opened = [(search, beam) for search in live for beam in searches[search].open]
            changed = _changed(logits.log_softmax(dim=1), [beam for _, beam in opened], sampling.repetition_penalty)
            totals = changed + torch.tensor([[beam.score] for _, beam in opened], device=changed.device)
            chosen_rows: list[int] = []
            tokens: list[int] = []
            going = []
            at = 0
            for search in live:
                state = searches[search]
                count = len(state.open)
                picked = self._advance(state, totals[at : at + count], sampling)
                if picked is not None:
                    chosen_rows += [at + row for row, _ in picked]
                    tokens += [token for _, token in picked]
                    going.append(search)
                at += count
            live = going
            if live:
                writing.choose(chosen_rows)
                logits = writing.step(tokens)
        begun = map(self._is_open, prompts)
        return [self._finished(search, sampling, is_open=is_open) for search, is_open in zip(searches, begun, strict=True)]

    def _advance(self, state: "_Search", totals: torch.Tensor, sampling: Sampling) -> list[tuple[int, int]] | None:
        """Extend the open beams of one search [n, V]; row and token of each that stays open, None once the search has ended."""
        width, words = sampling.beams, totals.shape[1]
        scores, flat = totals.flatten().topk(min(width * (1 + len(self._ends)), totals.numel()))
        length = len(state.open[0].ids) + 1
        norm = (length + self._forced) ** sampling.length_penalty
        opened: list[_Beam] = []
        picked: list[tuple[int, int]] = []
        for rank, (score, place) in enumerate(zip(scores.tolist(), flat.tolist(), strict=True)):
            row, token = divmod(place, words)
            before = state.open[row]
            if token in self._ends or length == sampling.max_new_tokens:
                if rank < width:
                    ids = before.ids if token in self._ends else [*before.ids, token]
                    finish: Finish = "end" if token in self._ends else "length"
                    told = token if token in self._told_ends else None
                    state.keep(_Beam(ids, score, before.seen, before.rule, finish, told), score / norm)
            elif len(opened) < width:
                opened.append(_Beam([*before.ids, token], score, before.seen | {token}, before.rule))
                picked.append((row, token))
        state.open = opened
        if not opened or length == sampling.max_new_tokens:
            return None
        if len(state.kept) < width:
            return picked
        ends = False if self.configured is None else self.configured.early_stopping
        if ends == "never" and sampling.length_penalty > 0:
            norm = (sampling.max_new_tokens + self._forced) ** sampling.length_penalty
        return None if ends is True or state.kept[-1][0] >= opened[0].score / norm else picked

    def _finished(self, state: "_Search", sampling: Sampling, *, is_open: bool) -> list[Generated]:
        found = []
        for _, beam in state.kept[: sampling.samples]:
            text = self._text(beam.ids if beam.told is None else [*beam.ids, beam.told])
            before = stopped(text, sampling.stop, is_open=is_open)
            finish: Finish = beam.finish if before is None else "stop"
            found.append(_generated(text if before is None else before, beam.ids, beam.score, finish, is_open))
        return found

    def _text(self, ids: Sequence[int]) -> str:
        return decoded(ids, self.tokenizer, self._marks)


@dataclass
class _Beam:
    ids: list[int]
    score: float
    """Log-likelihood, after penalties."""
    seen: set[int]
    rule: Rule | None
    finish: Finish = "length"
    told: int | None = None
    """The token that ended it, where that stands in the text."""


class _Search:
    """Open beams and kept texts of one prompt."""

    def __init__(self, seen: set[int], width: int, rule: Rule | None) -> None:
        self.open = [_Beam([], 0.0, seen, rule)]
        self.kept: list[tuple[float, _Beam]] = []
        self._width = width

    def keep(self, beam: _Beam, value: float) -> None:
        self.kept = sorted([*self.kept, (value, beam)], key=lambda pair: -pair[0])[: self._width]


def _seed(prompt: Sequence[int], sample: int, seed: int) -> int:
    text = f"{seed} {sample} {' '.join(map(str, prompt))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _generated(text: str, ids: Sequence[int], likelihood: float, finish: Finish, is_open: bool) -> Generated:
    answer = answer_in(text, is_open=is_open)
    return Generated(answer or "", tuple(ids), likelihood, finish, is_thought=answer is None)


def _changed(scores: torch.Tensor, rows: "Sequence[_Row | _Beam]", penalty: float) -> torch.Tensor:
    """Scores [B, V] as the rows are to choose from them: by the model's own rules, which count the penalty in, or by that alone."""
    if any(row.rule is None for row in rows):
        return _penalised(scores, [row.seen for row in rows], penalty)
    return torch.stack([row.rule(row.ids, score) for row, score in zip(rows, scores, strict=True) if row.rule is not None])


def _penalised(logits: torch.Tensor, seen: Sequence[set[int]], penalty: float) -> torch.Tensor:
    if penalty == 1.0:
        return logits
    changed = logits.clone()
    for row, words in zip(changed, seen, strict=True):
        at = torch.tensor([word for word in words if word >= 0], device=row.device)
        row[at] = torch.where(row[at] > 0, row[at] / penalty, row[at] * penalty)
    return changed


def _drawn(logits: torch.Tensor, draws: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """One word per row [B] from logits [B, V]: where the cumulated shares of the allowed words, likeliest first, pass the draw."""
    count = sampling.top_k if 0 < sampling.top_k < logits.shape[1] else logits.shape[1]
    values, words = logits.topk(count, dim=1)
    shares = values.double().softmax(dim=1)
    allowed = shares.cumsum(dim=1) - shares < sampling.top_p  # the word that passes the mark is still in
    allowed &= shares >= sampling.min_p * shares[:, :1]
    shares = shares.masked_fill(~allowed, 0)
    marks = shares.cumsum(dim=1)
    chosen = (marks <= draws[:, None] * marks[:, -1:]).sum(dim=1)
    return words.gather(1, torch.minimum(chosen, allowed.sum(dim=1) - 1)[:, None])[:, 0]
