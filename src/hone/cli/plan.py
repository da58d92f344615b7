"""`hone plan DATA`: what fits, what it takes, and the command to run, before anything is downloaded."""

import sys
from pathlib import Path
from typing import Any

import click

from hone.cli.options import KINDS, check_rows, given

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone plan tickets.csv
  hone plan dialogues.jsonl --model google/flan-t5-small --gpu L4,H100 --out plan.yaml
  hone plan --describe "summarise 5,000 dialogues of 300 words" --licence commercial
  hone compare --config plan.yaml
"""


@click.command("plan", epilog=EXAMPLES)
@click.argument("data", required=False)
@click.option(
    "--describe", metavar="TEXT", help="The task in words, where there are no rows yet; asks what is missing on a terminal."
)
@click.option("--model", metavar="NAME", help="Starter, folder, Hub id or a name of hone models.  [default: chosen]")
@click.option("--kind", type=click.Choice(KINDS), help="What the rows are; else recognised.")
@click.option("--text", metavar="COLUMN[,COLUMN]", help="Text columns.")
@click.option("--label", metavar="COLUMN", help="Label column.")
@click.option("--prompt", metavar="COLUMN", help="Column of what is asked, where answers are texts.")
@click.option("--completion", metavar="COLUMN", help="Column of the answers, where they are texts.")
@click.option("--gpu", metavar="A,B", help="Tell the cost on these too: T4, L4, A10G, A100-40GB, A100-80GB, L40S, H100, H200.")
@click.option("--prices", metavar="FILE", help="GPUs and prices of your own (TOML).")
@click.option("--licence", "--license", metavar="A[,B]", help="What the model's must permit: commercial, redistribution, or ids.")
@click.option("--language", metavar="A[,B]", help="What a chosen model must read, such as de.  [default: what --describe names]")
@click.option("--epochs", type=float, help="Passes over the rows.  [default: 3]")
@click.option("--batch-rows", type=int, help="Rows per step.  [default: 16]")
@click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), help="[default: auto]")
@click.option("--out", type=click.Path(path_type=Path), help="YAML for --config of the command that the plan ends with.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--quiet", is_flag=True, help="No notes on stderr.")
def command(out: Path | None, describe: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Plan the adaptation of a model to the rows of DATA: family, strategies, memory, time and money. Trains nothing and downloads nothing.

    Rules carry their sources, prices their date. Memory comes from a dry run of the model, time from some steps with random weights.
    """
    from pydantic import ValidationError

    from hone.core.console import note, result, set_quiet
    from hone.core.errors import Usage, as_option
    from hone.core.store import refuse_place

    set_quiet(quiet)
    if out is not None:
        refuse_place(out)
    named = given(**options)
    check_rows(named)
    if describe is not None:
        named["describe"] = describe
    if "gpu" in named:
        named["gpu"] = tuple(part.strip() for part in named["gpu"].split(",") if part.strip())
    from hone.plan import PlanSettings, make_plan, plan_text, write_plan

    try:
        settings = PlanSettings(**named)
    except ValidationError as error:
        first = error.errors()[0]
        raise Usage(f"{as_option(str(first['loc'][0]))} is {first['input']!r}: {first['msg']}.") from None
    answers = _asked(settings.describe, settings.kind) if settings.describe is not None and sys.stdin.isatty() else {}
    plan = make_plan(settings, answers)
    if out is not None:
        write_plan(plan, out)
        note(f"{out}: {plan.config_of} --config {out}")
    result(plan.to_json() if as_json else plan_text(plan))


def _asked(description: str, kind: str | None) -> dict[str, str]:
    """What a description leaves open, asked on a terminal; an empty answer leaves it open."""
    from hone.plan import described

    _, assumed = described(description, {"kind": kind} if kind else {})
    questions = {
        "kind": ("names no task", "What is to be done (classify, completion, chat, answers, tag, plain)?"),
        "rows": ("number of rows", "How many rows are there?"),
        "tokens": ("No length", "About how many words has a row?"),
    }
    found = {}
    for name, (missing, question) in questions.items():
        if any(missing in one for one in assumed):
            said = click.prompt(question, default="", show_default=False, err=True)
            if said.strip():
                found[name] = said.strip()
    return found
