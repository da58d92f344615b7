"""Stage 3 of 6: ADAPT, one training run on its own. Takes rows of any kind or a mixture of tasks, a model of any family and one method.

Gives a run folder: what was trained, the tokenizer, a log, a record of what was expected and what was measured, a model card. The four axes and the
loop are `hone.train`'s; here they are chosen from the rows and the model. Next: `hone.compare`, which runs many ways on the same rows.
"""

from hone.tune.answering import RunAnswer, TunedRun
from hone.tune.idle import refuse_idle
from hone.tune.named import name_texts
from hone.tune.preview import mask_preview
from hone.tune.records import AnswerScore, TuneRecord
from hone.tune.run import tune_rows
from hone.tune.settings import TUNE, TuneSettings
from hone.tune.task_check import check_tasks
from hone.tune.track import open_trackers
from hone.tune.turn import at_dial, turn_dial

__all__ = [
    "TUNE",
    "AnswerScore",
    "RunAnswer",
    "TuneRecord",
    "TuneSettings",
    "TunedRun",
    "at_dial",
    "check_tasks",
    "mask_preview",
    "name_texts",
    "open_trackers",
    "refuse_idle",
    "tune_rows",
    "turn_dial",
]
