"""The one exception tree. Everything a user can cause is a `HoneError`, shown without a traceback.

A message has three parts, in this order: what is wrong and where; what was given and what is known;
what to do. A broken promise inside hone is an `assert`, never one of these.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "BadData",
    "BadModel",
    "Failed",
    "HoneError",
    "MissingPackage",
    "NotEnough",
    "Usage",
    "as_option",
    "did_you_mean",
    "need",
]


class HoneError(Exception):
    """A mistake that the user can mend. `exit_code` is the command's: 3 is wrong usage."""

    exit_code = 3


class Usage(HoneError):
    """An argument, option or configuration key that means nothing here."""


class BadData(HoneError):
    """Rows that cannot be used as they are; the message names file, line and column."""


class BadModel(HoneError):
    """A model that cannot be found, read or trusted."""


class NotEnough(HoneError):
    """Too few rows for the number that was asked for. A result would read as certainty."""


class MissingPackage(HoneError):
    """An optional package that is not installed; the message names the extra."""


class Failed(HoneError):
    """Something outside the user's input went wrong while running (a full disk, a killed worker)."""

    exit_code = 1


def as_option(name: str) -> str:
    """A setting as it is written on the command line: `batch_rows` is `--batch-rows`."""
    return f"--{name.replace('_', '-')}"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The sentence "Did you mean 'x'? Known: ..." for an unknown name; without a near name, only what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1)
    question = f"Did you mean '{near[0]}'? " if near else ""
    return f"{question}Known: {', '.join(names)}."


def need(package: str, *, extra: str) -> object:
    """Import an optional package at the point of use.

    Raises:
        MissingPackage: it is not installed; names the extra that brings it.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.split(".")[0]:
            raise
        raise MissingPackage(
            f"The package '{package}' is not installed. It is optional. Install it with: pip install 'hone-lm[{extra}]'"
        ) from None
