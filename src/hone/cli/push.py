"""`hone push RUN user/name`: a finished run to the Hub."""

from pathlib import Path

import click

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone push runs/tickets-1a2b3c4d mira/tickets --dry-run
  hone push runs/tickets-1a2b3c4d mira/tickets --public
"""


@click.command("push", epilog=EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("repository", metavar="USER/NAME")
@click.option("--dry-run", is_flag=True, help="List files and sizes; send nothing.")
@click.option("--public", is_flag=True, help="Let everybody see a new repository.  [default: private]")
@click.option("--json", "as_json", is_flag=True, help="Print a record.")
def command(run: Path, repository: str, dry_run: bool, public: bool, as_json: bool) -> None:
    """Upload a finished RUN to the Hub as USER/NAME: model, tokenizer, card and record, never checkpoints or work."""
    from hone.core.console import render_table, result
    from hone.measure import human_bytes
    from hone.publish import upload_run

    done = upload_run(run, repository, is_private=not public, is_dry=dry_run)
    if as_json:
        result(done.to_json())
        return
    rows = [[name, human_bytes(size)] for name, size in done.files.items()]
    total = human_bytes(sum(done.files.values()))
    said = f"Sent to {done.url}" if done.url else f"Nothing was sent; {len(rows)} files, {total}, would go to {done.repository}"
    result(f"{render_table(['file', 'size'], rows, align=['left', 'right'])}\n\n{said}.")
