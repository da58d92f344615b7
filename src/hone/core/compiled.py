"""The parts in C that are built when hone is installed, where there is a C compiler; without them all works, slower or in more memory."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

__all__ = ["built_library"]


def built_library(name: str) -> Path | None:
    """Where `name`.c lies built; None where it could not be."""
    built = (Path(__file__).with_name(f"_{name}{suffix}") for suffix in EXTENSION_SUFFIXES)
    return next((path for path in built if path.exists()), None)
