"""The model card of a training run, in the Hub's layout."""

import json
from collections.abc import Sequence

from hone.catalogue import ModelFolder
from hone.evaluate import tell_forgetting, tell_vector_forgetting
from hone.measure import human_bytes, human_count, human_seconds
from hone.model import CardFacts, CardScore, card_metadata, energy_line
from hone.tune.records import AnswerScore, HeadScore, TestScores, TuneRecord
from hone.tune.task_records import MixtureRecord
from hone.tune.told import told_commonest

__all__ = ["write_card"]

_PIPELINES = {
    "completion": "text-generation",
    "causal": "text-generation",
    "masked": "fill-mask",
    "span": "text2text-generation",
    "classify": "text-classification",
    "multi_label": "text-classification",
    "regression": "text-classification",
    "tag": "token-classification",
    "answers": "question-answering",
}


_WRITING = ("completion", "causal", "masked", "span")  # their accuracy is one of tokens
_USES = {
    "text-generation": "To answer or continue texts like those it was trained on.",
    "fill-mask": "To be tuned further: it fills gaps in texts like those it was trained on.",
    "text2text-generation": "To be tuned further: it fills gaps in texts like those it was trained on.",
    "text-classification": "To sort or score texts like those it was trained on.",
    "token-classification": "To tag words of texts like those it was trained on.",
    "question-answering": "To mark answers in passages like those it was trained on.",
}


def write_card(done: TuneRecord, base: ModelFolder, *, licence: str | None = None) -> str:
    """`README.md` with its metadata block. `licence`: instead of the base's."""
    name = base.published_name or base.name
    library = "peft" if done.settings.method in ("lora", "ia3") else "transformers" if done.settings.method == "full" else "hone"
    head = card_metadata(
        CardFacts(
            name=f"{name}, tuned with {done.settings.method}",
            library=library,
            pipeline=_PIPELINES[done.objective],
            base_model=name,
            licence=licence or base.licence,
            dataset=done.settings.data,
            scores=_scores(done) if done.dial in (None, 1) else (),
        )
    )
    return f"""{head}
# {name}, tuned with {done.settings.method}

## What it is for

{_USES[_PIPELINES[done.objective]]} Other uses were not tried.

## How good it is

{_turned(done)}{_quality(done)}
{_template(done)}
## How it was made

- Base: {name}, weights sha256 {done.base_sha256}.
- Objective {done.objective}, method {done.settings.method}; {human_count(done.training.trainable_parameters)} parameters moved.
- Rows: {done.rows.train:,} for training, {done.rows.validation:,} to choose the checkpoint; digest {done.data_sha256[:12]}.
- {done.training.steps:,} steps, best at {done.training.best_step:,}; {done.training.tokens_seen:,} tokens seen.
- {human_seconds(done.seconds)}, peak memory {human_bytes(done.peak_bytes or 0)}.
- {energy_line(done.seconds)}
- hone {done.versions["hone-lm"]}, seed {done.settings.seed}; `config.yaml` repeats the run, `hone.json` holds every number.

## What it forgot

{_forgotten(done)}

## Limits

Rows unlike those it was trained on were not measured.
"""


def _turned(done: TuneRecord) -> str:
    """That nothing below is of what stands here."""
    if done.dial in (None, 1):
        return ""
    return (
        f"Here the dial stands at {done.dial:g}, which was not measured. Every number below is of the run as it was trained.\n\n"
    )


def _quality(done: TuneRecord) -> str:
    """Before and after, on the validation rows."""
    found = "Not measured: no validation score was asked for."
    if done.loss is not None and done.base_loss is not None:
        right = "" if done.accuracy is None else f" {done.accuracy:.1%} of the terms are answered rightly{told_commonest(done)}."
        found = (
            f"On {done.rows.validation:,} rows that took no part in training, but on which the best checkpoint was chosen: loss {done.base_loss:.4f} "
            f"before training and {done.loss:.4f} after, mean over trained terms.{right}"
        )
    if done.answers:
        found += f"\n\n{_written_table(done.answers, 'answers to validation rows')}"
    if done.scores:
        found += f"\n\n{_head_table(done.scores, 'answers to validation rows')}"
    if done.test:
        found += f"\n\n{_test(done.test)}"
    if done.mixture:
        found += f"\n\n{_tasks(done.mixture)}"
    return found


def _signatures(scores: Sequence[AnswerScore | HeadScore]) -> str:
    return "; ".join(dict.fromkeys(score.signature for score in scores))


