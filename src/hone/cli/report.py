"""`hone report RUN`: a finished comparison, shown again without running anything."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hone.compare import Comparison

__all__ = ["command"]


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where the HTML goes.  [default: report.html in the run folder]")
@click.option("--json", "as_json", is_flag=True, help="Print comparison.json instead of the table.")
def command(run: Path, out: Path | None, as_json: bool) -> None:
    """Print the table of a finished RUN folder (or its comparison.json) and write its report anew."""
    from hone.compare import Comparison, comparison_table, render_report
    from hone.core.console import note, result
    from hone.core.errors import Usage
    from hone.core.store import write_atomic

    path = run / "comparison.json" if run.is_dir() else run
    if not path.is_file():
        raise Usage(f"{path} does not exist. {_instead(run)}")
    try:
        comparison = Comparison.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Usage(
            f"{path} is no comparison of this version of hone: {str(error).splitlines()[0]}. Run the comparison again."
        ) from error
    found = _where_it_lies(comparison, path.parent)
    target = out or path.parent / "report.html"
    write_atomic(target, render_report(found))
    result(comparison.to_json() if as_json else comparison_table(found))
    note(f"Report: {target}")


def _instead(run: Path) -> str:
    """What to name where a folder holds no finished comparison."""
    if (run.parent / "comparison.json").is_file():
        return f"The comparison lies one folder up: hone report {shlex.quote(str(run.parent))}"
    if (run / "plan.json").is_file() or (run / "strategies").is_dir():
        return f"The comparison in {run} has not finished: the command that began it goes on from there."
    if (run / "hone.json").is_file():
        return f"{run} is the run of another command: hone card {shlex.quote(str(run))} shows its card."
    return "Name the folder of a finished `hone compare` run."


def _where_it_lies(comparison: "Comparison", folder: Path) -> "Comparison":
    """A run folder may have been moved, or be named from another working directory: what is told names it as it was found."""
    if not (folder / "best").is_dir():
        return comparison  # the record alone
    command = f"hone compare --config {shlex.quote(str(folder / 'config.yaml'))}"
    return comparison.model_copy(update={"folder": str(folder), "command": command})
