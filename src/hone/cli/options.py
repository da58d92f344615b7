"""Options that several verbs share, so that they read and mean the same everywhere."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hone.core.errors import Usage

__all__ = ["KINDS", "check_rows", "data_options", "dial_option", "given", "retain_option", "server_options", "with_dial"]

KINDS = ["classify", "completion", "chat", "plain", "tag", "answers", "score", "multi_label", "choice"]
"""Of rows; `hone.task.KINDS`, named here too so that help needs no other import."""

F = TypeVar("F", bound=Callable[..., Any])


def retain_option(function: F) -> F:
    """By which tasks forgetting is measured."""
    return click.option(
        "--retain",
        metavar="A,B",
        help="Tasks answered before and after: bundled, files, folders of public benchmarks, harness:NAME of any other, earlier runs, none.  "
        "[default: bundled]",
    )(function)


def data_options(function: F) -> F:
    """Which rows, which columns, which model."""
    return _with(
        function,
        (
            click.option("--text", metavar="COLUMN[,COLUMN]", help="Text column or columns. Inferred when left out."),
            click.option("--label", metavar="COLUMN", help="Label column. Inferred when left out."),
            click.option("--group", metavar="COLUMN", help="Rows with equal values here stay on one side of each split."),
            click.option("--test", metavar="FILE", help="Rows to test on, instead of a fifth of the data."),
            click.option("--validation", metavar="FILE", help="Rows to choose settings on, instead of a fifth of the data."),
            click.option(
                "--drop-rare", is_flag=True, default=None, help="Leave out classes with too few rows instead of stopping."
            ),
            click.option(
                "--describe", metavar="LABEL=TEXT", multiple=True, help="What a label means, for zero-shot; once per label."
            ),
            click.option(
                "--prompt", metavar="COLUMN", help="Column of what is asked, where answers are texts. Inferred when left out."
            ),
            click.option(
                "--completion", metavar="COLUMN", help="Column of the answers, where they are texts. Inferred when left out."
            ),
            click.option(
                "--model",
                metavar="NAME[,NAME]",
                help="Starters, folders or Hub ids, of any family; openai:NAME for a server's. Else the starter that fits.",
            ),
            click.option("--seed", type=int, help="Of every random choice.  [default: 0]"),
        ),
    )


def server_options(function: F) -> F:
    """Where a model named openai:NAME is asked, how, and at what price."""
    return _with(
        function,
        (
            click.option(
                "--base-url",
                metavar="URL",
                help="OpenAI-compatible server for models named openai:NAME; key from OPENAI_API_KEY.",
            ),
            click.option("--api", type=click.Choice(["chat", "completions"]), help="How that server is asked.  [default: chat]"),
            click.option("--price", metavar="IN,OUT", help="US dollars per million tokens read and written by that server."),
        ),
    )


def _with(function: F, options: Sequence[Callable[[F], F]]) -> F:
    """In the order in which help shows them."""
    for option in reversed(options):
        function = option(function)
    return function


def dial_option(function: F) -> F:
    """How much of what a run learnt is served."""
    return click.option(
        "--dial",
        type=click.FloatRange(0, 1),
        metavar="0..1",
        help="How much of what a `hone tune` run learnt is used: 0 is its base, 1 the run as it is.  [default: 1]",
    )(function)


def with_dial(model: str, position: float | None) -> str:
    """The model to load: a run with its dial at the position, where one is named."""
    if position is None:
        return model
    from hone.tune import at_dial

    return str(at_dial(Path(model), position))


def check_rows(named: Mapping[str, Any]) -> None:
    """Refuse files of rows that cannot be read before torch and transformers are there, which takes seconds."""
    from hone.task import check_source, names_mixture

    for name in ("data", "test", "validation"):
        source = named.get(name)
        if source is not None and not names_mixture(source):
            check_source(source)


def given(**options: Any) -> dict[str, Any]:
    """The options that the user named, in the form that settings take."""
    from hone.core.configuration import parse_names, parse_retained

    described = dict(_described(one) for one in options.pop("describe", ()))
    named = {name: value for name, value in options.items() if value is not None}
    if described:
        named["descriptions"] = described
    for name in ("text", "strategies", "track", "tasks", "retain"):
        if name in named:
            named[name] = (parse_retained if name == "retain" else parse_names)(named[name])
    return named


def _described(text: str) -> tuple[str, str]:
    label, is_given, description = text.partition("=")
    if not is_given or not label.strip() or not description.strip():
        raise Usage(
            f"--describe '{text}' is not LABEL=TEXT. Write for example --describe \"delivery=where a parcel is and when it comes\"."
        )
    return label.strip(), description.strip()
