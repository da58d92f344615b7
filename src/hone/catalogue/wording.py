"""How single facts of the catalogue are written, in its tables and on its cards."""

from hone.catalogue.records import CatalogueEntry

__all__ = ["UNKNOWN", "commercial_use", "in_full", "languages_in_short", "token_count"]

UNKNOWN = "unknown"


def in_full(value: int | None) -> str:
    """A count with its thousands marked."""
    return UNKNOWN if value is None else f"{value:,}"


def token_count(tokens: int | None) -> str:
    """Tokens of pretraining: '15 trillion'."""
    if tokens is None:
        return UNKNOWN
    return f"{tokens / 1e12:g} trillion" if tokens >= 1e12 else f"{tokens / 1e9:g} billion"


def commercial_use(entry: CatalogueEntry) -> str:
    """Whether the licence permits it."""
    return UNKNOWN if entry.licence is None else entry.licence.commercial


def languages_in_short(entry: CatalogueEntry) -> str:
    """The languages where they are few, else their number."""
    if not entry.languages:
        return UNKNOWN
    return " ".join(entry.languages) if len(entry.languages) <= 4 else f"{len(entry.languages)} named"
