"""Objectives: toward what a network is trained. One file each."""

from hone.train.objective.classify import Classify
from hone.train.objective.contrast import Contrast

__all__ = ["Classify", "Contrast"]
