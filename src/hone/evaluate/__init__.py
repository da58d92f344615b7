"""Stage 4 of 6: EVALUATE. Takes a predictor and examples. Gives answers per example, metrics with intervals, and speed.

Next: `hone.compare` sets the strategies side by side.
"""

from hone.evaluate.records import Answers, ClassScore, Metric, Speed
from hone.evaluate.score import ask, measure_speed, metrics_of, per_class

__all__ = ["Answers", "ClassScore", "Metric", "Speed", "ask", "measure_speed", "metrics_of", "per_class"]
