"""Stage 1 of 6: SCOPE. Takes the user's rows: a file or a Hub id, and column names where they are not obvious.

Gives a `Task`: examples split into training, validation and test, its labels, and findings on what was removed
or should be looked at. The order is `load_table`, `find_duplicates`, `drop_rare` where asked, `split_examples`,
`remove_leaks`, then the checks. Rows of other kinds (dialogues, prompts and completions, choices, tags, answers, scores,
plain text) are read by `load_material` alone, into a `Material` that says its task's shape; `bundled_templates` has the ways
to put rows of a shape to a model that answers in words. Next: stage 2, `hone.model`, chooses a base model for it.

Imports no torch, pyarrow, scikit-learn or rensa until a function that needs them is called.
"""

from hone.task.asked import AskedRow, as_asked, read_asked, refuse_other_than_choices, refuse_other_than_texts
from hone.task.cells import read_row
from hone.task.check import class_balance, long_texts, near_duplicates, rejected_rows, remove_leaks
from hone.task.choice_layout import offered_columns
from hone.task.choices import LETTERS
from hone.task.completions import as_completion, choice_template
from hone.task.corpus import ROW_FILES, WHOLE_TEXTS, Source, Unread, file_kind, files_below, find_sources, read_texts
from hone.task.duplicates import find_duplicates, normalise
from hone.task.groups import hold_back
from hone.task.head_rows import HEAD_KINDS, as_head_examples, head_labels
from hone.task.infer import infer_columns
from hone.task.kinds import (
    KINDS,
    SHAPES,
    Choice,
    Completion,
    Dialogue,
    Kind,
    Material,
    MaterialRow,
    Message,
    MultiLabelled,
    Passage,
    Plain,
    Role,
    Scored,
    Tagged,
    TaskShape,
)
from hone.task.labels import composed
from hone.task.load import check_source, load_table, open_rows
from hone.task.material import load_like, load_material, recognise_kind, recognise_layout
from hone.task.mislabels import likely_mislabels
from hone.task.mixtures import (
    Formats,
    Mixing,
    MixtureSettings,
    MixtureTask,
    TaskMixture,
    names_mixture,
    read_mixture,
)
from hone.task.near import shingle_similarity
from hone.task.reader import Broken, Reader
from hone.task.records import Columns, Example, Finding, Rejected, Split, Table, Task, TaskKind
from hone.task.refuse import Refused
from hone.task.split import MIN_ROWS_PER_CLASS, drop_rare, split_examples, split_unlabelled
from hone.task.templates import Template, bundled_templates, few_shot_prompt, read_templates
from hone.task.unseen import labels_of, other_labels, unseen_labels
from hone.task.written import ANSWERED_KINDS, as_examples, join_references, read_dialogue, usual_metric

__all__ = [
    "ANSWERED_KINDS",
    "HEAD_KINDS",
    "KINDS",
    "LETTERS",
    "MIN_ROWS_PER_CLASS",
    "ROW_FILES",
    "SHAPES",
    "WHOLE_TEXTS",
    "AskedRow",
    "Broken",
    "Choice",
    "Columns",
    "Completion",
    "Dialogue",
    "Example",
    "Finding",
    "Formats",
    "Kind",
    "Material",
    "MaterialRow",
    "Message",
    "Mixing",
    "MixtureSettings",
    "MixtureTask",
    "MultiLabelled",
    "Passage",
    "Plain",
    "Reader",
    "Refused",
    "Rejected",
    "Role",
    "Scored",
    "Source",
    "Split",
    "Table",
    "Tagged",
    "Task",
    "TaskKind",
    "TaskMixture",
    "TaskShape",
    "Template",
    "Unread",
    "as_asked",
    "as_completion",
    "as_examples",
    "as_head_examples",
    "bundled_templates",
    "check_source",
    "choice_template",
    "class_balance",
    "composed",
    "drop_rare",
    "few_shot_prompt",
    "file_kind",
    "files_below",
    "find_duplicates",
    "find_sources",
    "head_labels",
    "hold_back",
    "infer_columns",
    "join_references",
    "labels_of",
    "likely_mislabels",
    "load_like",
    "load_material",
    "load_table",
    "long_texts",
    "names_mixture",
    "near_duplicates",
    "normalise",
    "offered_columns",
    "open_rows",
    "other_labels",
    "read_asked",
    "read_dialogue",
    "read_mixture",
    "read_row",
    "read_templates",
    "read_texts",
    "recognise_kind",
    "recognise_layout",
    "refuse_other_than_choices",
    "refuse_other_than_texts",
    "rejected_rows",
    "remove_leaks",
    "shingle_similarity",
    "split_examples",
    "split_unlabelled",
    "unseen_labels",
    "usual_metric",
]
