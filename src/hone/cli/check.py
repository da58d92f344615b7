"""`hone check DATA`: what is wrong with the rows, before anything is trained."""

from typing import Any

import click

from hone.cli.options import data_options, given

__all__ = ["command"]


@click.command("check")
@click.argument("data")
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(data: str, as_json: bool, **options: Any) -> None:
    """Look for duplicates, contradicting labels, leaks between splits, likely mislabels, texts that are too long, rare classes.

    Reads DATA as `hone compare` would, and trains nothing.
    """
    import json

    from hone.compare import findings_text
    from hone.compare.prepare import look_closer, prepare
    from hone.compare.settings import COMPARE
    from hone.core.configuration import settings_from
    from hone.core.console import result
    from hone.model import load_encoder, locate_model

    settings = settings_from(COMPARE, {"data": data, **given(**options)})
    prepared = prepare(settings)
    task = look_closer(prepared.task, load_encoder(locate_model(settings.model)), seed=settings.seed)
    if as_json:
        result(json.dumps([finding.model_dump(mode="json") for finding in task.findings], ensure_ascii=False, indent=2))
        return
    split = task.split
    result(
        f"{task.name}: {len(split.train):,} rows to train on, {len(split.validation):,} to choose on, {len(split.test):,} to test on, "
        f"{len(task.labels)} labels; text from {', '.join(task.columns.text)}, label from {task.columns.label}.\n"
        f"{findings_text(task.findings)}"
    )
