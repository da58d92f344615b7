"""Documents cut into passages of so many tokens: at headings first, then paragraphs, then sentences, then words.

Stands between `documents` and `index`. Every character that is not blank lies in a passage, in order, and a passage's text is
exactly the characters that its span names. The one surprise: a single word longer than the limit (a key, a web address, a
paragraph in a script without spaces) is cut, since the encoder would otherwise read its beginning only. One so long that the
tokenizer takes it for [UNK] is measured by its parts.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from hone.core.errors import Usage
from hone.core.record import Record
from hone.model import TextReader
from hone.retrieve.documents import Document
from hone.retrieve.formats import Heading

__all__ = ["Chunk", "ChunkSettings", "Chunker"]

# Scripts written without spaces: each ideograph and kana counts as a word, so that a text in them can be cut at all.
_IDEOGRAPH = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_STOP, _CLOSING = r"\u3002\uff01\uff1f\uff61", r"\"'\u2019\u201d)\]"  # no space follows these stops
_ENDED = rf"[{_STOP}]+[{_CLOSING}\u300d\u300f\u3011\uff09]*"
_WORD = re.compile(rf"[{_IDEOGRAPH}](?:{_ENDED})?|[^\s{_IDEOGRAPH}{_STOP}]*{_ENDED}|[^\s{_IDEOGRAPH}{_STOP}]+")
_SENTENCE_END = re.compile(rf".*?[.!?\u2026][{_CLOSING}]*|.*{_ENDED}", flags=re.DOTALL)
_ABBREVIATION = re.compile(r"(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|e\.g|i\.e|cf|Fig|al)\.")
_LONGEST_TOKEN = 32  # characters; one that stands for more is [UNK], which says nothing of how long a word is
_PART = 16  # characters, in which such a word is measured
_BLOCK = 100_000  # characters that are tokenised at once: offsets of 4 MB take 600 MB of memory
_WORD_BREAK, _SENTENCE_BREAK, _LINE_BREAK, _PARAGRAPH_BREAK = range(4)


class ChunkSettings(Record):
    """How documents are cut."""

    tokens: int = Field(default=200, ge=8)
    """Most tokens of a passage, in the embedding model's own, without special ones."""
    overlap: int = Field(default=0, ge=0, le=40)
    """Tokens at most that a passage repeats from the one before it in the same section; 0 repeats nothing."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage before it is embedded: `text` is the document's characters from start to end."""

    document: str
    title: str
    """The document's title and the headings above the passage, joined by ' > '."""
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word, or a part of one that is too long, with its tokens and how strongly the text breaks after it."""

    start: int
    end: int
    tokens: int
    strength: int


class Chunker:
    """Cuts documents to the measure of one tokenizer."""

    def __init__(self, reader: TextReader, settings: ChunkSettings) -> None:
        """
        Raises:
            Usage: the model cannot read so many tokens, or the overlap is half a passage or more.
        """
        special = len(reader.tokenizer("")["input_ids"])
        if settings.tokens + special > reader.context_length:
            raise Usage(
                f"--tokens {settings.tokens} is more than the embedding model reads: {reader.context_length} tokens, {special} of them "
                f"special. Name {reader.context_length - special} or fewer."
            )
        if 2 * settings.overlap >= settings.tokens:
            raise Usage(
                f"--overlap {settings.overlap} is half of --tokens {settings.tokens} or more. Name fewer than {settings.tokens // 2}."
            )
        self._tokenizer: Any = reader.tokenizer
        self._settings = settings
        self._room = reader.context_length - special

    def cut(self, document: Document) -> list[Chunk]:
        """The passages of one document, in order."""
        found: list[Chunk] = []
        for start, end, trail in _sections(document):
            title = " > ".join(dict.fromkeys(part for part in (document.title, *trail) if part))
            found += [
                Chunk(document.name, title, document.text[first:last], first, last)
                for begin, stop in _blocks(document.text, start, end)
                for first, last in self._spans(document.text, begin, stop)
            ]
        return found

    def embedded_texts(self, chunks: Sequence[Chunk]) -> list[str]:
        """What the model reads of each passage: its title, a line break, its text; of a title too long the last parts that fit."""
        texts = [_titled(chunk.title, chunk.text) for chunk in chunks]
        return [
            text if count <= self._room else self._shortened(chunk)
            for chunk, text, count in zip(chunks, texts, self._count(texts), strict=True)
        ]

    def _shortened(self, chunk: Chunk) -> str:
        """With the longest end of the title that the model still reads; without any where none fits."""
        parts = chunk.title.split(" > ")[1:]
        while parts and self._count([text := _titled(" > ".join(parts), chunk.text)])[0] > self._room:
            parts = parts[1:]
        return text if parts else chunk.text

    def _spans(self, text: str, start: int, end: int) -> list[tuple[int, int]]:
        """Where the passages of a section, or of a block of it, begin and end.

        Counts of pieces add up but for tokenizers that join words: those get less room.
        """
        room = self._settings.tokens
        while True:
            spans = _packed(self._pieces(text, start, end, room), room, self._settings.overlap)
            counts = self._count([text[first:last] for first, last in spans])
            excess = max(counts, default=0) - self._settings.tokens
            if excess <= 0 or room == 1:
                return spans
            room = max(1, room - excess)

    def _count(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        return [len(ids) for ids in self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]

    def _pieces(self, text: str, start: int, end: int, room: int) -> list[_Piece]:
        """The words of a section with their tokens; those above `room` in parts, cut between tokens."""
        words = [(start + found.start(), start + found.end()) for found in _WORD.finditer(text[start:end])]
        if not words:
            return []
        begins = [first for first, _ in words]
        ends: list[list[int]] = [[] for _ in words]
        for last in self._token_ends(
            text[start:end]
        ):  # a token belongs where its last character lies: some hold the blank before their word
            ends[max(0, bisect_right(begins, start + last - 1) - 1)].append(start + last)
        pieces = []
        for at, (first, last) in enumerate(words):
            strength = _strength(text, first, last, words[at + 1][0] if at + 1 < len(words) else None)
            known, begin = ends[at], first
            while len(known) > room and begin < known[room - 1] < last:
                pieces.append(_Piece(begin, known[room - 1], room, _WORD_BREAK))
                begin, known = known[room - 1], known[room:]
            pieces.append(_Piece(begin, last, min(len(known), room), strength))
        return pieces

    def _token_ends(self, text: str) -> list[int]:
        """Where each token ends; what is so long a word that it is one [UNK] is measured in parts."""
        ends: list[int] = []
        for first, last in self._offsets([text])[0]:
            if last - first <= _LONGEST_TOKEN:
                ends += [last] if last else []
                continue
            places = range(first, last, _PART)
            parts = self._offsets([text[place : min(place + _PART, last)] for place in places])
            ends += [place + end for place, part in zip(places, parts, strict=True) for _, end in part if end]
        return ends

    def _offsets(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        encoded = self._tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return list(encoded["offset_mapping"])


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A section in one, or a very long one cut at paragraphs, lines or blanks."""
    while end - start > _BLOCK:
        middle, most = start + _BLOCK // 2, start + _BLOCK
        found = (text.rfind(mark, middle, most) + len(mark) for mark in ("\n\n", "\n", " "))
        stop = next((place for place in found if place > middle), most)
        yield start, stop
        start = stop
    yield start, end


