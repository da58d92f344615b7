"""Which kind a source holds when it is a text with one thing beside it: a label, several labels, a score, or nothing.

`recognise` asks these in its documented order; each gives None where it does not fit.
"""

from hone.core.errors import BadData
from hone.task.infer import infer_columns
from hone.task.layout import Layout, Sheet, Wish
from hone.task.nested import holds_list
from hone.task.profile import is_number, name_words
from hone.task.refuse import Refused

__all__ = ["find_classify", "find_label_score", "find_multi_label", "find_plain", "find_score"]

_LISTED = ("labels", "label", "tags", "categories", "topics", "genres", "emotions")
_SCORES = ("score", "similarity", "similarity_score", "relatedness_score", "rating")
_CLASSES = ("label", "labels", "class", "class_name", "category")
_PLAIN = ("text", "content", "document", "article", "body", "story", "code", "markdown")
_ABOUT = frozenset(
    ("title", "source", "licence", "license", "url", "link", "date", "timestamp", "meta", "metadata", "file", "filename", "fname",
     "file_path", "path", "dump", "split", "dataset", "subset", "token_count", "language_score", "chapter", "section", "book")
)  # fmt: skip
_ABOUT_TOO = frozenset(("language", "lang", "author", "domain"))


def find_multi_label(sheet: Sheet, wish: Wish) -> Layout | None:
    """A text with a column of several labels a row: lists, or names between ; and |."""
    label = wish.label or sheet.find(_LISTED)
    if label is None or (not wish.kind and not holds_list(sheet.cells(label)) and not _are_joined(sheet, label)):
        return None
    text = _texts(sheet, wish, label)
    return Layout("multi_label", text, label, why=f"since '{label}' holds several labels a row") if text else None


def _are_joined(sheet: Sheet, column: str) -> bool:
    """Whether a column holds short names, some with ; or | between them, and the names come again in other rows."""
    cells = [cell for cell in sheet.cells(column) if isinstance(cell, str)]
    split = [[part.strip() for part in cell.replace("|", ";").split(";") if part.strip()] for cell in cells]
    joined = [parts for parts in split if len(parts) > 1]
    single = {part for parts in split for part in parts}
    names = sum(map(len, split))
    return bool(joined) and all(len(name) <= 60 for name in single) and (names < 20 or len(single) <= 0.5 * names)


def find_label_score(sheet: Sheet, wish: Wish) -> Layout | None:
    """A text whose `label` is a number that is no whole one: a score, not a class."""
    label = wish.label or sheet.find(("label",))
    return _scored(sheet, wish, label) if label and _are_fractions(sheet, label) else None


def find_score(sheet: Sheet, wish: Wish) -> Layout | None:
    """A text with a column named like a score, where no column is named like a class."""
    if wish.kind == "score":
        label = wish.label or sheet.find((*_SCORES, "label"))
        return _scored(sheet, wish, label) if label else None
    label = sheet.find(_SCORES)
    if wish.label or not label or sheet.find(_CLASSES) or not _are_fractions(sheet, label):
        return None
    return _scored(sheet, wish, label)


def _scored(sheet: Sheet, wish: Wish, label: str) -> Layout | None:
    text = _texts(sheet, wish, label)
    return Layout("score", text, label, why=f"since '{label}' holds numbers") if text else None


def _are_fractions(sheet: Sheet, column: str) -> bool:
    """Whether a column holds numbers alone, and not only whole ones."""
    cells = [cell if isinstance(cell, float) else str(cell).strip() for cell in sheet.cells(column)]
    if any(isinstance(cell, str) and not is_number(cell) for cell in cells):
        return False
    return any(not float(cell).is_integer() for cell in cells if cell == cell)


def _texts(sheet: Sheet, wish: Wish, label: str) -> tuple[str, ...]:
    """The text columns beside a label: those named, or those that `infer_columns` finds."""
    if wish.text:
        return wish.text
    try:
        return infer_columns(sheet.headers, sheet.sample, text=(), label=label, group=None).text
    except BadData:
        return ()


def find_classify(sheet: Sheet, wish: Wish) -> Layout | None:
    """What `infer_columns` finds, where anything: beside a text, columns that say where it is from are no labels."""
    headers = sheet.headers
    if sheet.find(_PLAIN) and not wish.label:
        about = {header for header in headers if "_".join(name_words(header)) in _ABOUT} - set(wish.text)
        if about:
            about |= {header for header in headers if "_".join(name_words(header)) in _ABOUT_TOO}
        headers = tuple(header for header in headers if header not in about)
    indexes = [sheet.headers.index(header) for header in headers]
    sample = [[row[index] for index in indexes] for row in sheet.sample]
    if len(headers) < 2:
        return None
    try:
        columns = infer_columns(headers, sample, text=wish.text, label=wish.label, group=None)
    except Refused:
        raise
    except BadData:
        return None
    return Layout("classify", columns.text, columns.label, why=columns.because)


def find_plain(sheet: Sheet, wish: Wish) -> Layout | None:
    """A text alone, to be continued."""
    if wish.text:
        return None if wish.label else Layout("plain", wish.text, why="as named")
    text = sheet.find(_PLAIN)
    return Layout("plain", (text,), why="since no column beside it looks like a label") if text and not wish.label else None
