"""Stage 4 of 6: EVALUATE. Takes a predictor and examples. Gives metrics with intervals, and speed.

Next: `hone.compare` sets the strategies side by side.
"""

from hone.evaluate.records import ClassScore, Metric, Speed
from hone.evaluate.score import measure_speed, metrics_of, per_class

__all__ = ["ClassScore", "Metric", "Speed", "measure_speed", "metrics_of", "per_class"]
