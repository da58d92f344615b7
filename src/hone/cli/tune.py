"""`hone tune DATA --model M --method lora`: one training run, on rows or on a mixture of tasks."""

from pathlib import Path
from typing import Any

import click

from hone.cli.options import KINDS, check_rows, given, retain_option

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone tune tickets.csv --model starter/encoder --method lora
  hone tune dialogues.jsonl --model HuggingFaceTB/SmolLM2-135M --method lora --epochs 2
  hone tune summaries.csv --model google/flan-t5-small --method full --template "summarize: {prompt}"
  hone tune tasks.yaml --model google/flan-t5-small --method full
  hone tune dialogues.jsonl --model HuggingFaceTB/SmolLM2-135M --may-lose 1%
  torchrun --nproc-per-node 2 -m hone tune summaries.csv --model google/flan-t5-small
  torchrun --nproc-per-node 2 -m hone tune dialogues.jsonl --model HuggingFaceTB/SmolLM2-1.7B --method full --shard
"""

_METHODS = ["full", "head", "bias", "top", "lora", "ia3", "adapter", "prompt", "prefix"]
_OBJECTIVES = ["completion", "causal", "masked", "span", "classify", "multi_label", "regression", "tag", "answers"]


_OPTIONS = (
    click.option("--model", metavar="NAME", help="Starter, folder or Hub id: encoder, decoder or encoder-decoder."),
    click.option("--method", type=click.Choice(_METHODS), help="What moves.  [default: lora]"),
    click.option("--objective", type=click.Choice(_OBJECTIVES), help="Toward what; else what fits rows and model."),
    click.option("--kind", type=click.Choice(KINDS), help="What the rows are; else recognised."),
    click.option("--prompt", metavar="COLUMN", help="Column of the prompt."),
    click.option("--completion", metavar="COLUMN", help="Column of the completion."),
    click.option("--text", metavar="COLUMN[,COLUMN]", help="Text columns."),
    click.option("--label", metavar="COLUMN", help="Column of what is learnt about a text."),
    click.option("--validation", metavar="FILE", help="Rows to choose the checkpoint on, instead of a tenth."),
    click.option("--test", metavar="FILE", help="Rows to measure the end on; nothing is chosen by them."),
    click.option("--template", metavar="TEXT", help="What the model reads before it answers, with {prompt} in it."),
    click.option("--chat/--no-chat", default=None, help="Use the model's chat template.  [default: where it has one]"),
    click.option("--train-on-prompt", is_flag=True, default=None, help="Train prompts too, not the answers alone."),
    click.option("--length", type=int, help="Longest sequence in tokens."),
    click.option("--rank", type=int, help="Of LoRA.  [default: 8]"),
    click.option("--alpha", type=int, help="Of LoRA.  [default: twice the rank]"),
    click.option("--rslora", is_flag=True, default=None, help="Rank-stabilised LoRA."),
    click.option("--dora", is_flag=True, default=None, help="Weight-decomposed LoRA."),
    click.option("--lora-layers", type=int, help="Last blocks that LoRA is put on.  [default: all]"),
    click.option("--lora-plus", type=float, help="How many times the rate LoRA's B moves with.  [default: 1]"),
    click.option("--layers", type=int, help="Blocks that `top` trains.  [default: 2]"),
    click.option("--tokens", type=int, help="Virtual tokens of prompt and prefix.  [default: 20]"),
    click.option("--hold", type=click.Choice(["none", "l2sp", "ewc", "kl"]), help="What holds training back from the base."),
    click.option("--hold-strength", type=float, help="How strongly.  [default: 0.1]"),
    click.option("--replay", metavar="FILE", help="Older rows of the same kind, mixed in."),
    click.option("--replay-rate", type=float, help="Their share of the draws.  [default: 0.1]"),
    click.option(
        "--remember", metavar="HOW", help="self: hold the model to what it says of itself; replay:FILE: mix older rows in."
    ),
    click.option("--remember-rate", type=float, help="Share of each step that goes there.  [default: 0.1]"),
    click.option("--remember-strength", type=float, help="How strongly own samples hold.  [default: 1]"),
    retain_option,
    click.option("--retain-items", type=int, help="Items of each.  [default: 60]"),
    click.option("--may-lose", metavar="SHARE", help="Promise that at most this much is lost elsewhere: 1%."),
    click.option("--confidence", metavar="SHARE", help="Of that promise.  [default: 90%]"),
    click.option("--epochs", type=float, help="Passes over the rows.  [default: 3]"),
    click.option("--steps", type=int, help="Optimiser steps, instead of epochs."),
    click.option("--batch-rows", type=int, help="Rows per step.  [default: 16]"),
    click.option("--forward-tokens", type=int, help="Tokens per forward pass: fewer take less memory.  [default: 2048]"),
    click.option("--learning-rate", "--lr", type=float, help="Peak.  [default: by method and size]"),
    click.option("--schedule", type=click.Choice(["linear", "cosine", "constant", "wsd"]), help="[default: linear]"),
    click.option(
        "--metric", metavar="NAME", help="Picks the best checkpoint: accuracy, macro_f1, rmse, rougeL...  [default: loss]"
    ),
    click.option("--answers", type=int, help="Validation rows answered before and after, for ROUGE; 0 for none.  [default: 32]"),
    click.option("--gradient-checkpointing", is_flag=True, default=None, help="Less memory, more time."),
    click.option("--compile", is_flag=True, default=None, help="Use torch.compile."),
    click.option("--keep-gib", type=float, help="Memory for what frozen blocks make of the rows; 0 for none.  [default: 2]"),
    click.option("--shard", is_flag=True, default=None, help="Divide weights, gradients and moments over the processes (FSDP)."),
    click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), help="[default: auto]"),
    click.option("--load", type=click.Choice(["plain", "4bit", "8bit"]), help="How the base is held (QLoRA).  [default: plain]"),
    click.option("--track", metavar="A,B", help="Where the log also goes: tensorboard, trackio, mlflow, wandb."),
    click.option("--seed", type=int, help="[default: 0]"),
    click.option("--out", metavar="DIR", help="Run folder."),
)


def _options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command("tune", epilog=EXAMPLES)
@click.argument("data", required=False)
@_options
@click.option("--config", type=click.Path(path_type=Path), help="YAML with these settings; options given here win over it.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's record.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(config: Path | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Train one method on the rows of DATA, or on the mixture of tasks in a YAML file, for an encoder, a decoder or an encoder-decoder.

    The rows say what is learnt: a label, several, a number, tags, answers in a passage, a completion, a chat, or plain text. Writes a run
    folder that peft, transformers and hone load.
    """
    from hone.core.configuration import parse_share, read_settings, settings_from
    from hone.core.console import result, set_quiet
    from hone.core.errors import Usage

    set_quiet(quiet)
    named = given(**options)
    check_rows(named)
    from hone.tune.settings import TUNE

    for name in ("may_lose", "confidence"):
        if name in named:
            named[name] = parse_share(named[name])
    if config is None and not {"data", "model"} <= named.keys():
        raise Usage(
            "Name the data and the model: hone tune rows.csv --model starter/encoder, or a configuration: --config config.yaml."
        )
    settings = read_settings(TUNE, config, named) if config else settings_from(TUNE, named)
    from hone.tune import refuse_idle, tune_rows

    refuse_idle(settings, asked=named if config and named else None)
    done = tune_rows(settings)
    if as_json:
        result(done.to_json())
    if done.breaks_promise:
        raise click.exceptions.Exit(2)
