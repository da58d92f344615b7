"""What a model writes for rows, before training and after, held against the right answers and against the plainest baseline."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from hone.core.console import progress
from hone.core.seeds import derive_seed
from hone.core.store import write_lines
from hone.measure import TEXT_METRICS, count_words, first_sentences, paired_score_interval, score_interval, score_texts
from hone.model import (
    Generator,
    LanguageModel,
    Network,
    Renderer,
    Sampling,
    Seq2SeqModel,
    TextReader,
    without_thoughts,
)
from hone.tune.records import AnswerScore

__all__ = ["Asked", "Exam", "answer_length", "asked_rows", "score_answers", "write_answers"]

_LONGEST = 256  # tokens of an answer
_SHORT = 3  # words up to which answers are right or wrong rather than like or unlike
_SUMMARY = ("rougeL", "rouge1", "rouge2", "bleu", "chrf")
_EXACT = ("exact_match", "token_f1")


class Asked(NamedTuple):
    """A row as the model reads it, and what it should write."""

    ids: list[int]
    text: str
    """What it reads, as text, to the last space."""
    right: str


def asked_rows(items: Sequence[Any], reader: TextReader, *, most: int) -> list[Asked]:
    """The first rows, from what the objective made of them: so prompts are rendered as in training. Of a dialogue the last answer is asked."""
    asked = []
    for item in items[:most]:
        if hasattr(item, "source"):
            ids, right = item.source, item.target
        else:
            begins, ends = item.answer
            begins = max(begins, 1)  # a model cannot be asked with nothing
            ids, right = item.ids[:begins], item.ids[begins:ends]
        asked.append(Asked(list(ids), _text(reader, ids), without_thoughts(_text(reader, right).strip())))
    return asked


def answer_length(item: Any) -> int:
    """Tokens of the answer that a completion's item asks for."""
    if hasattr(item, "source"):
        return len(item.target)
    begins, ends = item.answer or (0, 0)
    return int(ends - begins)


def write_answers(
    net: Network, asked: Sequence[Asked], reader: TextReader, *, title: str, longest: int | None = None
) -> list[str]:
    """Greedy answers, somewhat longer than the right ones at most; the network stays as it is.

    A decoder reads prompt and answer in one context: a prompt too long loses its oldest part, and keeps at least half of it.

    Args:
        longest: tokens of the longest answer that was learnt, where the right ones are not known.
    """
    assert isinstance(net, LanguageModel | Seq2SeqModel)
    if longest is None:
        longest = min(_LONGEST, max(len(ids) for ids in reader.tokenizer([row.right for row in asked])["input_ids"]))
    most, prompts = min(8 + longest * 3 // 2, reader.context_length), [row.ids for row in asked]
    if isinstance(net, LanguageModel):
        free = reader.context_length - max(map(len, prompts))
        most = min(most, max(free, reader.context_length // 2))
        cutter = Renderer(reader.tokenizer, length=reader.context_length, chat=False)
        prompts = [cutter.fitting(ids, leaving=most) for ids in prompts]
    was_training = net.training
    generator = Generator(net, reader.tokenizer, precision=reader.precision, takes_over=False, follows="words")
    with progress(title, len(asked)) as bar:
        found = generator.generate(prompts, Sampling(max_new_tokens=most), bar=bar)
    net.train(was_training)
    return [answers[0].text.strip() for answers in found]


def score_answers(
    asked: Sequence[Asked], before: Sequence[str], after: Sequence[str], *, metric: str, seed: int
) -> tuple[AnswerScore, ...]:
    """ROUGE, BLEU and chrF for answers of some length, exact match and token F1 for short ones; and the metric that chose the checkpoint."""
    right = [[row.right] for row in asked]
    shown = _EXACT if statistics.median(count_words(row.right) for row in asked) <= _SHORT else _SUMMARY
    names = (*shown, *([metric] if metric in TEXT_METRICS and metric not in shown else []))
    old, new, plain = (
        score_texts(texts, right, names) for texts in (before, after, [first_sentences(row.text) for row in asked])
    )
    draw = derive_seed(seed, "answers")
    made = []
    for name in names:
        interval = score_interval(new[name], seed=draw) if np.ptp(new[name].per_row) > 0 else None
        gain = (
            paired_score_interval(new[name], old[name], seed=draw) if np.ptp(new[name].per_row - old[name].per_row) > 0 else None
        )
        made.append(
            AnswerScore(
                metric=name,
                signature=new[name].signature,
                n=len(asked),
                base=old[name].value,
                first_sentences=plain[name].value,
                value=new[name].value,
                low=None if interval is None else interval.low,
                high=None if interval is None else interval.high,
                gain_low=None if gain is None else gain.low,
                gain_high=None if gain is None else gain.high,
            )
        )
    return tuple(made)


def _text(reader: TextReader, ids: Sequence[int]) -> str:
    return str(reader.tokenizer.decode(ids, skip_special_tokens=True))


@dataclass(frozen=True)
class Exam:
    """Rows that a model which writes is asked, and what the base wrote for them."""

    asked: Sequence[Asked]
    before: Sequence[str]
    metric: str
    """That chooses the checkpoint."""

    @classmethod
    def begin(cls, net: Network, items: Sequence[Any], reader: TextReader, *, most: int, title: str, metric: str) -> Self | None:
        """Ask the base; None where no row is to be asked."""
        asked = asked_rows(items, reader, most=most)
        return cls(asked, write_answers(net, asked, reader, title=title), metric) if asked else None

    def end(self, net: Network, reader: TextReader, *, title: str, seed: int, file: Path) -> tuple[AnswerScore, ...]:
        """Ask again; every answer goes to the file, a line each."""
        after = write_answers(net, self.asked, reader, title=title)
        told = zip(self.asked, self.before, after, strict=True)
        write_lines(file, ({"read": row.text, "right": row.right, "base": old, "tuned": new} for row, old, new in told))
        return score_answers(self.asked, self.before, after, metric=self.metric, seed=seed)
