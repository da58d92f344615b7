"""Pure arithmetic: numbers and strings in, numbers out. No model, no torch; scipy is imported only where it is used.

labels: scores from the confusion table. label_sets, entities, numbers: of answers of other kinds. texts: ROUGE, BLEU and their like, by `words`.
ranking: recall, MRR, nDCG. scores: metrics that can be resampled. calibration: is the confidence honest? intervals, paired: how sure is
a number, how sure a difference? marks: answers of either kind held against what is right. significance: tests, smallest visible
difference, probability of being best. curve: more rows? cost, pareto: what it takes. correlation: do two scores order alike?
forgetting, rises, sequences: what was lost elsewhere, in answers, in loss, over tasks in order. certificate: how much of what was learnt
keeps a budget of forgetting. groups: rows that belong together. `resample` is the bootstrap below them all.
"""

from hone.measure.calibration import brier, expected_calibration_error, fit_temperature, negative_log_likelihood
from hone.measure.certificate import Certificate, DialTest, LossTest, certify, items_needed, naive_choice
from hone.measure.correlation import spearman, spearman_draws
from hone.measure.cost import Tokens, cost_seconds, human_bytes, human_count, human_seconds, quantile
from hone.measure.curve import CurveFit, fit_learning_curve, forecast
from hone.measure.entities import ENTITY_METRICS, marks_entities, score_entities
from hone.measure.forgetting import (
    AnswerCounts,
    Drops,
    NoiseFloor,
    TaskAnswers,
    TaskDrop,
    drop_draws,
    mean_and_worst,
    measure_drop,
    measure_drops,
    noise_floor,
)
from hone.measure.groups import Groups
from hone.measure.head_keys import LIKELY, TAG_METRICS, LabelSetKey, NumberKey, TagKey, tag_metrics
from hone.measure.intervals import Interval, calibration_interval, confusion_interval, mean_interval, wilson_interval
from hone.measure.label_sets import LABEL_SET_METRICS, score_label_sets
from hone.measure.labels import (
    LABEL_METRICS,
    METRIC_VERSIONS,
    LabelScores,
    confusion_table,
    metric_from_confusion,
    score_labels,
)
from hone.measure.marks import AnswerKey, Answers, LabelKey, LabelMarks, Marks, PairedTest
from hone.measure.numbers import ERRORS, NUMBER_METRICS, RANKING_NUMBER_METRICS, number_interval, number_score
from hone.measure.paired import paired_accuracy_interval, paired_confusion_interval, paired_interval
from hone.measure.pareto import pareto_front
from hone.measure.ranking import RANKING_METRICS, ranking_interval, score_rankings
from hone.measure.rises import Rises, TaskRise, TextLosses, measure_rise, measure_rises
from hone.measure.score_marks import ScoreKey, ScoreMarks, TextKey
from hone.measure.scores import ResampledScore, paired_score_interval, score_interval
from hone.measure.sequences import SequenceMean, SequenceScores, score_sequence
from hone.measure.significance import (
    holm,
    label_permutation_p,
    mcnemar_exact,
    minimal_detectable_difference,
    minimal_detectable_mean,
    permutation_p,
    probability_best,
    probability_best_label,
    worse_than_best,
)
from hone.measure.texts import (
    TEXT_METRICS,
    bits_per_byte,
    first_sentences,
    perplexity_interval,
    score_texts,
)
from hone.measure.words import compared_words, count_words, normalise_answer

__all__ = [
    "ENTITY_METRICS",
    "ERRORS",
    "LABEL_METRICS",
    "LABEL_SET_METRICS",
    "LIKELY",
    "METRIC_VERSIONS",
    "NUMBER_METRICS",
    "RANKING_METRICS",
    "RANKING_NUMBER_METRICS",
    "TAG_METRICS",
    "TEXT_METRICS",
    "AnswerCounts",
    "AnswerKey",
    "Answers",
    "Certificate",
    "CurveFit",
    "DialTest",
    "Drops",
    "Groups",
    "Interval",
    "LabelKey",
    "LabelMarks",
    "LabelScores",
    "LabelSetKey",
    "LossTest",
    "Marks",
    "NoiseFloor",
    "NumberKey",
    "PairedTest",
    "ResampledScore",
    "Rises",
    "ScoreKey",
    "ScoreMarks",
    "SequenceMean",
    "SequenceScores",
    "TagKey",
    "TaskAnswers",
    "TaskDrop",
    "TaskRise",
    "TextKey",
    "TextLosses",
    "Tokens",
    "bits_per_byte",
    "brier",
    "calibration_interval",
    "certify",
    "compared_words",
    "confusion_interval",
    "confusion_table",
    "cost_seconds",
    "count_words",
    "drop_draws",
    "expected_calibration_error",
    "first_sentences",
    "fit_learning_curve",
    "fit_temperature",
    "forecast",
    "holm",
    "human_bytes",
    "human_count",
    "human_seconds",
    "items_needed",
    "label_permutation_p",
    "marks_entities",
    "mcnemar_exact",
    "mean_and_worst",
    "mean_interval",
    "measure_drop",
    "measure_drops",
    "measure_rise",
    "measure_rises",
    "metric_from_confusion",
    "minimal_detectable_difference",
    "minimal_detectable_mean",
    "naive_choice",
    "negative_log_likelihood",
    "noise_floor",
    "normalise_answer",
    "number_interval",
    "number_score",
    "paired_accuracy_interval",
    "paired_confusion_interval",
    "paired_interval",
    "paired_score_interval",
    "pareto_front",
    "permutation_p",
    "perplexity_interval",
    "probability_best",
    "probability_best_label",
    "quantile",
    "ranking_interval",
    "score_entities",
    "score_interval",
    "score_label_sets",
    "score_labels",
    "score_rankings",
    "score_sequence",
    "score_texts",
    "spearman",
    "spearman_draws",
    "tag_metrics",
    "wilson_interval",
    "worse_than_best",
]
