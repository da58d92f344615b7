"""Any saved predictor, by the file that describes it."""

from pathlib import Path

from hone.core.store import read_errors
from hone.model import Precision
from hone.strategy.contracts import Predictor
from hone.strategy.plain import PLAIN_FILE, load_plain
from hone.strategy.predictors import load_label_predictor
from hone.strategy.text.lead import LEAD_FILE, load_lead
from hone.strategy.text.predictor import TEXT_FILE, load_text_predictor
from hone.strategy.text.retrieval import looks_nothing_up

__all__ = ["load_predictor"]

_CURE = "Copy it whole again; below `strategies` of a run, remove the strategy's folder, and the same command runs it again."


def load_predictor(folder: Path, *, precision: Precision = "auto", index: Path | None = None) -> Predictor:
    """Put a saved predictor together again.

    Args:
        index: where the index lies in which it looks up passages, if not where it lay.
    Raises:
        BadModel: the folder holds none, the base model is missing or has other weights than those it was made with, or the index is another.
        BadData: a file in it is damaged, or its index is missing. Usage: an index is named, and nothing is looked up.
    """
    with read_errors(folder, cure=_CURE):
        if (folder / TEXT_FILE).is_file():
            return load_text_predictor(folder, precision=precision, index=index)
        if index is not None:
            raise looks_nothing_up(folder)
        if (folder / LEAD_FILE).is_file():
            return load_lead(folder)
        if (folder / PLAIN_FILE).is_file():
            return load_plain(folder)
        return load_label_predictor(folder, precision=precision)
