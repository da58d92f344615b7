"""Few-shot: `k` examples per class stand beside the label's name, and a text goes to the class it is most like.

With an encoder an example is a vector, and a class is the mean of its examples' vectors and its label's (prototypical networks,
Snell 2017, https://arxiv.org/abs/1703.05175, without training). Which examples are drawn matters, so five draws are
tried for every `k`, and validation rows choose.
"""

import numpy as np

from hone.core.console import Bar
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.untrained import Untrained
from hone.strategy.zero_shot import TEMPLATES, fitted_prototypes, label_vectors

__all__ = ["FewShot"]

SHOTS = (1, 2, 4, 8, 16)
DRAWS = 5


class FewShot(Untrained):
    """Prototypes of a few examples."""

    name = "few_shot"
    title = "few-shot"
    learns_from_rows = True
    reads_train_vectors = True

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """Every `k` that the largest class can fill, in five draws each."""
        largest = int(np.bincount(bench.train_targets).max())
        return [{"k": k, "draw": draw} for k in SHOTS if k == 1 or k <= largest for draw in range(DRAWS)]

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Average the drawn examples' vectors with the label's."""
        chosen = bench.draw_per_class(int(settings["k"]), seed=bench.seed_for(self.name, settings["draw"]))
        vectors, targets = bench.train_vectors()[chosen].astype(np.float64), bench.train_targets[chosen]
        sums = label_vectors(bench, TEMPLATES[0])
        np.add.at(sums, targets, vectors)
        return fitted_prototypes(bench, settings, sums / np.linalg.norm(sums, axis=1, keepdims=True))
