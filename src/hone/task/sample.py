"""A sample of rows, from which columns and kinds are chosen before the whole file is read."""

import itertools

from hone.task.reader import Broken, Reader

__all__ = ["first_rows", "is_cut", "sample_rows"]

_FROM = 50_000
_ROWS = 4_000
_CHARACTERS = 1_000
_WHOLE = 50


def sample_rows(reader: Reader) -> list[tuple[object, ...]]:
    """Up to 4,000 rows spread evenly over the first 50,000: a file sorted by label must not show one label only.

    Returns:
        The cells in the order of `reader.headers`: texts cut to 1,000 characters, class numbers as the names that
        the source declares, which count as words. Rows that cannot be read are left out.
    """
    sample: list[tuple[object, ...]] = []
    stride = 1
    for index, row in zip(range(_FROM), reader.rows(reader.headers), strict=False):
        if isinstance(row, Broken) or index % stride:
            continue
        sample.append(tuple(cell[:_CHARACTERS] if isinstance(cell, str) else cell for cell in row[1]))
        if len(sample) > _ROWS:
            sample, stride = sample[::2], stride * 2
    return _with_class_names(reader, sample)


def first_rows(reader: Reader) -> list[tuple[object, ...]]:
    """The first 50 rows that can be read, as `sample_rows` gives them but with whole cells, however long."""
    whole = (tuple(row[1]) for row in reader.rows(reader.headers) if not isinstance(row, Broken))
    return _with_class_names(reader, list(itertools.islice(whole, _WHOLE)))


def is_cut(cell: object) -> bool:
    """Whether a cell of a sample may lack its end."""
    return isinstance(cell, str) and len(cell) >= _CHARACTERS


def _with_class_names(reader: Reader, sample: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    known = [reader.class_names.get(header) for header in reader.headers]
    if not any(known):
        return sample

    def named(cell: object, names: tuple[str, ...] | None) -> object:
        return names[cell] if names and isinstance(cell, int) and 0 <= cell < len(names) else cell

    return [tuple(named(cell, names) for cell, names in zip(row, known, strict=True)) for row in sample]
