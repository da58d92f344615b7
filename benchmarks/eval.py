"""Benchmark of hone's scoring and generation against lm-evaluation-harness's transformers backend and transformers' `generate`.

    python benchmarks/eval.py [--quick] [--json] [--data FOLDER] [--only PART]

Install the harness first: pip install -c constraints.txt -e '.[harness]'. Prints a table, or with --json one object with machine, rows,
ratios (above 1 we win) and checks; exit status 1 when a check is false, 3 when the data are missing. In full it takes about 15 minutes
and writes benchmarks/results/eval.json.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hone.core.console import note, render_table
from reporting import headline, holds, run

__all__ = ["main"]

_PARTS = ("mmlu", "hellaswag", "hellaswag_random", "seq2seq_choices", "generate")
Row = dict[str, Any]


def main() -> int:
    """Measure, print, and say by the exit status whether every check holds."""
    return run(
        "eval",
        measure,
        tables,
        about="Benchmark hone's scoring and generation.",
        parts=_PARTS,
        quick="few questions, within 5 minutes",
        needs=("hellaswag/val.jsonl", "mmlu/test_public.jsonl", "mmlu/dev.jsonl", "dialogsum/test.jsonl"),
        packages=("hone-lm", "torch", "transformers", "lm_eval"),
    )


def measure(data: Path, *, is_quick: bool, only: str | None) -> tuple[list[Row], dict[str, float], dict[str, bool]]:
    """Rows, ratios and checks."""
    from eval_turns import make_models, measure_choices, measure_generation

    rows: list[Row] = []
    ratios: dict[str, float] = {}
    checks: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as folder:
        make_models(Path(folder), data)
        for part in _PARTS:
            if only not in (None, part):
                continue
            note(f"{part}: hone and its peer in turn.")
            way = measure_generation if part == "generate" else measure_choices
            found, more, held = way(part, Path(folder), data, is_quick=is_quick)
            rows += found
            ratios |= more
            for name, value in held.items():
                checks[name] = checks.get(name, True) and value
    return rows, ratios, checks


def tables(result: dict[str, Any]) -> str:
    """The parts as text."""
    cells = [
        [row["part"], row["contender"], f"{row['seconds']:.2f}", f"{row['ratio']:.1f}" if row.get("ratio") else "", row["remark"]]
        for row in result["rows"]
    ]
    headers = ["part", "engine", "seconds", "times faster", ""]
    table = render_table(headers, cells, align=["left", "left", "right", "right", "left"], title="Same questions, medians")
    lines = [headline(result), table, "\n".join(f"{value:6.2f}x  {name}" for name, value in result["ratios"].items())]
    return "\n\n".join([*lines, holds(result["checks"])])


if __name__ == "__main__":
    sys.exit(main())
