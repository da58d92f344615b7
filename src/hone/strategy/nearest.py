"""Nearest neighbours: the labelled rows most like a text vote on its class. All rows are the model; nothing is trained."""

from hone.core.console import Bar
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.predictors import fitted_scorer
from hone.strategy.scorers import Neighbours
from hone.strategy.untrained import Untrained

__all__ = ["Nearest"]


class Nearest(Untrained):
    """A vote of the k most alike training rows."""

    name = "nearest"
    title = "nearest neighbours"
    learns_from_rows = True
    reads_train_vectors = True

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """How many vote, and how fast a vote's weight falls with distance."""
        return [{"k": k, "temperature": t} for k in (1, 3, 5, 10, 20) for t in (0.02, 0.05, 0.1) if k <= len(bench.train)]

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Keep the training rows' vectors."""
        scorer = Neighbours(
            bench.train_vectors(), bench.train_targets, len(bench.labels), int(settings["k"]), float(settings["temperature"])
        )
        return fitted_scorer(bench, scorer, settings)
