"""The first rows as the model will read them, trained tokens apart from the others."""

from collections.abc import Sequence
from typing import Any

from hone.catalogue import locate_model
from hone.model import TextReader, family, load_reader, read_config
from hone.task import names_mixture
from hone.tune.choose import choose
from hone.tune.prepare import read_rows
from hone.tune.settings import TuneSettings
from hone.tune.tasks import encode_puts, open_tasks, putter_for

__all__ = ["Spans", "mask_preview"]

Spans = list[tuple[str, bool]]
"""Pieces of a text, each with whether it is trained."""


def mask_preview(settings: TuneSettings, *, rows: int = 3) -> list[Spans]:
    """The first training rows as pieces of text, whether trained or only read.

    Raises:
        HoneError: as `tune_rows` would.
    """
    if names_mixture(settings.data):
        return _preview_tasks(settings, rows)
    read = read_rows(settings)
    folder = locate_model(settings.model)
    reader = load_reader(folder, precision=settings.precision)
    chosen = choose(settings, read.material, folder, reader)
    objective: Any = chosen.objective
    items = objective.collate(objective.encode(read.train[:rows]))
    return [_spans(item, reader, chosen.labels) for item in items]


def _preview_tasks(settings: TuneSettings, rows: int) -> list[Spans]:
    """The first training rows of each task of a mixture."""
    opened = open_tasks(settings)
    folder = locate_model(settings.model)
    reader = load_reader(folder, precision=settings.precision)
    chosen = choose(settings.model_copy(update={"template": "{prompt}"}), opened.material, folder, reader)
    putter, objective = putter_for(settings, opened, family(read_config(folder)), reader), chosen.objective
    put = [one for task in opened.tasks for one in putter.train(task, most=rows)]
    return [_spans(item, reader, ()) for item in encode_puts(objective, put)]


def _spans(item: Any, reader: TextReader, labels: Sequence[str]) -> Spans:
    if hasattr(item, "source"):
        return [(_text(reader, item.source), False), ("\n", False), (_text(reader, item.target), True)]
    places = getattr(item, "places", None)
    if places is None:
        return [(f"{_text(reader, item.ids)}\n", False), (_answer(item, reader, labels), True)]
    # A causal place foretells the next token; a masked or tagged place is about its own.
    is_next = [item.ids[place + 1] for place in places if place + 1 < len(item.ids)] == item.labels
    trained = {place + 1 if is_next else place for place in places}
    spans: Spans = []
    start = 0
    for index in range(1, len(item.ids) + 1):
        if index == len(item.ids) or (index in trained) != (start in trained):
            spans.append((_text(reader, item.ids[start:index]), start in trained))
            start = index
    return spans


def _answer(item: Any, reader: TextReader, labels: Sequence[str]) -> str:
    """What is learnt about a text as a whole."""
    if not hasattr(item, "target"):
        return _text(reader, item.ids[item.first : item.last + 1])
    if isinstance(item.target, tuple):
        return ", ".join(label for label, holds in zip(labels, item.target, strict=True) if holds)
    return labels[item.target] if isinstance(item.target, int) else f"{item.target:+.3f}"


def _text(reader: TextReader, ids: Sequence[int]) -> str:
    text: str = reader.tokenizer.decode(list(ids), skip_special_tokens=False)
    return text
