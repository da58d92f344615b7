"""Stage 3 of 6: ADAPT, how weights move. Takes a network, examples and a plan. Gives the tuned network and a `TrainRecord`.

What moves (`trainable/`) x on what (`mixture`) x toward what (`objective/`) x one loop. Next: `hone.strategy`, which turns
training, prompting and retrieval alike into predictors.
"""

from hone.train.checkpoint import remove_checkpoint
from hone.train.contracts import Mixture, Objective, Trainable
from hone.train.loop import fit
from hone.train.mixture import SingleTask
from hone.train.objective import Classify, Contrast
from hone.train.optimiser import trained_parameters
from hone.train.plan import StepLog, TrainPlan, TrainRecord
from hone.train.trainable import TRAINABLES, Full, make_trainable

__all__ = [
    "TRAINABLES",
    "Classify",
    "Contrast",
    "Full",
    "Mixture",
    "Objective",
    "SingleTask",
    "StepLog",
    "TrainPlan",
    "TrainRecord",
    "Trainable",
    "fit",
    "make_trainable",
    "remove_checkpoint",
    "trained_parameters",
]
