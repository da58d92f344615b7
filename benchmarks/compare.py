"""Benchmark of `hone compare`: training speed against transformers' Trainer, accuracy on two public tasks, start-up time.

    python benchmarks/compare.py [--quick] [--json] [--data FOLDER] [--only PART]

Prints a table, or with --json one object with machine, rows, ratios (above 1 we win) and checks; exit status 1 when a check is
false, 3 when the data are missing. In full it takes about an hour and writes benchmarks/results/compare.json.
"""

import sys
from pathlib import Path
from typing import Any

from hone.core.console import note, render_table
from hone.measure import human_seconds
from reporting import headline, holds, run

__all__ = ["main"]

_PARTS = ("speed", "ag_news", "banking77", "start")


def main() -> int:
    """Measure, print, and say by the exit status whether every check holds."""
    return run(
        "compare",
        measure,
        tables,
        about="Benchmark hone compare.",
        parts=_PARTS,
        quick="small, within 5 minutes; accuracy on AG News only",
        needs=("ag_news/test.jsonl", "banking77/train.jsonl", "banking77/test.jsonl"),
        packages=("hone-lm", "torch", "transformers", "peft"),
    )


def measure(data: Path, *, is_quick: bool, only: str | None) -> tuple[list[dict[str, Any]], dict[str, float], dict[str, bool]]:
    """Rows, ratios and checks."""
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
    return rows, ratios, checks


def tables(result: dict[str, Any]) -> str:
    """The parts as text, at most 100 columns wide."""
    by_part: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        by_part.setdefault(row["part"], []).append(row)
    made = {"speed": _speed_table, "speed_quality": _end_table, "quality": _quality_table, "start": _start_table}
    lines = [headline(result)]
    lines += [table(by_part[part]) for part, table in made.items() if part in by_part]
    lines.append(holds(result["checks"]))
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
