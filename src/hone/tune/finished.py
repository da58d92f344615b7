"""A finished run, found again."""

from pathlib import Path

from hone.catalogue import ModelFolder, locate_model
from hone.core.errors import BadModel
from hone.tune.records import TuneRecord

__all__ = ["RECORD", "base_of_run", "read_run"]

RECORD = "hone.json"
"""The file that is written last: a run folder with it is whole."""


def read_run(run: Path) -> TuneRecord:
    """What a run measured.

    Raises:
        BadModel: the folder is none of a finished run.
    """
    try:
        return TuneRecord.model_validate_json((run / "hone.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadModel(f"{run} is no folder of a finished `hone tune` run of this version of hone.") from error


def base_of_run(done: TuneRecord) -> ModelFolder:
    """The model that it was trained on.

    Raises:
        BadModel: it is not there, or has other weights.
    """
    base = locate_model(done.base)
    if base.sha256 != done.base_sha256:
        raise BadModel(f"The run was trained on '{done.base}' with other weights than those found. Put the same model in place.")
    return base
