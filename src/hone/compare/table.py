"""The comparison on the terminal: one table of at most 100 columns and the recommendation in sentences.

Takes a Comparison, gives text; printing is the command's business. The table lays itself out, since nine
columns and a strategy's name fit only with two blanks between them and headers of two lines.
"""

import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from hone.compare.records import ANSWERED_ROWS, Comparison, Estimate, Row
from hone.compare.report.words import (
    budget_sentence,
    forgetting_reason,
    forgotten,
    is_above,
    is_significant,
    metric_name,
    milliseconds,
    nearest_sentence,
    places_text,
    points,
    row_of,
    second_metric,
    sentence,
    shown,
    signed,
    task_phrase,
)
from hone.core.console import WIDTH, render_table
from hone.measure.cost import human_bytes, human_count, human_seconds
from hone.task.records import Finding
from hone.task.wording import counted

__all__ = ["Titled", "comparison_table", "findings_text", "plan_table"]

_GAP = "  "
_PLACES = 4
_LEAST_NAME = 16  # columns for the strategies; where there are fewer, a column of less use goes
_SEVERITIES = (("removed", "Taken out of the run"), ("warning", "To look at"), ("info", "Worth knowing"))


class Titled(Protocol):
    """What the plan needs to know of a strategy; the strategies themselves would bring torch along."""

    @property
    def key(self) -> str:
        """As in the record: 'lora'."""
        ...

    @property
    def title(self) -> str:
        """For people: 'LoRA'."""
        ...


def comparison_table(comparison: Comparison) -> str:
    """The whole result as text: table, legend, recommendation, what it rests on, where it lies.

    Returns:
        Lines of at most 100 columns (a path or command may be longer: it is never broken), no line break at the end.
    """
    blocks = [
        _title(comparison),
        _table(comparison) + "\n\n" + _legend(comparison),
        _recommendation(comparison),
        _circumstances(comparison),
        _places(comparison),
    ]
    return "\n\n".join(block for block in blocks if block)


def findings_text(findings: Sequence[Finding]) -> str:
    """What the checker saw, the gravest first, each with its first places."""
    if not findings:
        return "Nothing found: no duplicates, leaks, conflicting labels or rows that cannot be read."
    blocks = []
    for severity, title in _SEVERITIES:
        chosen = [finding for finding in findings if finding.severity == severity]
        if chosen:
            blocks.append("\n".join([f"{title}:", *(_finding(finding) for finding in chosen)]))
    gone = sum(finding.count for finding in findings if finding.severity == "removed")
    warnings, notes = (sum(finding.severity == severity for finding in findings) for severity in ("warning", "info"))
    total = f"In all: {counted(gone, 'row')} taken out, {counted(warnings, 'thing')} to look at, {notes} worth knowing."
    return "\n\n".join([*blocks, total])


def plan_table(strategies: Sequence[Titled], estimates: Mapping[str, Estimate]) -> str:
    """What will run and what it is expected to take, before it runs; '-' where nothing was estimated."""
    rows = []
    for strategy in strategies:
        estimate = estimates.get(strategy.key)
        cells = [human_seconds(estimate.seconds), human_bytes(estimate.peak_bytes)] if estimate is not None else ["-", "-"]
        rows.append([strategy.title, *cells])
    return render_table(["Strategy", "Expected time", "Expected memory"], rows, align=["left", "right", "right"])


def _finding(finding: Finding) -> str:
    """The message, and below it where; never more than four places."""
    lines = _wrap(finding.message, first="  - ", rest="    ")
    if finding.places:
        lines += "\n" + _wrap(places_text(finding.places, finding.count, shown=_PLACES), first="    ", rest="    ")
    return lines


def _title(comparison: Comparison) -> str:
    data = comparison.data
    return _wrap(f"{data.source}: {_strategies(len(comparison.rows))}, {task_phrase(comparison)}, {data.test:,} test rows")


def _strategies(count: int) -> str:
    return "1 strategy" if count == 1 else f"{count} strategies"


