"""Pieces of a figure as SVG text. Colours and fonts come from classes in the page's style sheet, so that a figure follows light and dark."""

from html import escape

from hone.core.scales import Box

__all__ = ["draw_label", "draw_line", "draw_text", "frame"]


def frame(body: str, *, width: float, height: float, name: str, title: str, description: str, kind: str) -> str:
    """The frame of every figure: a view box in units of CSS pixels, and words for those who do not see it."""
    return (
        f'<svg class="figure {kind}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>{body}</svg>'
    )


def draw_line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A line between two points."""
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def draw_text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    """Words at a point; `anchor` is start, middle or end."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def draw_label(mark: tuple[float, float], text: str, box: Box, *, is_marked: bool) -> str:
    """A label in its box; a thin line leads to a mark that is not beside it."""
    x, y = box.nearest(mark)
    leader = draw_line(*mark, x, y, "leader") if (x - mark[0]) ** 2 + (y - mark[1]) ** 2 > 16**2 else ""
    middle, style = box.x + box.width / 2, "label marked" if is_marked else "label"
    anchor, at = (
        ("start", box.x) if box.x > mark[0] else ("end", box.x + box.width) if box.x + box.width < mark[0] else ("middle", middle)
    )
    return leader + draw_text(at, box.y + box.height * 0.76, text, style, anchor)
