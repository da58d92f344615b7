"""Read training rows of every kind: the door of `hone tune`.

Opens a source, recognises what its rows are (`recognise` documents the order), and reads them all; a row that cannot
be used is set aside with its line and reason. The one surprise: rows of one class per text are read by `load_table`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hone.core.errors import BadData, Usage, did_you_mean
from hone.task.cells import name_group
from hone.task.decimals import with_decimal_points
from hone.task.kinds import KINDS, Kind, Material, MaterialRow, Plain
from hone.task.layout import Layout, Sheet, Wish
from hone.task.load import load_table, open_rows
from hone.task.makers import Make, row_maker
from hone.task.passages import PASSAGE_NAMES
from hone.task.profile import name_words
from hone.task.reader import Broken, Reader
from hone.task.recognise import recognise
from hone.task.records import Rejected
from hone.task.rejects import Unusable, check_any_row, check_enough_kept
from hone.task.sample import first_rows, sample_rows
from hone.task.shapes import shape_of
from hone.task.wording import counted

__all__ = ["load_like", "load_material", "recognise_kind", "recognise_layout"]

_SAID: dict[Kind, str] = {
    "classify": "One class per text",
    "completion": "Completions",
    "chat": "Dialogues",
    "plain": "Plain text",
    "tag": "A tag per token",
    "answers": "Answers from a context",
    "score": "A number per text",
    "multi_label": "Several labels per text",
    "choice": "Multiple choice",
}


def load_material(
    source: str,
    *,
    kind: str | None = None,
    prompt: str | None = None,
    completion: str | None = None,
    text: Sequence[str] = (),
    label: str | None = None,
    group: str | None = None,
) -> Material:
    """Read one file or Hub data set into training rows of the kind it holds.

    Args:
        source: a path, or org/name, org/name/config, org/name:split. kind: one of `KINDS`; recognised where left out.
        prompt, completion: the columns of kind completion. text: what the model reads in the other kinds: the text
            (several columns are joined by a line break), the messages, the tokens, question and context, or the question.
        label: what it learns there: the label, the labels, the score, the tags, the answers or which choice is right.
        group: the column in which rows that belong together are equal; neither read nor learnt.
    Raises:
        Usage: no such kind, or a column named that the kind does not have.
        BadData: nothing to read there, no such column, no known layout, choices that cannot be read, or over half of the rows
            unusable. Refused: preferences, or several examples a row.
    """
    wish = replace(_wish(kind, prompt, completion, tuple(text), label), group=group)
    if wish.kind == "classify":
        return _classified(source, wish.text, wish.label, "", group=group)
    reader, sheet, layout, name = recognised(source, wish)
    if layout.kind == "classify":
        return _classified(source, layout.inputs, layout.target, layout.why, group=group)
    moved: list[int] = []
    rows, rejected = _keep(reader, layout, row_maker(reader, layout, moved), name, group=group)
    check_enough_kept(name, kept=len(rows), rejected=rejected, options=_options(layout.kind))
    shape = shape_of(layout, sheet.headers, sheet.sample)
    because = _because(reader, layout, len(moved), group=group)
    return Material(
        source, layout.kind, rows, rejected, because, shape, layout.inputs, layout.target, group=group, choices=layout.choices
    )


def load_like(source: str, like: Material) -> Material | None:
    """Another file of the rows of `like`, in the same columns: however few its rows are, no column is guessed anew.

    Returns:
        None where it lacks one of the columns.
    Raises:
        BadData: nothing to read there, or over half of the rows unusable.
    """
    headers = open_rows(source).headers
    if not {*like.inputs, *([like.target] if like.target else [])} <= set(headers):
        return None
    if like.kind == "classify":
        return _classified(source, like.inputs, like.target, "", group=like.group, is_held_out=True)
    if like.kind == "choice" or (like.kind == "completion" and len(like.inputs) > 1):
        return load_material(source, kind=like.kind, group=like.group)
    if like.kind == "completion":
        return load_material(source, kind=like.kind, prompt=like.inputs[0], completion=like.target, group=like.group)
    return load_material(source, kind=like.kind, text=like.inputs, label=like.target, group=like.group)


def recognise_kind(
    source: str, *, kind: str | None = None, prompt: str | None = None, completion: str | None = None, group: str | None = None
) -> Kind:
    """What the rows of a source are, from the columns' names and a sample; see `load_material`, whose errors it raises."""
    wish = replace(_wish(kind, prompt, completion, (), None), group=group)
    return wish.kind or recognised(source, wish)[2].kind


def recognise_layout(source: str, *, group: str | None = None) -> Layout:
    """The kind of a source and its columns, where the user names no other; see `load_material`, whose errors it raises."""
    return recognised(source, Wish(group=group))[2]


def recognised(source: str, wish: Wish) -> tuple[Reader, Sheet, Layout, str]:
    """The open source, a sample, the kind with its columns, and the source's name in messages."""
    reader = with_decimal_points(open_rows(source))
    name = Path(source).name if Path(source).expanduser().exists() else source
    sample = sample_rows(reader)
    if not sample:
        check_any_row(reader, name=name, options=_options(wish.kind or "plain"))
    sheet = Sheet(reader.headers, sample, first_rows(reader))
    try:
        sheet = _without_group(sheet, wish)
        return reader, sheet, recognise(sheet, wish), name
    except BadData as error:
        raise type(error)(f"{name}: {error}") from None


