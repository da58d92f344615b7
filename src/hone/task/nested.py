"""Cells that hold more than one value: lists and objects, also where a CSV or Parquet cell has them as text.

The text may be JSON, or what Python's `repr` writes, since pandas saves a list that way. The one surprise: a Python
list counts only if writing it again gives the same text. numpy writes ['EU' 'rejects'] without commas, which Python
would read as the single string 'EUrejects'.
"""

import ast
import json
import warnings
from collections.abc import Sequence

from hone.task.cells import written_number
from hone.task.decode import TextFile, bad_character
from hone.task.rejects import Unusable

__all__ = ["holds_list", "holds_objects", "nested", "string", "written"]


def nested(cell: object, column: str) -> list[object] | dict[str, object]:
    """The list or object that a cell holds.

    Raises:
        Unusable: the cell is missing or holds something else.
    """
    value = _parsed(cell) if isinstance(cell, str) else cell
    if value is None or value != value or (isinstance(cell, str) and not cell.strip()):
        raise Unusable(column, "missing cell: the row has no value there")
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, (list, dict)):
        return value
    shown = str(cell)[:40]
    raise Unusable(column, f"no list: '{shown}' can be read neither as JSON nor as a Python list")


def written(cell: object, column: str, file: TextFile | None) -> str:
    """A cell's text exactly as it stands there; a list of strings (the sentences of a text) is joined by line breaks.

    Raises:
        Unusable: it is missing, blank, no text, or holds characters that cannot be used.
    """
    if cell is None or cell != cell:
        raise Unusable(column, "missing cell: the row has no value there")
    if isinstance(cell, (list, tuple)) and cell and all(isinstance(part, str) for part in cell):
        cell = "\n".join(cell)
    return string(cell, column, file)


def string(value: object, column: str, file: TextFile | None, *, what: str = "text") -> str:
    """One text inside a cell, as it stands there; `what` is its name in the reason.

    Raises:
        Unusable: it is blank, no text, or holds characters that cannot be used.
    """
    if isinstance(value, (bool, int, float)) and value == value:
        return written_number(value)
    if not isinstance(value, str):
        raise Unusable(column, f"no {what}: there is {_kind(value)} in its place")
    if not value or value.isspace():
        raise Unusable(column, f"empty {what}")
    if (not value.isascii() or "\0" in value) and (problem := bad_character(value, file)):
        raise Unusable(column, problem)
    return value


def holds_list(cells: Sequence[object]) -> bool:
    """Whether most filled cells of a sample hold lists, or texts that begin as one; the texts may be cut."""
    return _most(cells, (list, tuple), ("[",))


def holds_objects(cells: Sequence[object]) -> bool:
    """Whether most filled cells of a sample hold lists of objects, or texts that begin as one."""
    filled = [cell[0] if isinstance(cell, (list, tuple)) and cell else cell for cell in cells]
    shortened = [cell[:100].replace(" ", "").replace("\n", "") if isinstance(cell, str) else cell for cell in filled]
    return _most(shortened, (dict,), ("[{",))


def _most(cells: Sequence[object], kinds: tuple[type, ...], starts: tuple[str, ...]) -> bool:
    filled = [cell for cell in cells if cell is not None and cell != "" and cell == cell]
    fitting = sum(isinstance(cell, kinds) or (isinstance(cell, str) and cell.lstrip().startswith(starts)) for cell in filled)
    return bool(filled) and fitting > 0.5 * len(filled)


def _parsed(text: str) -> object:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    if not text.lstrip().startswith(("[", "{", "(")):
        return text
    try:
        with warnings.catch_warnings():
            # A backslash that escapes nothing is no reason to write on the terminal.
            warnings.simplefilter("ignore")
            value: object = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    return value if _packed(repr(value)) == _packed(text) else text


def _packed(text: str) -> str:
    return "".join(text.split())


def _kind(value: object) -> str:
    if value is None or value != value:
        return "nothing"
    return (
        "a list" if isinstance(value, (list, tuple)) else "an object" if isinstance(value, dict) else f"a {type(value).__name__}"
    )
