"""Part `quality`: `hone compare` as a user runs it, on AG News and banking77, against accuracies it must reach.

AG News: 1,000 rows to train on, 500 to choose on, 2,000 to test on. banking77: the official division; hone holds a quarter
of the training rows back to choose on, and removes training rows that stand in the test set too.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hone.core.console import note
from labelled_rows import TaskFiles, ag_news, banking77, write_rows

__all__ = ["measure_quality"]

# Lowest accuracy on the test rows, for the best strategy and for single ones.
_TARGETS = {"ag_news": {"best": 0.885, "head": 0.854}, "banking77": {"best": 0.935}}
_QUICK_TARGETS = {"ag_news": {"best": 0.80, "head": 0.78}}  # 300 training rows and a tight budget: shows only that it works
_OPTIONS = {
    "ag_news": ["--budget", "15m"],
    "banking77": ["--budget", "60m", "--strategies", "head,lora,full"],  # all nine would take 2 hours
}


def measure_quality(data: Path, *, is_quick: bool, only: str | None = None) -> tuple[list[dict[str, Any]], dict[str, bool]]:
    """A row per task and strategy, and the checks. `only`: name of one task."""
    rows: list[dict[str, Any]] = []
    checks: dict[str, bool] = {}
    targets = _QUICK_TARGETS if is_quick else _TARGETS
    for task in [only] if only else list(targets):
        with tempfile.TemporaryDirectory() as folder:
            files = _ag_news(data, Path(folder), is_quick) if task == "ag_news" else _banking77(data, Path(folder))
            extra = ["--strategies", "head,full", "--budget", "80s"] if is_quick else _OPTIONS[task]
            comparison, seconds = _compare(files, Path(folder) / "run", extra)
        found = [_row(task, row, comparison, seconds) for row in comparison["rows"]]
        rows += found
        accuracy = {row["strategy"]: row["accuracy"] for row in found}
        accuracy["best"] = max(accuracy.values())
        for name, least in targets[task].items():
            checks[f"{task}_{name}_at_least_{least:g}"] = accuracy[name] >= least
    return rows, checks


def _ag_news(data: Path, folder: Path, is_quick: bool) -> TaskFiles:
    examples = ag_news(data)
    train, test = (300, 500) if is_quick else (1000, 2000)
    return TaskFiles(
        write_rows(folder / "train.csv", examples[:train]),
        write_rows(folder / "validation.csv", examples[1000:1200] if is_quick else examples[1000:1500]),
        write_rows(folder / "test.csv", examples[1500 : 1500 + test]),
    )


def _banking77(data: Path, folder: Path) -> TaskFiles:
    train, test = (write_rows(folder / f"{part}.csv", banking77(data, part)) for part in ("train", "test"))
    return TaskFiles(train, None, test)


def _compare(files: TaskFiles, out: Path, extra: list[str]) -> tuple[dict[str, Any], float]:
    """Run the command in a process of its own, its progress on our stderr; comparison.json and the seconds it took."""
    validation = ["--validation", str(files.validation)] if files.validation else []
    arguments = [str(files.train), "--test", str(files.test), *validation, *extra, "--out", str(out), "--json"]
    note(f"hone compare {' '.join(arguments)}")
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "hone", "compare", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    comparison: dict[str, Any] = json.loads(done.stdout)
    return comparison, time.perf_counter() - started


def _row(task: str, row: dict[str, Any], comparison: dict[str, Any], seconds: float) -> dict[str, Any]:
    accuracy = row["metrics"]["accuracy"]
    return {
        "part": "quality",
        "task": task,
        "strategy": row["strategy"],
        "accuracy": accuracy["value"],
        "low": accuracy["low"],
        "high": accuracy["high"],
        "n": accuracy["n"],
        "validation": row["validation"],
        "seconds": row["cost"]["train_seconds"],
        "peak_bytes": row["cost"]["peak_bytes"],
        "settings": row["settings"],
        "stopped_early": row["stopped_early"],
        "is_recommended": row["strategy"] == comparison["recommended"]["strategy"],
        "comparison_seconds": seconds,
        "data": {name: comparison["data"][name] for name in ("train", "validation", "test", "removed")},
    }
