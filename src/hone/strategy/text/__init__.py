"""Strategies for models that answer in words: prompting, inference parameters, tuning; and the baseline that every summary has to beat.

`form.py` says how a row is put to a model, `answering.py` how its answer becomes a label or a text, `predictor.py` keeps both. The
strategies themselves are short.
"""

from hone.strategy.text.base import TextBase, plain_backend
from hone.strategy.text.bench import TextBench
from hone.strategy.text.lead import Lead
from hone.strategy.text.predictor import TextPredictor, load_text_predictor
from hone.strategy.text.registry import TEXT_STRATEGIES, TextStrategy
from hone.strategy.text.retrieval import looks_nothing_up

__all__ = [
    "TEXT_STRATEGIES",
    "Lead",
    "TextBase",
    "TextBench",
    "TextPredictor",
    "TextStrategy",
    "load_text_predictor",
    "looks_nothing_up",
    "plain_backend",
]
