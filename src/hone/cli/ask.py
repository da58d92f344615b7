"""`hone ask INDEX QUESTION`: passages that fit a question, or a model's answer from them; of questions one after another, too."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from hone.cli.options import dial_option, server_options, with_dial

if TYPE_CHECKING:
    from hone.model import Api
    from hone.retrieve import Answer, Mode, Passage

__all__ = ["command"]

_LONGEST = 96  # tokens of an answer, where nothing is said
EXAMPLES = """\b
Examples:
  hone ask handbook-index "how many days of leave are there?"
  hone ask handbook-index "who signs for travel?" --model HuggingFaceTB/SmolLM2-360M-Instruct
  hone ask handbook-index "who signs for travel?" --model openai:Qwen/Qwen3-8B --base-url http://localhost:8000/v1
  hone ask handbook-index --model starter/decoder
  hone ask handbook-index - --json < questions.txt
"""


@click.command("ask", epilog=EXAMPLES)
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("question", required=False)
@click.option(
    "--model",
    metavar="NAME",
    help="Answers from the passages: a decoder, an encoder-decoder, the folder of a `hone tune` run, or openai:NAME for a server's.",
)
@dial_option
@server_options
@click.option("--k", type=click.IntRange(1, 1000), default=5, show_default=True, help="Passages.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "vector", "text"]),
    default="hybrid",
    show_default=True,
    help="By meaning and words, by meaning, by words.",
)
@click.option("--encoder", metavar="NAME", help="Where the index's embedding model lies now, if it was moved.")
@click.option("--max-tokens", type=click.IntRange(1), help="Longest answer, thoughts before it included.  [default: 96]")
@click.option(
    "--json", "as_json", is_flag=True, help="Print an object: question, answer, passages; of several questions one a line."
)
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(index: Path, question: str | None, k: int, mode: "Mode", as_json: bool, quiet: bool, **options: Any) -> None:
    """Search the INDEX that `hone index` made. With --model the passages found are put before the question and the model answers.

    Without a QUESTION, or with -, each line of standard input is one, until it ends; the model is loaded once.
    """
    from hone.core.console import note, result, set_quiet
    from hone.core.errors import Usage, as_option
    from hone.retrieve import answer_text, cited, open_index

    set_quiet(quiet)
    idle = [as_option(name) for name in ("dial", "base_url", "api", "price", "max_tokens") if options[name] is not None]
    if options["model"] is None and idle:
        raise Usage(f"{', '.join(idle)} would do nothing without a model that answers. Add --model, or leave it out.")
    ready = open_index(index, model=options["encoder"])
    answering = None if options["model"] is None else _answering(**options)

    def ask(text: str, *, is_alone: bool) -> bool:
        """Show what is found or answered; whether anything was found."""
        passages = ready.search([text], k=k, mode=mode)[0]
        found = cited(text, passages) if answering is None else answering.answer(text, passages)
        if answering is not None:
            _tell_left_out(found, answering.context)
        result(found.to_json(indent=2 if is_alone else None) if as_json else answer_text(found))
        return bool(passages)

    if question is None or question == "-":
        has_found = _ask_each(ask, shows_question=not as_json and not sys.stdin.isatty())
    else:
        has_found = ask(question, is_alone=True)
    if answering is not None:
        answering.tell_spent()
    elif has_found and not as_json:
        note("With --model NAME a language model answers from these passages.")


def _ask_each(ask: Callable[..., bool], *, shows_question: bool) -> bool:
    """Every question of standard input; one that cannot be answered is told, and the others are answered all the same.

    Returns:
        Whether anything was found for any of them.
    Raises:
        Usage: there is none, or some were not answered, where nobody sits at a terminal.
    """
    from hone.core.console import result, warn
    from hone.core.errors import Usage

    asked, missed, has_found = 0, 0, False
    for text in _lines():
        asked += 1
        if shows_question:
            result(f"> {text}" if asked == 1 else f"\n> {text}")
        try:
            has_found |= ask(text, is_alone=False)
        except Usage as error:
            missed += 1
            warn(f"question {asked}, '{text[:40]}': {error}")
    if sys.stdin.isatty():
        return has_found
    if missed:
        raise Usage(f"{missed:,} of {asked:,} questions were not answered, as said above.")
    if not asked:
        raise Usage("Standard input holds no question. Write one in each line, or give one behind the index.")
    return has_found


def _lines() -> Iterator[str]:
    """Lines of standard input, without blank ones; a terminal is told that they are waited for."""
    from hone.core.console import note

    is_terminal = sys.stdin.isatty()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if is_terminal:
        note("Write a question and press Enter; Ctrl-D ends.")
    while True:
        if is_terminal:
            click.echo("? ", err=True, nl=False)
        if not (line := sys.stdin.readline()):
            return
        if line.strip():
            yield line.strip()


class _Answering(NamedTuple):
    """A model that is ready to answer."""

    answer: "Callable[[str, list[Passage]], Answer]"
    context: int
    """Tokens that it reads."""
    tell_spent: Callable[[], None]
    """What it took, where that is told."""


def _answering(
    *,
    model: str,
    dial: float | None,
    max_tokens: int | None,
    base_url: str | None,
    api: "Api | None",
    price: str | None,
    **_others: Any,
) -> _Answering:
    """The model of a name, loaded."""
    from functools import partial

    from hone.core.console import note
    from hone.model import Sampling, for_a_server_only, is_elsewhere, load_backend, server_settings, told_spent
    from hone.retrieve import answer_from, answer_with

    sampling, model = Sampling(max_new_tokens=max_tokens or _LONGEST), with_dial(model, dial)
    if base_url is None and not is_elsewhere(model):
        if api or price:
            raise for_a_server_only(model)
        from hone.evaluate.benchmarks import load_answering

        _, net, reader = load_answering(model)
        here = partial(answer_from, net=net, reader=reader, sampling=sampling)
        return _Answering(here, reader.context_length, lambda: None)
    server = server_settings(model, api=api or "chat", price=price)
    backend = load_backend(model, base_url=base_url, settings=server)
    there = partial(answer_with, backend=backend, sampling=sampling)
    return _Answering(there, backend.context_length, lambda: note(told_spent(backend.spent())))


def _tell_left_out(found: "Answer", context: int) -> None:
    from hone.core.console import warn

    left = [each.number for each in found.passages if not each.is_shown]
    if left:
        names = f"passage {left[0]} was" if len(left) == 1 else f"passages {left[0]} to {left[-1]} were"
        warn(f"{names} left out: the prompt would not fit the model's {context:,} tokens.")
