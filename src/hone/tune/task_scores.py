"""How well each task of a mixture is answered before training and after: by the words that trained, by words that never did, and where the
task itself never trained.

Classes and choices are answered by the likeliest option, whose tokens' log-likelihoods are summed; other answers are written, greedily.
The one surprise: the end of an answer counts in its likelihood after training alone, for the base has not learnt where answers end.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hone.core.console import Bar, progress, render_table
from hone.core.seeds import derive_seed
from hone.measure import (
    Interval,
    LabelKey,
    LabelMarks,
    Marks,
    ScoreMarks,
    TextKey,
    first_sentences,
    score_interval,
    wilson_interval,
)
from hone.model import LanguageModel, LocalBackend, Network, Sampling, Seq2SeqModel, TextReader
from hone.strategy.text.answering import probabilities
from hone.tune.task_prompts import Put, Putter
from hone.tune.task_records import AskedWith, TaskScore
from hone.tune.task_rows import TaskRows

__all__ = ["Sheet", "answer_sheets", "answers_told", "make_sheets", "score_sheets", "score_table"]

_SAID: dict[AskedWith, str] = {"trained": "trained", "unseen": "new words", "held_out": "new task"}
_SHORT = {"exact_match": "exact", "token_f1": "f1"}


@dataclass(frozen=True)
class Sheet:
    """Rows of one task with one group of templates."""

    task: TaskRows
    asked: AskedWith
    puts: list[Put]

    @property
    def right(self) -> list[int]:
        """Place of the right option, [n]."""
        return [put.row.options.index(put.row.answer) for put in self.puts]


def make_sheets(tasks: Sequence[TaskRows], putter: Putter) -> list[Sheet]:
    """What is evaluated: trained tasks by trained and by unseen templates, held-out tasks by all of theirs."""
    made = []
    for task in tasks:
        groups: list[tuple[AskedWith, bool]] = (
            [("held_out", False)] if task.is_held_out else [("trained", True), ("unseen", False)]
        )
        for asked, has_trained in groups:
            templates = task.trained if has_trained else task.unseen
            if templates:
                made.append(Sheet(task, asked, putter.ask(task, templates, rows=task.evaluated)))
    return made


def answer_sheets(
    net: Network, reader: TextReader, putter: Putter, sheets: Sequence[Sheet], *, is_tuned: bool, title: str
) -> list[Marks]:
    """The answers to every sheet, marked; the network stays as it is, to be trained."""
    assert isinstance(net, LanguageModel | Seq2SeqModel)
    was_training = net.training
    backend = LocalBackend(net, reader, template="{prompt}", chat=putter.chat, scores_end=is_tuned, takes_over=False)
    found: list[Marks] = []
    with progress(title, sum(_requests(sheet) for sheet in sheets)) as bar:
        for sheet in sheets:
            found.append(_choose(backend, putter, sheet, bar) if sheet.task.is_chosen else _write(backend, putter, sheet, bar))
    net.train(was_training)
    return found


def _requests(sheet: Sheet) -> int:
    return sum(len(put.row.options) if sheet.task.is_chosen else 1 for put in sheet.puts)


def _choose(backend: LocalBackend, putter: Putter, sheet: Sheet, bar: Bar) -> LabelMarks:
    prompts = [put.prompt for put in sheet.puts for _ in put.row.options]
    options = [putter.written(put, option) for put in sheet.puts for option in put.row.options]
    width = max(len(put.row.options) for put in sheet.puts)
    scores = np.full((len(sheet.puts), width), -1e9)
    told = iter(backend.score(prompts, options, bar=bar))
    for row, put in enumerate(sheet.puts):
        for column in range(len(put.row.options)):
            scores[row, column] = next(told).log_likelihood
    return LabelKey(np.array(sheet.right), "accuracy").mark(probabilities(scores, 1.0))


def _write(backend: LocalBackend, putter: Putter, sheet: Sheet, bar: Bar) -> ScoreMarks:
    answers = [put.row.answer for put in sheet.puts]
    stop = ("\n\n" if any("\n" in answer for answer in answers) else "\n",) if putter.joins else ()
    sampling = Sampling(max_new_tokens=putter.longest_answer(sheet.task), stop=stop)
    found = backend.generate([put.prompt for put in sheet.puts], sampling, bar=bar)
    return _key(sheet).mark(tuple(each[0].text.strip() for each in found))


def _key(sheet: Sheet) -> TextKey:
    return TextKey(tuple((put.row.answer, *put.row.more) for put in sheet.puts), sheet.task.metric)


def score_sheets(sheets: Sequence[Sheet], before: Sequence[Marks], after: Sequence[Marks], *, seed: int) -> tuple[TaskScore, ...]:
    """Metric, baselines and intervals of every sheet."""
    draw = derive_seed(seed, "tasks")
    made = []
    for sheet, old, new in zip(sheets, before, after, strict=True):
        low, high = _interval(old, draw), _interval(new, draw)
        gain = new.minus(old, seed=draw)
        options = [len(put.row.options) for put in sheet.puts]
        made.append(
            TaskScore(
                task=sheet.task.name,
                asked=sheet.asked,
                templates=tuple(sorted({put.template.id for put in sheet.puts})),
                n=len(sheet.puts),
                metric=sheet.task.metric,
                signature=new.score.signature if isinstance(new, ScoreMarks) else "likeliest option by summed log-likelihood",
                chance=float(np.mean([1 / count for count in options])) if sheet.task.is_chosen else None,
                plain=_plain(sheet),
                before=old.value,
                low_before=low.low,
                high_before=low.high,
                after=new.value,
                low=high.low,
                high=high.high,
                gain_low=gain.low,
                gain_high=gain.high,
            )
        )
    return tuple(made)


def _interval(marks: Marks, seed: int) -> Interval:
    if isinstance(marks, ScoreMarks):
        score = marks.score
        return score_interval(score, seed=seed)
    return wilson_interval(int(marks.per_row.sum()), len(marks.per_row))


def _plain(sheet: Sheet) -> float:
    """What the plainest answer would score."""
    if sheet.task.is_chosen:
        return Counter(sheet.right).most_common(1)[0][1] / len(sheet.puts)
    return _key(sheet).mark(tuple(first_sentences(put.row.text) for put in sheet.puts)).value


def answers_told(sheets: Sequence[Sheet], before: Sequence[Marks], after: Sequence[Marks]) -> list[dict[str, object]]:
    """A line for each question: what was read, what is right, what was answered before and after."""
    return [
        {
            "task": sheet.task.name,
            "asked": sheet.asked,
            "template": put.template.id,
            "read": put.prompt,
            "right": put.row.answer,
            "base": _answer(old, row, put),
            "tuned": _answer(new, row, put),
        }
        for sheet, old, new in zip(sheets, before, after, strict=True)
        for row, put in enumerate(sheet.puts)
    ]


def _answer(marks: Marks, row: int, put: Put) -> str:
    if isinstance(marks, ScoreMarks):
        return marks.words[row]
    assert isinstance(marks, LabelMarks)
    return put.row.options[int(marks.predicted[row])]


def score_table(scores: Sequence[TaskScore]) -> str:
    """Every score in per cent, and what the held-out tasks say."""
    rows = [
        (
            one.task,
            _SAID[one.asked],
            f"{one.n}",
            _SHORT.get(one.metric, one.metric),
            "" if one.chance is None else f"{100 * one.chance:.1f}",
            f"{100 * one.plain:.1f}",
            f"{100 * one.before:.1f}",
            f"{100 * one.after:.1f}",
            f"{100 * one.low:.0f} to {100 * one.high:.0f}",
            f"{100 * one.gain_low:+.0f} to {100 * one.gain_high:+.0f}",
        )
        for one in scores
    ]
    table = render_table(
        ("task", "asked by", "n", "metric", "chance", "plain", "before", "after", "95%", "gain"),
        rows,
        align=("left", "left", "right", "left", *(["right"] * 6)),  # type: ignore[arg-type]
    )
    return "\n".join([table, *_verdict(scores)])


def _verdict(scores: Sequence[TaskScore]) -> list[str]:
    new = [one for one in scores if one.asked == "held_out"]
    chosen = [one for one in new if one.chance is not None]
    lines = [
        "plain: always the commonest answer, or the first three sentences copied.",
        "gain: 95% interval of after - before on the same rows.",
    ]
    if new:
        above = f"{sum(bool(one.is_above_chance) for one in chosen)} of {len(chosen)} above chance, " if chosen else ""
        lines.append(
            f"Tasks that never trained: {above}{sum(one.is_better for one in new)} of {len(new)} better than before training, "
            f"{sum(one.gain_high < 0 for one in new)} worse (whole 95% interval)."
        )
    return lines
