"""From a comparison of ways to remember to one self-contained HTML file: no script, and by its content policy nothing from outside."""

from importlib.metadata import version
from pathlib import Path

from hone.measure import human_bytes, human_seconds
from hone.remember.conclude import lost_text
from hone.remember.figure import ways_figure
from hone.remember.records import RememberRecord
from hone.remember.told import divergence, interval_text, marks, reading, told_limits

__all__ = ["render_page"]

_FOLDER = Path(__file__).parent


def render_page(found: RememberRecord) -> str:
    """The page as HTML text, to be written as UTF-8. The figure stands there twice, since letters of a scaled-down one cannot be read on a phone."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"seconds": human_seconds, "bytes": human_bytes}
    environment.globals |= {"lost_text": lost_text, "interval_text": interval_text, "divergence": divergence, "marks": marks}
    return environment.get_template("page.html.jinja").render(
        found=found,
        wide=Markup(ways_figure(found, name="wide", width=760, height=440)),
        narrow=Markup(ways_figure(found, name="narrow", width=350, height=400)),
        reading=reading(found),
        limits=told_limits(found),
        has_answers=any(way.answer for way in found.ways),
        hone_version=version("hone-lm"),
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
    )
