"""All strategies of models that answer in words, in the order in which they run: what costs least comes first."""

from typing import Protocol

from hone.strategy.contracts import Strategy
from hone.strategy.text.bench import TextBench
from hone.strategy.text.inference import InferenceParameters
from hone.strategy.text.lead import Lead
from hone.strategy.text.prompting import FewShot, NearestShots, ZeroShot
from hone.strategy.text.retrieved import Retrieved
from hone.strategy.text.tune import TUNED_TEXT

__all__ = ["TEXT_STRATEGIES", "TextStrategy"]


class TextStrategy(Strategy[TextBench], Protocol):
    """A way to get a predictor from a model that answers in words."""

    def suits(self, bench: TextBench) -> str | None:
        """Why it cannot run on a bench; None where it can."""
        ...

    def asked(self, bench: TextBench) -> float:
        """How often it answers each validation row to find its settings, in units of a zero-shot answer; 0 where it trains."""
        ...


_ALL: tuple[TextStrategy, ...] = (
    Lead(),
    ZeroShot(),
    FewShot("one_shot", "one-shot", counts=(1,)),
    FewShot("few_shot", "few-shot", counts=(2, 4, 8, 16, 32)),
    NearestShots(),
    Retrieved(),
    InferenceParameters(),
    *TUNED_TEXT,
)
TEXT_STRATEGIES: dict[str, TextStrategy] = {strategy.name: strategy for strategy in _ALL}
