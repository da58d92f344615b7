"""From texts to a model before its first step: tokenizer, shape, random weights, and the corpus as token ids.

All of it lies under `work/` of the run folder and is made once: what was decided by the clock (a size from a budget) stays decided
when a run goes on after an interruption.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hone.catalogue import ModelFolder, locate_model
from hone.core.console import note, progress
from hone.core.errors import BadData, Usage, as_option
from hone.core.store import read_errors, replace_folder, write_atomic
from hone.measure import human_count
from hone.model import (
    Family,
    Head,
    Network,
    Shape,
    TextReader,
    choose_shape,
    family,
    load_language_model,
    load_reader,
    read_config,
    train_tokenizer,
    usual_words,
    write_blank_model,
)
from hone.pretrain.advise import Pace, advise_size, advise_tokens
from hone.pretrain.corpus import Corpus, Pieces, encode_corpus, hold_out, open_corpus, sample_texts
from hone.pretrain.settings import PretrainObjective, PretrainSettings
from hone.task import Source, Unread, find_sources, read_texts
from hone.train import Causal, LogitObjective, Masked, Rehearsal, SpanCorruption, TrainPlan, rehearse

__all__ = ["Begun", "Counted", "begin", "count_texts", "rehearse_pieces"]

FAMILIES: dict[PretrainObjective, Family] = {"causal": "decoder", "masked": "encoder", "span": "encoder-decoder"}
_HEADS: dict[PretrainObjective, Head] = {"causal": "causal", "masked": "masked", "span": "seq2seq"}
_OBJECTIVES: dict[PretrainObjective, Callable[[TextReader, PretrainSettings], LogitObjective[Any]]] = {
    "causal": lambda reader, _: Causal(reader),
    "masked": lambda reader, settings: Masked(reader, rate=settings.mask_rate),
    "span": lambda reader, settings: SpanCorruption(reader, rate=settings.mask_rate, mean=settings.gap),
}
_BYTES_PER_TOKEN = 4.0  # of English, before a tokenizer has counted
_TOKENIZER_BYTES = 60_000_000  # of text are enough to learn a tokenizer from
_UNREAD_SHOWN = 20


@dataclass(frozen=True)
class Counted:
    """The texts before any tokenizer."""

    sources: Sequence[Source]
    texts: int
    bytes: int
    unread: int
    """Files and rows that cannot be read."""
    unread_examples: tuple[Unread, ...]
    """The first of them."""


@dataclass(frozen=True)
class Begun:
    """A network and what it will read."""

    objective_name: PretrainObjective
    objective: LogitObjective[Any]
    folder: ModelFolder
    reader: TextReader
    net: Network
    corpus: Corpus
    train: Pieces
    validation: Pieces
    train_texts: int
    validation_texts: int
    validation_bytes: int

    @property
    def parameters(self) -> int:
        """Of the whole network, tied ones once."""
        return sum(parameter.numel() for parameter in self.net.parameters())


def count_texts(settings: PretrainSettings) -> Counted:
    """Read everything once.

    Raises:
        BadData: a source cannot be read, or none holds a text.
    """
    unread, shown = 0, list[Unread]()

    def tell(one: Unread) -> None:
        nonlocal unread
        unread += 1
        if len(shown) < _UNREAD_SHOWN:
            shown.append(one)

    sources = find_sources(settings.data, unread=tell)
    texts = size = 0
    with progress("Reading", len(sources)) as bar:
        for source in sources:
            for said in read_texts(source, text=settings.text, unread=tell):
                texts, size = texts + 1, size + len(said.encode("utf-8", "surrogatepass"))
            bar.advance()
    if not texts:
        reasons = "".join(f"\n  {one.told}" for one in shown)
        raise BadData(
            f"There is no text in {', '.join(settings.data[:3])}. Check the files, or name --text. {unread:,} files and rows "
            f"cannot be read{'; the first:' if reasons else '.'}{reasons}"
        )
    return Counted(sources, texts, size, unread, tuple(shown))


def begin(settings: PretrainSettings, counted: Counted, work: Path, plan: TrainPlan) -> tuple[Begun, int]:
    """Everything ready, and how many tokens to train on.

    Args:
        plan: of a few steps, by which the machine's pace is measured.
    Raises:
        HoneError: base and objective do not fit, or size and vocabulary do not.
    """
    decided = work / "decided.json"
    if decided.exists():
        with read_errors(decided):
            known = json.loads(decided.read_text(encoding="utf-8"))
            kept_size, kept_tokens = int(known["size"]), int(known["tokens"])
        return _open(settings, counted, work, kept_size), kept_tokens
    size = settings.size or advise_size(
        corpus_tokens=round(counted.bytes / _BYTES_PER_TOKEN), tokens=settings.tokens, budget=None, pace=None
    )
    begun = _open(settings, counted, work, size)
    tokens = settings.tokens
    if tokens is None or (settings.budget is not None and settings.size is None):
        pace = Pace(begun.parameters, 1 / rehearse_pieces(begun, plan).seconds_per_token)
        if settings.base is None and settings.size is None and settings.budget is not None:
            better = advise_size(corpus_tokens=begun.train.tokens, tokens=settings.tokens, budget=settings.budget, pace=pace)
            if not 0.8 < better / begun.parameters < 1.25:
                begun = _open(settings, counted, work, better)
                size = better
                pace = Pace(begun.parameters, 1 / rehearse_pieces(begun, plan).seconds_per_token)
        tokens = tokens or advise_tokens(
            parameters=begun.parameters, corpus_tokens=begun.train.tokens, budget=settings.budget, pace=pace
        )
    write_atomic(decided, json.dumps({"size": size, "tokens": tokens}))
    return begun, tokens


def rehearse_pieces(begun: Begun, plan: TrainPlan) -> Rehearsal:
    """A few steps with full pieces first, then with pieces as they come."""
    count = plan.batch_rows
    pieces = begun.train
    full = [pieces[at] for at in range(min(len(pieces), 4 * count))]
    longest = sorted(full, key=lambda item: -item.length)[:count]
    step = max(1, len(pieces) // (6 * count))
    typical = [pieces[at] for at in range(0, len(pieces), step)][: 6 * count]
    return rehearse(begun.net, longest, typical, plan=plan, objective=begun.objective)


def _refuse_gaps(settings: PretrainSettings, objective: PretrainObjective) -> None:
    """Nothing, where options about what is taken out have something to act on.

    Raises:
        Usage: the objective takes nothing of the kind out.
    """
    idle = [
        as_option(name)
        for name in {"causal": ("mask_rate", "gap"), "masked": ("gap",), "span": ()}[objective]
        if getattr(settings, name) != PretrainSettings.model_fields[name].default
    ]
    if idle:
        raise Usage(f"{' and '.join(idle)} would do nothing: '{objective}' takes nothing of the kind out. Leave it out.")


def _open(settings: PretrainSettings, counted: Counted, work: Path, size: int) -> Begun:
    """The base, or a new model of that size, with the corpus in its tokens; what lies there already is used."""
    if settings.base is not None:
        folder = locate_model(settings.base)
        name = _objective_of(settings, family(read_config(folder)), folder.name)
        place = work / "corpus"
    else:
        name, place = settings.objective or "causal", work / str(size)
    _refuse_gaps(settings, name)
    if settings.base is None:
        if not (place / "start").exists():
            _make(settings, counted, FAMILIES[name], size, place / "start")
        folder = locate_model(str(place / "start"))
    reader = load_reader(folder, precision=settings.precision)
    reader.context_length = min(reader.context_length, settings.length)
    objective: Any = _OBJECTIVES[name](reader, settings)
    corpus = open_corpus(place) or encode_corpus(
        counted.sources, place, tokenizer=reader.tokenizer, around=objective.around, text=settings.text, total=counted.texts
    )
    train, held = hold_out(corpus, seed=settings.seed)
    torch.manual_seed(settings.seed)
    net = load_language_model(folder, _HEADS[name], pad_id=reader.pad_id).to(reader.device)
    return Begun(
        objective_name=name,
        objective=objective,
        folder=folder,
        reader=reader,
        net=net,
        corpus=corpus,
        train=Pieces(corpus, train, room=objective.room, make=objective.piece),
        validation=Pieces(corpus, held, room=objective.room, make=objective.piece),
        train_texts=len(train),
        validation_texts=len(held),
        validation_bytes=int(corpus.sizes[held].sum()),
    )


def _objective_of(settings: PretrainSettings, has: Family, model: str) -> PretrainObjective:
    fitting = next(name for name, made in FAMILIES.items() if made == has)
    if settings.objective not in (None, fitting):
        raise Usage(f"'{model}' is a model of the kind {has}, which goes on with '{fitting}', not with '{settings.objective}'.")
    return fitting


def _make(settings: PretrainSettings, counted: Counted, has: Family, size: int, folder: Path) -> None:
    """Tokenizer and random weights."""
    words = settings.vocabulary or usual_words(size)
    every = max(1, -(-counted.bytes // _TOKENIZER_BYTES))
    note(f"Learning a tokenizer of {words:,} words from {'all texts' if every == 1 else f'one text in {every}'}.")
    tokenizer = train_tokenizer(
        sample_texts(counted.sources, text=settings.text, every=every), words=words, family=has, context=settings.length
    )
    shape: Shape = choose_shape(has, size, words=len(tokenizer), context=settings.length)
    with replace_folder(folder) as place:
        write_blank_model(shape, tokenizer, place, seed=settings.seed)
    note(f"A new {has} of {human_count(shape.parameters)} parameters: {shape.layers} layers, {shape.width} wide.")
