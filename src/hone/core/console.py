"""The only door that prints. Results go to stdout, progress and notes to stderr.

No colour and no animation when the stream is not a terminal: a progress bar then becomes a line at its end.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = [
    "Bar",
    "note",
    "progress",
    "render_table",
    "result",
    "result_with_marks",
    "say_all_again",
    "set_quiet",
    "terminal_width",
    "visible",
    "warn",
]

WIDTH = 100
_UNSEEN = (*range(0x80, 0xA0), 0x202D, 0x202E)
_SHOWN = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421} | dict.fromkeys(_UNSEEN, "�")
"""Control characters by their pictures; C1 controls and overrides of the direction of writing, which have none, by a replacement."""
_quiet = False
_active: "Progress | None" = None
_is_running = False
_said: set[str] = set()
"""What was told once and for all."""


def say_all_again() -> None:
    """Forget what was told once: another command begins."""
    _said.clear()


def set_quiet(is_quiet: bool) -> None:
    """Silence notes and progress (errors and results still appear)."""
    global _quiet
    _quiet = is_quiet


def terminal_width() -> int:
    """Columns of the terminal that results go to, from 80 to 160; 100 where they go to a file or a pipe."""
    import shutil

    if not sys.stdout.isatty():
        return WIDTH
    return min(max(shutil.get_terminal_size((WIDTH, 24)).columns, 80), 160)


def visible(text: str) -> str:
    """The text with what would steer a terminal, or turn the words around it, made visible: rows may hold anything."""
    return text.replace("\r\n", "\n").translate(_SHOWN)


def result(text: str) -> None:
    """Print a command's result to stdout: exactly as given to a file or a pipe, without control characters on a terminal."""
    text = visible(text) if sys.stdout.isatty() else text
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def result_with_marks(rows: Sequence[Sequence[tuple[str, bool]]]) -> None:
    """Print texts of which some pieces are marked: in green on a terminal, between » and « elsewhere; a line between the texts."""
    if not sys.stdout.isatty():
        result("\n---\n".join("".join(f"»{text}«" if is_marked else text for text, is_marked in row) for row in rows))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for index, row in enumerate(rows):
        if index:
            console.rule()
        console.print(Text.assemble(*((visible(text), "bold green" if is_marked else "dim") for text, is_marked in row)))


def note(text: str = "", *, once: str = "") -> None:
    """Tell the user what happens, on stderr; above a running progress bar where there is one.

    Args:
        once: what it is about, told no second time.
    """
    if _quiet or _was_said(once):
        return
    text = visible(text)
    if _active is not None:
        _active.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
    else:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def warn(text: str, *, once: str = "") -> None:
    """Something a person should look at; shown even when quiet. `once`: what it is about, told no second time."""
    if _was_said(once):
        return
    text = visible(text)
    if _active is not None:
        _active.console.print(f"Warning: {text}", style="yellow", markup=False, emoji=False, highlight=False, soft_wrap=True)
    else:
        sys.stderr.write(f"Warning: {text}\n")
        sys.stderr.flush()


def _was_said(what: str) -> bool:
    """Whether something was told before, if it has a name; from now on it was."""
    was = what in _said
    if what:
        _said.add(what)
    return was


def _stderr() -> "Console":
    from rich.console import Console

    return Console(file=sys.stderr)


class Bar:
    """One running bar. `advance` moves it, `describe` changes what stands beside it."""

    def __init__(self, bars: "Progress | None", total: float) -> None:
        self._bars = bars
        self._total = total
        self._task = bars.add_task("", total=total, note="") if bars else None

    def advance(self, amount: float = 1) -> None:
        """Move on by `amount` of the total."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, amount)

    def describe(self, text: str) -> None:
        """A short note at the end of the bar: 'loss 0.31'."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, note=text)


@contextmanager
def progress(title: str, total: float) -> Iterator[Bar]:
    """A bar with rate and time left on a terminal; one line with the seconds taken elsewhere. Nested bars stay silent."""
    global _active, _is_running
    started = time.perf_counter()
    if _quiet or _is_running:
        yield Bar(None, total)
        return
    _is_running = True
    try:
        if not sys.stderr.isatty():
            yield Bar(None, total)
            note(f"{title}: {time.perf_counter() - started:.1f} s")
            return
        with _rich_bars(title) as _active:
            yield Bar(_active, total)
    finally:
        _active, _is_running = None, False


def _rich_bars(title: str) -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*columns, console=_stderr(), transient=False)


def render_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    align: Sequence[Literal["left", "right"]] | None = None,
    title: str = "",
    width: int = WIDTH,
) -> str:
    """A plain-text table of at most `width` columns; cells are cut with an ellipsis rather than wrapped.

    Returns:
        The table with a line under the headers, ending without a line break.
    """
    import io

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, show_edge=False)
    for index, (header, needed) in enumerate(zip(headers, _column_widths(headers, rows, width), strict=True)):
        justify = align[index] if align else "left"
        table.add_column(header, justify=justify, overflow="ellipsis", no_wrap=True, width=needed)
    for row in rows:
        table.add_row(*row)
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, markup=False, emoji=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip().splitlines())


def _column_widths(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """What each column needs; where that is too much the widest give way, so that a long text does not push out a number."""
    from rich.cells import cell_len

    widths = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in zip(headers, *rows, strict=True)]
    while sum(widths) > width - 3 * (len(widths) - 1):
        widths[widths.index(max(widths))] -= 1
    return widths
