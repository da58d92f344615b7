"""A finished run, ready to answer rows and texts that it has never seen, as it was trained to."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hone.catalogue import locate_model
from hone.core.errors import Usage
from hone.core.record import Record
from hone.model import LanguageModel, LocalBackend, Network, Seq2SeqModel, TextReader, family, load_reader, read_config
from hone.task import (
    LETTERS,
    AskedRow,
    Choice,
    Completion,
    Dialogue,
    Kind,
    Message,
    Passage,
    Plain,
    Tagged,
    as_asked,
    choice_template,
    refuse_other_than_choices,
    refuse_other_than_texts,
)
from hone.train import (
    Answers,
    Labelled,
    LogitObjective,
    Placed,
    Regress,
    Tag,
    make_trainable,
    passage_answers,
    size_options,
    tell_answers,
)
from hone.tune.answers import asked_rows, write_answers
from hone.tune.choose import Chosen, fit_context, load_network, make_objective
from hone.tune.finished import base_of_run, read_run
from hone.tune.head_kinds import outside
from hone.tune.settings import ObjectiveName

__all__ = ["RunAnswer", "TunedRun"]

_UNASKED: dict[str, str] = {
    "plain": "continues texts or fills gaps in them. Load it in transformers, or ask it with hone eval",
}


_KINDS: dict[ObjectiveName, Kind] = {
    "completion": "completion", "classify": "classify", "multi_label": "multi_label", "regression": "score", "tag": "tag", "answers": "answers",
}  # fmt: skip
"""Of a mixture of tasks, which has none of its own, and of runs of before."""
_LONGEST = 256  # tokens of an answer, where the run does not say


class RunAnswer(Record):
    """What a run answers to one row."""

    answer: str | float | tuple[str, ...]
    """A class, a written text or a stretch of the passage ('' where it finds none); a number; several labels, or a tag for every word."""
    confidence: float | None
    """Probability of the class or choice; None of all else."""
    probabilities: dict[str, float]
    """Of every class or choice; empty of all else."""
    choice: str | None = None
    """Of multiple choice: the text of the likeliest, whose letter is the answer."""

    @property
    def told(self) -> str:
        """In one line."""
        if self.choice is not None:
            return f"{self.answer}\t{self.choice}"
        return ", ".join(self.answer) if isinstance(self.answer, tuple) else str(self.answer)


class TunedRun:
    """A folder of `hone tune`; the model is loaded at the first question."""

    def __init__(self, folder: str | Path) -> None:
        """Raises BadModel where the folder is none of a finished run, Usage where such a run answers no rows."""
        self.folder = Path(folder)
        self.record = read_run(self.folder)
        kind = self.record.kind or _KINDS.get(self.record.objective)
        if kind in _UNASKED or kind is None:
            raise Usage(f"{folder} {_UNASKED.get(kind or 'plain')}.")
        self.kind: Kind = kind

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of a file that are read, as in training."""
        return self.record.columns

    def predict(self, texts: Sequence[str], *, choices: Sequence[Sequence[str]] = ()) -> list[RunAnswer]:
        """One answer per text, in order.

        Args:
            choices: those of each text, for a multiple choice alone.
        Raises:
            Usage: `texts` is no list of texts, or choices are missing, or given where there are none.
            BadData: the run answers more than a text, such as a question about a passage.
        """
        refuse_other_than_texts(texts)
        refuse_other_than_choices(choices, len(texts), chooses=self.kind == "choice", folder=self.folder)
        if self.kind == "choice":
            return self._chosen([Choice(text, tuple(mine), -1, "", 1) for text, mine in zip(texts, choices, strict=True)])
        return self.answer([as_asked(text, self.kind) for text in texts])

    def load(self) -> None:
        """Load the model now instead of at the first question; raises what that raises."""
        _ = self._loaded

    def answer(self, rows: Sequence[AskedRow]) -> list[RunAnswer]:
        """One answer per row, in order."""
        if not rows:
            return []
        if self.kind == "choice":
            return self._chosen(rows)  # type: ignore[arg-type]
        answers: dict[str, Callable[[Sequence[Any]], list[RunAnswer]]] = {
            "completion": self._written,
            "tag": self._tagged,
            "answers": self._found,
        }
        return answers.get(self.record.objective, self._told)(rows)

    @cached_property
    def _loaded(self) -> tuple[Network, TextReader, LogitObjective[Any]]:
        """Network, tokenizer, and what turns rows into what the network reads."""
        done = self.record
        settings = done.settings.model_copy(update={"load": "plain"})
        is_whole = (self.folder / "config.json").is_file()
        base = locate_model(str(self.folder)) if is_whole else base_of_run(done)
        reader = load_reader(base, precision=settings.precision)
        reader.context_length -= settings.tokens if settings.method == "prompt" else 0
        fit_context(settings, reader)
        has = family(read_config(base))
        objective = make_objective(done.objective, has, settings, reader, done.labels, done.template)
        chosen = Chosen(done.objective, objective, done.labels, done.template)
        options = size_options(settings.method, settings.model_dump())
        net = make_trainable(settings.method, **options).load(load_network(chosen, base, reader, settings), self.folder)
        if isinstance(objective, Regress):
            objective.deviation = 1.0  # the head was written in the rows' own units
        assert isinstance(objective, LogitObjective)
        return net.to(reader.device).eval(), reader, objective

    def _told(self, rows: Sequence[Plain]) -> list[RunAnswer]:
        net, reader, objective = self._loaded
        items = [Labelled(ids, 0) for ids in reader.tokenize([row.text for row in rows])]
        return [self._say(one) for one in tell_answers(net, objective, items, reader)]

    def _say(self, one: Any) -> RunAnswer:
        labels = self.record.labels
        if self.record.objective == "regression":
            return RunAnswer(answer=one, confidence=None, probabilities={})
        if self.record.objective == "multi_label":
            found = tuple(label for label, is_there in zip(labels, one, strict=True) if is_there)
            return RunAnswer(answer=found, confidence=None, probabilities={})
        shares = dict(zip(labels, np.round(one, 6).tolist(), strict=True))
        best = labels[int(np.argmax(one))]
        return RunAnswer(answer=best, confidence=shares[best], probabilities=shares)

    def _tagged(self, rows: Sequence[Tagged]) -> list[RunAnswer]:
        """A tag for every word; words past the model's context, or of no token, are outside of everything."""
        net, reader, objective = self._loaded
        assert isinstance(objective, Tag)
        placed = [objective.place(row.tokens) for row in rows]
        items = [Placed(ids, list(first.values()), [0] * len(first)) for ids, first in placed]
        found = iter(tell_answers(net, objective, [item for item in items if item.places], reader))
        unread, said = outside(self.record.labels), []
        for row, (_, first) in zip(rows, placed, strict=True):
            known = dict(zip(first, next(found), strict=True)) if first else {}
            tags = tuple(self.record.labels[known[word]] if word in known else unread for word in range(len(row.tokens)))
            said.append(RunAnswer(answer=tags, confidence=None, probabilities={}))
        return said

    def _found(self, rows: Sequence[Passage]) -> list[RunAnswer]:
        net, reader, objective = self._loaded
        assert isinstance(objective, Answers)
        objective.always = self.record.answers_always is not False
        items = objective.encode(rows)
        found = passage_answers(items, rows, tell_answers(net, objective, items, reader), always=objective.always)
        return [RunAnswer(answer=text, confidence=None, probabilities={}) for text in found]

    def _chosen(self, rows: Sequence[Choice]) -> list[RunAnswer]:
        """The likeliest of each row's choices, by the log-likelihood of its whole text with its end, as it was trained to be written."""
        prompts = [choice_template().render(row.question, options=row.choices) for row in rows for _ in row.choices]
        found = self._backend.score(prompts, [choice for row in rows for choice in row.choices])
        told, answers = iter(found), []
        for row in rows:
            scores = np.array([next(told).log_likelihood for _ in row.choices])
            shares = np.exp(scores - scores.max())
            shares = np.round(shares / shares.sum(), 6)
            best = int(shares.argmax())
            named = dict(zip(LETTERS, shares.tolist(), strict=False))
            answers.append(
                RunAnswer(answer=LETTERS[best], confidence=named[LETTERS[best]], probabilities=named, choice=row.choices[best])
            )
        return answers

    @cached_property
    def _backend(self) -> LocalBackend:
        net, reader, _ = self._loaded
        assert isinstance(net, LanguageModel | Seq2SeqModel)
        done = self.record
        return LocalBackend(net, reader, template=done.template, chat=done.settings.chat, scores_end=True, takes_over=False)

    def _written(self, rows: Sequence[Completion | Dialogue]) -> list[RunAnswer]:
        net, reader, objective = self._loaded
        items = objective.encode([_with_answer(row) for row in rows])  # type: ignore[attr-defined]
        asked = asked_rows(items, reader, most=len(items))
        texts = write_answers(net, asked, reader, title="Writing", longest=self.record.answer_tokens or _LONGEST)
        return [RunAnswer(answer=text, confidence=None, probabilities={}) for text in texts]


def _with_answer(row: Completion | Dialogue) -> Completion | Dialogue:
    """With an answer to be taken off again: prompts are put before answers, as in training."""
    if isinstance(row, Completion):
        return replace(row, completion="x")
    return replace(row, messages=(*row.messages, Message("assistant", "x")))
