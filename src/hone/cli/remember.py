"""`hone remember DATA --model M`: the ways to keep a model from forgetting, side by side on the user's rows."""

from pathlib import Path
from typing import Any

import click

from hone.cli.options import KINDS, check_rows, given, retain_option

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone remember dialogues.jsonl --model HuggingFaceTB/SmolLM2-135M
  hone remember summaries.csv --model google/flan-t5-small --ways plain,self-replay,lora --epochs 1
  hone remember tickets.csv --model starter/encoder --ways plain,self-replay
  hone remember dialogues.jsonl --model MODEL --may-lose 1% --replay older.jsonl
"""


def _options(function: Any) -> Any:
    for option in reversed(
        (
            click.option("--model", metavar="NAME", help="Starter, folder or Hub id."),
            click.option(
                "--ways",
                metavar="A,B",
                help="Of plain, low-rate, self-replay, l2sp, ewc, kl, top, lora, lora+self-replay, replay.  [default: all]",
            ),
            click.option("--replay", metavar="FILE", help="Older rows of the same kind, for the way replay."),
            click.option(
                "--may-lose",
                metavar="SHARE",
                help="Mean drop that is acceptable: 1%. Drawn, marked, and decides what is advised.",
            ),
            click.option("--kind", type=click.Choice(KINDS), help="What the rows are; else recognised."),
            click.option("--prompt", metavar="COLUMN", help="Column of the prompt."),
            click.option("--completion", metavar="COLUMN", help="Column of the completion."),
            click.option("--text", metavar="COLUMN[,COLUMN]", help="Text columns."),
            click.option("--label", metavar="COLUMN", help="Column of what is learnt about a text."),
            click.option("--validation", metavar="FILE", help="Rows to measure the gain on, instead of a tenth."),
            click.option("--template", metavar="TEXT", help="What the model reads before it answers, with {prompt} in it."),
            retain_option,
            click.option("--retain-items", type=int, help="Items of each.  [default: 60]"),
            click.option(
                "--own-samples", type=int, help="Samples of its own that self-replay holds to.  [default: as the steps show]"
            ),
            click.option("--epochs", type=float, help="Passes over the rows.  [default: 3]"),
            click.option("--steps", type=int, help="Optimiser steps, instead of epochs."),
            click.option("--batch-rows", type=int, help="Rows per step.  [default: 16]"),
            click.option("--learning-rate", "--lr", type=float, help="Peak, of full fine-tuning.  [default: by size]"),
            click.option(
                "--answers", type=int, help="Validation rows answered before and after, for ROUGE; 0 for none.  [default: 32]"
            ),
            click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), help="[default: auto]"),
            click.option("--seed", type=int, help="[default: 0]"),
            click.option("--out", metavar="DIR", help="Folder; each way's run lies below it."),
        )
    ):
        function = option(function)
    return function


@click.command("remember", epilog=EXAMPLES)
@click.argument("data", required=False)
@_options
@click.option("--config", type=click.Path(path_type=Path), help="YAML with these settings; options given here win over it.")
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of the tables.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(config: Path | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Learn the rows of DATA once per way to keep a model from forgetting, and compare what each gained, lost and cost.

    Writes a run folder per way, remember.json and report.html. What is finished is not run again.
    """
    from hone.core.configuration import parse_share, read_settings, settings_from
    from hone.core.console import result, set_quiet
    from hone.core.errors import Usage

    set_quiet(quiet)
    named = given(**options)
    check_rows(named)
    from hone.remember.settings import REMEMBER

    if "ways" in named:
        named["ways"] = tuple(part.strip() for part in named["ways"].split(",") if part.strip())
    if "may_lose" in named:
        named["may_lose"] = parse_share(named["may_lose"])
    if config is None and not {"data", "model"} <= named.keys():
        raise Usage(
            "Name the data and the model: hone remember rows.jsonl --model MODEL, or a configuration: --config config.yaml."
        )
    settings = read_settings(REMEMBER, config, named) if config else settings_from(REMEMBER, named)
    from hone.remember import remember_rows, tell_ways

    found = remember_rows(settings)
    result(found.to_json() if as_json else tell_ways(found))
