"""A corpus as numbers on disk: token ids in one file that is mapped rather than read, and where each text ends.

Texts are cut into pieces of the model's length; a piece never holds parts of two texts, so nothing has to be hidden from attention.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hone.core.console import progress
from hone.core.errors import BadData
from hone.core.seeds import derive_seed
from hone.core.store import open_atomic
from hone.task import Source, read_texts

__all__ = ["Corpus", "Pieces", "encode_corpus", "hold_out", "open_corpus", "sample_texts"]

_TEXTS = 256  # tokenized together
_SHORTEST = 8  # tokens of a piece: a shorter rest of a text teaches next to nothing
_HELD_SHARE, _HELD_MOST = 0.01, 100_000  # of the tokens
_NAMES = ("tokens.bin", "texts.npy")


@dataclass(frozen=True)
class Corpus:
    """`tokens` [T] of all texts, one after the other; per text [n]: where it `ends`, its `size` in bytes, a `digest` of what it says."""

    tokens: np.ndarray
    ends: np.ndarray
    sizes: np.ndarray
    digests: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Where each text begins."""
        return np.concatenate([[0], self.ends[:-1]])


class Pieces(Sequence[Any]):
    """Items of an objective, made from the corpus when they are asked for."""

    def __init__(self, corpus: Corpus, texts: np.ndarray, *, room: int, make: Callable[[list[int]], Any]) -> None:
        """`texts`: indices of those to cut. `room`: tokens of the longest piece."""
        self._tokens, self._make = corpus.tokens, make
        starts, ends = corpus.starts[texts], corpus.ends[texts]
        counts = -(-(ends - starts) // room)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        begin = np.repeat(starts, counts) + (np.arange(counts.sum()) - first) * room
        lengths = np.minimum(begin + room, np.repeat(ends, counts)) - begin
        keep = (lengths >= min(_SHORTEST, room)) | (np.repeat(ends - starts, counts) == lengths)
        keep &= lengths > 1
        self._begin, self._lengths = begin[keep], lengths[keep]

    @property
    def tokens(self) -> int:
        """In all pieces."""
        return int(self._lengths.sum())

    def __len__(self) -> int:
        return len(self._begin)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = int(self._begin[index])
        return self._make(self._tokens[at : at + int(self._lengths[index])].tolist())


def encode_corpus(
    sources: Sequence[Source],
    folder: Path,
    *,
    tokenizer: Any,
    around: tuple[list[int], list[int]],
    text: Sequence[str],
    total: int,
) -> Corpus:
    """Tokenize all texts into `folder`, `around` each what stands before and behind it.

    Args:
        total: texts, for the progress bar.
    Raises:
        BadData: no source holds a text.
    """
    kind = np.uint16 if len(tokenizer) <= 2**16 else np.uint32
    ends: list[int] = []
    sizes: list[int] = []
    digests: list[int] = []
    at = 0
    with open_atomic(folder / _NAMES[0]) as file, progress("Tokenizing", total) as bar:
        stream = (said for source in sources for said in read_texts(source, text=text))
        while part := list(islice(stream, _TEXTS)):
            for ids, said in zip(tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"], part, strict=True):
                whole = np.array([*around[0], *ids, *around[1]], dtype=kind)
                file.write(whole.tobytes())
                at += len(whole)
                said_bytes = said.encode("utf-8", "surrogatepass")
                ends.append(at)
                sizes.append(len(said_bytes))
                digests.append(int.from_bytes(hashlib.sha256(said_bytes).digest()[:8], "big", signed=True))
            bar.advance(len(part))
    if not ends:
        raise BadData(f"There is no text in {', '.join(source.name for source in sources[:3])}. Check the files, or name --text.")
    with open_atomic(folder / _NAMES[1]) as file:
        np.save(file, np.array([ends, sizes, digests, [np.dtype(kind).itemsize] * len(ends)], dtype=np.int64))
    found = open_corpus(folder)
    assert found is not None
    return found


def open_corpus(folder: Path) -> Corpus | None:
    """What `encode_corpus` wrote; None where it wrote nothing yet."""
    if not all((folder / name).exists() for name in _NAMES):
        return None
    ends, sizes, digests, width = np.load(folder / _NAMES[1], allow_pickle=False)
    tokens = np.memmap(folder / _NAMES[0], dtype=np.uint16 if width[0] == 2 else np.uint32, mode="r")
    return Corpus(tokens, ends, sizes, digests)


def hold_out(corpus: Corpus, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the texts to train on and of those to validate on: a hundredth of the tokens, at most 100,000.

    A text that says the same as a validation text is in neither.

    Raises:
        BadData: there is one text only.
    """
    lengths = corpus.ends - corpus.starts
    if len(lengths) < 2:
        raise BadData("The corpus is one text, and validation needs another. Divide it, or add texts.")
    wanted = min(_HELD_MOST, _HELD_SHARE * lengths.sum())
    order = np.random.default_rng(derive_seed(seed, "held out")).permutation(len(lengths))
    held: list[int] = []
    tokens = 0
    for index in order:
        if tokens >= wanted:
            break
        if not held or lengths[index] <= wanted / 2:  # one long book would be all that is validated on
            held.append(int(index))
            tokens += int(lengths[index])
    kept = ~np.isin(corpus.digests, corpus.digests[held])
    if not kept.any():
        raise BadData("All texts say the same, so none is left to train on. Add texts.")
    return np.flatnonzero(kept), np.array(sorted(held))


def sample_texts(sources: Sequence[Source], *, text: Sequence[str], every: int) -> Iterator[str]:
    """Every n-th text of all sources."""
    for index, one in enumerate(said for source in sources for said in read_texts(source, text=text)):
        if index % every == 0:
            yield one
