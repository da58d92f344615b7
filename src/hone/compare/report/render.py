"""From a Comparison to one self-contained HTML file.

The surprise: the page carries a content policy by which a browser loads nothing from outside and runs no
script but ours (named by its hash), so a hostile row could do nothing even if it were not escaped.
"""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hone.compare.records import Comparison
from hone.compare.report import figures, views, words
from hone.measure.cost import human_bytes, human_count, human_seconds

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["render_report"]

_FOLDER = Path(__file__).parent
_SPAN = 0.2
"""The intervals in the table reach 20 points below the best; lower rows become arrows."""
_WIDE, _NARROW = (760, 440), (350, 400)


def render_report(comparison: Comparison, *, version: str = "") -> str:
    """The report as HTML text, to be written as UTF-8.

    Args:
        version: of the hone that renders; named at the end of the page when it is not the one that measured.
    """
    from markupsafe import Markup

    script = (_FOLDER / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template("report.html.jinja")
    recommended = words.row_of(comparison, comparison.recommended.strategy)
    assert recommended is not None, "a comparison recommends one of its own rows"
    return page.render(
        c=comparison,
        recommended=recommended,
        best=words.row_of(comparison, comparison.recommended.best) or recommended,
        rows_by_cost=sorted(comparison.rows, key=lambda row: row.cost.seconds),
        titles=views.titles(comparison),
        charts={name: Markup(svg) for name, svg in _charts(comparison).items()},
        is_clipped=min(row.metrics[comparison.task.metric].value for row in comparison.rows) < _domain(comparison)[0],
        forgetting_reason=words.forgetting_reason(comparison),
        budget_sentence=words.budget_sentence(comparison),
        nearest_sentence=words.nearest_sentence(comparison),
        rendered_by=version if version != comparison.hone_version else "",
        style=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_digest=digest,
    )


def _charts(comparison: Comparison) -> dict[str, str]:
    """All figures by name; the two plots twice, since letters of a scaled-down plot cannot be read on a phone."""
    metric, chosen = comparison.task.metric, comparison.recommended.strategy
    domain = _domain(comparison)
    best = words.row_of(comparison, comparison.recommended.best) or comparison.rows[0]
    charts = {
        "axis": figures.interval_axis(domain, name="axis"),
        "pareto_wide": figures.pareto_figure(comparison, name="pareto-wide", width=_WIDE[0], height=_WIDE[1]),
        "pareto_narrow": figures.pareto_figure(comparison, name="pareto-narrow", width=_NARROW[0], height=_NARROW[1]),
    }
    for index, row in enumerate(comparison.rows):
        charts[f"interval_{row.strategy}"] = figures.interval_figure(
            row.metrics[metric],
            domain,
            best=best.metrics[metric].value,
            name=f"interval-{index}",
            is_marked=row.strategy == chosen,
        )
        if row.confusion and len(comparison.task.right) > views.MANY_CLASSES:
            charts[f"confusion_{row.strategy}"] = figures.confusion_figure(row, comparison.task.right, name=f"confusion-{index}")
    if words.forgetting_reason(comparison) is None:
        for name, (width, height) in (("wide", _WIDE), ("narrow", _NARROW)):
            charts[f"forgetting_{name}"] = figures.forgetting_figure(
                comparison, name=f"forgetting-{name}", width=width, height=height
            )
    if comparison.learning_curve is not None:
        curve = comparison.learning_curve
        title = views.titles(comparison).get(curve.strategy, curve.strategy)
        for name, width, height in (("wide", 760, 340), ("narrow", 350, 300)):
            charts[f"curve_{name}"] = figures.curve_figure(
                curve, metric=metric, title=title, name=f"curve-{name}", width=width, height=height
            )
    return charts


def _breakable(text: str) -> "Markup":
    """The escaped text, which may also be broken after an underscore (labels are often long_names_like_this)."""
    from markupsafe import Markup, escape

    return escape(text).replace("_", Markup("_<wbr>"))


def _domain(comparison: Comparison) -> tuple[float, float]:
    return figures.metric_domain(comparison.rows, comparison.task.metric, span=_SPAN)


def _environment() -> "Environment":
    """Jinja with escaping on for everything, undefined names as errors, and the house's number formats as filters."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Callable[..., object]] = {
        "seconds": human_seconds,
        "bytes": human_bytes,
        "count": human_count,
        "milliseconds": words.milliseconds,
        "percent": words.percent,
        "points": words.points,
        "shown": words.shown,
        "metric_unit": words.metric_unit,
        "signed": lambda share: words.signed(share, minus="−"),
        "p_value": words.p_value,
        "metric_name": words.metric_name,
        "metric_phrase": words.metric_phrase,
        "with_article": words.with_article,
        "breakable": _breakable,
        "readable": views.readable,
        "sentence": words.sentence,
    }
    environment.filters |= filters
    environment.tests["significant"] = words.is_significant
    environment.globals |= {
        "MANY_CLASSES": views.MANY_CLASSES,
        "above": words.is_above,
        "class_lines": views.class_lines,
        "column_metrics": views.column_metrics,
        "confused_pairs": views.confused_pairs,
        "grouped_answers": views.grouped_answers,
        "learning_sentence": words.learning_sentence,
        "is_right_or_wrong": words.is_right_or_wrong,
        "places_text": words.places_text,
        "second_metric": words.second_metric,
        "task_phrase": words.task_phrase,
        "prompt_trials": views.prompt_trials,
        "shortened": views.shortened,
    }
    return environment
