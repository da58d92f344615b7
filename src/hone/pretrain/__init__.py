"""Stage 3 of 6: ADAPT, from the very start. Takes texts. Gives a new language model of any family, or a base that read on.

Next: `hone.tune` for a task, `hone.evaluate` for what it knows.
"""

from hone.pretrain.records import PretrainRecord
from hone.pretrain.run import pretrain
from hone.pretrain.settings import PRETRAIN, PretrainSettings

__all__ = ["PRETRAIN", "PretrainRecord", "PretrainSettings", "pretrain"]
