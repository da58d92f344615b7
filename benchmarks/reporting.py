"""What the benchmarks share: their arguments, the machine they ran on, where results go, and the exit status.

A benchmark gives `run` a function that measures and one that lays out tables; it prints a table, or with --json one object with
machine, rows, ratios (above 1 we win) and checks. Exit status 1 when a check is false, 3 when the data are missing.
"""

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from hone.core.allocator import preload_allocator
from hone.core.device import best_device, core_count, has_fast_bf16, processor_name, total_memory
from labelled_rows import NoData, find_data

__all__ = ["arithmetics", "headline", "holds", "run"]

_RESULTS = Path(__file__).resolve().parent / "results"

Result = dict[str, Any]
Measured = tuple[list[dict[str, Any]], dict[str, float], dict[str, bool]]
"""Rows, ratios and checks."""


def run(
    name: str,
    measure: Callable[..., Measured],
    tables: Callable[[Result], str],
    *,
    about: str,
    parts: Sequence[str],
    quick: str,
    needs: Sequence[str],
    packages: Sequence[str],
) -> int:
    """Parse the arguments, measure, print, and give the exit status.

    Args:
        name: of the file, without .py. measure: called with the data's folder, is_quick and only. quick: what --quick does.
        needs: files that must be in the data's folder. packages: whose versions are recorded, where they are installed.
    """
    preload_allocator()  # as the hone command does
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--data", metavar="FOLDER", help="holds the data sets; else HONE_BENCH_DATA, else ../shared/data")
    parser.add_argument("--only", choices=parts, help=f"measure one part; its results go to results/{name}-PART.json")
    asked = parser.parse_args()
    try:
        data = find_data(asked.data, needs=needs)
    except NoData as error:
        print(error, file=sys.stderr)
        return 3
    machine = _machine(name, packages)
    rows, ratios, checks = measure(data, is_quick=asked.quick, only=asked.only)
    result = {"machine": machine, "rows": rows, "ratios": ratios, "checks": checks}
    if not asked.quick:
        _RESULTS.mkdir(exist_ok=True)
        file = f"{name}-{asked.only}.json" if asked.only else f"{name}.json"
        (_RESULTS / file).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result) if asked.json else tables(result))
    return 0 if all(checks.values()) else 1


def arithmetics() -> tuple[Literal["fp32", "bf16"], ...]:
    """What can be measured here: bf16 only where the machine multiplies in it, for elsewhere it takes tens of times as long as fp32."""
    return ("fp32", "bf16") if has_fast_bf16(best_device()) else ("fp32",)


def headline(result: Result) -> str:
    """The machine, the date and the command in one line."""
    machine = result["machine"]
    return f"{machine['processor']}, {machine['cores']} cores; {machine['date']}; {machine['command']}"


def holds(checks: dict[str, bool]) -> str:
    """One line per check."""
    return "\n".join(f"{'holds ' if is_true else 'FAILS '} {name}" for name, is_true in checks.items())


def _machine(name: str, packages: Sequence[str]) -> dict[str, Any]:
    import torch

    is_cuda = torch.cuda.is_available()
    return {
        "processor": processor_name(),
        "cores": core_count(),
        "memory_bytes": total_memory(),
        "accelerator": torch.cuda.get_device_name() if is_cuda else None,
        "has_fast_bf16": has_fast_bf16(torch.device("cuda" if is_cuda else "cpu")),
        "load_average_before": os.getloadavg()[0],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", f"benchmarks/{name}.py", *sys.argv[1:]]),
        "versions": {package: _version(package) for package in packages},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
