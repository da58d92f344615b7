"""Benchmark scores on the terminal: one run's, and a leaderboard of many."""

from collections.abc import Sequence
from typing import Literal

from hone.core.console import render_table
from hone.evaluate.benchmark_records import BenchmarkScore, Evaluation
from hone.measure import human_seconds
from hone.model import told_spent

__all__ = ["leaderboard", "score_table"]

Align = Literal["left", "right"]
_MAIN = ("acc_norm", "acc", "mcc", "exact_match", "f1", "perplexity")  # which metric stands for a task on a leaderboard
_COLUMNS = 5


def score_table(done: Evaluation) -> str:
    """All metrics of one run with their intervals, then averages, then where it lies."""
    cells = [
        [score.task, score.metric, _number(score), _range(score), f"{score.n:,}", str(score.shots), _remark(score)]
        for score in done.scores
    ]
    align: list[Align] = ["left", "left", "right", "right", "right", "right", "left"]
    headers = ["task", "metric", "value", "95% interval", "questions", "shots", ""]
    lines = [render_table(headers, cells, align=align, title=f"{done.model}, {human_seconds(done.seconds)}")]
    if any(score.uninformative == "floor" for score in done.scores):
        lines.append("floor: not told from guessing, which scores what stands behind it.")
    for group in done.groups:
        interval = "" if group.low is None or group.high is None else f" ({group.low:.1%} to {group.high:.1%})"
        if group.missing:
            lines.append(
                f"Mean of {len(group.tasks)} of the {len(group.tasks) + len(group.missing)} tasks of {group.name}: {group.value:.1%}. "
                f"Not the official average: {', '.join(group.missing)} missing."
            )
        else:
            lines.append(f"{group.name}, {len(group.tasks)} tasks: {group.value:.1%}{interval}")
    if done.spent is not None and done.spent.requests:
        lines.append(told_spent(done.spent))
    lines.append(f"Every answer: {done.folder}/answers.jsonl")
    return "\n".join(lines)


def leaderboard(runs: Sequence[Evaluation]) -> str:
    """Models by tasks: values with half their interval; in brackets what tells no models apart."""
    best: dict[tuple[str, str], BenchmarkScore] = {}
    for run in reversed(runs):  # newest last, so that it stays
        for score in sorted(run.scores, key=_rank, reverse=True):
            best[run.model, score.task] = score
    models = list(dict.fromkeys(run.model for run in runs))
    tasks = sorted({task for _, task in best})
    tables = []
    for at in range(0, len(tasks), _COLUMNS):
        part = tasks[at : at + _COLUMNS]
        cells = [[model, *(_cell(best.get((model, task))) for task in part)] for model in models]
        align: list[Align] = ["left"]
        align += ["right"] * len(part)
        tables.append(render_table(["model", *part], cells, align=align, title=""))
    tables.append("± is half of the 95% interval. (In brackets): not told from guessing, or at the ceiling.")
    return "\n\n".join(tables)


def _rank(score: BenchmarkScore) -> int:
    name = score.metric.split(" ")[0]
    return _MAIN.index(name) if name in _MAIN else len(_MAIN)


def _number(score: BenchmarkScore) -> str:
    return f"{score.value:,.2f}" if score.metric == "perplexity" else f"{score.value:.3f}"


def _range(score: BenchmarkScore) -> str:
    if score.low is None or score.high is None:
        return "not measured"
    if score.metric == "perplexity":
        return f"{score.low:,.2f} to {score.high:,.2f}"
    return f"{score.low:.3f} to {score.high:.3f}"


def _remark(score: BenchmarkScore) -> str:
    if score.uninformative == "floor":
        return f"floor {score.chance:.2f}"
    return "ceiling" if score.uninformative else ""


def _cell(score: BenchmarkScore | None) -> str:
    if score is None:
        return ""
    half = "" if score.low is None or score.high is None else f" ±{(score.high - score.low) / 2:.3f}"
    text = f"{_number(score)}{half}"
    return f"({text})" if score.uninformative else text
