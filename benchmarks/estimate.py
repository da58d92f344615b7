"""Benchmark of hone's memory estimate: a dry run from a configuration alone, against the peak of the run itself.

    python benchmarks/estimate.py [--quick] [--json] [--data FOLDER] [--only PART]

For a decoder (Llama's shape, 17 M parameters), an encoder-decoder (T5's, 20 M) and the starter encoder, fully tuned, with LoRA and, where
bitsandbytes is installed, with LoRA on four bits (the first two), in bf16 where the machine has it: estimate and measurement each in a fresh process
(`estimate_memory.py`), which is counted whole. Beside them the textbook's formula and accelerate's own estimate, to which the process is
added. Exit status 1 when an estimate is more than 10% off.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from estimate_memory import SHAPES
from hone.core.console import note, render_table
from hone.measure import human_bytes
from reporting import headline, holds, run

__all__ = ["main"]

_LIMIT = 900  # seconds of one process
_NEAR = 0.10
_METHODS = ("full", "lora", "qlora")
_LENGTHS = {
    "decoder": ((16, 128, 32), (16, 128, 128), (4, 512, 64)),
    "encoder-decoder": ((16, 96, 32),),
    "starter encoder": ((16, 64, 1),),
}
Row = dict[str, Any]
Measured = tuple[list[Row], dict[str, float], dict[str, bool]]


def main() -> int:
    """Measure, print, and say by the exit status whether every check holds."""
    return run(
        "estimate",
        measure,
        tables,
        about="Benchmark hone's memory estimate.",
        parts=tuple(SHAPES),
        quick="one batch per shape, within 5 minutes",
        needs=(),
        packages=("hone-lm", "torch", "transformers", "peft", "accelerate"),
    )


def measure(data: Path, *, is_quick: bool, only: str | None) -> Measured:
    """Rows, ratios and checks."""
    has_bits = find_spec("bitsandbytes") is not None
    rows: list[Row] = []
    for shape in (only,) if only else tuple(SHAPES):
        for lengths in _LENGTHS[shape][: 1 if is_quick else None]:
            for method in _METHODS if has_bits and shape != "starter encoder" else _METHODS[:2]:
                note(f"{shape}, {method}, {lengths[0]} rows of {lengths[1]} tokens.")
                asked = [shape, method, *map(str, lengths)]
                rows.append({"shape": shape, "method": method, "rows": lengths[0], "read": lengths[1], "learnt": lengths[2]})
                rows[-1] |= _apart("estimate", asked) | _apart("measure", asked)
    ratios: dict[str, float] = {}
    for row in rows:
        row["error"] = row["estimate_bytes"] / row["measured_bytes"] - 1
        row["textbook_error"] = (row["textbook_bytes"] + row["process_bytes"]) / row["measured_bytes"] - 1
        row["accelerate_error"] = (row["accelerate_bytes"] + row["process_bytes"]) / row["measured_bytes"] - 1
    worst = {name: max(abs(row[name]) for row in rows) for name in ("error", "textbook_error", "accelerate_error")}
    ratios["textbook_worst_error_vs_ours"] = worst["textbook_error"] / max(worst["error"], 1e-9)
    ratios["accelerate_worst_error_vs_ours"] = worst["accelerate_error"] / max(worst["error"], 1e-9)
    return (
        rows,
        ratios,
        {f"{row['shape']} {row['method']} {row['rows']}x{row['read']} within 10%": abs(row["error"]) <= _NEAR for row in rows},
    )


def _apart(what: str, asked: list[str]) -> Row:
    # stderr is the caller's: what went wrong there is seen
    command = [sys.executable, str(Path(__file__).with_name("estimate_memory.py")), what, *asked]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=_LIMIT, check=True, env=os.environ)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def tables(result: dict[str, Any]) -> str:
    """Estimates beside measurements."""
    cells = [
        [
            f"{row['shape']}, {row['method']}",
            f"{row['rows']} x {row['read']}",
            human_bytes(row["measured_bytes"]),
            f"{human_bytes(row['estimate_bytes'])} {row['error']:+.1%}",
            f"{row['textbook_error']:+.0%}",
            f"{row['accelerate_error']:+.0%}",
            f"{row['processor_seconds']:.2f} s",
        ]
        for row in result["rows"]
    ]
    head = ["run", "rows x tokens", "measured", "estimated", "textbook", "accelerate", "estimating took"]
    table = render_table(head, cells, align=["left", *["right"] * 6])
    ratios = "\n".join(f"{value:6.2f}x  {name}" for name, value in result["ratios"].items())
    return "\n\n".join([headline(result), table, ratios, holds(result["checks"])])


if __name__ == "__main__":
    sys.exit(main())
