"""Benchmark of hone's retrieval: how fast passages are inserted, indexed and found, and how well questions find their passages.

    python benchmarks/retrieve.py [--quick] [--json] [--data FOLDER] [--only PART]

Install the extra first: pip install -c constraints.txt -e '.[retrieve,starter]'. speed: insert, index and query times per mode, and how much of
exact vector search the approximate one finds, on unit vectors around random centres with Zipf-distributed words. quality: the questions of
Natural Questions against the pool of their own gold passages (nq_oracle/nq-open-oracle.jsonl). Prints a table, or with --json one object with
machine, rows, ratios (above 1 we win) and checks; exit status 1 when a check is false, 3 when the data are missing.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hone.catalogue import locate_model
from hone.core.console import note, render_table
from hone.measure import quantile
from hone.model import load_encoder
from hone.retrieve import MODES, Document, Documents, Index, IndexSettings, Question, Questions, evaluate_index
from hone.retrieve.index import fused
from hone.retrieve.store import PassageRow, Store
from reporting import headline, holds, run

__all__ = ["main"]

_PARTS = ("speed", "quality")
_PASSAGES = 10_000
_WIDTH = 384
_DEPTH = 10
Row = dict[str, Any]
Measured = tuple[list[Row], dict[str, float], dict[str, bool]]


def main() -> int:
    """Measure, print, and say by the exit status whether every check holds."""
    return run(
        "retrieve",
        measure,
        tables,
        about="Benchmark hone's retrieval.",
        parts=_PARTS,
        quick="fewer queries and questions, within 5 minutes",
        needs=("nq_oracle/nq-open-oracle.jsonl",),
        packages=("hone-lm", "torch", "transformers", "lancedb"),
    )


def measure(data: Path, *, is_quick: bool, only: str | None) -> Measured:
    """Rows, ratios and checks."""
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    checks: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as folder:
        if only in (None, "speed"):
            note(f"speed: {_PASSAGES:,} passages.")
            found = measure_speed(Path(folder) / "speed", queries=200 if is_quick else 1_000)
            rows, ratios, checks = rows + found[0], ratios | found[1], checks | found[2]
        if only in (None, "quality"):
            note("quality: questions against the pool of their gold passages.")
            file = data / "nq_oracle" / "nq-open-oracle.jsonl"
            found = measure_quality(file, Path(folder) / "quality", questions=400 if is_quick else None)
            rows, ratios, checks = rows + found[0], ratios | found[1], checks | found[2]
    return rows, ratios, checks


def measure_speed(folder: Path, *, queries: int) -> Measured:
    """Times of the table itself, without the encoder; vectors and words are seeded."""
    rng = np.random.default_rng(0)
    centres = _unit(rng.normal(size=(100, _WIDTH)))
    vectors = _unit(centres[rng.integers(0, 100, _PASSAGES)] + 0.1 * rng.normal(size=(_PASSAGES, _WIDTH)))
    asked = _unit(vectors[rng.integers(0, _PASSAGES, queries)] + 0.05 * rng.normal(size=(queries, _WIDTH)))
    texts = [_words(rng, 100) for _ in range(_PASSAGES)]
    questions = [_words(rng, 8) for _ in range(queries)]
    passages = [PassageRow(f"d{at}", "0", "", text, 0, len(text), text, f"{at}") for at, text in enumerate(texts)]
    store = Store(folder)
    rows: list[Row] = []
    found: dict[str, list[list[int]]] = {}
    for kind in ("exact", "approximate"):
        table = store.create(f"passages-{kind}", width=_WIDTH)
        inserting = _seconds(lambda table=table: table.add(0, passages, vectors))
        indexing = _seconds(
            lambda table=table, kind=kind: table.prepare(language="English", is_approximate=kind == "approximate")
        )
        rows.append({"part": "speed", "what": f"{kind}: insert {_PASSAGES:,} passages", "seconds": inserting})
        rows.append(
            {"part": "speed", "what": f"{kind}: index words" + (", vectors" * (kind == "approximate")), "seconds": indexing}
        )
        is_exact = kind == "exact"
        ways: dict[str, Any] = {
            "vector": lambda at, table=table, is_exact=is_exact: table.near(asked[at : at + 1], depth=_DEPTH, is_exact=is_exact)[
                0
            ],
            "text": lambda at, table=table: table.matching([questions[at]], depth=_DEPTH)[0],
            "hybrid": lambda at, table=table, is_exact=is_exact: fused(
                [table.near(asked[at : at + 1], depth=50, is_exact=is_exact)[0], table.matching([questions[at]], depth=50)[0]]
            )[:_DEPTH],
        }
        for mode, way in ways.items():
            times, hits = [], []
            way(0)
            for at in range(queries):
                started = time.perf_counter()
                one = way(at)
                times.append(time.perf_counter() - started)
                hits.append([hit.number for hit in one])
            found[f"{kind} {mode}"] = hits
            rows.append(
                {
                    "part": "speed",
                    "what": f"{kind}: query, {mode}",
                    "seconds": quantile(times, 0.5),
                    "p95_seconds": quantile(times, 0.95),
                }
            )
    best = np.argsort(-(asked @ vectors.T), axis=1)[:, :_DEPTH]
    recall = {kind: _share_found(found[f"{kind} vector"], best) for kind in ("exact", "approximate")}
    rows += [
        {"part": "speed", "what": f"{kind}: recall@{_DEPTH} of numpy's exact search", "value": value}
        for kind, value in recall.items()
    ]
    medians = {row["what"]: row["seconds"] for row in rows if "p95_seconds" in row}
    ratios = {"approximate_vs_exact_vector_query": medians["exact: query, vector"] / medians["approximate: query, vector"]}
    return (
        rows,
        ratios,
        {"exact_is_numpys": recall["exact"] > 0.999, "approximate_finds_95_percent": recall["approximate"] >= 0.95},
    )


def _unit(matrix: Any) -> Any:
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def _words(rng: np.random.Generator, count: int) -> str:
    return " ".join(f"w{number}" for number in np.minimum(rng.zipf(1.3, count), 50_000))


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _share_found(found: list[list[int]], best: Any) -> float:
    return float(np.mean([len(set(row) & set(right.tolist())) / _DEPTH for row, right in zip(found, best, strict=True)]))


def measure_quality(file: Path, folder: Path, *, questions: int | None) -> Measured:
    """Every question's gold passage in one pool; a passage is right if it holds an answer, or if it is the gold one."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    pool: dict[str, Document] = {}
    for line in lines:
        gold = line["ctxs"][0]
        pool.setdefault(gold["text"], Document(f"p{len(pool)}", gold["text"], gold["title"]))
    asked = lines[:questions]
    encoder = load_encoder(locate_model("starter/encoder"))
    index = Index.build(Documents(file.name, list(pool.values())), folder, encoder=encoder, settings=IndexSettings())
    again = Index.build(Documents(file.name, list(pool.values())), folder, encoder=encoder, settings=IndexSettings())
    record = index.record
    rows: list[Row] = [
        {
            "part": "quality",
            "what": f"build: {record.documents:,} documents, {record.passages:,} passages",
            "seconds": record.seconds,
        },
        {"part": "quality", "what": "build again, nothing changed", "seconds": again.record.seconds},
    ]
    by_mode: dict[str, dict[str, float]] = {}
    for name, made in (
        ("gold", [Question(line["question"], documents=(pool[line["ctxs"][0]["text"]].name,)) for line in asked]),
        ("answer", [Question(line["question"], answers=tuple(line["answers"])) for line in asked]),
    ):
        for each in evaluate_index(index, Questions(made, []), modes=MODES).modes:
            for score in each.scores:
                by_mode.setdefault(f"{name} {score.metric}", {})[each.mode] = score.value
                rows.append(
                    {
                        "part": "quality",
                        "what": f"{name}: {each.mode}, {score.metric}, {len(made):,} questions",
                        "value": score.value,
                        "low": score.low,
                        "high": score.high,
                    }
                )
            rows.append({"part": "quality", "what": f"{name}: {each.mode}, one question", "seconds": each.milliseconds / 1000})
    checks = {
        "an_unchanged_build_embeds_nothing": again.record.changes.embedded == 0,
        "recall_rises_with_depth": all(
            by_mode[f"{name} recall@1"][mode] <= by_mode[f"{name} recall@5"][mode] <= by_mode[f"{name} recall@20"][mode]
            for name in ("gold", "answer")
            for mode in MODES
        ),
    }
    return rows, {}, checks


def tables(result: dict[str, Any]) -> str:
    """The parts as text."""
    cells = [[row["part"], row["what"], _shown(row)] for row in result["rows"]]
    table = render_table(["part", "what", "found"], cells, align=["left", "left", "right"])
    lines = [headline(result), table, "\n".join(f"{value:6.2f}x  {name}" for name, value in result["ratios"].items())]
    return "\n\n".join([*lines, holds(result["checks"])])


def _shown(row: Row) -> str:
    if "value" in row:
        interval = f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if row.get("low") is not None else ""
        return f"{100 * row['value']:.1f}%{interval}"
    if "p95_seconds" in row:
        return f"{1000 * row['seconds']:.2f} ms, p95 {1000 * row['p95_seconds']:.2f} ms"
    return f"{row['seconds']:.3f} s"


if __name__ == "__main__":
    sys.exit(main())