def _titled(title: str, text: str) -> str:
    return f"{title}\n{text}" if title else text


def _sections(document: Document) -> list[tuple[int, int, tuple[str, ...]]]:
    """Start, end and headings above each section; a heading with nothing below it joins the section that follows, if that is deeper."""
    headings = sorted(document.headings, key=lambda heading: heading.start)
    edges = [heading.start for heading in headings] + [len(document.text)]
    found: list[tuple[int, int, tuple[str, ...]]] = []
    if document.text[: edges[0]].strip():
        found.append((0, edges[0], ()))
    above: list[Heading] = []
    waiting: int | None = None
    for at, heading in enumerate(headings):
        above = [*(each for each in above if each.level < heading.level), heading]
        start = heading.start if waiting is None else waiting
        end = edges[at + 1]
        is_bare = len(document.text[heading.start : end].strip().splitlines()) <= 1
        is_deeper = at + 1 < len(headings) and headings[at + 1].level > heading.level
        waiting = start if is_bare and is_deeper else None
        if waiting is None and document.text[start:end].strip():
            found.append((start, end, tuple(each.title for each in above)))
    return found


def _strength(text: str, first: int, last: int, following: int | None) -> int:
    """How strongly the text breaks after a word: not at all within a run of ideographs, most at an empty line."""
    if following is None:
        return _PARAGRAPH_BREAK
    breaks = text.count("\n", last, following)
    if breaks > 1:
        return _PARAGRAPH_BREAK
    word = text[first:last]
    if _SENTENCE_END.fullmatch(word) and not _ABBREVIATION.fullmatch(word):
        return _SENTENCE_BREAK if not breaks else _LINE_BREAK
    return _LINE_BREAK if breaks and text[following] in "-*+|#>0123456789" else _WORD_BREAK


def _packed(pieces: Sequence[_Piece], room: int, overlap: int) -> list[tuple[int, int]]:
    """Spans of at most `room` tokens: as long as they can be and end at the strongest break that leaves them at least half full."""
    spans: list[tuple[int, int]] = []
    first = done = 0  # pieces before `done` lie in a span
    while done < len(pieces):
        last, filled = first, pieces[first].tokens
        sums = [filled]
        while last + 1 < len(pieces) and filled + pieces[last + 1].tokens <= room:
            last += 1
            filled += pieces[last].tokens
            sums.append(filled)
        if last < done:  # what is repeated leaves no room for the piece that follows
            first = done
            continue
        if last + 1 < len(pieces):
            choices = [at for at in range(done, last + 1) if 2 * sums[at - first] >= filled]
            last = max(choices, key=lambda at: (pieces[at].strength, at))
        spans.append((pieces[first].start, pieces[last].end))
        done = last + 1
        first = _stepped_back(pieces, first, done, overlap) if done < len(pieces) else done
    return spans


def _stepped_back(pieces: Sequence[_Piece], first: int, following: int, overlap: int) -> int:
    """Where the next span begins when it repeats up to `overlap` tokens: at a sentence's beginning where one is in reach."""
    reached, filled = following, 0
    sentence = None
    while reached - 1 > first and filled + pieces[reached - 1].tokens <= overlap:
        reached -= 1
        filled += pieces[reached].tokens
        if pieces[reached - 1].strength >= _SENTENCE_BREAK:
            sentence = reached
    if sentence is not None:
        return sentence
    return reached if pieces[following - 1].strength == _WORD_BREAK else following
