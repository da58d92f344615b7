"""`hone index DOCS --out DIR`: documents become an index of passages."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hone.retrieve import Documents, IndexRecord, IndexSettings

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  hone index handbook --out handbook-index
  hone index articles.jsonl --text title,body --id slug --out articles-index
  hone index handbook --out handbook-index --questions questions.csv
"""
_SHOWN = 20  # files set aside that are named on the terminal; index.json names all


@click.command("index", epilog=EXAMPLES)
@click.argument("docs")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    required=True,
    help="Folder of the index, new or to be brought up to date.",
)
@click.option("--text", metavar="COLUMN[,COLUMN]", help="Of tables: what is indexed.  [default: the column of the longest texts]")
@click.option("--id", "id_column", metavar="COLUMN", help="Of tables: what names a row.  [default: its line]")
@click.option("--tokens", type=int, help="Most tokens of a passage.  [default: 200]")
@click.option("--overlap", type=int, help="Tokens that a passage repeats from the one before it, 0 to 40.  [default: 0]")
@click.option(
    "--language",
    metavar="NAME",
    help="Whose word forms are known to word search; 'none' for words as they stand.  [default: English]",
)
@click.option(
    "--encoder",
    metavar="NAME",
    default="starter/encoder",
    show_default=True,
    help="Embedding model: a starter, a folder or a Hub id.",
)
@click.option("--questions", metavar="FILE", help="Measure on these: columns question, and document, answer or answers.")
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of the text.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(docs: str, out: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Index the documents in DOCS: a folder of Markdown, text, HTML, PDF and tables, or one such file. Needs the extra 'retrieve'.

    Run it again when documents change: only what is new is embedded. The old index serves until the new one is finished.
    """
    from hone.core.console import note, result, set_quiet
    from hone.core.store import write_atomic
    from hone.retrieve import Index, Indexed, evaluate_index, read_documents, read_questions, scores_table
    from hone.retrieve.store import need_database

    set_quiet(quiet)
    need_database()
    settings = _settings(options)
    text = tuple(part.strip() for part in (options["text"] or "").split(",") if part.strip())
    documents = read_documents(docs, text=text, id_column=options["id_column"], leave_out=out)
    _tell(documents, out)
    note(f"{docs}: {len(documents.documents):,} documents to index into {out}.")
    from hone.catalogue import locate_model
    from hone.model import load_encoder

    index = Index.build(documents, out, encoder=load_encoder(locate_model(options["encoder"])), settings=settings)
    evaluation = None
    if options["questions"]:
        questions = read_questions(options["questions"], index)
        for each in questions.set_aside[:_SHOWN]:
            note(f"Set aside: {each.path}: {each.reason}")
        evaluation = evaluate_index(index, questions)
        write_atomic(out / "evaluation.json", evaluation.to_json())
    if as_json:
        result(Indexed(index=index.record, evaluation=evaluation).to_json())
        return
    result(_summary(index.record))
    if evaluation is not None:
        result("\n" + scores_table(evaluation))
    note(f'The record is {out / "index.json"}. Next: hone ask {out} "your question"')


def _settings(options: dict[str, Any]) -> "IndexSettings":
    from pydantic import ValidationError

    from hone.core.errors import Usage
    from hone.retrieve import ChunkSettings, IndexSettings

    try:
        chunks = ChunkSettings(**{name: options[name] for name in ("tokens", "overlap") if options[name] is not None})
        language = (
            {} if options["language"] is None else {"language": None if options["language"] == "none" else options["language"]}
        )
        return IndexSettings.model_validate({"chunks": chunks, **language})
    except ValidationError as error:
        raise Usage("\n".join(f"--{one['loc'][-1]} {one['input']}: {one['msg']}." for one in error.errors())) from error


def _tell(documents: "Documents", out: Path) -> None:
    """What was chosen and what was set aside."""
    from hone.core.console import note, warn

    for line in documents.notes:
        note(line)
    aside = documents.set_aside
    for each in aside[:_SHOWN]:
        warn(f"{each.path}: {each.reason}")
    if len(aside) > _SHOWN:
        warn(f"and {len(aside) - _SHOWN:,} more; all stand in {out / 'index.json'} under set_aside.")


def _summary(record: "IndexRecord") -> str:
    changes = record.changes
    said = [f"{count:,} {what}" for what in ("added", "changed", "removed", "unchanged") if (count := getattr(changes, what))]
    return (
        f"{record.documents:,} documents ({', '.join(said)}), {record.passages:,} passages "
        f"({changes.embedded:,} embedded, {changes.reused:,} reused), {record.seconds:.1f} s. "
        f"{len(record.set_aside):,} set aside."
    )