def _table(comparison: Comparison) -> str:
    """The table with two header lines, the best row first."""
    metric = comparison.task.metric
    second = second_metric(comparison)
    has_forgetting = forgetting_reason(comparison) is None
    headers = [
        ("", "Strategy"),
        (metric_name(metric), "% [95% interval]"),
        ("vs", "best"),
        ("P", "best"),
        tuple(metric_name(second).split()) if " " in metric_name(second) else ("", metric_name(second)),
        ("For-", "gotten"),
        ("Train", "time"),
        ("Answer", "time"),
        ("Size on", "disk"),
        ("Trained", "weights"),
    ]
    cells = [_cells(row, comparison, second) for row in comparison.rows]
    if not has_forgetting:
        headers = [header for index, header in enumerate(headers) if index != 5]
        cells = [[cell for index, cell in enumerate(line) if index != 5] for line in cells]
    widths = _widths(headers, cells)
    if has_forgetting and WIDTH - sum(widths[1:]) - len(_GAP) * (len(widths) - 1) < _LEAST_NAME:
        headers, cells = headers[:-1], [line[:-1] for line in cells]  # trained weights: the record and the report have them
        widths = _widths(headers, cells)
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - len(_GAP) * (len(widths) - 1))
    lines = [_line([header[part] for header in headers], widths) for part in (0, 1)]
    return "\n".join([*lines, "─" * (sum(widths) + len(_GAP) * (len(widths) - 1)), *(_line(line, widths) for line in cells)])


def _widths(headers: Sequence[Sequence[str]], cells: Sequence[Sequence[str]]) -> list[int]:
    """Of each column, what its longest text takes."""
    columns = zip(headers, zip(*cells, strict=True), strict=True)
    return [max(len(text) for text in (*header, *column)) for header, column in columns]


