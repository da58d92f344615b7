"""`hone pretrain TEXTS --size 8m --tokens 50M`: a language model from texts."""

from pathlib import Path
from typing import Any

import click

from hone.cli.options import given

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone pretrain books/ articles.jsonl --budget 2h
  hone pretrain corpus.jsonl.gz --objective causal --size 8m --tokens 50M
  hone pretrain corpus.jsonl.gz --objective span --size 16m
  hone pretrain reports/ --from HuggingFaceTB/SmolLM2-135M --tokens 20M
"""

_COUNTS = ("size", "tokens", "vocabulary")


def _options(function: Any) -> Any:
    for option in reversed(
        (
            click.option(
                "--objective",
                type=click.Choice(["causal", "masked", "span"]),
                help="causal makes a decoder, masked an encoder, span an encoder-decoder.  [default: causal]",
            ),
            click.option("--size", metavar="N", help="Parameters of a new model: 8m, 125m.  [default: advised]"),
            click.option("--tokens", metavar="N", help="Tokens to train on: 50M, 1B.  [default: advised]"),
            click.option("--budget", metavar="TIME", help="Time for the training, from which size and tokens are advised: 2h."),
            click.option("--from", "base", metavar="MODEL", help="Go on with this model instead of a new one."),
            click.option("--text", metavar="COLUMN[,COLUMN]", help="Text columns of row files."),
            click.option("--vocabulary", metavar="N", help="Entries of a new tokenizer.  [default: by size]"),
            click.option("--length", type=int, help="Longest sequence in tokens.  [default: 512]"),
            click.option("--mask-rate", type=float, help="Share of tokens taken out, masked and span.  [default: 0.15]"),
            click.option("--gap", type=float, metavar="TOKENS", help="Mean length of what span takes out.  [default: 3]"),
            click.option("--optimiser", type=click.Choice(["muon", "adamw"]), help="[default: muon]"),
            click.option("--learning-rate", "--lr", type=float, help="Peak.  [default: by size]"),
            click.option("--batch-tokens", type=int, help="Tokens per step.  [default: 8192]"),
            click.option("--schedule", type=click.Choice(["linear", "cosine", "constant", "wsd"]), help="[default: wsd]"),
            click.option("--evaluations", type=int, help="Validation scores and samples on the way.  [default: 10]"),
            click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), help="[default: auto]"),
            click.option("--track", metavar="A,B", help="Where the log also goes: tensorboard, trackio, mlflow, wandb."),
            click.option("--seed", type=int, help="[default: 0]"),
            click.option("--out", metavar="DIR", help="Run folder."),
        )
    ):
        function = option(function)
    return function


@click.command("pretrain", epilog=EXAMPLES)
@click.argument("texts", nargs=-1)
@_options
@click.option("--config", type=click.Path(path_type=Path), help="YAML with these settings; options given here win over it.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's record.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(config: Path | None, as_json: bool, quiet: bool, texts: tuple[str, ...], **options: Any) -> None:
    """Train a language model on TEXTS: files, folders or Hub data sets.

    Learns a byte-level tokenizer, cuts texts into pieces that never mix two of them, says what the training will cost, trains, and writes
    a folder that plain transformers loads.
    """
    from hone.core.configuration import parse_count, parse_duration, read_settings, settings_from
    from hone.core.console import result, set_quiet
    from hone.core.errors import Usage
    from hone.pretrain.settings import PRETRAIN, refuse_idle

    set_quiet(quiet)
    named = given(**options)
    if texts:
        named["data"] = texts
    for name in _COUNTS:
        if name in named:
            named[name] = parse_count(named[name])
    if "budget" in named:
        named["budget"] = parse_duration(named["budget"])
    if config is None and "data" not in named:
        raise Usage("Name the texts: hone pretrain corpus.jsonl --size 8m, or a configuration: --config config.yaml.")
    settings = read_settings(PRETRAIN, config, named) if config else settings_from(PRETRAIN, named)
    refuse_idle(settings)
    from hone.pretrain import pretrain

    done = pretrain(settings)
    if as_json:
        result(done.to_json())
