"""`hone curate TEXTS... --out DIR`: raw text becomes a cleaned corpus."""

from pathlib import Path
from typing import Any

import click

__all__ = ["command"]

_STEPS = "language, repetition, quality, c4, fineweb, exact, near, overlap, pii"
EXAMPLES = """\b
Examples:
  hone curate books articles.jsonl.gz --out corpus
  hone curate crawl --without c4,fineweb --set quality.min_words=20 --workers 8
  hone curate books --not-in test.jsonl --not-in questions.csv --out corpus
  hone curate crawl --tasks 500 --executor slurm --partition cpu --workers 100 --out /shared/corpus
"""


def _options(function: Any) -> Any:
    for option in reversed(
        (
            click.option("--text", metavar="COLUMN", help="Of tables: the text.  [default: text]"),
            click.option("--only", metavar="STEP[,STEP]", help=f"Run these steps alone: {_STEPS}."),
            click.option("--without", metavar="STEP[,STEP]", help="Leave these steps out."),
            click.option(
                "--set", "thresholds", metavar="STEP.NAME=VALUE", multiple=True, help="A threshold; docs/curation.md has all."
            ),
            click.option("--language", metavar="CODE", help="ISO 639 code of the language that stays.  [default: en]"),
            click.option("--language-threshold", type=float, help="Its smallest probability.  [default: 0.65]"),
            click.option(
                "--not-in", metavar="FILE", multiple=True, help="Evaluation set whose passages are taken out; may repeat."
            ),
            click.option("--overlap-words", type=int, help="Words of a passage.  [default: 13]"),
            click.option(
                "--overlap-removes", type=click.Choice(["paragraph", "document"]), help="What goes.  [default: paragraph]"
            ),
            click.option("--examples", type=int, help="Removed documents shown per reason.  [default: 3]"),
            click.option("--tasks", type=int, help="Parts of the work, whole files each.  [default: one per file, at most 16]"),
            click.option("--workers", type=int, help="Parts at work at the same time.  [default: 1]"),
            click.option("--executor", type=click.Choice(["local", "slurm", "ray"]), help="What runs them.  [default: local]"),
            click.option("--partition", metavar="NAME", help="Of Slurm."),
            click.option("--time", metavar="H:MM:SS", help="Most time of a Slurm task.  [default: 12:00:00]"),
            click.option("--memory-gb", type=int, help="Memory of a Slurm or Ray task.  [default: 4]"),
            click.option("--out", metavar="DIR", help="Run folder.  [default: runs/ and a name]"),
        )
    ):
        function = option(function)
    return function


@click.command("curate", epilog=EXAMPLES)
@click.argument("sources", nargs=-1, metavar="TEXTS...")
@_options
@click.option("--config", type=click.Path(path_type=Path), help="YAML with these settings; options given here win over it.")
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of the table.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(sources: tuple[str, ...], config: Path | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Clean raw text (files and folders of .txt, .md, .jsonl, .csv, .parquet, also .gz) into a corpus to pretrain on. Needs the extra 'curate'.

    Rules of C4, Gopher and FineWeb, language, duplicates, personal data, overlap with evaluation sets; the table says what each step kept.
    Give the same command again and an interrupted run goes on.
    """
    from hone.core.configuration import read_settings, settings_from
    from hone.core.console import note, result, set_quiet
    from hone.core.errors import Usage
    from hone.curate import CURATE, curate_texts, curation_table

    set_quiet(quiet)
    if config and options["thresholds"]:
        raise Usage("--set and --config name thresholds in two places. Write them into the file.")
    overrides = _overrides(sources, options)
    if not sources and config is None:
        raise Usage("hone curate needs files or folders of text: hone curate books articles.jsonl.gz.")
    settings = read_settings(CURATE, config, overrides) if config else settings_from(CURATE, {}, overrides)
    record, folder = curate_texts(settings)
    if record is None:
        return
    result(record.to_json() if as_json else curation_table(record))
    note(
        f"The corpus is {folder / record.texts}, the record {folder / 'curation.json'}, with examples of what went in {folder / 'README.md'}."
    )


def _overrides(sources: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, in the form that settings take."""
    from hone.core.configuration import parse_names
    from hone.curate import read_thresholds

    thresholds = options.pop("thresholds")
    named = {name: value for name, value in options.items() if value not in (None, ())}
    named |= {name: parse_names(named[name]) for name in ("only", "without") if name in named}
    return named | read_thresholds(thresholds) | ({"sources": sources} if sources else {})
