"""`hone check DATA`: what is wrong with the rows, before anything is trained."""

from typing import TYPE_CHECKING, Any

import click

from hone.cli.options import KINDS, check_rows, data_options, given

if TYPE_CHECKING:
    from hone.tune import TuneSettings

__all__ = ["command"]


@click.command("check")
@click.argument("data")
@data_options
@click.option(
    "--show-mask", is_flag=True, help="Show the first rows as --model reads them in `hone tune`, trained tokens marked."
)
@click.option("--kind", type=click.Choice(KINDS), help="What the rows are; else recognised.")
@click.option("--template", metavar="TEXT", help="With --show-mask: what the model reads before it answers, with {prompt} in it.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(data: str, as_json: bool, show_mask: bool, template: str | None, **options: Any) -> None:
    """Look for duplicates, contradicting labels, leaks between splits, likely mislabels, texts that are too long, rare classes.

    Reads DATA as `hone compare` would, and trains nothing. Of a file of tasks (YAML) it shows what each task is, and its prompts.
    """
    import json

    from hone.core.configuration import settings_from
    from hone.core.console import result
    from hone.core.errors import Usage
    from hone.task import names_mixture

    if template is not None and not show_mask:
        raise Usage("--template is what --show-mask shows rows in. Add it, or leave out --template.")
    if as_json and show_mask:
        raise Usage("--json prints findings, and --show-mask rows as a model reads them. Leave out the one or the other.")
    named = given(**options)
    check_rows({"data": data, **named})
    from hone.compare import findings_text
    from hone.compare.line_up import open_rows
    from hone.compare.prepare import look_closer
    from hone.compare.settings import COMPARE

    if show_mask:
        _show_mask({"data": data, "model": "starter/encoder", **given(template=template), **named})
        return
    if names_mixture(data):
        _check_tasks({"data": data, "model": "none", **named}, as_json=as_json)
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
    counted = {"multiple-choice": "up to {} choices", "token-classification": "{} tags"}.get(task.kind, "{} labels")
    answers = counted.format(len(task.labels)) if task.labels else "numbers" if task.kind == "regression" else "written answers"
    because = f"{task.columns.because}\n" if task.columns.because else ""
    result(
        f"{task.name}: {len(split.train):,} rows to train on, {len(split.validation):,} to choose on, {len(split.test):,} to test on, "
        f"{answers}; text from {', '.join(task.columns.text)}, "
        f"{'label' if task.kind == 'text-classification' else 'answer'} from {task.columns.answer}.\n"
        f"{because}"
        f"{findings_text(task.findings)}"
    )


def _check_tasks(named: dict[str, Any], *, as_json: bool) -> None:
    import json

    from hone.core.console import result
    from hone.tune import check_tasks

    records, page = check_tasks(_as_tuned(named))
    result(json.dumps([one.model_dump(mode="json") for one in records], ensure_ascii=False, indent=2) if as_json else page)


def _show_mask(named: dict[str, Any]) -> None:
    from hone.core.console import result_with_marks
    from hone.tune import mask_preview

    result_with_marks(mask_preview(_as_tuned(named)))


def _as_tuned(named: dict[str, Any]) -> "TuneSettings":
    """The settings of `hone tune`, as which these rows are read.

    Raises:
        Usage: an option that only a comparison has.
    """
    from hone.core.configuration import settings_from
    from hone.core.errors import Usage
    from hone.tune import TUNE

    options = {"group": "--group", "test": "--test", "drop_rare": "--drop-rare", "descriptions": "--describe"}
    idle = [option for name, option in options.items() if name in named]
    if idle:
        raise Usage(
            f"{', '.join(idle)} would do nothing: `hone tune`, as which these rows are read, has no such option. Leave it out."
        )
    return settings_from(TUNE, named)
