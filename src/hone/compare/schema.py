"""The JSON Schema of comparison.json, for readers in other languages.

`python -m hone.compare.schema` rewrites the file beside this one; a test keeps file and records equal.
"""

import json
from pathlib import Path
from typing import Any

from hone.compare.records import Comparison

__all__ = ["SCHEMA_FILE", "comparison_schema", "write_schema"]

SCHEMA_FILE = Path(__file__).with_name("comparison.schema.json")


def comparison_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a Comparison as it is written, with every field that a file always has required."""
    schema = Comparison.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write_schema(path: Path = SCHEMA_FILE) -> None:
    """Write the schema as readable JSON."""
    path.write_text(json.dumps(comparison_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_schema()
