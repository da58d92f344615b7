"""Which texts hold passages of an evaluation set: sequences of 13 words, as GPT-3 looked for them.

The sequences of all sets are hashed once, into one sorted array per set on disk, which every worker reads. Words are compared lower-cased,
without signs and accents, numbers all alike (datatrove's normalisation). Source: Brown et al. 2020, appendix C, https://arxiv.org/abs/2005.14165.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from datatrove.utils.text import simplify_text

from hone.core.errors import BadData
from hone.core.store import write_atomic
from hone.task import WHOLE_TEXTS, Broken, file_kind, open_rows
from hone.task.decode import bad_character, open_text

__all__ = ["EvaluationSet", "Overlap", "index_sets"]


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """One indexed set: its file, how many texts it has, how many of them are too short to be looked for, and rows that cannot be read."""

    name: str
    texts: int
    too_short: int
    unread: int


def index_sets(files: Sequence[str], folder: Path, *, words: int) -> list[EvaluationSet]:
    """Write the sequences of each set to `folder`, and say what was found in them.

    Raises:
        BadData: a file cannot be read, or none of its texts has `words` words.
    """
    sets = []
    for index, file in enumerate(files):
        hashes: set[int] = set()
        texts = too_short = unread = 0
        for text in _texts(file):
            if isinstance(text, Broken):
                unread += 1
                continue
            found = _sequences(simplify_text(text).split(), words)
            texts += 1
            too_short += not found
            hashes.update(found)
        if not hashes:
            raise BadData(
                f"{file} holds no text of {words} words, so no overlap with it can be found. Name a smaller --overlap-words."
                + (f" {unread:,} of its rows cannot be read: correct them." if unread else "")
            )
        write_atomic(folder / f"{index:04d}.hashes", numpy.sort(numpy.fromiter(hashes, dtype=numpy.uint64)).tobytes())
        sets.append(EvaluationSet(file, texts, too_short, unread))
    return sets


class Overlap:
    """Looks for the sequences of several sets; the index is read from disk at the first use, in each worker."""

    def __init__(self, folder: Path, names: Sequence[str], *, words: int) -> None:
        self._folder = folder
        self._names = tuple(names)
        self._words = words
        self._set_of: dict[int, int] | None = None

    def find(self, text: str) -> tuple[str, dict[str, int]]:
        """The text without the paragraphs that overlap, and how many of them each set cost; a sequence across two takes both."""
        known = self._known()
        paragraphs = text.split("\n")
        words: list[str] = []
        paragraph_of: list[int] = []
        for index, paragraph in enumerate(paragraphs):
            plain = simplify_text(paragraph).split()
            words += plain
            paragraph_of += [index] * len(plain)
        gone: dict[int, int] = {}
        for at, sequence in enumerate(_sequences(words, self._words)):
            if sequence in known:
                for index in set(paragraph_of[at : at + self._words]):
                    gone.setdefault(index, known[sequence])
        counts: dict[str, int] = {}
        for which in gone.values():
            counts[self._names[which]] = counts.get(self._names[which], 0) + 1
        rest = [paragraph for index, paragraph in enumerate(paragraphs) if index not in gone]
        return ("\n".join(rest).strip("\n") if gone else text), counts

    def _known(self) -> dict[int, int]:
        if self._set_of is None:
            self._set_of = {}
            for index in reversed(range(len(self._names))):  # what two sets share counts for the first
                hashes = numpy.frombuffer((self._folder / f"{index:04d}.hashes").read_bytes(), dtype=numpy.uint64)
                self._set_of.update(dict.fromkeys(hashes.tolist(), index))
        return self._set_of


def _sequences(plain: Sequence[str], words: int) -> list[int]:
    return [
        int.from_bytes(hashlib.blake2b(" ".join(plain[at : at + words]).encode(), digest_size=8).digest())
        for at in range(len(plain) - words + 1)
    ]


def _texts(file: str) -> Iterator[str | Broken]:
    """Every string of every row of a table, or a text file as one text; a row of which a string is no text comes as broken, after its other strings.

    Raises:
        BadData: the file cannot be read, or is a text file with bytes that are no text.
    """
    path = Path(file).expanduser()
    if file_kind(path) in WHOLE_TEXTS and path.is_file():
        opened = open_text(path)
        text = "".join(opened.chunks(1 << 20))
        if reason := bad_character(text, opened):
            raise BadData(f"{file}: {reason}. No overlap with it can be found.")
        yield text
        return
    reader = open_rows(file)
    for row in reader.rows(reader.headers):
        if isinstance(row, Broken):
            yield row
            continue
        bad = None
        for text in (text for cell in row[1] for text in _strings(cell)):
            if reason := bad_character(text, reader.file):
                bad = reason
            else:
                yield text
        if bad:
            yield Broken(row[0], bad)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
