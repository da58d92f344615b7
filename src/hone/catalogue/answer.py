"""Puts a question to the catalogue, and to the Hub where it may be asked: a list that passes filters, or some models by name."""

import difflib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from hone.catalogue.choose import Choice, choose, reasons_against
from hone.catalogue.hub import HubAnswer, HubModel, look_up
from hone.catalogue.locate import STARTERS, locate_model
from hone.catalogue.memory_needs import USES, Use, bytes_needed, default_tokens
from hone.catalogue.read import find_entries, read_catalogue
from hone.catalogue.records import CatalogueEntry
from hone.catalogue.wanted import Wanted
from hone.core.errors import Usage
from hone.core.record import Record

__all__ = ["ListedModel", "Listing", "Named", "free_disk", "list_models", "listing", "name_models"]


class ListedModel(Record):
    """A model with what was worked out for it."""

    entry: CatalogueEntry
    tokens: int
    """Length of the text that memory is told for."""
    bytes_needed: dict[Use, int]
    hub: HubModel | None = None


class Listing(Record):
    """An answer as `--json` gives it."""

    wanted: Wanted
    models: tuple[ListedModel, ...]
    left_out: dict[str, dict[str, str]] = Field(default_factory=dict)
    """By model: by filter, why."""
    only_on_hub: tuple[HubModel, ...] = ()
    """What was named or found and is not in the catalogue."""
    problem: str | None = None
    """Why the Hub said nothing, where it was asked."""


@dataclass(frozen=True)
class Named:
    """Models that were asked for by name."""

    entries: tuple[CatalogueEntry, ...]
    hub: HubAnswer
    """Of all of them, and of those that the catalogue does not hold."""

    @property
    def only_on_hub(self) -> tuple[HubModel, ...]:
        """Those that the catalogue does not hold."""
        held = {entry.name for entry in self.entries}
        return tuple(model for name, model in self.hub.models.items() if name not in held)


def free_disk() -> int:
    """Bytes free where the Hub's models are kept on this machine."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE).expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def list_models(
    wanted: Wanted, *, sort: str | None = None, asks_hub: bool = False, endpoint: str | None = None
) -> tuple[Choice, HubAnswer]:
    """The catalogue's models that pass, in order; with what the Hub says of them today, where it is asked.

    Args:
        sort: as `choose` takes it, or downloads, for which the Hub is asked; where it cannot be, the order is by fit.
    """
    by_downloads = (sort or "").strip().lower() == "downloads"
    choice = choose(read_catalogue(), wanted, sort=None if by_downloads else sort)
    if not (asks_hub or by_downloads):
        return choice, HubAnswer({})
    answer = look_up([entry.name for entry in choice.kept], endpoint=endpoint)
    if by_downloads and answer.models:
        most = {name: model.downloads or 0 for name, model in answer.models.items()}
        kept = tuple(sorted(choice.kept, key=lambda entry: -most.get(entry.name, -1)))
        choice = Choice(wanted, kept, choice.left_out)
    return choice, answer


def name_models(names: Sequence[str], wanted: Wanted, *, asks_hub: bool = False, endpoint: str | None = None) -> Named:
    """Models by name: a Hub id, its last part, a starter, or all of a line; what the catalogue lacks is looked for on the Hub.

    Raises:
        Usage: a name is not known, or a named model fails a filter; says all of them, one line each.
    """
    found = {name: find_entries(name) for name in names}
    entries = tuple(dict.fromkeys(entry for one in found.values() for entry in one))
    missing = [name for name, held in found.items() if not held]
    asked = [*(entry.name for entry in entries), *(name for name in missing if name.count("/") == 1)]
    hub = look_up(asked, endpoint=endpoint) if asks_hub else HubAnswer({})
    lines = [_not_known(name, hub, asks_hub) for name in missing if name not in hub.models]
    for entry in entries:
        lines += [
            f"{entry.name} does not pass the filter on {name}: {why}." for name, why in reasons_against(entry, wanted).items()
        ]
    if wanted.filters:
        lines += [
            f"{name} is not in the catalogue, so filters cannot be held against it. Ask for it without them."
            for name in missing
            if name in hub.models
        ]
    if lines:
        raise Usage("\n".join(lines))
    return Named(entries, hub)


def _not_known(name: str, hub: HubAnswer, asks_hub: bool) -> str:
    if name in STARTERS:
        return f"'{name}' is hone's own and stands in no catalogue. Its card: {locate_model(name).path / 'README.md'}"
    entries = read_catalogue()
    spellings = {spelling: entry.name for entry in entries for spelling in (entry.name.lower(), entry.name.lower().split("/")[1])}
    spellings |= {entry.line.lower(): entry.line for entry in entries} | {
        alias: alias for entry in entries for alias in entry.aliases
    }
    asked = name.lower()
    begins = [spelling for spelling in spellings if spelling.startswith(asked)]
    near = list(dict.fromkeys(spellings[one] for one in [*begins, *difflib.get_close_matches(asked, spellings)]))[:3]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    if not asks_hub or name.count("/") != 1:
        where = "in the catalogue"
    else:
        where = "in the catalogue" if hub.problem else "in the catalogue or among the Hub's public models"
    return f"There is no model '{name}' {where}.{hint} hone models lists all; --search WORDS searches the Hub."


def listing(
    wanted: Wanted,
    entries: Sequence[CatalogueEntry],
    hub: HubAnswer,
    *,
    choice: Choice | None = None,
    only_on_hub: Sequence[HubModel] = (),
) -> Listing:
    """An answer as one record."""
    models = []
    for entry in entries:
        tokens = default_tokens(entry, wanted.context)
        needs = {use: bytes_needed(entry, use, tokens=tokens) for use in USES}
        models.append(ListedModel(entry=entry, tokens=tokens, bytes_needed=needs, hub=hub.models.get(entry.name)))
    return Listing(
        wanted=wanted,
        models=tuple(models),
        left_out={one.entry.name: one.reasons for one in choice.left_out} if choice else {},
        only_on_hub=tuple(only_on_hub),
        problem=hub.problem,
    )
