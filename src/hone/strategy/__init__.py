"""Stage 3 of 6: ADAPT, the ways to get a predictor. Takes a `Bench` (rows and a model). Gives a `Predictor`.

Read `contracts.py` first, then any one strategy: `zero_shot.py` is the shortest. Next: `hone.evaluate` scores predictors.
"""

from hone.strategy.bench import Bench, Effort, EncoderBench, answer_key, class_indices, right_labels
from hone.strategy.contracts import Entrant, Fitted, Predictor, Probabilities, Settings, Strategy
from hone.strategy.load import load_predictor
from hone.strategy.predictors import NetPredictor, PredictorRecord, VectorPredictor
from hone.strategy.registry import STRATEGIES, check_names, choose_strategies, encoder_strategies
from hone.strategy.text import TEXT_STRATEGIES, TextBase, TextBench, TextPredictor, looks_nothing_up, plain_backend

__all__ = [
    "STRATEGIES",
    "TEXT_STRATEGIES",
    "Bench",
    "Effort",
    "EncoderBench",
    "Entrant",
    "Fitted",
    "NetPredictor",
    "Predictor",
    "PredictorRecord",
    "Probabilities",
    "Settings",
    "Strategy",
    "TextBase",
    "TextBench",
    "TextPredictor",
    "VectorPredictor",
    "answer_key",
    "check_names",
    "choose_strategies",
    "class_indices",
    "encoder_strategies",
    "load_predictor",
    "looks_nothing_up",
    "plain_backend",
    "right_labels",
]
