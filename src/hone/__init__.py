"""hone adapts a language model to your own task and tells you, with numbers, what it gained, what it forgot and what it cost.

    import hone
    comparison = hone.compare("tickets.csv")
    print(comparison.table())
    comparison.best.predict(["my parcel never came"])

The stages: task -> model -> train -> strategy -> evaluate -> compare -> serve. Importing this loads none of them.
"""

import os
from typing import TYPE_CHECKING, Any

from hone.core.errors import HoneError

if TYPE_CHECKING:
    from pathlib import Path

    from hone.compare.bundle import Bundle
    from hone.compare.compared import Compared
    from hone.tune import TunedRun

__all__ = ["HoneError", "compare", "load"]

# OpenMP threads that wait spin for milliseconds before they sleep. On a machine with other work to do, they then hold the cores
# that the others need: a training step took 20 times as long beside a second process, and 2 times with this; alone it costs a tenth
# (docs/log.md). Read when torch loads its OpenMP runtime, so it stands here, before any import of torch.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# oneDNN keeps the code it writes for each shape of product, 1,024 of them; batches of many lengths filled 240 MB with it. Lengths are
# rounded up to sizes that come again (`hone.model.arithmetic`), and 128 serve (docs/log.md).
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def compare(data: "str | Path", **settings: Any) -> "Compared":
    """Run every way of adapting a model on the rows of a file or Hub data set.

    Args:
        data: CSV, TSV, JSON, JSONL, Parquet or a Hub id. settings: fields of `hone.compare.settings.CompareSettings`, such as
            `model`, `strategies`, `budget` ("10m" or seconds), `seed`, `test`, `out`.
    Returns:
        The comparison: `.record`, `.table()`, `.best` (a bundle that predicts), `.report(path)`.
    Raises:
        HoneError: with what is wrong and what to do.
    """
    from hone.compare.compared import compare as run

    return run(data, **settings)


def load(folder: "str | Path", *, index: "str | Path | None" = None) -> "Bundle | TunedRun":
    """What answers in a folder, `best` of a comparison or a run of `hone tune`.

        hone.load("runs/tickets-1a2b3c4d/best").predict(["my parcel never came"])

    Args:
        index: where the index lies in which it looks up passages, if not where it lay when it was compared.
    Raises:
        HoneError: nothing in it answers.
    """
    from hone.serve import load_answering

    return load_answering(folder, index=index)
