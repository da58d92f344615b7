"""Stage 4 of 6: EVALUATE. Takes a predictor and examples. Gives metrics with intervals, and speed.

Next: `hone.compare` sets the strategies side by side.
"""

from hone.evaluate.forgetting import Forgetting, measure_forgetting, tell_forgetting
from hone.evaluate.records import ClassScore, Metric, Speed
from hone.evaluate.retained import RetainedAnswers, RetainedTask, answer_retained, thin
from hone.evaluate.retained_find import bundled_tasks, earlier_prompts, find_tasks, read_retained
from hone.evaluate.score import measure_speed, metrics_of, per_class, timing_seconds
from hone.evaluate.vectors import (
    VectorAnswers,
    VectorChange,
    VectorForgetting,
    VectorTask,
    answer_vectors,
    bundled_vector_tasks,
    find_vector_tasks,
    measure_vector_forgetting,
    tell_vector_forgetting,
)

__all__ = [
    "ClassScore",
    "Forgetting",
    "Metric",
    "RetainedAnswers",
    "RetainedTask",
    "Speed",
    "VectorAnswers",
    "VectorChange",
    "VectorForgetting",
    "VectorTask",
    "answer_retained",
    "answer_vectors",
    "bundled_tasks",
    "bundled_vector_tasks",
    "earlier_prompts",
    "find_tasks",
    "find_vector_tasks",
    "measure_forgetting",
    "measure_speed",
    "measure_vector_forgetting",
    "metrics_of",
    "per_class",
    "read_retained",
    "tell_forgetting",
    "tell_vector_forgetting",
    "thin",
    "timing_seconds",
]
