"""Settings from a YAML file, from loose values and from the command line, with every problem told at once.

YAML is an output before it is an input: each run writes the file that repeats it. Keys that other tools use are understood.
"""

import difflib
import io
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError

from hone.core.errors import Usage
from hone.core.record import Record
from hone.core.yaml_file import places_in, read_yaml

__all__ = [
    "Form",
    "parse_count",
    "parse_duration",
    "parse_names",
    "parse_retained",
    "parse_share",
    "read_settings",
    "settings_from",
    "write_settings",
]

Settings = TypeVar("Settings", bound=Record)
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Form(Generic[Settings]):
    """A kind of settings: its record, other names for its keys, and how a loose value becomes an exact one."""

    record: type[Settings]
    command: str
    """What repeats the run, for the file's first line: 'hone compare'."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    """How a text becomes a value, by key: '10m' to seconds, 'a,b' to names."""


def parse_duration(text: str) -> float:
    """Seconds from '90', '90s', '10m' or '1.5h'.

    Raises:
        Usage: it is none of these, or not above 0.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|)\s*", text)
    if not match or float(match[1]) <= 0:
        raise Usage(f"'{text}' is not a duration. Write 90s, 10m or 1.5h.")
    return float(match[1]) * _UNITS[match[2]]


def parse_count(text: str) -> int:
    """A whole number from '8m', '50M', '1.3b', '125k' or '8192'; B is a thousand million.

    Raises:
        Usage: it is none of these, or not above 0.
    """
    match = re.fullmatch(r"\s*(\d+(?:[._]\d+)*)\s*([kmb]?)\s*", text, re.IGNORECASE)
    count = round(float(match[1].replace("_", "")) * {"": 1, "k": 1e3, "m": 1e6, "b": 1e9}[match[2].lower()]) if match else 0
    if count < 1:
        raise Usage(f"'{text}' is not a number of things. Write 8m, 1.3b, 125k or 8192.")
    return count


def parse_names(text: str) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_retained(text: str) -> tuple[str, ...]:
    """Names of retained tasks between commas; 'none' for none at all."""
    names = parse_names(text)
    return () if names == ("none",) else names


def parse_share(text: str) -> float:
    """A share from '1%', '0.5 %' or '0.01'.

    Raises:
        Usage: it is none of these.
    """
    match = re.fullmatch(r"\s*(\d*\.?\d+)\s*(%?)\s*", text)
    if not match:
        raise Usage(f"'{text}' is not a share. Write 1% or 0.01.")
    return float(match[1]) / (100 if match[2] else 1)


def read_settings(form: Form[Settings], path: Path, overrides: dict[str, Any]) -> Settings:
    """Settings from a YAML file, with what the command line says on top.

    Raises:
        Usage: the file is missing or not YAML, or keys or values are wrong; all of them are told at once, with their lines.
    """
    if not path.is_file():
        raise Usage(f"There is no configuration file {path}.")
    loaded = read_yaml(path, such_as="data: tickets.csv")
    return settings_from(form, {str(key): value for key, value in loaded.items()}, overrides, places=places_in(loaded, path))


def settings_from(
    form: Form[Settings],
    loose: dict[str, Any],
    overrides: dict[str, Any] | None = None,
    *,
    places: dict[str, str] | None = None,
) -> Settings:
    """Settings from loose values: other tools' names for a key, '10m' for 600 seconds, 'a,b' for a list.

    Args:
        overrides: values that win. places: where each key stands, as a prefix for messages.
    Raises:
        Usage: with every unknown key and wrong value at once.
    """
    places, fields = places or {}, form.record.model_fields
    problems: list[str] = []
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    for key, value in loose.items():
        name = form.aliases.get(key, key)
        if name not in fields:
            near = difflib.get_close_matches(str(key), [*fields, *form.aliases], n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(fields)}."
            problems.append(f"{places.get(key, '')}key '{key}' is not known.{hint}")
            continue
        if name in values:
            problems.append(f"{places.get(key, '')}'{key}' and another key both mean '{name}'. Keep one.")
        where[name] = places.get(key, "")
        try:
            values[name] = _exact(form, name, value)
        except Usage as error:
            problems.append(f"{where[name]}'{key}': {error}")
    values |= {name: _exact(form, name, value) for name, value in (overrides or {}).items()}
    try:
        settings = form.record(**values)
    except ValidationError as error:
        told = {name: place for name, place in where.items() if name not in (overrides or {})}
        problems += [_said(one, form, told) for one in error.errors()]
    if problems:
        raise Usage("\n".join(problems))
    return settings


def _said(one: Any, form: Form[Any], where: Mapping[str, str]) -> str:
    if not one["loc"]:  # of several keys together
        return f"{str(one['msg']).removeprefix('Value error, ')}."
    name = str(one["loc"][0])
    allowed = _choices(form.record.model_fields[name].annotation) if name in form.record.model_fields else ""
    said = f"'{name}' is missing" if one["type"] == "missing" else f"'{name}' is {one['input']!r}: {one['msg']}"
    return where.get(name, "") + said + (f" (one of {allowed})" if allowed else "") + "."


def _choices(annotation: Any) -> str:
    """The values that a choice allows, also where it may be left out."""
    if get_origin(annotation) is Literal:
        return ", ".join(str(choice) for choice in get_args(annotation))
    return next((found for part in get_args(annotation) if (found := _choices(part))), "")


def _exact(form: Form[Any], name: str, value: Any) -> Any:
    if name in form.readers and isinstance(value, str):
        return form.readers[name](value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list):
        return tuple(value)
    return dict(value) if isinstance(value, dict) else value


def write_settings(form: Form[Settings], settings: Settings) -> str:
    """The YAML that repeats a run; keys at their defaults are left out."""
    from ruamel.yaml import YAML

    values = settings.model_dump(mode="json", exclude_defaults=True)
    buffer = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(values, buffer)
    return f"# Repeats this run: {form.command} --config config.yaml\n{buffer.getvalue()}"
