"""JSON lines, and JSON lists of any size: one object at a time, never the whole file.

A list is read by handing the standard decoder a window that moves over the file; lists that follow one another are
read in turn. The one surprise: an error inside a list ends the reading, since nobody can tell where the next object
starts; in JSON lines it costs one line.
"""

import json
import re
from collections.abc import Iterator, Sequence

from hone.core.errors import BadData
from hone.task.decode import TextFile
from hone.task.reader import Broken, Reader, Row

__all__ = ["read_json"]

_HEADER_ROWS = 10_000
_WINDOW = 2**20
_LARGEST_VALUE = 64 * 2**20
_LINE_BREAK = re.compile(r"[\r\n]")
_ROWS = ("data", "rows")
_DECODER = json.JSONDecoder(strict=False)

_Record = tuple[int, dict[str, object]]


def read_json(file: TextFile, *, is_lines: bool) -> Reader:
    """Open JSON lines, one list of objects or several in turn, or an object that holds such a list.

    The columns are the keys of the first 10,000 objects, in order of appearance. `is_lines` is what the
    file's name says; what its first line says wins.

    Raises:
        BadData: a single value, or an object from which no one list of rows stands out.
    """
    by_lines = _looks_like_lines(file, is_lines)
    key = None if by_lines else _key_of_rows(_Window(file))
    is_one_line = not by_lines and not _around_first_break(file)[1]

    def records() -> Iterator[_Record | Broken]:
        if by_lines:
            return _from_lines(file)
        found = _from_lists(_Window(file), key)
        return _numbered(found) if is_one_line else found

    headers: dict[str, None] = {}
    for _, record in zip(range(_HEADER_ROWS), records(), strict=False):
        if not isinstance(record, Broken):
            headers.update(dict.fromkeys(record[1]))

    def rows(columns: Sequence[str]) -> Iterator[Row | Broken]:
        for record in records():
            if isinstance(record, Broken):
                yield record
            else:
                get = record[1].get
                yield record[0], [get(name) for name in columns]

    return Reader(tuple(headers), rows)


def _looks_like_lines(file: TextFile, is_lines: bool) -> bool:
    if is_lines:
        first = next((line.strip() for line in file.head().split("\n") if line.strip()), "")
        return first not in ("[", "{") and not first.startswith("[{")
    return file.head().lstrip().startswith("{") and _around_first_break(file) == ("}", "{")


def _around_first_break(file: TextFile) -> tuple[str, str]:
    """The last character of the first line that is not blank, and the first one behind it, however long the line is."""
    last = ""
    for chunk in file.chunks(_WINDOW):
        text = chunk if last else chunk.lstrip()
        found = _LINE_BREAK.search(text)
        line, behind = (text[: found.start()], text[found.start() :].lstrip()) if found else (text, "")
        last = line.rstrip()[-1:] or last
        if behind:
            return last, behind[0]
    return last, ""


def _from_lines(file: TextFile) -> Iterator[_Record | Broken]:
    decode = _DECODER.decode
    for number, line in enumerate(file.lines(), 1):
        if line.isspace():
            continue
        try:
            record = decode(line)
        except (ValueError, RecursionError) as error:
            yield Broken(number, f"invalid JSON: {_brief(error)}")
            continue
        yield (number, record) if type(record) is dict else Broken(number, _not_an_object(record))


def _from_lists(window: "_Window", key: str | None) -> Iterator[_Record | Broken]:
    """The rows of all lists that follow one another, or of the list under `key` in an object."""
    if key is not None:
        for found in _members(window):
            if found == key:
                yield from _items(window)
        if window.peek():
            raise window.error("something follows the object that holds the rows")
        return
    while window.peek() == "[":
        yield from _items(window)
    if window.peek():
        raise window.error("only a further list may follow a list")


def _numbered(rows: Iterator[_Record | Broken]) -> Iterator[_Record | Broken]:
    """Rows with their number instead of their line."""
    for number, row in enumerate(rows, 1):
        yield Broken(number, row.reason) if isinstance(row, Broken) else (number, row[1])


def _items(window: "_Window") -> Iterator[_Record | Broken]:
    window.expect("[")
    while window.peek() != "]":
        line = window.line
        record = window.value()
        yield (line, record) if type(record) is dict else Broken(line, _not_an_object(record))
        if window.peek() == ",":
            window.expect(",")
        elif window.peek() != "]":
            raise window.error("a comma or ']' is missing")
    window.expect("]")


