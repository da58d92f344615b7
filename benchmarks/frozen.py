"""Training upper blocks of the starter encoder, with the frozen ones computed once and with every row: the same losses, in turn.

    python benchmarks/frozen.py [--quick] [--json] [--data FOLDER] [--only top|lora]

"computed each time" has frozen blocks drop nothing out, as hone trains; "with dropout" is transformers' way, in which they do as the
trained ones. Rates are tokens per second of processor time, which other work on the machine disturbs least.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from hone.catalogue import locate_model
from hone.model import load_classifier, load_reader
from hone.task import Example
from hone.train import Classify, Frozen, SingleTask, TrainPlan, fit, make_trainable
from labelled_rows import ag_news
from reporting import headline, holds, run

WAYS = ("with dropout", "computed each time", "kept")
METHODS: dict[str, dict[str, Any]] = {"top": {"count": 2}, "lora": {"layers": 2, "rank": 8}}
RATES = {"top": 1e-4, "lora": 5e-4}
_BATCH = 32
_PASSES = 4
_ALIKE = 0.02  # of a loss in bf16: rows stand in other batches when the frozen blocks are computed once


def train(rows: Sequence[Example], *, part: str, way: str, dropout: float) -> tuple[float, list[float]]:
    """Tokens per second of processor time over a whole training, the work that is done once included, and the loss of each step."""
    base = locate_model("starter/encoder")
    reader = load_reader(base, precision="auto")
    labels = tuple(sorted({row.label for row in rows}))
    torch.manual_seed(0)
    net = make_trainable(part, **METHODS[part]).prepare(load_classifier(base, labels))
    for module in net.base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = dropout
    if reader.precision == "bf16":
        net.narrow_frozen()
    objective = Classify(labels, reader)
    encoded, losses = objective.encode(rows), []
    plan = TrainPlan(
        learning_rate=RATES[part],
        head_learning_rate=2e-3,
        steps=_PASSES * len(encoded) // _BATCH,
        batch_rows=_BATCH,
        forward_tokens=2048,
        evaluations=0,
        keep_bytes=2**30 if way == "kept" else 0,
        precision=reader.precision,
    )
    rest = (lambda self: None) if way == "with dropout" else Frozen.rest
    mixture = SingleTask(len(encoded))
    with patch.object(Frozen, "rest", rest):
        began = time.process_time()
        done = fit(net, encoded, plan=plan, objective=objective, mixture=mixture, listener=lambda one: losses.append(one.loss))
        return done.tokens_seen / (time.process_time() - began), losses


def measure(folder: Path, is_quick: bool, only: str | None) -> tuple[list[dict[str, Any]], dict[str, float], dict[str, bool]]:
    """The last two of six blocks, each way in turn, with the model's dropout and without any."""
    rows, ratios, checks = [], {}, {}
    examples, turns = ag_news(folder)[: 128 if is_quick else 256], 1 if is_quick else 3
    torch.set_num_threads(1)
    for part in [only] if only else METHODS:
        train(
            examples[: 2 * _BATCH], part=part, way="kept", dropout=0.1
        )  # what the libraries do at their first call is nobody's time
        for dropout, ways in ((0.1, WAYS), (0.0, WAYS[1:])):
            rates: dict[str, list[float]] = {way: [] for way in ways}
            losses: dict[str, list[float]] = {}
            for turn in range(turns):
                for way in ways[:: 1 if turn % 2 else -1]:
                    rate, losses[way] = train(examples, part=part, way=way, dropout=dropout)
                    rates[way].append(rate)
            rows += [
                {"part": part, "dropout": dropout, "way": way, "tokens_per_cpu_second": statistics.median(found), "all": found}
                for way, found in rates.items()
            ]
            for way in ways[:-1]:
                each = [kept / other for kept, other in zip(rates["kept"], rates[way], strict=True)]
                ratios[f"{part}_dropout_{dropout:g}_kept_against_{way.replace(' ', '_')}"] = statistics.median(each)
            pairs = zip(losses["kept"], losses["computed each time"], strict=True)
            checks[f"{part}_same_losses_dropout_{dropout:g}"] = all(abs(a - b) <= _ALIKE * max(a, b) + 1e-3 for a, b in pairs)
    return rows, ratios, checks


def tables(result: dict[str, Any]) -> str:
    """A line per way."""
    lines = [headline(result)] + [
        f"{row['part']}, dropout {row['dropout']:g}, {row['way']}: {row['tokens_per_cpu_second']:,.0f} tokens per second of processor time "
        f"({', '.join(f'{one:,.0f}' for one in row['all'])})"
        for row in result["rows"]
    ]
    return "\n".join(
        [*lines, *(f"{name}: {ratio:.2f} times" for name, ratio in result["ratios"].items()), holds(result["checks"])]
    )


if __name__ == "__main__":
    sys.exit(
        run(
            "frozen",
            measure,
            tables,
            about="Frozen blocks computed once, against with every row.",
            parts=tuple(METHODS),
            quick="128 rows, one turn",
            needs=("ag_news/test.jsonl",),
            packages=("torch", "transformers"),
        )
    )