def _without_group(sheet: Sheet, wish: Wish) -> Sheet:
    """The sheet without the column that was named for its groups alone; a passage is read too.

    Raises:
        BadData: there is no such column.
    """
    if wish.group is None or wish.group in (*wish.text, wish.label, wish.prompt, wish.completion):
        return sheet
    if wish.group not in sheet.headers:
        known = did_you_mean(wish.group, [header for header in sheet.headers if header])
        raise BadData(f"There is no column '{wish.group}'. {known} Name one of these.")
    if "_".join(name_words(wish.group)) in PASSAGE_NAMES:
        return sheet
    at = sheet.headers.index(wish.group)
    headers, *rows = ([*row[:at], *row[at + 1 :]] for row in (sheet.headers, *sheet.sample, *sheet.first))
    return Sheet(tuple(map(str, headers)), rows[: len(sheet.sample)], rows[len(sheet.sample) :])


def _wish(kind: str | None, prompt: str | None, completion: str | None, text: tuple[str, ...], label: str | None) -> Wish:
    known = next((one for one in KINDS if one == kind), None)
    if kind is not None and known is None:
        raise Usage(f"The kind '{kind}' is not known. {did_you_mean(kind, KINDS)} Name one of these, or leave it out.")
    if (prompt or completion) and (text or label or known not in (None, "completion")):
        raise Usage(
            "prompt and completion name the columns of kind completion alone; text and label are for the other kinds. "
            f"Given: kind {kind or 'left open'}, prompt {prompt}, completion {completion}, text {list(text)}, label {label}. "
            "Leave out the one or the other."
        )
    if known == "completion" and (text or label):
        raise Usage(
            "The columns of kind completion are named by prompt and completion, not by text and label. Rename the options."
        )
    if known in ("plain", "chat") and label:
        raise Usage(f"The kind {known} has no label column, and '{label}' is named as one. Leave it out, or name another kind.")
    most = {"tag": (1,), "answers": (2,)}.get(kind or "")
    if text and most and len(text) not in most:
        raise Usage(
            f"The kind {kind} reads {'the tokens' if kind == 'tag' else 'the question and the context'}, and text names "
            f"{counted(len(text), 'column')}: {', '.join(text)}. Name {most[0]}."
        )
    twice = [name for name in (*text, prompt) if name is not None and name in (label, completion)]
    if twice:
        raise Usage(f"Column '{twice[0]}' is named as what the model reads and as what it learns. Name two columns.")
    return Wish(known, prompt, completion, text, label)


def _classified(
    source: str, text: tuple[str, ...], label: str | None, why: str, *, group: str | None = None, is_held_out: bool = False
) -> Material:
    table = load_table(source, text=text, label=label, group=group, is_held_out=is_held_out)
    because = why or table.columns.because or f"text {_quoted(table.columns.text)}, label '{table.columns.label}', as named"
    because = f"{_SAID['classify']}: {because[0].lower()}{because[1:].rstrip('.')}."
    inputs, target = table.columns.text, table.columns.label
    return Material(source, "classify", [*table.examples], table.rejected, because, "classification", inputs, target, group)


def _keep(
    reader: Reader, layout: Layout, make: Make, name: str, *, group: str | None
) -> tuple[list[MaterialRow], list[Rejected]]:
    rows: list[MaterialRow] = []
    rejected: list[Rejected] = []
    groups: dict[object, str] = {}
    for row in reader.rows((*layout.columns, *([group] if group else []))):
        if isinstance(row, Broken):
            rejected.append(Rejected(name, row.line, "", row.reason))
            continue
        line, cells = row
        try:
            made = make(cells[: len(layout.columns)], name, line)
            rows.append(made if group is None or isinstance(made, Plain) else replace(made, group=name_group(cells[-1], groups)))
        except Unusable as unusable:
            rejected.append(Rejected(name, line, unusable.column, unusable.reason))
    return rows, rejected


def _because(reader: Reader, layout: Layout, moved: int, *, group: str | None) -> str:
    what = _quoted(layout.inputs)
    if layout.choices:
        what = f"{what}, the choices in {_quoted(layout.choices)},"
    if layout.target is not None:
        what = f"{what} to '{layout.target}'"
    if layout.system is not None:
        what = f"{what}, the system text from '{layout.system}'"
    others = [header for header in reader.headers if header and header not in (*layout.columns, group)]
    left = f"; left out: {', '.join(others[:6])}{' and more' if len(others) > 6 else ''}" if others else ""
    found = f"; in {counted(moved, 'row')} an answer was found elsewhere than at its start" if moved else ""
    return f"{_SAID[layout.kind]}: {what}, {layout.why}{left}{found}."


def _quoted(names: Sequence[str]) -> str:
    *first, last = [f"'{name}'" for name in names]
    return f"{', '.join(first)} and {last}" if first else last


def _options(kind: Kind) -> str:
    return (
        "--prompt and --completion" if kind == "completion" else "--text" if kind in ("plain", "chat") else "--text and --label"
    )
