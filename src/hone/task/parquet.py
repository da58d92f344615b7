"""Parquet files, read in batches of rows and only in the columns that are used. pyarrow is imported here alone."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hone.core.errors import BadData
from hone.task.reader import Broken, Reader, Row

__all__ = ["read_parquet"]

_BATCH_ROWS = 8192


def read_parquet(path: Path) -> Reader:
    """Open a Parquet file; class numbers get the names that the `datasets` library stores in the file's metadata.

    Raises:
        BadData: it is not a Parquet file, or is cut short.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
    except (pyarrow.ArrowException, OSError) as error:
        what = str(error).splitlines()[0]
        raise BadData(
            f"{path.name} cannot be read as Parquet: {what}. Check that the file is whole, or give the rows as CSV."
        ) from error

    def rows(columns: Sequence[str]) -> Iterator[Row | Broken]:
        number = 0
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(dict.fromkeys(columns))):
                    cells = [batch.column(name).to_pylist() for name in columns]
                    for row in zip(*cells, strict=True):
                        number += 1
                        yield number, row
        except pyarrow.ArrowException as error:
            raise BadData(
                f"{path.name} row {number + 1}: {str(error).splitlines()[0]}. The file is damaged; write it again."
            ) from error

    return Reader(tuple(schema.names), rows, _class_names(schema.metadata or {}))


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """The `ClassLabel` features that Hugging Face datasets writes under the key 'huggingface', also those of lists."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        kinds = {name: _element(kind) for name, kind in features.items()}
        return {name: tuple(kind["names"]) for name, kind in kinds.items() if kind.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _element(kind: Any) -> Any:
    """What a list holds: older releases write [kind], newer ones {"feature": kind}; anything else is itself."""
    if isinstance(kind, list) and len(kind) == 1:
        return kind[0]
    return kind["feature"] if isinstance(kind.get("feature"), dict) else kind
