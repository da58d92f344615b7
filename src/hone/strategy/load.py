"""Any saved predictor, by the file that describes it."""

from pathlib import Path

from hone.core.store import read_errors
from hone.model import Precision
from hone.strategy.contracts import Predictor
from hone.strategy.plain import PLAIN_FILE, load_plain
from hone.strategy.predictors import load_label_predictor
from hone.strategy.text.lead import LEAD_FILE, load_lead
from hone.strategy.text.predictor import TEXT_FILE, load_text_predictor

__all__ = ["load_predictor"]

_CURE = "Copy it whole again; below `strategies` of a run, remove the strategy's folder, and the same command runs it again."


def load_predictor(folder: Path, *, precision: Precision = "auto") -> Predictor:
    """Put a saved predictor together again.

    Raises:
        BadModel: the folder holds none, or the base model is missing or has other weights than those it was made with.
        BadData: a file in it is damaged.
    """
    with read_errors(folder, cure=_CURE):
        if (folder / LEAD_FILE).is_file():
            return load_lead(folder)
        if (folder / PLAIN_FILE).is_file():
            return load_plain(folder)
        if (folder / TEXT_FILE).is_file():
            return load_text_predictor(folder, precision=precision)
        return load_label_predictor(folder, precision=precision)
