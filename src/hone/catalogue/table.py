"""The catalogue as a table that grows with the terminal, with what stands below it, and why others are left out."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hone.catalogue.choose import SORTS, Choice
from hone.catalogue.hub import HubModel
from hone.catalogue.memory_needs import USES, bytes_needed, default_tokens
from hone.catalogue.suited import TASKS
from hone.catalogue.wording import UNKNOWN, commercial_use, in_full, languages_in_short
from hone.core.console import render_table
from hone.measure.cost import human_bytes, human_count

__all__ = ["choice_text", "hub_table", "models_table", "summary", "why_table"]

_SHORT = {"encoder": "enc", "decoder": "dec", "encoder-decoder": "enc-dec"}
_FILTERS = {
    "task": "task", "family": "family", "licence": "licence", "memory": "memory", "context": "context",
    "language": "language", "parameters": "size", "date": "date", "disk": "room on the disk",
}  # fmt: skip


@dataclass(frozen=True)
class _Column:
    """One column of the table."""

    place: int
    """When it is left away: the highest first, where the terminal is too narrow."""
    title: str
    align: Literal["left", "right"]
    cells: list[str]

    @property
    def width(self) -> int:
        """Letters it takes."""
        return max(map(len, [self.title, *self.cells]))


def choice_text(choice: Choice, *, sort: str | None, why: bool, live: Mapping[str, HubModel], width: int) -> str:
    """The answer to a list: the table, what stands below it, and where asked why each other model is left out."""
    benchmark = None if sort is None or sort.strip().lower() in SORTS else _benchmark_name(choice, sort)
    parts = [models_table(choice, width=width, live=live, benchmark=benchmark)] if choice.kept else []
    lines = summary(choice) + ([_settings(choice, benchmark)] if benchmark and choice.kept else [])
    parts.append("\n".join(_filled(line, width) for line in lines))
    if why and choice.left_out:
        parts.append(why_table(choice, width=width))
    return "\n\n".join(parts)


def _settings(choice: Choice, benchmark: str) -> str:
    """Under which settings the scores of a column were measured."""
    counts = Counter(score.setting for entry in choice.kept if (score := entry.score(benchmark)))
    told = "; ".join(f"{setting} ({number})" for setting, number in counts.most_common())
    if not told:
        return f"No score on {benchmark} is known of these."
    comparable = "" if len(counts) == 1 else " Numbers of different settings cannot be compared."
    return f"{benchmark} as published: {told}.{comparable}"


def _benchmark_name(choice: Choice, sort: str) -> str:
    """As it is written in the catalogue."""
    names = (score.benchmark for entry in choice.kept for score in entry.scores)
    return next((name for name in names if name.lower() == sort.strip().lower()), sort)


def _filled(line: str, width: int) -> str:
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)


def models_table(choice: Choice, *, width: int, live: Mapping[str, HubModel] | None = None, benchmark: str | None = None) -> str:
    """The models that pass, one per row.

    Args:
        width: of the terminal, in letters; what does not fit is left away, the most useful columns stay.
        benchmark: show its published scores, too.
    """
    entries, wanted, live = choice.kept, choice.wanted, live or {}
    columns = [
        _Column(0, "model", "left", [entry.name for entry in entries]),
        _Column(7, "family", "left", [_SHORT[entry.family] for entry in entries]),
        _Column(3, "size", "right", [human_count(entry.parameters) for entry in entries]),
        _Column(4, "context", "right", [in_full(entry.context) for entry in entries]),
        _Column(5, "licence", "left", [entry.licence.id if entry.licence else UNKNOWN for entry in entries]),
        _Column(8, "commercial", "left", [commercial_use(entry) for entry in entries]),
        _Column(6, "released", "left", [entry.released or UNKNOWN for entry in entries]),
        _Column(9, "languages", "left", [languages_in_short(entry) for entry in entries]),
    ]
    for use in USES:
        needs = [bytes_needed(entry, use, tokens=default_tokens(entry, wanted.context)) for entry in entries]
        columns.append(_Column(1 if use == wanted.use else 10, use, "right", [human_bytes(need) for need in needs]))
    if live:
        downloads = [in_full(live[entry.name].downloads) if entry.name in live else UNKNOWN for entry in entries]
        columns.append(_Column(1, "downloads", "right", downloads))
    if benchmark:
        scores = [entry.score(benchmark) for entry in entries]
        columns.append(_Column(1, benchmark, "right", [f"{score.value:g}" if score else UNKNOWN for score in scores]))
        columns.append(_Column(2, "measured", "left", [score.setting if score else "" for score in scores]))
    shown = _that_fit(columns, width)
    return render_table(
        [column.title for column in shown],
        list(zip(*(column.cells for column in shown), strict=True)),
        align=[column.align for column in shown],
        width=width,
    )


def _that_fit(columns: Sequence[_Column], width: int) -> list[_Column]:
    """As many as the terminal has room for; names stay whole, so that they can be copied, while any other column can go."""
    shown = list(columns)
    while len(shown) > 2 and sum(column.width for column in shown) + 3 * (len(shown) - 1) > width:
        shown.remove(max(shown, key=lambda column: column.place))
    return shown


def summary(choice: Choice) -> list[str]:
    """Below the table: what the columns mean, how many are left out by which filter, what would let most back in."""
    wanted = choice.wanted
    tokens = f"{wanted.context or 512:,}"
    total = len(choice.kept) + len(choice.left_out)
    lines = [f"{len(choice.kept)} of {total} models. Memory is a rule of thumb for one text of {tokens} tokens (docs/models.md)."]
    if wanted.task:
        rule = TASKS[wanted.task]
        lines.append(f"For {wanted.task}: {', then '.join(rule.families)}; {rule.because}.")
    if counts := choice.counts():
        told = ", ".join(f"{number} for {_FILTERS[name]}" for name, number in counts.items())
        several = " (some for several reasons)" if sum(counts.values()) > len(choice.left_out) else ""
        lines.append(f"Left out: {told}{several}. --why tells each model's reason.")
    if not choice.kept:
        back = choice.without()
        lines.append(
            "Nothing passes. "
            + (
                f"Without the filter on {_FILTERS[next(iter(back))]} alone there would be {next(iter(back.values()))}."
                if back
                else "Each model fails several filters: drop two."
            )
        )
    return lines


def why_table(choice: Choice, *, width: int) -> str:
    """Each model that is left out, with all its reasons."""
    rows = [[one.entry.name, "; ".join(one.reasons.values())] for one in choice.left_out]
    return render_table(["left out", "because"], rows, width=width)


def hub_table(models: Sequence[HubModel], *, width: int) -> str:
    """Models as the Hub describes them."""
    rows = [
        [
            model.name,
            human_count(model.parameters) if model.parameters else UNKNOWN,
            model.licence or UNKNOWN,
            model.task or UNKNOWN,
            in_full(model.downloads),
            model.modified or UNKNOWN,
        ]
        for model in models
    ]
    headers = ["model", "size", "licence", "task", "downloads", "changed"]
    return render_table(headers, rows, align=["left", "right", "left", "left", "right", "left"], width=width)
