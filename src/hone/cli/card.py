"""`hone card RUN`: the model card of a finished run."""

from pathlib import Path

import click

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone card runs/tickets-1a2b3c4d
  hone card runs/tickets-1a2b3c4d --data-licence cc-by-4.0
"""


@click.command("card", epilog=EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data-licence", "--data-license", metavar="ID", help="Licence of the rows; refused where it contradicts the base's."
)
@click.option("--licence", "--license", metavar="ID", help="Licence of the model.  [default: the base's]")
def command(run: Path, data_licence: str | None, licence: str | None) -> None:
    """Write the card of a finished RUN (hone tune, compare or pretrain) anew in the Hub's format, and print it."""
    from hone.core.console import result
    from hone.publish import renew_card

    result(renew_card(run, data_licence=data_licence, licence=licence))
