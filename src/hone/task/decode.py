"""Bytes to characters, one file at a time, without losing the good rows to a bad one.

Stands before every text format. The one surprise: bytes that are not UTF-8 do not stop the reading; they
travel as lone surrogates (PEP 383), so the row that holds them can be named by its line and set aside. A table that is
not UTF-8 as a whole is read as Windows-1252, in which Excel writes CSV in the West, where it makes words of that.
"""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, cast

from hone.core.errors import BadData

__all__ = ["TextFile", "bad_character", "open_text"]

_HEAD_BYTES = 65_536
_GUESS_BYTES = 64 * 2**20
_MOST_ABOVE = 0.5  # of the letters of words that have one above 127: in Western languages a quarter, in Greek or Russian all
_MOST_STRANGE = 0.02
_BOMS = (
    # UTF-32 LE begins with the mark of UTF-16 LE, so it is asked first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "Save the sheet as CSV (UTF-8)."),
    (b"PAR1", "a Parquet file", "Rename it to end in .parquet."),
    (b"\x1f\x8b", "compressed with gzip", "Rename it to end in .gz, such as data.csv.gz."),
    (b"%PDF", "a PDF", "Give the rows as CSV or JSON lines."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV (UTF-8)."),
)
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_ACCENTED = re.compile(r"[A-Za-z]*[^\x00-\x7f][^\x00-@[-`{-\x7f]*")  # a word with a letter above 127
_INSIDE_A_WORD = re.compile(
    r"(?<=\w)[\x80-\x9f\xa1-\xaf\xb1-\xb6\xb8-\xbf\xd7\xf7‚\ufffd](?=[\w\x80-\xbf])"
)  # but Catalan's dot, and n°3
"""Signs that stand inside a word where another encoding is taken for Windows-1252, such as Polish for its own code page."""
_COMMON = dict.fromkeys(map(ord, "‘’“”„–—…€™•«»°§£©®´·¡¿¼½¾²³ºª\xa0"), " ")  # signs that stand beside words


@dataclass(frozen=True)
class TextFile:
    """A text file whose encoding is known. `lines` may be walked more than once."""

    path: Path
    encoding: str

    @property
    def name(self) -> str:
        """The file's name without its folder, as it stands in messages."""
        return self.path.name

    def lines(self) -> Iterator[str]:
        """The lines with their ends, split at \\n, \\r\\n and \\r only; a column separator inside a line is left alone.

        Raises:
            BadData: the compressed file is damaged or cut short.
        """
        with _readable(self.path), self._open() as file:
            yield from file

    def chunks(self, size: int) -> Iterator[str]:
        """The text in pieces of `size` characters, for formats that do not keep to lines."""
        with _readable(self.path), self._open() as file:
            while chunk := file.read(size):
                yield chunk

    def head(self) -> str:
        """The first 65,536 characters."""
        return next(self.chunks(_HEAD_BYTES), "")

    def as_western(self) -> "TextFile | None":
        """The file read as Windows-1252 where it is not UTF-8 as a whole and that makes words of it; None where it stays as it is."""
        if self.encoding != "utf-8" or self._begins_as_utf8() or self._bytes.is_utf8 or not self._bytes.is_western:
            return None
        return replace(self, encoding="cp1252")

    def _begins_as_utf8(self) -> bool:
        """A quick look."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for block in self._blocks():
                decoder.decode(block)
        except UnicodeDecodeError:
            return False
        return True

    def _blocks(self) -> Iterator[bytes]:
        """All of its bytes, or the first 64 MiB."""
        with _readable(self.path), _open_bytes(self.path) as file:
            for _ in range(_GUESS_BYTES // _HEAD_BYTES):
                if not (block := file.read(_HEAD_BYTES)):
                    break
                yield block

    def _open(self) -> io.TextIOWrapper:
        errors = "surrogateescape" if self.encoding.startswith("utf-8") else "replace"
        return io.TextIOWrapper(_open_bytes(self.path), encoding=self.encoding, errors=errors, newline="")

    @cached_property
    def cure(self) -> str:
        """What to do about bytes that are not UTF-8, by a look at all of the file's bytes above 127."""
        if not self.encoding.startswith("utf-8"):
            return f"The file is {self.encoding.upper()} and damaged there."
        if self._bytes.is_utf8:
            return "The rest of the file is UTF-8: correct the line."
        if not self._bytes.is_western:
            return "The whole file is in another encoding; save it as UTF-8 (in Excel: CSV UTF-8)."
        plain = self.path.with_suffix("") if self.path.suffix.lower() == ".gz" else self.path
        source = (
            f"zcat {self.name} | iconv -f WINDOWS-1252 -t UTF-8"
            if plain != self.path
            else f"iconv -f WINDOWS-1252 -t UTF-8 {self.name}"
        )
        return f"The whole file looks like Windows-1252; convert it with: {source} > {plain.stem}.utf8{plain.suffix}"

    @cached_property
    def _bytes(self) -> "_Bytes":
        """A look at the file's bytes above 127, read as UTF-8 and as Windows-1252."""
        good = bad = above = letters = strange = 0
        decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
        for block in self._blocks():
            if (text := decoder.decode(block)).isascii():
                continue
            escaped = len(_ESCAPED_BYTE.findall(text))
            bad += escaped
            good += sum(not character.isascii() for character in text) - escaped
            western = block.decode("cp1252", "replace")
            strange += len(_INSIDE_A_WORD.findall(western))
            for word in _ACCENTED.findall(western.translate(_COMMON)):
                above += sum(not character.isascii() for character in word)
                letters += sum(character.isalpha() and character.isascii() for character in word)
        return _Bytes(
            is_utf8=good > bad / 20, is_western=above <= _MOST_ABOVE * (letters + above) and strange <= _MOST_STRANGE * bad
        )


@dataclass(frozen=True)
class _Bytes:
    """What the bytes above 127 of a file say."""

    is_utf8: bool
    is_western: bool
    """Whether Windows-1252 makes words of a Western language of them: few letters above 127, hardly any sign inside a word."""


def open_text(path: Path) -> TextFile:
    """Find out a file's encoding: UTF-8, or UTF-16/32 by its byte order mark, or UTF-16 by its pattern of zero bytes.

    Raises:
        BadData: the file is empty, or is a known binary format under a text name.
    """
    with _readable(path), _open_bytes(path) as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise BadData(f"{path.name} is empty. A data file needs a row per example. Check the path, or how the file was written.")
    for magic, what, cure in _BINARY:
        if head.startswith(magic):
            raise BadData(f"{path.name} is not text but {what}. {cure}")
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return TextFile(path, encoding)
    return TextFile(path, _utf16_by_zeros(head) or "utf-8")


def _utf16_by_zeros(head: bytes) -> str | None:
    """UTF-16 without a mark: in mostly Latin text every second byte is zero."""
    sample = head[:4096]
    half = len(sample) / 2
    first, second = sample[0::2].count(0), sample[1::2].count(0)
    if second > 0.4 * half and first < 0.05 * half:
        return "utf-16-le"
    if first > 0.4 * half and second < 0.05 * half:
        return "utf-16-be"
    return None


def bad_character(text: str, file: TextFile | None) -> str | None:
    """Why a cell's characters cannot be used, or None when they can; the kind stands before the first colon."""
    if text.isascii() and "\0" not in text:
        return None
    if found := _UNUSABLE.search(text):
        character = found.group()
        if character == "\0":
            return "NUL character: the cell holds binary data. Remove the character"
        if _ESCAPED_BYTE.match(character) and file is not None:
            return f"not UTF-8: byte 0x{ord(character) - 0xDC00:02X}. {file.cure}"
        return f"half a character: U+{ord(character):04X} is half of a surrogate pair; an emoji was cut in two"
    if file is not None and not file.encoding.startswith("utf-8") and "\ufffd" in text:
        return f"not {file.encoding.upper()}: {file.cure}"
    return None


def _open_bytes(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


class _readable:  # noqa: N801 - reads as a statement: `with _readable(path)`
    """Turn damaged compression and unreadable files into one line with the cure."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (EOFError, gzip.BadGzipFile, zlib.error)):
            raise BadData(
                f"{self._path.name} is damaged or cut short: {error}. It is named as gzip. Download or compress it again."
            ) from error
        if isinstance(error, OSError):
            raise BadData(
                f"{self._path} cannot be read: {error.strerror or error}. Check the path and its permissions."
            ) from error
