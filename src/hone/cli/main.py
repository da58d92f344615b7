"""`hone VERB`: finds the verb's file, and turns errors into one clear line and an exit code.

0 done, 1 failed while running, 2 a promise was not kept, 3 wrong usage or input, 130 interrupted.
"""

import errno
import importlib
import io
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from hone.core.allocator import preload_allocator
from hone.core.errors import HoneError

__all__ = ["main"]

VERBS = {
    "models": "Find a base model: filter, compare, read cards and licences.",
    "plan": "Plan an adaptation: what fits your rows, and what it takes.",
    "compare": "Compare every way of adapting a model on your own rows.",
    "tune": "Train one method on your rows, for a model of any family.",
    "dial": "Turn what a run learnt down, towards its base.",
    "remember": "Compare the ways to keep a model from forgetting, on your rows.",
    "pretrain": "Train a language model on texts, from scratch or from a base.",
    "eval": "Measure a model on public benchmarks.",
    "curate": "Clean raw text into a corpus to pretrain on, and see what each step kept.",
    "index": "Index your documents, and measure how well they are found.",
    "ask": "Search an index, or let a model answer from what it finds.",
    "check": "Look for what is wrong with your rows; train nothing.",
    "predict": "Answer with the winner of a comparison, or with a tuned run.",
    "card": "Write and print the model card of a finished run.",
    "push": "Upload a finished run to the Hub.",
    "report": "Show a finished comparison again, and write its report anew.",
}


class _Verbs(click.Group):
    """Verbs by name; a verb's file is imported when it is called, so that help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"hone.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS:
            from hone.core.errors import did_you_mean

            raise click.UsageError(f"There is no command '{args[0]}'. {did_you_mean(args[0], VERBS)}", ctx)
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"hone {version('hone-lm')}")
        ctx.exit()


@click.command(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: hone compare YOUR.csv",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit.")
def cli() -> None:
    """Adapt a language model to your own task, and see with numbers what it gained, what it forgot and what it cost."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `hone` command."""
    if _is_command() and set(sys.argv) & VERBS.keys():
        preload_allocator()
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: rows hold letters that a terminal's encoding may lack
    sys.exit(run(arguments))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """What is asked to end tidies up as after Ctrl-C."""
    raise KeyboardInterrupt


def _is_command() -> bool:
    """Whether this process is `hone` or `python -m hone`, and no program that calls it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name == "hone.__main__" if spec else Path(sys.argv[0]).name == "hone"


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code; never raises for a user's mistake."""
    try:
        code = cli.main(args=arguments, prog_name="hone", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 3
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("\nInterrupted. What was finished is kept; the same command goes on from there.\n")
        return 130
    except HoneError as error:
        from hone.core.console import visible

        sys.stderr.write(visible(f"Error: {error}\n"))
        return error.exit_code
    except OSError as error:
        return _tell_system(error)
    return code if isinstance(code, int) else 0  # a verb that ends with click's Exit returns its code here


def _tell_system(error: OSError) -> int:
    """What the operating system refused, in one line; a name that is too long is wrong usage."""
    from hone.core.console import visible

    said = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        code, told = 1, f"{said}. What was finished is kept; the same command goes on from there."
    elif error.errno == errno.ENAMETOOLONG:
        code, told = 3, f"{error.filename}: {said}. Give it a shorter name."
    else:
        cure = "Look whether it was removed, or its disk is full or gone; then run the same command again, which goes on from what was finished."
        code, told = 1, f"{error.filename}: {said}. {cure}"
    sys.stderr.write(visible(f"Error: {told}\n"))
    return code
