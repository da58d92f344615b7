"""Which models pass the filters, in which order, and for each of the others every reason why not."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hone.catalogue.memory_needs import bytes_needed, default_tokens
from hone.catalogue.read import read_catalogue
from hone.catalogue.records import CatalogueEntry
from hone.catalogue.suited import TASKS, misfit
from hone.catalogue.wanted import LICENCE_NEEDS, Wanted, breach
from hone.core.errors import Usage, did_you_mean
from hone.measure.cost import human_bytes, human_count

__all__ = ["SORTS", "Choice", "LeftOut", "choose", "reasons_against", "sort_entries"]

SORTS = ("fit", "name", "parameters", "memory", "context", "released", "downloads")


@dataclass(frozen=True)
class LeftOut:
    """A model that does not pass, with each filter that it fails and why."""

    entry: CatalogueEntry
    reasons: dict[str, str]
    """By filter: 'licence' -> 'llama2 sets conditions ...'."""


@dataclass(frozen=True)
class Choice:
    """What the filters make of a list of models."""

    wanted: Wanted
    kept: tuple[CatalogueEntry, ...]
    left_out: tuple[LeftOut, ...]

    def counts(self) -> dict[str, int]:
        """How many models each filter leaves out, whatever the others do, most first."""
        return dict(Counter(filter_ for one in self.left_out for filter_ in one.reasons).most_common())

    def without(self) -> dict[str, int]:
        """How many more would pass if one filter alone were dropped, most first."""
        return dict(Counter(next(iter(one.reasons)) for one in self.left_out if len(one.reasons) == 1).most_common())


def choose(entries: Sequence[CatalogueEntry], wanted: Wanted, *, sort: str | None = None) -> Choice:
    """Keep what passes every filter.

    Args:
        sort: a name of SORTS (but downloads, which only the Hub knows) or of a benchmark; None: by fit.
    Raises:
        Usage: no such order.
    """
    kept: list[CatalogueEntry] = []
    left_out: list[LeftOut] = []
    for entry in entries:
        if reasons := reasons_against(entry, wanted):
            left_out.append(LeftOut(entry, reasons))
        else:
            kept.append(entry)
    return Choice(wanted, tuple(sort_entries(kept, wanted, sort or "fit")), tuple(left_out))


def reasons_against(entry: CatalogueEntry, wanted: Wanted) -> dict[str, str]:
    """Each filter that a model fails, by name, with why; what is not known does not pass what was asked for."""
    checks: dict[str, Callable[[CatalogueEntry, Wanted], str | None]] = {
        "task": lambda entry, wanted: misfit(entry, wanted.task) if wanted.task else None,
        "family": _against_family,
        "licence": _against_licence,
        "memory": _against_memory,
        "context": _against_context,
        "language": _against_languages,
        "parameters": _against_parameters,
        "date": _against_date,
        "disk": _against_disk,
    }
    return {name: why for name, check in checks.items() if (why := check(entry, wanted))}


def _against_family(entry: CatalogueEntry, wanted: Wanted) -> str | None:
    return f"it is of the family {entry.family}" if wanted.family not in (None, entry.family) else None


def _against_licence(entry: CatalogueEntry, wanted: Wanted) -> str | None:
    if not wanted.licence:
        return None
    if entry.licence is None:
        return "its licence is unknown"
    ids = [name for name in wanted.licence if name not in LICENCE_NEEDS]
    if ids and entry.licence.id not in ids:
        return f"its licence is {entry.licence.id}"
    for need in wanted.licence:
        if need in LICENCE_NEEDS and (why := breach(entry.licence.id, need)):
            return f"{entry.licence.id} {why}"
    return None


def _against_memory(entry: CatalogueEntry, wanted: Wanted) -> str | None:
    if wanted.max_memory is None:
        return None
    tokens = default_tokens(entry, wanted.context)
    needed = bytes_needed(entry, wanted.use, tokens=tokens)
    if needed <= wanted.max_memory:
        return None
    return (
        f"{wanted.use} with {tokens:,} tokens takes about {human_bytes(needed)}, and {human_bytes(wanted.max_memory)} are allowed"
    )


def _against_context(entry: CatalogueEntry, wanted: Wanted) -> str | None:
    if wanted.context is None:
        return None
    if entry.context is None:
        return "its context is unknown"
    return f"it reads {entry.context:,} tokens at most" if entry.context < wanted.context else None


def _against_languages(entry: CatalogueEntry, wanted: Wanted) -> str | None:
    if not wanted.languages:
        return None
    if not entry.languages:
        return "its languages are unknown"
    missing = [language for language in wanted.languages if language not in entry.languages]
    return f"its authors do not name {', '.join(missing)}" if missing else None


def _against_parameters(entry: CatalogueEntry, wanted: Wanted) -> str | None:
    too_few = wanted.min_parameters is not None and entry.parameters < wanted.min_parameters
    too_many = wanted.max_parameters is not None and entry.parameters > wanted.max_parameters
    return f"it has {human_count(entry.parameters)} parameters" if too_few or too_many else None


def _against_date(entry: CatalogueEntry, wanted: Wanted) -> str | None:
    if wanted.released_after is None:
        return None
    if entry.released is None:
        return "its release date is unknown"
    return f"it was released in {entry.released}" if entry.released < wanted.released_after else None


def _against_disk(entry: CatalogueEntry, wanted: Wanted) -> str | None:
    size = entry.bytes_on_disk
    room = wanted.max_disk if wanted.max_disk is not None else wanted.free_disk
    if size is None:
        return "its size on disk is unknown" if wanted.max_disk is not None else None
    if room is None or size <= room:
        return None
    return f"its weights take {human_bytes(size)}, and {human_bytes(room)} are free"


def sort_entries(entries: Sequence[CatalogueEntry], wanted: Wanted, sort: str) -> list[CatalogueEntry]:
    """In an order; models whose value is unknown come last.

    Raises:
        Usage: it is neither of SORTS nor a benchmark of which a score is known.
    """
    asked = sort.strip().lower()
    benchmarks = {score.benchmark.lower() for entry in read_catalogue() for score in entry.scores}
    if asked in benchmarks:
        return sorted(entries, key=lambda entry: -score.value if (score := entry.score(asked)) else float("inf"))
    orders: dict[str, Callable[[CatalogueEntry], object]] = {
        "fit": lambda entry: _fit(entry, wanted),
        "name": lambda entry: entry.name.lower(),
        "parameters": lambda entry: entry.parameters,
        "memory": lambda entry: bytes_needed(entry, wanted.use, tokens=default_tokens(entry, wanted.context)),
        "context": lambda entry: -(entry.context or 0),
        "released": lambda entry: tuple(-int(part) for part in (entry.released or "0-0").split("-")),
    }
    if asked not in orders:
        raise Usage(f"The order '{sort}' is not known. {did_you_mean(asked, [*SORTS, *benchmarks])}")
    return sorted(entries, key=orders[asked])  # type: ignore[arg-type]


def _fit(entry: CatalogueEntry, wanted: Wanted) -> tuple[object, ...]:
    """The task's better family first, in it what was tuned for the task, then the newest and the smallest."""
    newest = tuple(-int(part) for part in (entry.released or "0-0").split("-"))
    if wanted.task is None:
        return (0, 0, (), 0)  # the order of the catalogue
    rule = TASKS[wanted.task]
    is_tuned = bool(set(entry.tuned_for) & set(rule.tuning))
    return (rule.families.index(entry.family), not is_tuned, newest, entry.parameters)
