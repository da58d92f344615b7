"""`hone eval MODEL --tasks a,b`: public benchmarks."""

from pathlib import Path
from typing import Any

import click

from hone.cli.options import dial_option, given, server_options, with_dial

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone eval HuggingFaceTB/SmolLM2-135M --tasks hellaswag,arc_easy,mmlu --shots 5
  hone eval runs/dialogues-1a2b3c4d --tasks boolq,cb --data benchmarks-on-disk
  hone eval runs/dialogues-1a2b3c4d --dial 0.5 --tasks boolq
  hone eval google/flan-t5-small --tasks my-questions.jsonl --data .
  hone eval openai:Qwen/Qwen3-8B --base-url http://localhost:8000/v1 --api completions --tasks mmlu
  hone eval --leaderboard runs
"""


@click.command("eval", epilog=EXAMPLES)
@click.argument("model", required=False)
@click.option(
    "--tasks", metavar="A,B", help="Names of tasks of lm-evaluation-harness; with --data, of benchmarks or files there."
)
@click.option("--data", metavar="DIR", help="Folder of benchmark files, instead of the Hub.")
@click.option("--shots", type=int, help="Solved examples before each question.  [default: what each task says]")
@click.option("--limit", type=int, help="Questions per task.  [default: all]")
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    help="Longest written answer, thoughts before it included.  [default: what each task says]",
)
@click.option("--chat/--no-chat", default=None, help="Put questions in the model's chat template.  [default: no]")
@dial_option
@server_options
@click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), help="[default: auto]")
@click.option("--out", metavar="DIR", help="Run folder.")
@click.option(
    "--leaderboard", type=click.Path(path_type=Path, exists=True), metavar="DIR", help="Show all evaluations below DIR."
)
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of the table.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(leaderboard: Path | None, dial: float | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Measure MODEL (a decoder, an encoder-decoder, the folder of a `hone tune` run, openai:NAME or vllm:NAME) on public benchmarks.

    Tasks and metrics are lm-evaluation-harness's; the engine is hone's, which reads shared prefixes once.
    """
    from hone.core.configuration import settings_from
    from hone.core.console import result, set_quiet
    from hone.core.errors import Usage, as_option

    set_quiet(quiet)
    named = given(**options)
    if leaderboard is None and not {"model", "tasks"} <= named.keys():
        raise Usage("Name a model and its tasks: hone eval MODEL --tasks hellaswag,arc_easy, or --leaderboard DIR.")
    idle = ["MODEL" if name == "model" else as_option(name) for name in (*named, *given(dial=dial))]
    if leaderboard is not None and idle:
        raise Usage(
            f"--leaderboard shows finished evaluations, and {', '.join(idle)} would do nothing. Leave out the one or the other."
        )
    from hone.evaluate.benchmark_records import EVAL
    from hone.evaluate.benchmarks import read_evaluations, run_benchmarks
    from hone.evaluate.scoreboard import leaderboard as show
    from hone.evaluate.scoreboard import score_table

    if leaderboard is not None:
        runs = read_evaluations(leaderboard)
        result("\n".join(run.to_json(indent=None) for run in runs) if as_json else show(runs))
        return
    named["model"] = with_dial(named["model"], dial)
    done = run_benchmarks(settings_from(EVAL, named))
    result(done.to_json() if as_json else score_table(done))
