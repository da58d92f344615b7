"""Prompting: the question alone, with solved examples before it, or with those most like it. No weight moves.

Each number of examples is tried with three wordings and three draws of examples in an order of their own, since both move the score by
more than the number does (Lu 2022, https://arxiv.org/abs/2104.08786); validation rows choose, and the spread goes into the interval.
"""

from collections.abc import Sequence

import numpy as np

from hone.core.console import Bar
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.text.bench import TextBench
from hone.strategy.text.form import Form, Shot
from hone.strategy.text.predictor import Closest, Fixed
from hone.strategy.untrained import Untrained
from hone.task import Template

__all__ = ["FewShot", "NearestShots", "UntrainedText", "ZeroShot", "first_rule", "shots_for"]

_ORDERS = 3
_FILLED = 0.8  # of the context that examples may fill


class UntrainedText(Untrained):
    """What those have in common that ask a model in words."""

    def suits(self, bench: TextBench) -> str | None:
        """Why it cannot run on a bench; None where it can."""
        return None


def first_rule(bench: TextBench) -> Settings:
    """What settings say of the rule where only the plainest is tried."""
    return _told({}, "sum", bench)


def _told(settings: Settings, rule: str, bench: TextBench) -> Settings:
    return {**settings, "rule": rule} if bench.kind != "text-generation" else settings


class ZeroShot(UntrainedText):
    """The question alone."""

    name = "zero_shot"
    title = "zero-shot"

    def candidates(self, bench: TextBench) -> list[Settings]:
        """Every wording, with every rule."""
        return [_told({"template": template.id}, rule, bench) for template in _wordings(bench, 4) for rule in bench.rules()]

    def asked(self, bench: TextBench) -> float:
        """How often each validation row is answered."""
        return len(_wordings(bench, 4))

    def fit(self, bench: TextBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Ask."""
        fitted = bench.fitted(settings, Fixed())
        bench.remember_prompt(self.name, {**settings, "k": 0}, fitted.score)
        return fitted


class FewShot(UntrainedText):
    """Solved examples before the question."""

    learns_from_rows = True

    def __init__(self, name: str, title: str, *, counts: tuple[int, ...]) -> None:
        """`counts`: numbers of examples to try."""
        self.name = name
        self.title = title
        self._counts = counts

    def suits(self, bench: TextBench) -> str | None:
        """The context must hold the fewest examples."""
        if self._fitting(bench):
            return None
        each = _mean_shot_tokens(bench)
        return (
            f"{self._counts[0]} solved examples of about {each:,.0f} tokens each, of {len(bench.train)} rows, are not to be had in a context "
            f"of {bench.base.context_length:,}"
        )

    def candidates(self, bench: TextBench) -> list[Settings]:
        """Every number of examples that the context holds, in three wordings and orders, with every rule."""
        return [
            _told({"k": k, "template": template.id, "order": order}, rule, bench)
            for k in self._fitting(bench)
            for order, template in enumerate(_turns(bench))
            for rule in bench.rules()
        ]

    def asked(self, bench: TextBench) -> float:
        """How often each validation row is answered; what stands before the questions is read once."""
        return 1.2 * len(self._fitting(bench)) * len(_turns(bench))

    def fit(self, bench: TextBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Ask after the examples."""
        shots = shots_for(bench, settings)
        fitted = bench.fitted(settings, Fixed(shots), note=_context_note(bench, settings, shots))
        bench.remember_prompt(self.name, settings, fitted.score)
        return fitted

    def _fitting(self, bench: TextBench) -> list[int]:
        """Numbers of examples that there are and that fit into most of the context."""
        each = _mean_shot_tokens(bench)
        limit = _FILLED * bench.base.context_length
        found = [k for k in self._counts if k <= len(bench.train) and k * each <= limit]
        return found[:: 2 if bench.effort.arms == 1 and len(found) > 2 else 1]


class NearestShots(UntrainedText):
    """The training rows most like the question before it."""

    learns_from_rows = True
    name = "nearest_shots"
    title = "few-shot, nearest"

    def suits(self, bench: TextBench) -> str | None:
        """Likeness needs an encoder."""
        return None if bench.encoder is not None else "there is no encoder to find examples like the question"

    def candidates(self, bench: TextBench) -> list[Settings]:
        """Some numbers of examples."""
        return [
            _told({"k": k, "template": bench.templates[0].id}, rule, bench)
            for k in self._fitting(bench)
            for rule in bench.rules(same_options=False)
        ]

    def asked(self, bench: TextBench) -> float:
        """Examples differ from question to question, so each is read anew."""
        each = _mean_shot_tokens(bench)
        question = max(1.0, 0.7 * each)
        return sum((question + k * each) / question for k in self._fitting(bench))

    def fit(self, bench: TextBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Ask after the nearest examples."""
        assert bench.encoder is not None
        pool = tuple(bench.solved(example) for example in bench.train)
        shots = Closest(pool, bench.encoder.folder.name, int(settings["k"]), bench.encoder.embed)
        return bench.fitted(settings, shots)

    def _fitting(self, bench: TextBench) -> list[int]:
        each, limit = _mean_shot_tokens(bench), _FILLED * bench.base.context_length
        return [k for k in (4, 1, 8)[: bench.effort.arms] if k <= len(bench.train) and k * each <= limit] or [1]


def shots_for(bench: TextBench, settings: Settings) -> tuple[Shot, ...]:
    """The solved examples that settings name by number and order: balanced over the labels, or drawn from all rows."""
    k, order = int(settings["k"]), settings.get("order", 0)
    seed = bench.seed_for("shots", k, order)
    rng = np.random.default_rng(seed)
    if bench.labels and bench.kind == "text-classification":
        by_class = [rng.permutation(np.flatnonzero(bench.train_targets == target)) for target in range(len(bench.labels))]
        turns = [rows[turn] for turn in range(max(map(len, by_class))) for rows in by_class if turn < len(rows)]
        first = rng.permutation(turns[: len(bench.labels)]).tolist() + turns[len(bench.labels) :]
        chosen = first[:k]
    else:
        chosen = rng.permutation(len(bench.train))[:k].tolist()
    return tuple(bench.solved(bench.train[index]) for index in rng.permutation(chosen).tolist())


def _wordings(bench: TextBench, most: int) -> Sequence[Template]:
    return bench.templates[: most if bench.effort.arms > 1 else 2]


def _turns(bench: TextBench) -> list[Template]:
    """The wording of each order."""
    return [bench.templates[order % len(bench.templates)] for order in range(_ORDERS)]


def _mean_shot_tokens(bench: TextBench) -> float:
    sample = [bench.solved(example) for example in bench.train[:64]]
    template = bench.templates[0]
    texts = [template.shot(shot.text, shot.answer, options=shot.options) for shot in sample]
    return float(np.mean(bench.backend.count_tokens(texts)))


def _context_note(bench: TextBench, settings: Settings, shots: tuple[Shot, ...]) -> str:
    """How much of the context the examples fill."""
    template = bench.template(settings)
    empty, full = (Form(template, bench.base.joins, some).prompt("", bench.options(bench.train[0])) for some in ((), shots))
    before, after = bench.backend.count_tokens([empty, full])
    return f"Examples fill {(after - before) / bench.base.context_length:.0%} of the context."
