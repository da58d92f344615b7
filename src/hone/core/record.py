"""The base of every record: immutable, closed, with a JSON form.

A record that crosses a folder border is one of these (or a frozen dataclass where there are
a million of them), never a bare dict.
"""

from pydantic import BaseModel, ConfigDict

__all__ = ["Record"]


class Record(BaseModel):
    """Frozen, rejects unknown fields, and round-trips through JSON unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", use_attribute_docstrings=True)

    def to_json(self, *, indent: int | None = 2) -> str:
        """The record as JSON text; `type(self).model_validate_json` reads it back."""
        return self.model_dump_json(indent=indent)
