"""The card of a finished run, written anew from its record."""

import json
import re
from pathlib import Path

from pydantic import ValidationError

from hone.catalogue import ModelFolder, locate_model
from hone.compare import Comparison
from hone.compare.card import write_card as write_compare_card
from hone.core.errors import BadData, BadModel, Usage
from hone.core.store import write_atomic
from hone.model import agreed_licence, metadata_of
from hone.pretrain.card import write_card as write_pretrain_card
from hone.pretrain.records import PretrainRecord
from hone.tune.card import write_card as write_tune_card
from hone.tune.records import TuneRecord

__all__ = ["find_folder", "renew_card"]


def find_folder(run: Path) -> Path:
    """The folder that is passed on: the run's own, or the winner's of a comparison.

    Raises:
        BadData: the folder holds no finished run.
    """
    if not run.is_dir():
        raise BadData(f"{run} is no folder. Name the folder of a finished hone tune, compare or pretrain.")
    if (run / "comparison.json").is_file() and (run / "best" / "hone.json").is_file():
        return run / "best"
    if (run / "hone.json").is_file():
        return run
    raise BadData(
        f"{run} holds no hone.json, so no run was finished there. Name the folder of a finished hone tune, compare or pretrain."
    )


def renew_card(run: Path, *, data_licence: str | None = None, licence: str | None = None) -> str:
    """Write README.md anew, check its metadata as the Hub does, and return it.

    Args:
        data_licence: of the rows: held against the base's. licence: of the model, where the two leave it to you.
    Raises:
        BadData: no finished run, or a record that is damaged. Usage: licences that contradict each other, or one without a name.
    """
    folder = find_folder(run)
    if licence is not None and not re.search(r"[a-z0-9]", licence, re.I):
        raise Usage(f"The licence '{licence}' has no name. Name it by its id, such as apache-2.0, or in words of your own.")
    card = _card(run, folder, data_licence, licence)
    metadata_of(card)
    write_atomic(folder / "README.md", card)
    return card


def _card(run: Path, folder: Path, data_licence: str | None, licence: str | None) -> str:
    chosen = None if licence is None else licence.strip().lower()

    def agreed(base: str | None) -> str | None:
        return chosen or agreed_licence(base, data_licence)

    try:
        if folder.name == "best" and (folder.parent / "comparison.json").is_file():
            comparison = Comparison.model_validate_json((folder.parent / "comparison.json").read_text(encoding="utf-8"))
            row = comparison.recommended_row
            return write_compare_card(comparison, row, licence=agreed(comparison.model_of(row).licence))
        said = (folder / "hone.json").read_text(encoding="utf-8")
        keys = json.loads(said).keys()
        if {"corpus_tokens", "sources"} <= keys:
            pretrained = PretrainRecord.model_validate_json(said)
            base = _base(pretrained.base or "", pretrained.base_sha256 or "")
            return write_pretrain_card(pretrained, base, licence=agreed(base.licence if pretrained.base else chosen))
        if "strategy" in keys:
            raise Usage(
                f"{run} is the winner of a comparison away from its run, whose record the card needs. Name the run's own folder."
            )
        tuned = TuneRecord.model_validate_json(said)
    except (ValidationError, ValueError, StopIteration) as error:
        first = str(error).strip().splitlines()[0]
        raise BadData(f"The record in {folder} cannot be read: {first} It is damaged, or of another version of hone.") from None
    base = _base(tuned.settings.model, tuned.base_sha256, name=tuned.base)
    return write_tune_card(tuned, base, licence=agreed(base.licence))


def _base(asked: str, digest: str, *, name: str | None = None) -> ModelFolder:
    """The base where it is still here with the same weights; else what the record says of it."""
    try:
        found = locate_model(asked) if asked else None
    except BadModel:
        found = None
    if found is not None and found.sha256 == digest:
        return found
    return ModelFolder(name or asked, Path(), digest, None, None)
