"""What the strategies of models that answer in words are given."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hone.core.store import read_errors, write_atomic
from hone.measure import AnswerKey, Answers, Tokens, fit_temperature
from hone.model import Backend, Encoder, Sampling
from hone.retrieve import Index
from hone.strategy.bench import Bench, answer_key
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.label_words import label_words
from hone.strategy.scorers import softmax
from hone.strategy.text.answering import RULES, OptionScores, Rule, probabilities
from hone.strategy.text.base import TextBase
from hone.strategy.text.form import Shot, shot_of
from hone.strategy.text.predictor import Asker, Fixed, Reading, Shots, TextPredictor, options_of
from hone.strategy.text.retrieval import LookUp
from hone.task import Example, TaskKind, Template

__all__ = ["TextBench"]

_LONGEST = 256  # tokens of an answer
_PROBED = 8  # rows by which the pace is measured


@dataclass(frozen=True)
class TextBench(Bench):
    """Rows whose answer is a text, a choice or a label in words, and a model that answers in words."""

    kind: TaskKind
    descriptions: dict[str, str]
    templates: tuple[Template, ...]
    """Ways to ask, in order of belief."""
    base: TextBase
    encoder: Encoder | None
    """By which examples like the question are found; None where there is none."""
    others: tuple[str, ...] = ()
    """Metrics of texts that are reported beside the one that ranks."""
    index: Index | None = None
    """Documents that may be looked up."""
    longest: int | None = None
    """Tokens of an answer, thoughts before it among them; None: somewhat more than most right answers have."""
    memo: dict[Any, OptionScores] = field(default_factory=dict, compare=False, repr=False)
    """Scores that several rules weigh."""

    @property
    def device(self) -> torch.device:
        """The model's."""
        return self.base.device

    @property
    def precision(self) -> str:
        """The model's; a server's is not known."""
        return self.base.reader.precision if self.base.is_local else "remote"

    @property
    def is_billed(self) -> bool:
        """Whether a server answers."""
        return self.base.is_billed

    def charge(self, payer: str) -> None:
        """The server's answers."""
        if self.is_billed:
            self.base.charge(payer)

    def paid(self, payer: str) -> Tokens | None:
        """By the server."""
        return self.base.paid(payer) if self.is_billed else None

    def spared_seconds(self) -> float:
        """By answers of a server that were known."""
        return self.base.backend.spent().spared_seconds if self.is_billed else 0.0

    @cached_property
    def key(self) -> AnswerKey:
        """What is right for the validation rows."""
        return answer_key(self.validation, self.labels, metric=self.metric, others=self.others)

    @cached_property
    def sampling(self) -> Sampling:
        """Greedy, as long as was asked for, or somewhat longer than most answers.

        A decoder without a chat template stops at the end of a line where all answers are one.
        """
        answers = [row.label for row in self.train[:2000]]
        longest = self.longest
        if longest is None:
            counts = self.base.backend.count_tokens(answers)
            longest = min(_LONGEST, 8 + round(1.5 * float(np.quantile(counts, 0.98))))
        stop = ("\n\n" if any("\n" in answer for answer in answers) else "\n",) if self.base.joins else ()
        return Sampling(max_new_tokens=longest, stop=stop)

    @property
    def backend(self) -> Backend:
        """The untouched model's."""
        return self.base.backend

    def options(self, example: Example) -> tuple[str, ...]:
        """What may be answered; empty for free texts."""
        return options_of(example, self.labels if self.kind == "text-classification" else ())

    def right(self, example: Example) -> str:
        """The right answer in words."""
        if self.kind == "multiple-choice":
            return example.choices[self.labels.index(example.label)]
        return label_words(self.labels).get(example.label, example.label) if self.kind == "text-classification" else example.label

    def solved(self, example: Example) -> Shot:
        """A training row as a solved example."""
        return shot_of(example, self.right(example), self.options(example))

    def reading(self, *, rule: Rule = "sum", temperature: float = 1.0, sampling: Sampling | None = None) -> Reading:
        """How answers are read."""
        return Reading(
            kind=self.kind,
            labels=self.labels,
            descriptions=self.descriptions,
            rule=rule,
            content_free=None,
            temperature=temperature,
            sampling=sampling or self.sampling,
        )

    def template(self, settings: Settings) -> Template:
        """The one that settings name."""
        return next(template for template in self.templates if template.id == settings["template"])

    def fitted(self, settings: Settings, shots: Shots, *, look_up: LookUp | None = None, note: str = "") -> Fitted:
        """The untouched model with a form, and how it does on the validation rows."""
        rule: Rule = settings.get("rule", "sum")  # type: ignore[assignment]
        asker = Asker(self.backend, self.template(settings), self.base.joins, self.reading(rule=rule), shots, look_up)
        if self.kind == "text-generation":
            answers = asker.answer(self.validation)
        else:
            key = (asker.template.digest, shots, look_up and (look_up.k, look_up.mode))
            if key not in self.memo:
                self.memo[key] = asker.scores(
                    self.validation, self.rules(same_options=isinstance(shots, Fixed) and look_up is None)
                )
            asker, answers = self.tempered(asker, self.memo[key])
        return Fitted(TextPredictor(asker, self.base), settings, answers, self.score(answers), 0, note=note)

    def rules(self, *, same_options: bool = True) -> list[Rule]:
        """By which options may be weighed; all where the model tells likelihoods."""
        if self.kind == "text-generation" or not self.backend.can_score:
            return ["sum"]
        return [rule for rule in RULES if rule != "calibrated" or (same_options and self.kind == "text-classification")]

    def tempered(self, asker: Asker, scores: OptionScores) -> tuple[Asker, Answers]:
        """The asker with the temperature that makes its confidence honest on the validation rows, and its answers to them."""
        reading = asker.reading
        weighed = scores.weighed(reading.rule)
        logs = np.log(np.maximum(softmax(weighed), 1e-300))
        known = self.validation_targets >= 0
        temperature = fit_temperature(logs[known], self.validation_targets[known]) if known.sum() > 1 else 1.0
        changes: dict[str, object] = {"temperature": temperature}
        if reading.rule == "calibrated" and scores.content_free is not None:
            changes["content_free"] = tuple(scores.content_free.tolist())
        asker = replace(asker, reading=reading.model_copy(update=changes))
        return asker, probabilities(weighed, temperature, classes=len(self.labels))

    def seconds_per_row(self) -> float:
        """To answer a row zero-shot, from a few rows; the first warm up. A server's answers are remembered and cost nothing twice."""
        rows = self.validation[: _PROBED + 2]
        asker = Asker(self.backend, self.templates[0], self.base.joins, self.reading(), Fixed())
        asker.answer(rows[:2])
        started, spared = time.perf_counter(), self.spared_seconds()
        asker.answer(rows[2:] or rows)
        return (time.perf_counter() - started + self.spared_seconds() - spared) / len(rows[2:] or rows)

    def remember_prompt(self, name: str, settings: Settings, score: float) -> None:
        """Write down how a prompt did, for strategies that start from the best."""
        path = self.work / f"prompt-{name}.json"
        if (known := _read_prompt(path)) is None or known["score"] < score:
            write_atomic(path, json.dumps({"settings": dict(settings), "score": score}))

    def best_prompt(self, names: Sequence[str]) -> Settings | None:
        """The settings of the best prompt that one of these strategies has found in this run; None before the first."""
        found = [known for name in names if (known := _read_prompt(self.work / f"prompt-{name}.json"))]
        best: Settings | None = max(found, key=lambda one: one["score"])["settings"] if found else None
        return best


def _read_prompt(path: Path) -> dict[str, Any] | None:
    """What `remember_prompt` wrote; None where it wrote nothing yet."""
    if not path.exists():
        return None
    with read_errors(path):
        known = json.loads(path.read_text(encoding="utf-8"))
        return {"settings": dict(known["settings"]), "score": float(known["score"])}
