"""What a comparison was asked to do. YAML is an output before it is an input: each run writes the file that repeats it."""

import difflib
import io
import re
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError

from hone.core.errors import Usage
from hone.core.record import Record

__all__ = ["CompareSettings", "MetricName", "parse_duration", "read_settings", "settings_from", "write_settings"]

MetricName = Literal["accuracy", "macro_f1", "weighted_f1"]


class CompareSettings(Record):
    """Settings of `hone compare`. Only `data` is required."""

    data: str
    """File (CSV, TSV, JSON, JSONL, Parquet) or Hub id."""
    model: str = "starter/encoder"
    """Starter, folder or Hub id of an encoder."""
    strategies: tuple[str, ...] = ()
    """Names of strategies; none means all."""
    budget_seconds: float = Field(default=600.0, gt=0)
    """Time that the whole comparison should take on this machine."""
    seed: int = Field(default=0, ge=0)
    metric: MetricName = "accuracy"
    """By which settings are chosen and strategies ranked."""
    text: tuple[str, ...] = ()
    """Text columns; none means inferred."""
    label: str | None = None
    """Label column; none means inferred."""
    group: str | None = None
    """Column whose equal values must not be divided between training and test (a customer, a document)."""
    test: str | None = None
    """File of rows to test on; none means a fifth of the data."""
    validation: str | None = None
    """File of rows to choose settings on; none means a fifth of the data."""
    descriptions: dict[str, str] = Field(default_factory=dict)
    """A sentence per label, used by zero-shot."""
    drop_rare: bool = False
    """Leave out classes with too few rows instead of stopping."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the forward pass; auto is bf16 where the machine has units for it."""
    out: str | None = None
    """Run folder; none means runs/ and a name made of the data's name and the settings."""
    epochs: float | None = Field(default=None, gt=0)
    """Passes over the training rows in a full run; none means what the budget allows."""
    arms: int | None = Field(default=None, ge=1, le=3)
    """Learning rates tried per strategy; none means what the budget allows."""
    batch_rows: int | None = Field(default=None, ge=1)
    """Rows per optimiser step; none means 16 below 2,000 training rows, else 32."""


_ALIASES = {
    "base": "model",
    "base_model": "model",
    "model_name_or_path": "model",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "batch_size": "batch_rows",
    "micro_batch_size": "batch_rows",
    "per_device_train_batch_size": "batch_rows",
    "text_column": "text",
    "label_column": "label",
    "group_column": "group",
    "test_file": "test",
    "validation_file": "validation",
    "output_dir": "out",
    "output": "out",
    "budget": "budget_seconds",
}
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds from '90', '90s', '10m' or '1.5h'.

    Raises:
        Usage: it is none of these, or not above 0.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|)\s*", text)
    if not match or float(match[1]) <= 0:
        raise Usage(f"'{text}' is not a duration. Write 90s, 10m or 1.5h.")
    return float(match[1]) * _UNITS[match[2]]


def read_settings(path: Path, overrides: dict[str, Any]) -> CompareSettings:
    """Settings from a YAML file, with what the command line says on top.

    Raises:
        Usage: the file is missing or not YAML, or keys or values are wrong; all of them are told at once, with their lines.
    """
    if not path.is_file():
        raise Usage(f"There is no configuration file {path}.")
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    try:
        loaded = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise Usage(f"{path} is not valid YAML: {str(error).strip()}") from error
    if not isinstance(loaded, CommentedMap):
        raise Usage(f"{path} must hold keys and values, such as `data: tickets.csv`.")
    places = {str(key): f"{path} line {loaded.lc.key(key)[0] + 1}: " for key in loaded}
    return settings_from({str(key): value for key, value in loaded.items()}, overrides, places=places)


def settings_from(
    loose: dict[str, Any], overrides: dict[str, Any] | None = None, *, places: dict[str, str] | None = None
) -> CompareSettings:
    """Settings from loose values: other tools' names for a key, '10m' for 600 seconds, 'a,b' for a list.

    Args:
        overrides: exact values that win. places: where each key stands, as a prefix for messages.
    Raises:
        Usage: with every unknown key and wrong value at once.
    """
    places = places or {}
    problems: list[str] = []
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    for key, value in loose.items():
        name = _ALIASES.get(key, key)
        if name not in CompareSettings.model_fields:
            near = difflib.get_close_matches(str(key), [*CompareSettings.model_fields, *_ALIASES], n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(CompareSettings.model_fields)}."
            problems.append(f"{places.get(key, '')}key '{key}' is not known.{hint}")
            continue
        if name in values:
            problems.append(f"{places.get(key, '')}'{key}' and another key both mean '{name}'. Keep one.")
        where[name] = places.get(key, "")
        try:
            values[name] = _plain(name, value)
        except Usage as error:
            problems.append(f"{where[name]}'{key}': {error}")
    values |= overrides or {}
    try:
        settings = CompareSettings(**values)
    except ValidationError as error:
        for one in error.errors():
            name = str(one["loc"][0]) if one["loc"] else ""
            prefix = where.get(name, "") if name not in (overrides or {}) else ""
            allowed = ", ".join(get_args(MetricName)) if name == "metric" else ""
            said = f"'{name}' is missing" if one["type"] == "missing" else f"'{name}' is {one['input']!r}: {one['msg']}"
            problems.append(prefix + said + (f" (one of {allowed})" if allowed else "") + ".")
    if problems:
        raise Usage("\n".join(problems))
    return settings


def _plain(name: str, value: Any) -> Any:
    if name in ("strategies", "text") and isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if name == "budget_seconds" and isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, list):
        return tuple(value)
    return dict(value) if isinstance(value, dict) else value


def write_settings(settings: CompareSettings) -> str:
    """The YAML that repeats a run; keys at their defaults are left out."""
    from ruamel.yaml import YAML

    values = settings.model_dump(mode="json", exclude_defaults=True)
    buffer = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(values, buffer)
    return "# Repeats this comparison: hone compare --config config.yaml\n" + buffer.getvalue()
