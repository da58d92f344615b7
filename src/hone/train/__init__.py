"""Stage 3 of 6: ADAPT, how weights move. Takes a network, examples and a plan. Gives the tuned network and a `TrainRecord`.

What moves (`trainable/`) x on what (`mixture`) x toward what (`objective/`) x held back by what (`regulariser/`) x one loop. Next:
`hone.strategy`, which turns training, prompting and retrieval alike into predictors.
"""

from hone.train.checkpoint import remove_checkpoint
from hone.train.contracts import HeadKind, LogitObjective, Mixture, Objective, Regulariser, StreamObjective, Trainable
from hone.train.dial import Dial
from hone.train.frozen import Frozen, find_frozen
from hone.train.gauge import Gauge
from hone.train.held_out import Measured, measure_loss, tell_answers
from hone.train.loop import Listener, fit, rows_a_step
from hone.train.mixture import FLAN_CAP, Mixed, SingleTask, mixed, proportional, replay, temperature
from hone.train.objective import (
    UNSEEN,
    Answers,
    AnswerSpan,
    Causal,
    Classify,
    Complete,
    Contrast,
    Labelled,
    Masked,
    MultiLabel,
    Placed,
    Regress,
    SourceTarget,
    SpanCorruption,
    Stretch,
    Tag,
    WriteTarget,
    passage_answers,
)
from hone.train.optimiser import is_head, trained_parameters
from hone.train.own_samples import OwnSample, draw_own_samples
from hone.train.plan import OptimiserName, Schedule, StepEvent, StepLog, TrainPlan, TrainRecord
from hone.train.processes import Alone, Processes, join_processes
from hone.train.rates import usual_rate, usual_tokens
from hone.train.regulariser import REGULARISERS, OwnDistribution, OwnVectors, SelfReplay, divergence, make_regulariser, take_down
from hone.train.rehearse import REHEARSED, Rehearsal, rehearse
from hone.train.start import StartingPoint
from hone.train.trainable import TRAINABLES, Full, Lora, make_trainable, size_options, virtual_tokens

__all__ = [
    "FLAN_CAP",
    "REGULARISERS",
    "REHEARSED",
    "TRAINABLES",
    "UNSEEN",
    "Alone",
    "AnswerSpan",
    "Answers",
    "Causal",
    "Classify",
    "Complete",
    "Contrast",
    "Dial",
    "Frozen",
    "Full",
    "Gauge",
    "HeadKind",
    "Labelled",
    "Listener",
    "LogitObjective",
    "Lora",
    "Masked",
    "Measured",
    "Mixed",
    "Mixture",
    "MultiLabel",
    "Objective",
    "OptimiserName",
    "OwnDistribution",
    "OwnSample",
    "OwnVectors",
    "Placed",
    "Processes",
    "Regress",
    "Regulariser",
    "Rehearsal",
    "Schedule",
    "SelfReplay",
    "SingleTask",
    "SourceTarget",
    "SpanCorruption",
    "StartingPoint",
    "StepEvent",
    "StepLog",
    "StreamObjective",
    "Stretch",
    "Tag",
    "TrainPlan",
    "TrainRecord",
    "Trainable",
    "WriteTarget",
    "divergence",
    "draw_own_samples",
    "find_frozen",
    "fit",
    "is_head",
    "join_processes",
    "make_regulariser",
    "make_trainable",
    "measure_loss",
    "mixed",
    "passage_answers",
    "proportional",
    "rehearse",
    "remove_checkpoint",
    "replay",
    "rows_a_step",
    "size_options",
    "take_down",
    "tell_answers",
    "temperature",
    "trained_parameters",
    "usual_rate",
    "usual_tokens",
    "virtual_tokens",
]
