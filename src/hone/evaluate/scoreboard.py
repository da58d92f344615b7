"""Benchmark scores on the terminal: one run's, and a leaderboard of many."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from hone.core.console import WIDTH, render_table
from hone.evaluate.benchmark_records import BenchmarkScore, Evaluation, GroupScore
from hone.evaluate.benchmark_scores import uninformative
from hone.evaluate.pools import Pool, find_pools
from hone.measure import human_seconds
from hone.model import told_spent

__all__ = ["leaderboard", "score_table"]

Align = Literal["left", "right"]
_NAMED = 5  # missing parts of an average
_MAIN = ("acc_norm", "acc", "mcc", "exact_match", "f1", "perplexity")  # which metric stands for a task on a leaderboard


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
    if any(score.cut for score in done.scores):
        lines.append("cut: so many questions lost the beginning of their prompts, for which the model has no room.")
    lines += [_told_group(group) for group in done.groups]
    if done.spent is not None and done.spent.requests:
        lines.append(told_spent(done.spent))
    lines.append(f"Every answer: {done.folder}/answers.jsonl")
    return "\n".join(lines)


def _told_group(group: GroupScore) -> str:
    """An average, and what it lacks to be the official one."""
    interval = "" if group.low is None or group.high is None else f" ({group.low:.1%} to {group.high:.1%})"
    count, first = len(group.tasks), ", ".join(group.missing[:_NAMED])
    if not group.missing:
        return f"{group.name}, {count} tasks: {group.value:.1%}{interval}"
    more = f" and {len(group.missing) - _NAMED} more" if len(group.missing) > _NAMED else ""
    return (
        f"Mean of {count} of the {count + len(group.missing)} tasks of {group.name}: {group.value:.1%}{interval}. "
        f"Not the official average: {first}{more} missing."
    )


def leaderboard(runs: Sequence[Evaluation]) -> str:
    """Models by tasks: values with half their interval; in brackets what tells no models apart.

    A column holds answers to the same questions behind as many examples, by one metric; a row those of the same weights, asked alike. Of
    several runs that are alike in all that, the newest counts. Parts of a benchmark stand there as one, and by themselves only where some
    run neither asked all of them nor asked for the benchmark by its name.
    """
    cells: dict[tuple[_Row, _Column], str] = {}
    sources: dict[_Column, str] = {}
    alone: set[_Column] = set()
    for run in sorted(runs, key=lambda one: one.started):  # newest last, so that it stays
        pools = find_pools(run.scores)
        within = {part.task for pool in pools if pool.is_complete or pool.name in run.settings.tasks for part in pool.parts}
        for score in (*map(_pooled, pools), *_main_scores(run)):
            column = _Column(score.task, -score.n, score.shots, score.metric, score.questions)
            cells[_row(run), column] = _cell(score)
            sources[column] = run.settings.data or "the Hub"
            if score.task not in within:
                alone.add(column)
    rows = list(dict.fromkeys(_row(run) for run in sorted(runs, key=lambda one: one.started, reverse=True)))
    names = _row_names(rows)
    columns = sorted(alone, key=lambda one: (*one[:-1], one.questions or ""))
    headers = _headers(columns, sources)
    tables = []
    for part in _parts(columns, {one: [headers[one], *(cells.get((row, one), "") for row in rows)] for one in columns}, names):
        lines = [[name, *(cells.get((row, one), "") for one in part)] for row, name in zip(rows, names, strict=True)]
        shown = [line for line in lines if any(line[1:])]
        align: list[Align] = ["left"]
        align += ["right"] * len(part)
        tables.append(render_table(["model", *(headers[one] for one in part)], shown, align=align, title=""))
    tables.append("± is half of the 95% interval. (In brackets): not told from guessing, or at the ceiling.")
    if hidden := len(sources) - len(alone):
        tables[-1] += (
            f"\n{hidden} parts of benchmarks stand in these alone; by themselves they are in evaluation.json of each run."
        )
    return "\n\n".join(tables)


class _Column(NamedTuple):
    """What may be held against each other, in the order in which it is shown."""

    task: str
    fewer: int
    """The number of questions, negative: all of them come before a part."""
    shots: int
    metric: str
    questions: str | None


class _Row(NamedTuple):
    """A model, and how it was asked; the names are those of the label."""

    model: str
    weights: str
    chat: str
    precision: str
    server: str
    written: str


def _row(run: Evaluation) -> _Row:
    asked = run.settings
    server = "" if asked.base_url is None else f"{asked.base_url} {asked.api}"
    written = "" if asked.max_tokens is None else f"answers of {asked.max_tokens:,} tokens"
    return _Row(run.model, (run.model_sha256 or "")[:8], "chat" if asked.chat else "no chat", asked.precision, server, written)


def _row_names(rows: Sequence[_Row]) -> list[str]:
    """Models, and behind one that stands there several times what tells its rows apart."""
    names = []
    for row in rows:
        alike = [one for one in rows if one.model == row.model]
        apart = [value for at, value in enumerate(row) if at and value and len({one[at] for one in alike}) > 1]
        apart += [said for said in (row.chat, row.written) if said not in ("", "no chat", *apart)]
        names.append(f"{row.model} ({', '.join(apart)})" if apart else row.model)
    return names


def _headers(columns: Sequence[_Column], sources: Mapping[_Column, str]) -> dict[_Column, str]:
    """Task, metric, examples and questions, each on a line; where two are alike in these, also where the questions come from."""
    plain = {one: f"{one.task}\n{one.metric}\n{one.shots} shots\n{-one.fewer:,} asked" for one in columns}
    count = Counter(plain.values())
    return {
        one: text if count[text] == 1 else f"{text}\n{Path(sources[one]).name} {(one.questions or 'unknown')[:6]}"
        for one, text in plain.items()
    }


def _parts(columns: Sequence[_Column], texts: Mapping[_Column, Sequence[str]], names: Sequence[str]) -> Iterator[list[_Column]]:
    """Columns that stand side by side without being cut, one at least."""
    first = max(map(len, (*names, "model")))
    part: list[_Column] = []
    filled = first
    for one in columns:
        width = 3 + max(len(line) for text in texts[one] for line in text.split("\n"))
        if part and filled + width > WIDTH:
            yield part
            part, filled = [], first
        part.append(one)
        filled += width
    if part:
        yield part


def _pooled(pool: Pool) -> BenchmarkScore:
    """A pool as a task of its own; one that lacks parts says of how many it is."""
    first, count = pool.parts[0], len(pool.parts)
    return BenchmarkScore(
        task=pool.name + (f" ({count} of {count + len(pool.missing)})" if pool.missing else ""),
        metric=first.metric,
        value=pool.value,
        low=pool.interval.low if pool.interval else None,
        high=pool.interval.high if pool.interval else None,
        n=pool.questions,
        shots=first.shots,
        chance=pool.chance,
        uninformative=uninformative(pool.interval, pool.chance),
        questions=pool.digest,
        cut=sum(part.cut for part in pool.parts),
    )


def _main_scores(run: Evaluation) -> list[BenchmarkScore]:
    """The metric that stands for each task; of one by several filters the first, as in the pools."""
    found: dict[str, BenchmarkScore] = {}
    for score in sorted(run.scores, key=_rank):
        found.setdefault(score.task, score)
    return list(found.values())


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
    told = [f"floor {score.chance:.2f}" if score.uninformative == "floor" else "ceiling"] if score.uninformative else []
    return ", ".join([*told, *([f"cut {score.cut:,}"] if score.cut else [])])


def _cell(score: BenchmarkScore) -> str:
    half = "" if score.low is None or score.high is None else f" ±{(score.high - score.low) / 2:.3f}"
    text = f"{_number(score)}{half}"
    return f"({text})" if score.uninformative else text
