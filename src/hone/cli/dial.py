"""`hone dial RUN --at 0.5 --out DIR`: a run with less of what was learnt."""

from pathlib import Path

import click

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone dial runs/dialogues-1a2b3c4d --at 0.5 --out half
  hone eval half --tasks arc_easy
"""


@click.command("dial", epilog=EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--at", "position", type=float, required=True, help="0 is the base, 1 the run as it is.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the turned run goes.")
def command(run: Path, position: float, out: Path) -> None:
    """Write the folder of a `hone tune` RUN anew with less of what was learnt: interpolated towards its base, or its adapter scaled."""
    from hone.core.console import note
    from hone.tune import turn_dial

    turn_dial(run, position, out)
    note(f"{run} with its dial at {position:g} is in {out}.")
