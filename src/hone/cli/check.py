"""`hone check DATA`: what is wrong with the rows, before anything is trained."""

from typing import Any

import click

from hone.cli.options import check_rows, data_options, given

__all__ = ["command"]


@click.command("check")
@click.argument("data")
@data_options
@click.option(
    "--show-mask", is_flag=True, help="Show the first rows as --model reads them in `hone tune`, trained tokens marked."
)
@click.option("--kind", help="With --show-mask: what the rows are; else recognised.")
@click.option("--template", metavar="TEXT", help="With --show-mask: what the model reads before it answers, with {prompt} in it.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(data: str, as_json: bool, show_mask: bool, kind: str | None, template: str | None, **options: Any) -> None:
    """Look for duplicates, contradicting labels, leaks between splits, likely mislabels, texts that are too long, rare classes.

    Reads DATA as `hone compare` would, and trains nothing. Of a file of tasks (YAML) it shows what each task is, and its prompts.
    """
    import json

    from hone.core.configuration import settings_from
    from hone.core.console import result
    from hone.task import names_mixture

    named = given(**options)
    check_rows({"data": data, **named})
    from hone.compare import findings_text
    from hone.compare.line_up import open_rows
    from hone.compare.prepare import look_closer
    from hone.compare.settings import COMPARE

    if show_mask:
        _show_mask({"data": data, "model": "starter/encoder", "kind": kind, "template": template, **named})
        return
    if names_mixture(data):
        _check_tasks(data, as_json=as_json, seed=named.get("seed", 0))
        return
    settings = settings_from(COMPARE, {"data": data, **named})
    settings, models, prepared = open_rows(settings)
    task = prepared.task
    if task.kind == "text-classification" and models.encoders:
        task = look_closer(task, next(iter(models.encoders.values())), seed=settings.seed)
    if as_json:
        result(json.dumps([finding.model_dump(mode="json") for finding in task.findings], ensure_ascii=False, indent=2))
        return
    split = task.split
    result(
        f"{task.name}: {len(split.train):,} rows to train on, {len(split.validation):,} to choose on, {len(split.test):,} to test on, "
        f"{f'{len(task.labels)} labels' if task.labels else 'written answers'}; text from {', '.join(task.columns.text)}, "
        f"{'label' if task.labels else 'answer'} from {task.columns.label}.\n"
        f"{findings_text(task.findings)}"
    )


def _check_tasks(data: str, *, as_json: bool, seed: int) -> None:
    import json

    from hone.core.console import result
    from hone.tune import TuneSettings, check_tasks

    records, page = check_tasks(TuneSettings(data=data, model="none", seed=seed))
    result(json.dumps([one.model_dump(mode="json") for one in records], ensure_ascii=False, indent=2) if as_json else page)


def _show_mask(named: dict[str, Any]) -> None:
    from hone.core.configuration import settings_from
    from hone.core.console import result_with_marks
    from hone.tune import TUNE, mask_preview

    known = {name: value for name, value in named.items() if name in TUNE.record.model_fields and value is not None}
    result_with_marks(mask_preview(settings_from(TUNE, known)))
