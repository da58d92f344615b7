"""A finished run, found again."""

import shutil
from pathlib import Path

from hone.catalogue import ModelFolder, locate_model
from hone.core.console import note
from hone.core.errors import BadModel
from hone.core.store import read_errors
from hone.measure import human_seconds
from hone.tune.records import TuneRecord

__all__ = ["RECORD", "base_of_run", "read_back", "read_run"]

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


def read_back(out: Path) -> TuneRecord:
    """The record of a run that the same command has finished before, which is told.

    Raises:
        BadData: it is damaged, or of another version of hone.
    """
    with read_errors(out / RECORD, cure=f"Remove {out}, and the same command trains anew."):
        done = TuneRecord.model_validate_json((out / RECORD).read_text(encoding="utf-8"))
    shutil.rmtree(out / "work", ignore_errors=True)
    note(
        f"Finished before, in {human_seconds(done.seconds)}, and read back from {out}. To train anew, remove it or name another --out."
    )
    return done


def base_of_run(done: TuneRecord) -> ModelFolder:
    """The model that it was trained on.

    Raises:
        BadModel: it is not there, or has other weights.
    """
    base = locate_model(done.base)
    if base.sha256 != done.base_sha256:
        raise BadModel(f"The run was trained on '{done.base}' with other weights than those found. Put the same model in place.")
    return base
