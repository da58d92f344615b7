"""Objectives: toward what a network is trained. One file each."""

from hone.train.objective.classify import Classify, MultiLabel, Regress
from hone.train.objective.contrast import Contrast
from hone.train.objective.items import UNSEEN, Labelled, Placed, SourceTarget
from hone.train.objective.language import Causal, Complete
from hone.train.objective.masked import Masked
from hone.train.objective.seq2seq import WriteTarget
from hone.train.objective.span import SpanCorruption
from hone.train.objective.tag import Answers, AnswerSpan, Stretch, Tag, passage_answers

__all__ = [
    "UNSEEN",
    "AnswerSpan",
    "Answers",
    "Causal",
    "Classify",
    "Complete",
    "Contrast",
    "Labelled",
    "Masked",
    "MultiLabel",
    "Placed",
    "Regress",
    "SourceTarget",
    "SpanCorruption",
    "Stretch",
    "Tag",
    "WriteTarget",
    "passage_answers",
]
