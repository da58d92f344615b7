"""`hone compare DATA`: the main job."""

from pathlib import Path
from typing import Any

import click

from hone.cli.options import check_rows, data_options, given, retain_option, server_options

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone compare tickets.csv
  hone compare tickets.csv --test newest.csv --group customer
  hone compare reviews.jsonl --strategies head,lora,full --budget 30m
  hone compare dialogues.jsonl --model google/flan-t5-small
  hone compare tickets.csv --model starter/encoder,HuggingFaceTB/SmolLM2-135M
  hone compare --config runs/tickets-1a2b3c4d/config.yaml
"""


@click.command("compare", epilog=EXAMPLES)
@click.argument("data", required=False)
@data_options
@click.option(
    "--kind",
    type=click.Choice(["classify", "completion", "chat", "answers", "choice", "score", "multi_label", "tag"]),
    help="What rows are; else recognised.",
)
@click.option(
    "--strategies", metavar="A,B", help="Only these; docs/strategies.md has their names, and those that run only when named."
)
@click.option("--templates", metavar="FILE", help="Prompt templates of your own (TOML), for models that answer in words.")
@click.option(
    "--docs", "--documents", metavar="FOLDER", help="Documents, or an index of `hone index`, to be looked up before answering."
)
@server_options
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    help="Longest written answer, thoughts before it included.  [default: a little more than the rows' answers]",
)
@click.option("--budget", metavar="TIME", help="Time for the whole comparison: 90s, 10m, 1.5h.  [default: 10m]")
@click.option(
    "--metric", metavar="NAME", help="Rank by accuracy, macro_f1, rougeL, chrf, exact_match ...; else as is usual for the rows."
)
@retain_option
@click.option("--may-lose", metavar="SHARE", help="Recommend only what lost at most this on them, such as 2%; else exit 2.")
@click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), help="Arithmetic.  [default: auto]")
@click.option("--epochs", type=float, help="Passes over the training rows in a full run.  [default: what the budget allows]")
@click.option("--batch-rows", type=int, help="Rows per step.  [default: 16 below 2,000 training rows, else 32]")
@click.option("--config", type=click.Path(path_type=Path), help="YAML with these settings; options given here win over it.")
@click.option("--out", metavar="DIR", help="Run folder.  [default: runs/ and a name made of data and settings]")
@click.option("--json", "as_json", is_flag=True, help="Print comparison.json instead of the table.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(config: Path | None, budget: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Run every way of adapting a model on the rows of DATA (CSV, TSV, JSON, JSONL, Parquet or a Hub id).

    Answers with one table (quality with intervals, cost) and one recommendation, and writes a run folder
    with a report and the winner, ready for `hone predict`.
    """
    from hone.core.configuration import parse_duration, parse_share, read_settings, settings_from
    from hone.core.console import result, set_quiet
    from hone.core.errors import Usage

    set_quiet(quiet)
    named = given(**options)
    check_rows(named)
    from hone.compare.settings import COMPARE

    if budget is not None:
        named["budget_seconds"] = parse_duration(budget)
    if "may_lose" in named:
        named["may_lose"] = parse_share(named["may_lose"])
    if config is None and "data" not in named:
        raise Usage("Name the data: hone compare tickets.csv, or a configuration: hone compare --config config.yaml.")
    settings = read_settings(COMPARE, config, named) if config else settings_from(COMPARE, named)
    from hone.compare import comparison_table
    from hone.compare.run import compare_rows

    comparison = compare_rows(settings)
    result(comparison.to_json() if as_json else comparison_table(comparison))
    if comparison.breaks_promise:
        raise click.exceptions.Exit(2)
