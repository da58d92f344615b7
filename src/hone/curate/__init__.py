"""Stage 1 of 6: SCOPE, for raw text. Takes files of text. Gives a cleaned corpus to pretrain on, and what each step kept of it.

The order is language, rules on each document, duplicates, overlap with evaluation sets, personal data. Needs the extra `curate`; imports datatrove
when it runs. Next: `hone tune --objective causal`, which trains on the corpus.
"""

from hone.curate.pii import mask_personal
from hone.curate.records import Amount, CurationRecord, Removed, SetOverlap, SourceRecord, StepRecord, UnreadText
from hone.curate.run import curate_texts
from hone.curate.settings import CURATE, STEPS, CurateSettings, read_thresholds
from hone.curate.table import curation_table

__all__ = [
    "CURATE",
    "STEPS",
    "Amount",
    "CurateSettings",
    "CurationRecord",
    "Removed",
    "SetOverlap",
    "SourceRecord",
    "StepRecord",
    "UnreadText",
    "curate_texts",
    "curation_table",
    "mask_personal",
    "read_thresholds",
]
