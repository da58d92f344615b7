"""The strategy of retrieval: how many passages, found how, validation rows choose."""

from collections.abc import Sequence
from dataclasses import replace

from hone.core.console import Bar
from hone.retrieve import Passage
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.text.bench import TextBench
from hone.strategy.text.predictor import Fixed, TextPredictor
from hone.strategy.text.prompting import UntrainedText, first_rule
from hone.strategy.text.retrieval import LookUp, fits_at

__all__ = ["Retrieved"]

_JUDGED = ("recall@1", "recall@5", "recall@20", "mrr@10")


class Retrieved(UntrainedText):
    """Passages before the question."""

    name = "retrieval"
    title = "retrieval"

    def suits(self, bench: TextBench) -> str | None:
        """Something must be there to be looked up."""
        return None if bench.index is not None else "no documents were named: --docs FOLDER"

    def candidates(self, bench: TextBench) -> list[Settings]:
        """Some numbers of passages, found by meaning and words together or by meaning alone."""
        counts = (3, 1, 5)[: max(2, bench.effort.arms)]
        rule = first_rule(bench)
        return [
            {"passages": k, "mode": mode, "template": bench.templates[0].id, **rule}
            for k in counts
            for mode in ("hybrid", "vector")
        ]

    def asked(self, bench: TextBench) -> float:
        """Passages differ from question to question, so each is read anew; a passage is about as long as the limit of the index."""
        assert bench.index is not None
        lengths = [bench.index.record.settings.chunks.tokens * float(one["passages"]) for one in self.candidates(bench)]
        question = max(20.0, sum(bench.backend.count_tokens([row.text for row in bench.train[:32]])) / len(bench.train[:32]))
        return sum((question + length) / question for length in lengths)

    def fit(self, bench: TextBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Look up, then ask."""
        assert bench.index is not None
        mode = str(settings["mode"])
        assert mode in ("hybrid", "vector", "text")
        look_up = LookUp(bench.index, int(settings["passages"]), mode)  # type: ignore[arg-type]
        answers = [(bench.right(row), *row.more) for row in bench.validation]
        found = fits_at(look_up, bench.validation, answers, _JUDGED)
        told = ", ".join(f"{name} {value:.1%}" for name, value in found.items())
        fitted = bench.fitted(settings, Fixed(), look_up=look_up)
        assert isinstance(fitted.predictor, TextPredictor)
        shown = fitted.predictor.passages(bench.validation)
        left_out = _left_out(look_up, shown, look_up.passages([row.text for row in bench.validation]))
        return replace(fitted, note=f"Passages that hold a right answer: {told}.{left_out}")


def _left_out(look_up: LookUp, shown: Sequence[Sequence[Passage]], found: Sequence[Sequence[Passage]]) -> str:
    """Where the context holds fewer passages than were found, how many stood before a question."""
    short = sum(len(some) < len(all_of) for some, all_of in zip(shown, found, strict=True))
    if not short:
        return ""
    mean = sum(map(len, shown)) / len(shown)
    return f" For {short} of {len(shown)} questions the context holds fewer than {look_up.k}; {mean:.1f} stood before a question on average."
