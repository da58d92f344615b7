"""Benchmark of hone's training loop against TRL's SFTTrainer and transformers' Trainer: real tokens per second, peak memory, equal losses.

    python benchmarks/train.py [--quick] [--json] [--data FOLDER] [--only PART]

Install the peers first: pip install -c constraints.txt -e '.[bench]'; without TRL its rows are left out. Prints a table, or with --json one
object with machine, rows, ratios (above 1 we win) and checks; exit status 1 when a check is false, 3 when the data are missing. In full it
takes about an hour and writes benchmarks/results/train.json.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hone.core.console import note, render_table
from reporting import arithmetics, headline, holds, run

__all__ = ["main"]

_PARTS = ("decoder_full", "decoder_lora", "seq2seq_full", "large_vocabulary", "classification", "checks")
_CHECKED = ("decoder_full", "decoder_lora", "seq2seq_full")

Row = dict[str, Any]


def main() -> int:
    """Measure, print, and say by the exit status whether every check holds."""
    return run(
        "train",
        measure,
        tables,
        about="Benchmark hone's training loop.",
        parts=_PARTS,
        quick="two steps a turn: whether it runs, not how fast it is",
        needs=("dialogsum/dev.jsonl", "dialogsum/test.jsonl", "banking77/train.jsonl", "ag_news/test.jsonl"),
        packages=("hone-lm", "torch", "transformers", "peft", "accelerate", "trl"),
    )


def measure(data: Path, *, is_quick: bool, only: str | None) -> tuple[list[Row], dict[str, float], dict[str, bool]]:
    """Rows, ratios and checks."""
    from train_parts import PARTS, make_models, prepared_rows
    from train_peers import has_trl
    from train_turns import FULL, QUICK, measure_part

    if not has_trl():
        note("TRL is not installed, so its rows are left out. Install it: pip install -c constraints.txt -e '.[bench]'")
    chosen = [part for part in PARTS.values() if only in (None, part.name, part.ratio)]
    rows: list[Row] = []
    checks: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        wanted = chosen if only != "checks" else [PARTS[name] for name in _CHECKED]
        make_models(models, data, [part.model for part in wanted])
        for part in chosen:
            note(f"{part.name}: hone and its peers in turn.")
            rows += measure_part(part, models, data, prepared_rows(part, models, data), QUICK if is_quick else FULL)
        checked = [name for name in _CHECKED if only in (None, "checks", name)]
        if checked:
            found = _check([PARTS[name] for name in checked], models, data, is_quick=is_quick)
            rows += found
            for name in ("losses", "gradients"):
                checks[f"same_{name}"] = all(row["is_same"] for row in found if row["part"] == name)
    compared = [row for row in rows if row["part"] == "ratio"]
    if compared:
        checks["same_tokens"] = all(row["is_same_tokens"] for row in compared)
    return rows, _ratios(chosen, compared), checks


def _check(parts: list[Any], models: Path, data: Path, *, is_quick: bool) -> list[Row]:
    from train_checks import compare_gradients, compare_losses
    from train_parts import prepared_rows

    found = []
    for part in parts:
        prepared = prepared_rows(part, models, data)
        for precision in ("fp32",) if is_quick else arithmetics():
            found.append(compare_losses(part, models, prepared, steps=4 if is_quick else 12, precision=precision))
        found.append(compare_gradients(part, models, prepared))
        note(f"  {part.name}: losses at most {found[-2]['most_apart']:.2%} apart, gradients {found[-1]['most_apart']:.1e}")
    return found


def _ratios(parts: list[Any], compared: list[Row]) -> dict[str, float]:
    """By the names of the issue; where several data sets share a name, and for memory, the least."""
    ratios: dict[str, float] = {}

    def keep(name: str, value: float) -> None:
        ratios[name] = min(value, ratios.get(name, value))

    for part in parts:
        row = next(row for row in compared if row["name"] == part.name)
        if "default" in row:
            keep(f"{part.ratio}_vs_{part.default}", row["default"]["ratio"])
        keep(f"{part.ratio}_vs_best_peer", row["best_peer"]["ratio"])
        keep("peak_memory_vs_best_peer", row["peak_memory"])
    return ratios


def tables(result: dict[str, Any]) -> str:
    """The parts as text, at most 100 columns wide."""
    rows = result["rows"]
    lines = [headline(result)]
    speed = [row for row in rows if row["part"] == "speed"]
    if speed:
        lines.append(_speed_table(speed, {row["name"]: row for row in rows if row["part"] == "ratio"}))
    checked = [row for row in rows if row["part"] in ("losses", "gradients")]
    if checked:
        lines.append(_check_table(checked))
    lines.append("\n".join(f"{value:6.2f}x  {name}" for name, value in result["ratios"].items()))
    lines.append(holds(result["checks"]))
    return "\n\n".join(line for line in lines if line)


def _speed_table(rows: list[Row], ratios: dict[str, Row]) -> str:
    cells = []
    for row in rows:
        ratio = ratios[row["name"]].get(row["role"])
        cells.append(
            [
                row["name"] if row["role"] == "ours" else "",
                row["contender"],
                f"{row['tokens_per_second']:,.0f}",
                f"{row['tokens_per_processor_second']:,.0f}",
                f"{row['peak_bytes'] / 2**20:,.0f}",
                f"{ratio['ratio']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else "",
                f"{ratio['processor_seconds']:.2f}" if ratio else "",
            ]
        )
    headers = ["part", "trainer", "tokens/s", "/cpu s", "MiB", "ours faster", "by cpu"]
    align = ["left", "left", "right", "right", "right", "right", "right"]
    return render_table(headers, cells, align=align, title="Training, real tokens (medians)")  # type: ignore[arg-type]


def _check_table(rows: list[Row]) -> str:
    cells = [
        [
            f"{row['name']}, {row['part']}",
            row.get("peer", "transformers, fp32"),
            f"{row['ours'][0]:.4f} / {row['theirs'][0]:.4f}" if row["part"] == "losses" else f"{row['ours_loss']:.4f}",
            f"{row['ours'][-1]:.4f} / {row['theirs'][-1]:.4f}" if row["part"] == "losses" else "",
            f"{row['most_apart']:.1e}",
        ]
        for row in rows
    ]
    headers = ["same", "peer", "first loss, ours / theirs", "last loss", "apart"]
    return render_table(headers, cells, align=["left", "left", "right", "right", "right"], title="The same thing computed")


if __name__ == "__main__":
    sys.exit(main())