def _members(window: "_Window") -> Iterator[str]:
    """The keys of an object; a value that has not been read when the next key is asked for is stepped over."""
    window.expect("{")
    while window.peek() != "}":
        key = str(window.value())
        window.expect(":")
        yield key
        if window.peek() not in (",", "}"):
            window.value()
        if window.peek() == ",":
            window.expect(",")
        elif window.peek() != "}":
            raise window.error("a comma or '}' is missing")
    window.expect("}")


def _key_of_rows(window: "_Window") -> str | None:
    """The key of an object under which the rows stand: `data` or `rows`, or the only list of objects; None for a file of lists.

    Raises:
        BadData: there is no list, or several that may be meant, or the file holds neither list nor object.
    """
    if window.peek() == "[":
        return None
    if window.peek() != "{":
        raise BadData(
            f"{window.name} holds no list of rows but a single value. Write a list of objects, or one object per line (.jsonl)."
        )
    seen = []
    lists: dict[str, bool] = {}
    for key in _members(window):
        seen.append(key)
        if window.peek() == "[":
            lists[key] = False
            for item in _items(window):
                lists[key] = lists[key] or not isinstance(item, Broken)
                if lists[key] and key in _ROWS:
                    return key
    found = [key for key, has_objects in lists.items() if has_objects] or [*lists]
    if not found:
        raise BadData(
            f"{window.name} holds one JSON object without a list of rows. Its keys are {', '.join(seen[:10]) or 'none'}. "
            'Write a list of objects, {"data": [...]}, or one object per line (.jsonl).'
        )
    if len(found) > 1 and not any(key in _ROWS for key in found):
        raise BadData(
            f"{window.name} holds several lists, under {', '.join(found[:10])}, and hone reads one list of rows from a file. "
            "Write each in a file of its own, such as the rows to train on and those to test with."
        )
    return next((key for key in found if key in _ROWS), found[0])


class _Window:
    """A stretch of the file that moves forward; `line` counts the line breaks left behind."""

    def __init__(self, file: TextFile) -> None:
        self.name = file.name
        self._chunks = file.chunks(_WINDOW)
        self._text = ""
        self._at = 0
        self._line = 1
        self._is_done = False

    @property
    def line(self) -> int:
        """The line of the next character that is not blank."""
        self.peek()
        return self._line

    def peek(self) -> str:
        """The next character that is not blank; empty at the end of the file."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in " \t\r\n":
                at += 1
            self._move(at)
            if at < len(text):
                return text[at]
            if not self._grow():
                return ""

    def expect(self, character: str) -> None:
        """Step over one character that has to be there."""
        if self.peek() != character:
            raise self.error(f"'{character}' is missing")
        self._move(self._at + 1)

    def value(self) -> object:
        """Decode one JSON value, reading on while it reaches past the window."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at > _LARGEST_VALUE or not self._grow():
                    raise self.error(_brief(error)) from None
                continue
            # A number at the window's edge may go on behind it.
            if end < len(self._text) or not self._grow():
                self._move(end)
                return value

    def error(self, what: str) -> BadData:
        """The list cannot be read on from here."""
        return BadData(
            f"{self.name} line {self._line}: invalid JSON, {what}. A list cannot be read past an error. "
            "Correct it, or write one object per line (.jsonl), where a bad line costs only itself."
        )

    def _move(self, at: int) -> None:
        self._line += self._text.count("\n", self._at, at)
        self._at = at

    def _grow(self) -> bool:
        chunk = "" if self._is_done else next(self._chunks, "")
        # Doubling keeps a value much larger than a chunk from being decoded once per chunk.
        while chunk and len(chunk) < len(self._text) - self._at and (more := next(self._chunks, "")):
            chunk += more
        self._is_done = not chunk
        if chunk:
            self._text = self._text[self._at :] + chunk
            self._at = 0
        return bool(chunk)


def _brief(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at column {error.colno}"
    # Python refuses to read an integer of more than 4,300 digits.
    return "nested too deeply" if isinstance(error, RecursionError) else "a number with too many digits"


def _not_an_object(record: object) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return f'not an object: the row is {kinds.get(type(record), "a number")}, not {{"text": ..., "label": ...}}'
