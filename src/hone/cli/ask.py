"""`hone ask INDEX QUESTION`: passages that fit a question, or a model's answer from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
"""


@click.command("ask", epilog=EXAMPLES)
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("question")
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
@click.option("--json", "as_json", is_flag=True, help="Print one object: question, answer, passages.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(index: Path, question: str, k: int, mode: "Mode", as_json: bool, quiet: bool, **options: Any) -> None:
    """Search the INDEX that `hone index` made. With --model the passages found are put before the question and the model answers."""
    from hone.core.console import note, result, set_quiet
    from hone.core.errors import Usage, as_option
    from hone.retrieve import answer_text, cited, open_index

    set_quiet(quiet)
    idle = [as_option(name) for name in ("dial", "base_url", "api", "price", "max_tokens") if options[name] is not None]
    if options["model"] is None and idle:
        raise Usage(f"{', '.join(idle)} would do nothing without a model that answers. Add --model, or leave it out.")
    ready = open_index(index, model=options["encoder"])
    passages = ready.search([question], k=k, mode=mode)[0]
    model = options["model"]
    if model is None:
        found = cited(question, passages)
    else:
        found, context = _answered(question, passages, **options)
        _tell_left_out(found, context)
    result(found.to_json() if as_json else answer_text(found))
    if model is None and not as_json and passages:
        note("With --model NAME a language model answers from these passages.")


def _answered(
    question: str,
    passages: "list[Passage]",
    *,
    model: str,
    dial: float | None,
    max_tokens: int | None,
    base_url: str | None,
    api: "Api | None",
    price: str | None,
    **_others: Any,
) -> "tuple[Answer, int]":
    """A model's answer, and how many tokens the model reads."""
    from hone.core.console import note
    from hone.model import Sampling, for_a_server_only, is_elsewhere, load_backend, server_settings, told_spent
    from hone.retrieve import answer_from, answer_with

    sampling, model = Sampling(max_new_tokens=max_tokens or _LONGEST), with_dial(model, dial)
    if base_url is None and not is_elsewhere(model):
        if api or price:
            raise for_a_server_only(model)
        from hone.evaluate.benchmarks import load_answering

        _, net, reader = load_answering(model)
        return answer_from(question, passages, net, reader, sampling=sampling), reader.context_length
    server = server_settings(model, api=api or "chat", price=price)
    backend = load_backend(model, base_url=base_url, settings=server)
    found = answer_with(question, passages, backend, sampling=sampling)
    note(told_spent(backend.spent()))
    return found, backend.context_length


def _tell_left_out(found: "Answer", context: int) -> None:
    from hone.core.console import warn

    left = [each.number for each in found.passages if not each.is_shown]
    if left:
        names = f"passage {left[0]} was" if len(left) == 1 else f"passages {left[0]} to {left[-1]} were"
        warn(f"{names} left out: the prompt would not fit the model's {context:,} tokens.")
