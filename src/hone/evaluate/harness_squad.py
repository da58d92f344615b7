"""SQuAD's marks under the name by which lm-evaluation-harness's tasks ask for them: ReCoRD, and with it SuperGLUE, CoQA, XQuAD.

They import `transformers.data.metrics.squad_metrics`, which newer releases of transformers no longer have.
Source: https://worksheets.codalab.org/worksheets/0x6b567e1cf2e041ec80d7098f031c5c9e (evaluate-v2.0.py)
"""

import collections
import importlib.util
import re
import string
import sys
import types

__all__ = ["stand_in"]

_PACKAGE = "transformers.data.metrics"


def stand_in() -> None:
    """Put the module in its place where transformers has none."""
    if _PACKAGE in sys.modules or importlib.util.find_spec(_PACKAGE) is not None:
        return
    package, metrics = types.ModuleType(_PACKAGE), types.ModuleType(f"{_PACKAGE}.squad_metrics")
    for made in (normalize_answer, compute_exact, compute_f1):
        setattr(metrics, made.__name__, made)
    package.squad_metrics = metrics  # type: ignore[attr-defined]
    sys.modules |= {_PACKAGE: package, f"{_PACKAGE}.squad_metrics": metrics}
    sys.modules["transformers.data"].metrics = package  # type: ignore[attr-defined]


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation and English articles, single spaces."""
    bare = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def compute_exact(right: str, answer: str) -> int:
    """Whether an answer is the right one."""
    return int(normalize_answer(right) == normalize_answer(answer))


def compute_f1(right: str, answer: str) -> float:
    """Of the words of an answer and of the right one; of two that have none 1."""
    theirs, mine = (normalize_answer(text).split() if text else [] for text in (right, answer))
    if not theirs or not mine:
        return float(theirs == mine)
    shared = sum((collections.Counter(theirs) & collections.Counter(mine)).values())
    return 2 * shared / (len(mine) + len(theirs))
