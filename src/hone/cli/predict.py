"""`hone predict FOLDER TEXT`: answer with the winner of a comparison, or with a tuned run."""

from pathlib import Path

import click

__all__ = ["command"]

_ROWS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
EXAMPLES = """\b
Examples:
  hone predict runs/tickets-1a2b3c4d/best "my parcel never came"
  hone predict best new.csv --out answered.csv
  hone predict runs/dialogues-5e6f7a8b new.jsonl --out answered.jsonl
  hone predict runs/quiz-9c0d1e2f/best "what melts first?" --choice ice --choice iron
"""


@click.command("predict", epilog=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="With a file of rows: where the answers go (.csv or .jsonl).")
@click.option("--text", metavar="COLUMN[,COLUMN]", help="With a file of rows: its text columns.")
@click.option(
    "--choice",
    metavar="TEXT|COLUMN",
    multiple=True,
    help="Of multiple choice, once for each: the choices of a text; with a file of rows, their columns.",
)
@click.option(
    "--index",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the index lies now in which FOLDER looks up passages, if it was moved.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per answer, with all probabilities.")
def command(
    folder: Path,
    inputs: tuple[str, ...],
    out: Path | None,
    text: str | None,
    choice: tuple[str, ...],
    index: Path | None,
    as_json: bool,
) -> None:
    """Answer one or more texts, or every row of one FILE with --out, with what lies in FOLDER: `best` of a comparison, or a run of `hone tune`."""
    from hone.core.console import note, result
    from hone.core.errors import Usage
    from hone.serve import load_answering, predict_file

    ready = load_answering(folder, index=index)
    if out is not None:
        if len(inputs) != 1 or not _is_file(inputs[0]):
            raise Usage(f"--out needs one file of rows; '{' '.join(inputs)}' is no file.")
        rows = predict_file(ready, Path(inputs[0]), out, text=tuple(text.split(",")) if text else (), choices=choice)
        note(f"{rows:,} rows answered, in {out}.")
        return
    files = [one for one in inputs if _is_file(one)]
    if files:
        raise Usage(f"'{files[0]}' is a file. Say where the answers to its rows go: --out answers.csv.")
    if missing := next((one for one in inputs if _is_named_as_rows(one)), None):
        raise Usage(f"There is no file '{missing}'. Name one, and say where the answers to its rows go: --out answers.csv.")
    if not all(one.strip() for one in inputs):
        raise Usage("A text is empty. Write what is to be answered; of a file of rows, empty ones are kept with an empty answer.")
    if text is not None:
        raise Usage("--text names columns of a file of rows. Name one file and --out, or leave --text out.")
    for answer in ready.predict(list(inputs), choices=[choice] * len(inputs) if choice else ()):
        sure = "" if answer.confidence is None else f"\t{answer.confidence:.3f}"  # a class alone has one
        result(answer.to_json(indent=None) if as_json else f"{answer.told}{sure}")


def _is_named_as_rows(text: str) -> bool:
    """One word that ends as files of rows do is hardly a text to be answered."""
    return len(text.split()) == 1 and text.lower().removesuffix(".gz").endswith(_ROWS)


def _is_file(text: str) -> bool:
    """A text to be answered may be longer than any path."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
