"""Data sets of the Hugging Face Hub: the one door to the `datasets` package.

Reached only when a source is no file. `HF_HUB_OFFLINE` and `HF_HOME` are respected by the package itself.
"""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from hone.core.errors import BadData, HoneError, MissingPackage, need
from hone.task.reader import Broken, Reader, Row

__all__ = ["looks_like_hub_id", "read_hub"]

_ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)(?:/(?P<config>[\w.-]+))?(?::(?P<split>[\w.-]+))?")
_BATCH_ROWS = 1000
_PROBE_SECONDS = 5.0


def looks_like_hub_id(source: str) -> bool:
    """Whether a source has the form name, org/name, org/name/config, each with or without :split."""
    return _ID.fullmatch(source) is not None


def read_hub(source: str) -> Reader:
    """Open one split of a data set: the one named after the colon, else `train`, else the only one.

    Raises:
        BadData: the package is absent, the Hub cannot be reached, or it has no such data set, configuration or split.
    """
    parts = _ID.fullmatch(source)
    assert parts is not None, "looks_like_hub_id is asked first"
    name, config, split = parts["name"], parts["config"], parts["split"]
    try:
        datasets: Any = need("datasets", extra="hub")
    except MissingPackage as error:
        raise BadData(
            f"'{source}' is no file here. To look for it on the Hugging Face Hub: {error} Or check the path."
        ) from error
    try:
        with contextlib.nullcontext() if _is_reachable() else _offline(datasets):
            found = datasets.load_dataset(name, config)
    except Exception as error:  # any of datasets', huggingface_hub's, httpx's and fsspec's exceptions
        raise _unreachable(source, error) from error
    data = _one_split(found, source, split)

    def rows(columns: Sequence[str]) -> Iterator[Row | Broken]:
        number = 0
        for batch in data.select_columns(list(dict.fromkeys(columns))).iter(batch_size=_BATCH_ROWS):
            for row in zip(*(batch[column] for column in columns), strict=True):
                number += 1
                yield number, row

    # A list of class numbers carries the names in its `feature`.
    kinds = {column: getattr(kind, "feature", kind) for column, kind in data.features.items()}
    names = {column: tuple(kind.names) for column, kind in kinds.items() if getattr(kind, "names", None)}
    return Reader(tuple(data.column_names), rows, names)


def _is_reachable() -> bool:
    """Whether the Hub's host answers. Asked first, since the client otherwise retries for 20 seconds, with a warning each time."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        with socket.create_connection((endpoint.hostname, endpoint.port or 443), timeout=_PROBE_SECONDS):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def _offline(datasets: Any) -> Iterator[None]:
    """Look in the cache only: what `HF_HUB_OFFLINE=1` does when it is set before the packages are imported."""
    switches: list[Any] = [
        module for module in (getattr(datasets, "config", None), sys.modules.get("huggingface_hub.constants")) if module
    ]
    before = [(module, getattr(module, "HF_HUB_OFFLINE", False)) for module in switches]
    for module in switches:
        module.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for module, value in before:
            module.HF_HUB_OFFLINE = value


def _one_split(found: Any, source: str, split: str | None) -> Any:
    splits = list(found)
    chosen = split or ("train" if "train" in splits else splits[0] if len(splits) == 1 else None)
    if chosen in splits:
        return found[chosen]
    what = f"has no split '{split}'" if split else "has several splits and none is called train"
    raise BadData(
        f"{source}: the data set {what}. It has: {', '.join(splits)}. "
        f"Name one after a colon, such as {source.split(':')[0]}:{splits[0]}"
    )


def _unreachable(source: str, error: Exception) -> HoneError:
    lines = str(error).splitlines()
    said = (lines[0] if lines else type(error).__name__)[:200].rstrip(". ")
    cure = "Check the spelling and the path, or download the data set and give its file."
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return BadData(
            f"'{source}' is no file here, and the Hugging Face Hub is switched off by HF_HUB_OFFLINE (not in the cache). {cure}"
        )
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "DatasetNotFoundError" in kinds:
        return BadData(f"'{source}' is no file here, and the Hugging Face Hub has no such public data set. {cure}")
    if kinds & {"ConnectionError", "ConnectError", "TimeoutException", "TimeoutError", "OfflineModeIsEnabled"}:
        return BadData(f"'{source}' is no file here, and the Hugging Face Hub cannot be reached (nor is it in the cache). {cure}")
    return BadData(f"'{source}' is no file here, and cannot be read from the Hugging Face Hub: {said}. {cure}")