def _written_table(scores: Sequence[AnswerScore], said: str) -> str:
    """Metrics of written answers, before and after."""
    lines = [f"| {said} | before | after | 95% interval | first three sentences |", "|---|--:|--:|---|--:|"]
    lines += [
        f"| {score.metric} | {score.base:.3f} | {score.value:.3f} | {_range(score)} | {score.first_sentences:.3f} |"
        for score in scores
    ]
    return "\n".join([*lines, "", f"{scores[0].n} rows, greedy; {_signatures(scores)}."])


def _head_table(scores: Sequence[HeadScore], said: str) -> str:
    """Metrics of a head's answers, and of always the commonest answer or the mean."""
    lines = [f"| {said} | value | 95% interval | always the same |", "|---|--:|---|--:|"]
    for score in scores:
        plain = "" if score.plain is None else f"{score.plain:.4g}"
        lines.append(f"| {score.metric} | {score.value:.4g} | {_range(score, '.4g')} | {plain} |")
    return "\n".join([*lines, "", f"{scores[0].n} rows; {_signatures(scores)}."])


def _test(test: TestScores) -> str:
    """What the test rows say."""
    right = "" if test.accuracy is None else f", {test.accuracy:.1%} of the terms answered rightly"
    parts = [
        f"On {test.rows:,} test rows, on which nothing was chosen: loss {test.loss:.4f}{right}.{test.told_unseen}",
        *([_written_table(test.answers, "answers to test rows")] if test.answers else []),
        *([_head_table(test.scores, "answers to test rows")] if test.scores else []),
    ]
    return "\n\n".join(parts)


def _template(done: TuneRecord) -> str:
    """How it should be asked."""
    template = (
        ""
        if done.template is None or done.mixture
        else f"\nIt was trained to answer after this text, and should be asked so: {json.dumps(done.template)}\n"
    )
    if done.choices_template:
        template += f"\nQuestions and their choices were written as prompts with hone's template {done.choices_template}.\n"
    return template


def _scores(done: TuneRecord) -> tuple[CardScore, ...]:
    """The numbers of the validation and the test rows, for the card's head."""
    term = "token_accuracy" if done.objective in _WRITING else "accuracy"
    parts: list[tuple[str, int, float | None, float | None, Sequence[AnswerScore | HeadScore]]] = [
        ("validation", done.rows.validation, done.loss, done.accuracy, (*done.answers, *done.scores))
    ]
    if done.test:
        parts.append(("test", done.test.rows, done.test.loss, done.test.accuracy, (*done.test.answers, *done.test.scores)))
    found = []
    for split, rows, loss, accuracy, scores in parts:
        found += [
            CardScore(metric=one.metric, value=one.value, low=one.low, high=one.high, n=one.n, split=split) for one in scores
        ]
        known = {one.metric for one in scores}
        for name, value in ((term, accuracy), ("loss", loss)):
            if value is not None and name not in known:
                found.append(CardScore(metric=name, value=value, n=rows, split=split))
    return tuple(found)


def _forgotten(done: TuneRecord) -> str:
    """What the base could do and this no longer can."""
    if done.vectors:
        return f"```\n{tell_vector_forgetting(done.vectors)}\n```"
    if done.forgetting is None:
        return f"Not measured: {(done.forgetting_not_measured or 'nothing was asked before and after').removesuffix('.')}."
    return f"```\n{tell_forgetting(done.forgetting)}\n```"


def _tasks(mixture: MixtureRecord) -> str:
    """Every task, before and after."""
    lines = [
        "| task | asked by | rows | metric | chance | before | after | 95% interval | gain |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    said = {"trained": "templates that trained", "unseen": "templates that never did", "held_out": "never trained"}
    for one in mixture.scores:
        chance = "" if one.chance is None else f"{one.chance:.3f}"
        lines.append(
            f"| {one.task} | {said[one.asked]} | {one.n} | {one.metric} | {chance} | {one.before:.3f} | {one.after:.3f} | "
            f"{one.low:.3f} to {one.high:.3f} | {one.gain_low:+.3f} to {one.gain_high:+.3f} |"
        )
    names = ", ".join(f"{one.name} ({one.train:,} rows, {one.share:.1%})" for one in mixture.tasks if not one.held_out)
    return "\n".join([f"Trained on {names}.", "", *(lines if mixture.scores else [])]).rstrip()


def _range(score: AnswerScore | HeadScore, form: str = ".3f") -> str:
    return "" if score.low is None or score.high is None else f"{score.low:{form}} to {score.high:{form}}"
