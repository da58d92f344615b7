"""Benchmark of `hone compare`: training speed against transformers' Trainer, accuracy on two public tasks, start-up time.

    python benchmarks/compare.py [--quick] [--json] [--data FOLDER] [--only PART]

Prints a table, or with --json one object with machine, rows, ratios (above 1 we win) and checks; exit status 1 when a check is
false, 3 when the data are missing. In full it takes about an hour and writes benchmarks/results/compare.json.
"""

import argparse
import datetime
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hone.core.console import note, render_table
from hone.core.device import core_count, has_fast_bf16, processor_name, total_memory
from hone.measure import human_seconds
from labelled_rows import NoData, find_data

__all__ = ["main"]

_PARTS = ("speed", "ag_news", "banking77", "start")
_RESULTS = Path(__file__).resolve().parent / "results"


def main() -> int:
    """Measure, print, and say by the exit status whether every check holds."""
    parser = argparse.ArgumentParser(description="Benchmark hone compare.")
    parser.add_argument("--quick", action="store_true", help="small, within 5 minutes; accuracy on AG News only")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--data", metavar="FOLDER", help="holds ag_news/ and banking77/; else HONE_BENCH_DATA, else ../shared/data"
    )
    parser.add_argument("--only", choices=_PARTS, help="measure one part; its results go to results/compare-PART.json")
    asked = parser.parse_args()
    try:
        data = find_data(asked.data)
    except NoData as error:
        print(error, file=sys.stderr)
        return 3
    result = measure(data, is_quick=asked.quick, only=asked.only)
    if not asked.quick:
        _RESULTS.mkdir(exist_ok=True)
        name = f"compare-{asked.only}.json" if asked.only else "compare.json"
        (_RESULTS / name).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result) if asked.json else tables(result))
    return 0 if all(result["checks"].values()) else 1


def measure(data: Path, *, is_quick: bool, only: str | None) -> dict[str, Any]:
    """The object that --json prints."""
    machine = _machine()
    rows: list[dict[str, Any]] = []
    ratios: dict[str, float] = {}
    checks: dict[str, bool] = {}
    if only in (None, "speed"):
        from tuning_speed import measure_speed

        note("Speed: hone and transformers' Trainer in turn.")
        found, ratios, held = measure_speed(data, is_quick=is_quick)
        rows, checks = rows + found, checks | held
    if only in (None, "ag_news", "banking77"):
        from comparison_quality import measure_quality

        more, held = measure_quality(data, is_quick=is_quick, only=only)
        rows, checks = rows + more, checks | held
    if only in (None, "start"):
        from start_time import measure_start

        more, held = measure_start()
        rows, checks = rows + more, checks | held
    return {"machine": machine, "rows": rows, "ratios": ratios, "checks": checks}


def _machine() -> dict[str, Any]:
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
        "command": " ".join(["python", "benchmarks/compare.py", *sys.argv[1:]]),
        "versions": {name: version(name) for name in ("hone-lm", "torch", "transformers", "peft")},
    }


def tables(result: dict[str, Any]) -> str:
    """The parts as text, at most 100 columns wide."""
    by_part: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        by_part.setdefault(row["part"], []).append(row)
    made = {"speed": _speed_table, "speed_quality": _end_table, "quality": _quality_table, "start": _start_table}
    machine = result["machine"]
    lines = [f"{machine['processor']}, {machine['cores']} cores; {machine['date']}; {machine['command']}"]
    lines += [table(by_part[part]) for part, table in made.items() if part in by_part]
    lines.append("\n".join(f"{'holds ' if is_true else 'FAILS '} {name}" for name, is_true in result["checks"].items()))
    return "\n\n".join(lines)


def _speed_table(rows: list[dict[str, Any]]) -> str:
    cells = [
        [
            row["name"],
            f"{row['ours_rows_per_second']:.1f}",
            f"{row['theirs_rows_per_second']:.1f}",
            f"{row['ours_tokens_per_second']:,.0f}",
            f"{row['theirs_tokens_per_second']:,.0f}",
            f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})",
        ]
        for row in rows
    ]
    headers = ["training", "hone rows/s", "Trainer", "hone tokens/s", "Trainer", f"ratio, {rows[0]['turns']} turns"]
    return render_table(
        headers, cells, align=["left", "right", "right", "right", "right", "right"], title="Speed on AG News (medians)"
    )


def _end_table(rows: list[dict[str, Any]]) -> str:
    cells = [
        [
            row["name"],
            f"{row['ours_accuracy']:.1%}",
            f"{row['theirs_accuracy']:.1%}",
            f"{100 * row['difference']['mid']:+.1f} ({100 * row['difference']['low']:+.1f} to {100 * row['difference']['high']:+.1f})",
            human_seconds(row["ours_seconds"]),
            human_seconds(row["theirs_seconds"]),
        ]
        for row in rows
    ]
    title = f"Trained on {rows[0]['rows']:,} rows for {rows[0]['epochs']} epochs, {rows[0]['held_out']:,} held-out rows"
    headers = ["training", "hone", "Trainer", "difference, points", "hone", "Trainer"]
    return render_table(headers, cells, align=["left", "right", "right", "right", "right", "right"], title=title)


def _quality_table(rows: list[dict[str, Any]]) -> str:
    cells = [
        [
            row["task"],
            row["strategy"] + (" *" if row["is_recommended"] else ""),
            f"{row['accuracy']:.1%} ({row['low']:.1%} to {row['high']:.1%})",
            human_seconds(row["seconds"]),
            ("stopped early; " if row["stopped_early"] else "")
            + ", ".join(f"{name} {value}" for name, value in row["settings"].items() if name != "template"),
        ]
        for row in rows
    ]
    headers = ["task", "strategy", "test accuracy", "time", "settings"]
    return render_table(headers, cells, align=["left", "left", "left", "right", "left"], title="hone compare (* recommended)")


def _start_table(rows: list[dict[str, Any]]) -> str:
    cells = [
        [row["name"], f"{1000 * row['seconds']:.0f} ms", f"{1000 * row['low']:.0f} to {1000 * row['high']:.0f} ms"]
        for row in rows
    ]
    return render_table(
        ["command", "median", "range"], cells, align=["left", "right", "right"], title=f"Start ({rows[0]['runs']} runs)"
    )


if __name__ == "__main__":
    sys.exit(main())
