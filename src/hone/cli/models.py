"""`hone models`: which base models there are, and which of them fit."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone models --task summarization --licence commercial --max-memory 8GB --context 4096 --language de
  hone models --task classification --language de --sort parameters
  hone models --family decoder --parameters 1B-8B --use lora --max-memory 16GB --sort mmlu --why
  hone models starter/encoder
  hone models Qwen2.5-1.5B Llama-3.2-1B SmolLM2-1.7B
  hone models --search "german bert"
"""


@click.command("models", epilog=EXAMPLES)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--task", metavar="TASK", help="classification, summarization, translation, retrieval, chat and others.")
@click.option("--family", metavar="FAMILY", help="encoder, decoder or encoder-decoder.")
@click.option(
    "--licence", "--license", metavar="A[,B]", help="commercial, unconditional, redistribution, or ids such as apache-2.0,mit."
)
@click.option("--max-memory", metavar="SIZE", help="Such as 8GB: what --use may take.")
@click.option("--use", metavar="USE", help="What the memory is for: inference, lora or full.  [default: inference]")
@click.option("--context", metavar="TOKENS", help="Tokens the model must read at once; memory is told for so many.")
@click.option("--language", metavar="A[,B]", help="ISO codes or names, all of which the authors must name.")
@click.option("--parameters", metavar="FROM-TO", help="Such as 1B-8B, -3B or 1B-.")
@click.option("--released-after", metavar="MONTH", help="Such as 2024 or 2024-09.")
@click.option("--max-disk", metavar="SIZE", help="What the weights may take.  [default: what is free where they would lie]")
@click.option(
    "--sort", metavar="ORDER", help="fit, name, parameters, memory, context, released, downloads, or a benchmark such as mmlu."
)
@click.option("--why", is_flag=True, help="Tell of each model that is left out why.")
@click.option("--search", metavar="WORDS", help="Search the Hub instead of the catalogue.")
@click.option("--hub/--no-hub", default=None, help="Ask the Hub for today's facts.  [default: for named models only]")
@click.option("--json", "as_json", is_flag=True, help="Print records instead of text.")
def command(
    names: tuple[str, ...], sort: str | None, why: bool, search: str | None, hub: bool | None, as_json: bool, **filters: Any
) -> None:
    """Find a base model: filter the catalogue, set models side by side, or read one's card.

    Without NAME a table of what passes the filters. With one NAME (a Hub id, its last part, a starter, or a line such as
    Qwen3) its card, with several a comparison. What nobody has published is shown as unknown.
    """
    from hone import catalogue
    from hone.catalogue.card import named_text
    from hone.catalogue.table import choice_text, hub_table
    from hone.core.console import note, result, terminal_width
    from hone.core.errors import Usage

    if search is not None and names:
        raise Usage("Give names or --search, not both: a name shows what is known of it, --search looks for others on the Hub.")
    idle = _idle(names, {"sort": sort, "why": why or None, **filters}, searches=search is not None)
    if idle:
        raise Usage(f"{', '.join(idle)} would do nothing beside {'--search' if search is not None else 'names'}. Leave it out.")
    wanted = catalogue.read_wanted(**filters)
    if search is not None:
        answer = catalogue.search_hub(search, language=next(iter(wanted.languages), None))
        records = catalogue.listing(wanted, (), answer, only_on_hub=tuple(answer.models.values()))
        text = hub_table(records.only_on_hub, width=terminal_width()) if answer.models else "Nothing was found."
    elif names:
        named = catalogue.name_models(names, wanted, asks_hub=hub is not False)
        answer = named.hub
        records = catalogue.listing(wanted, named.entries, answer, only_on_hub=named.only_on_hub)
        text = named_text(named, wanted, width=terminal_width(), free=catalogue.free_disk())
    else:
        if wanted.max_disk is None:
            wanted = wanted.model_copy(update={"free_disk": catalogue.free_disk()})
        choice, answer = catalogue.list_models(wanted, sort=sort, asks_hub=hub is True)
        records = catalogue.listing(wanted, choice.kept, answer, choice=choice)
        text = choice_text(choice, sort=sort, why=why, live=answer.models, width=terminal_width())
    if answer.problem:
        note(answer.problem)
    result(records.to_json() if as_json else text)


def _idle(names: Sequence[str], asked: Mapping[str, Any], *, searches: bool) -> list[str]:
    """Options that order or filter a table where there is none: names take filters, which refuse them, and a search takes a language."""
    from hone.core.errors import as_option

    known = [name for name in asked if name != "language"] if searches else ["sort", "why"] if names else []
    return [as_option(name) for name in known if asked[name] is not None]
