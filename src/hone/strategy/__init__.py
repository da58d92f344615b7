"""Stage 3 of 6: ADAPT, the ways to get a predictor. Takes a `Bench` (rows, classes, encoder). Gives a `Predictor`.

Read `contracts.py` first, then any one strategy: `zero_shot.py` is the shortest. Next: `hone.evaluate` scores predictors.
"""

from hone.strategy.bench import Bench, Effort
from hone.strategy.contracts import Fitted, Predictor, Probabilities, Settings, Strategy
from hone.strategy.predictors import PredictorRecord, load_predictor
from hone.strategy.registry import STRATEGIES, choose_strategies

__all__ = [
    "STRATEGIES",
    "Bench",
    "Effort",
    "Fitted",
    "Predictor",
    "PredictorRecord",
    "Probabilities",
    "Settings",
    "Strategy",
    "choose_strategies",
    "load_predictor",
]