def _cells(row: Row, comparison: Comparison, second: str) -> list[str]:
    """One row's cells, every number in percent or points."""
    metric, difference = row.metrics[comparison.task.metric], row.difference
    mark = "* " if row.strategy == comparison.recommended.strategy else "  "
    return [
        f"{mark}{row.title}{' †' if row.stopped_early else ''}",
        f"{points(metric.value)} [{points(metric.low)}, {points(metric.high)}]",
        "best" if difference is None else f"{signed(difference.value)}{'↓' if is_significant(difference) else ' '}",
        f"{100 * row.p_best:.0f}%",
        shown(row.metrics[second].value, second) if second in row.metrics else "-",
        forgotten(row, comparison.may_lose),
        human_seconds(row.cost.train_seconds),
        milliseconds(row.cost.latency_ms_median),
        human_bytes(row.cost.bytes_on_disk),
        human_count(row.cost.trainable_parameters),
    ]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The name left, on further lines where it is too long; all else right."""
    name, *more = textwrap.wrap(cells[0], widths[0], subsequent_indent="    ", break_on_hyphens=False) or [""]
    rest = [cell.rjust(wide) for cell, wide in zip(cells[1:], widths[1:], strict=True)]
    return "\n".join([_GAP.join([name.ljust(widths[0]), *rest]).rstrip(), *more])


def _legend(comparison: Comparison) -> str:
    """What the marks mean; only those that stand in the table."""
    marks = ["* kept in best/, though nothing beats the baseline" if comparison.recommended.unbeaten else "* recommended"]
    if any(is_significant(row.difference) for row in comparison.rows):
        marks.append("↓ worse than the best beyond chance (p < 0.05, adjusted)")
    if any(row.stopped_early for row in comparison.rows):
        marks.append("† stopped early")
    if forgetting_reason(comparison) is None and any(row.forgetting.mean is None for row in comparison.rows):
        marks.append("- not measured")
    if any(is_above(row, comparison.may_lose) for row in comparison.rows):
        marks.append("! forgot more than it may")
    meanings = [
        "vs best: points below the best on the same rows",
        "P best: chance of being the best",
        "Answer time: median for one row",
    ]
    if any(row.spread is not None for row in comparison.rows):
        meanings.append("intervals of prompts hold the spread over wordings and orders")
    if forgetting_reason(comparison) is None:
        meanings.append("Forgotten: points lost on tasks that were not trained")
        if any(row.forgetting.unchanged for row in comparison.rows):
            meanings.append("0: weights unchanged")
    return "\n".join(_unbroken(items) for items in (marks, meanings))


def _recommendation(comparison: Comparison) -> str:
    """The answer, why, and what would change it."""
    answer = comparison.recommended
    row = row_of(comparison, answer.strategy)
    title = row.title if row else answer.strategy
    lines = [_wrap(answer.unbeaten), _wrap(nearest_sentence(comparison))] if answer.unbeaten else [f"Recommended: {title}"]
    lines += _bullets(answer.because)
    if answer.would_change:
        lines += ["What would change this:", *_bullets(answer.would_change)]
    return "\n".join(lines)


def _circumstances(comparison: Comparison) -> str:
    """What the numbers rest on: rows, time, and everything that did not go to its end."""
    data = comparison.data
    lines = [
        f"Rows: {data.train:,} train, {data.validation:,} validation, {data.test:,} test, {data.removed:,} removed.",
        _time_sentence(comparison),
    ]
    reason = forgetting_reason(comparison)
    if reason is not None:
        lines.append(f"Forgetting: not measured. {reason}")
    lines += _forgotten(comparison)
    if comparison.may_lose is not None:
        lines.append(budget_sentence(comparison))
    if comparison.usd is not None:
        lines.append(_money_sentence(comparison, comparison.usd))
    lines += [f"† {row.title} stopped early. {sentence(row.stopped_early)}" for row in comparison.rows if row.stopped_early]
    for reason in dict.fromkeys(comparison.not_run.values()):
        lines.append(f"Not run ({reason}): {', '.join(name for name, why in comparison.not_run.items() if why == reason)}.")
    return "\n".join(_wrap(line, rest="  ") for line in lines)


def _forgotten(comparison: Comparison) -> list[str]:
    """Where what was tuned lost most, and what asking took."""
    asked = [row for row in comparison.rows if row.forgetting.tasks and row.forgetting.low is not None]
    if not asked:
        return []
    seconds = sum(row.forgetting.seconds or 0.0 for row in asked)
    lost = []
    for row in asked:
        found = row.forgetting
        low, high, worst = (points(-(value or 0.0)) for value in (found.high, found.low, found.worst))
        lost.append(f"{row.title} {points(found.drop or 0.0)} ({low} to {high}), {worst} on {found.worst_task}")
    return [f"Forgotten, with 95% interval, then on the worst task: {'; '.join(lost)}. Asking took {human_seconds(seconds)}."]


def _time_sentence(comparison: Comparison) -> str:
    """Time taken, with the estimate for the strategies that had one."""
    text = f"Time: {human_seconds(comparison.seconds)} in all"
    estimated = [row for row in comparison.rows if row.cost.estimate is not None]
    if not estimated:
        return text + "."
    took = sum(row.cost.train_seconds for row in estimated)
    expected = sum(row.cost.estimate.seconds for row in estimated if row.cost.estimate is not None)
    return f"{text}; training {human_seconds(took)} where {human_seconds(expected)} had been estimated."


def _money_sentence(comparison: Comparison, usd: float) -> str:
    """What a server was paid in all, what of it for each strategy, and what further answers would cost."""
    about = "about " if comparison.asked is not None and comparison.asked.is_estimate else ""
    paid = [
        f"{row.title} ${row.cost.usd:,.4f}, ${row.cost.usd_per_answers or 0:,.2f} for {ANSWERED_ROWS:,} answers"
        for row in comparison.rows
        if row.cost.usd is not None
    ]
    return "; ".join([f"Money: {about}${usd:,.4f} in all", *([", ".join(paid)] if paid else [])]) + "."


def _places(comparison: Comparison) -> str:
    """Where everything lies, and what to do next; paths and commands stay in one piece, ready to be copied."""
    folder = comparison.folder
    best = f"{folder}/best"
    ask = f'hone predict {shlex.quote(best)} "a text of yours"'
    if comparison.task.kind == "multiple-choice":
        ask = f'hone predict {shlex.quote(best)} "a question" --choice "one" --choice "another"'
    return "\n".join([f"Record: {folder}/comparison.json", f"Report: {folder}/report.html", f"Next:   {ask}"])


def _unbroken(items: Sequence[str]) -> str:
    """Items side by side, as many as a line holds, none of them broken."""
    lines = [items[0]]
    for item in items[1:]:
        if len(lines[-1]) + 3 + len(item) <= WIDTH:
            lines[-1] += f"   {item}"
        else:
            lines.append(item)
    return "\n".join(lines)


def _bullets(sentences: Iterable[str]) -> list[str]:
    return [_wrap(text, first="  - ", rest="    ") for text in sentences]


def _wrap(text: str, *, first: str = "", rest: str = "") -> str:
    """At most 100 columns; words, paths and commands are not broken."""
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
