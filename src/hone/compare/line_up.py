"""Who takes part: the models, for each the strategies that fit it and the rows, and for the others the reason why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hone.catalogue import locate_model
from hone.compare.prepare import Prepared, prepare
from hone.compare.settings import CompareSettings
from hone.core.errors import BadModel, Usage
from hone.measure import TEXT_METRICS
from hone.model import Encoder, family, load_encoder, read_config, server_settings
from hone.retrieve import Index, open_index, read_documents
from hone.strategy import (
    STRATEGIES,
    TEXT_STRATEGIES,
    Bench,
    Effort,
    EncoderBench,
    Entrant,
    TextBase,
    TextBench,
    check_names,
    choose_strategies,
    encoder_strategies,
)
from hone.task import HEAD_KINDS, Passage, Task, TaskKind, Template, bundled_templates, read_templates

__all__ = ["ANSWERS", "OTHER_METRICS", "LineUp", "Models", "benches", "find_models", "line_up", "open_documents", "open_rows"]

ANSWERS = "answers"
"""Folder of a run in which a server's answers are kept."""
OTHER_METRICS = tuple(name for name in TEXT_METRICS if not name.startswith("rougeLsum_"))
"""Of written answers, reported beside the one that ranks."""


@dataclass(frozen=True)
class Models:
    """The models of a comparison, in the order in which they were named."""

    encoders: dict[str, Encoder]
    texts: dict[str, TextBase]
    order: tuple[str, ...]

    @property
    def first(self) -> Encoder | TextBase:
        """The first one named."""
        return self.encoders.get(self.order[0]) or self.texts[self.order[0]]

    @property
    def digests(self) -> list[str]:
        """What identifies their weights; of a server its name."""
        return [
            self.encoders[name].folder.sha256
            if name in self.encoders
            else self.texts[name].folder.sha256
            if self.texts[name].is_local
            else name
            for name in self.order
        ]


@dataclass(frozen=True)
class LineUp:
    """Who takes part, cheapest first, and who does not."""

    entrants: list[Entrant]
    not_run: dict[str, str]


def open_rows(settings: CompareSettings) -> tuple[CompareSettings, Models, Prepared]:
    """Models and rows, and the settings with the models in them: where none is named, the rows choose among the starters.

    Raises:
        HoneError: rows or models cannot be used.
    """
    if settings.model:
        models = find_models(settings)
        return settings, models, prepare(settings, writes=bool(models.texts))
    prepared = prepare(settings, writes=None)
    fits = "starter/encoder" if encoder_strategies(head_kind(prepared.task)) else "starter/decoder"
    settings = settings.model_copy(update={"model": (fits,)})
    return settings, find_models(settings), prepared


def find_models(settings: CompareSettings) -> Models:
    """Locate the models; encoders are loaded, for their sentence vectors serve many.

    Raises:
        BadModel: one cannot be found. Usage: a server's address is missing, or given for nothing.
    """
    check_names(settings.strategies)
    if len(set(settings.model)) < len(settings.model):
        raise Usage(f"A model is named twice: {', '.join(settings.model)}. Name each once.")
    encoders, texts = {}, {}
    for name in settings.model:
        server = server_settings(name, api=settings.api, price=settings.price)
        base = TextBase(name, precision=settings.precision, base_url=settings.base_url, server=server)
        if not base.is_local:
            texts[name] = base
            continue
        folder = locate_model(name)
        if family(read_config(folder)) == "encoder":
            encoders[name] = load_encoder(folder, precision=settings.precision)
        else:
            texts[name] = TextBase(name, precision=settings.precision)
    _refuse_idle(settings, texts)
    return Models(encoders, texts, settings.model)


def _refuse_idle(settings: CompareSettings, texts: Mapping[str, TextBase]) -> None:
    """Nothing, where each option has a model that it is about.

    Raises:
        Usage: one has none, and would do nothing.
    """
    is_asked = any(base.is_billed for base in texts.values())
    if settings.base_url is not None and not is_asked:
        raise Usage("--base-url is the address of a server, and no model behind one is named. Add --model openai:NAME.")
    if (settings.price is not None or settings.api != "chat") and not is_asked:
        raise Usage(
            "--price and --api are about a server, and no model behind one is named. Add --model openai:NAME, or leave them out."
        )
    if settings.max_tokens is not None and not texts:
        raise Usage(
            "--max-tokens is the length of a written answer, and an encoder writes none. Add a model that answers in words, or leave it out."
        )
    if settings.docs is not None and not texts:
        raise Usage(
            "--docs names documents that a model reads before it answers in words, and an encoder answers none. Add such a model."
        )
    if settings.docs is not None and settings.strategies and "retrieval" not in settings.strategies:
        raise Usage(
            "--docs names documents that the strategy retrieval looks up, and --strategies leaves it out. Add it, or leave out --docs."
        )
    if settings.templates is not None and not texts:
        raise Usage(
            "--templates holds prompts for models that answer in words, and an encoder reads none. Add such a model, or leave it out."
        )


def open_documents(settings: CompareSettings, folder: Path) -> Index | None:
    """The index that was named, or one of the documents that were, built in the run folder; None without documents."""
    if settings.docs is None:
        return None
    if (Path(settings.docs) / "index.json").is_file():
        return open_index(Path(settings.docs))
    return Index.build(read_documents(settings.docs), folder / "index", encoder=load_encoder(locate_model("starter/encoder")))


def line_up(models: Models, task: Task, settings: CompareSettings, folder: Path, *, index: Index | None = None) -> LineUp:
    """Benches and strategies of all models, what costs least first.

    Raises:
        Usage: no strategy is left.
    """
    entrants: list[Entrant] = []
    not_run: dict[str, str] = {}
    for name in models.order:
        short = _short(name, models.order)
        label = "" if len(models.order) == 1 else f"@{short}"
        if name in models.encoders:
            found, missing = _encoder_entrants(models.encoders[name], name, task, settings, folder / "work" / short)
        else:
            found, missing = _text_entrants(models, name, task, settings, folder, index)
        known = {one.key for one in entrants}
        entrants += [_named(one, label) for one in found if one.key not in known or one.strategy.reads_model]
        not_run |= {f"{strategy}{label}": reason for strategy, reason in missing.items()}
    if not entrants:
        told = "\n".join(f"  {name}: {reason}" for name, reason in not_run.items())
        raise Usage(f"No strategy is left to run on these rows with {', '.join(models.order)}.\n{told}")
    entrants.sort(key=lambda one: one.strategy.moves_weights)  # stable: cheap ones of all models first
    return LineUp(entrants, not_run)


def _named(entrant: Entrant, label: str) -> Entrant:
    """With the model behind an @; what asks no model stands once, and bare."""
    if not label or not entrant.strategy.reads_model:
        return entrant
    return Entrant(f"{entrant.key}{label}", f"{entrant.title} ({label[1:]})", entrant.strategy, entrant.bench, entrant.model)


def _short(name: str, among: Sequence[str]) -> str:
    """The last part of a model's name, fit for a folder's name; with a number where another model's name ends so too."""
    alike = [one for one in among if _last(one) == _last(name)]
    number = alike.index(name) + 1
    return _last(name) if number == 1 else f"{_last(name)}+{number}"  # a sign that no name keeps


def _last(name: str) -> str:
    last = name.rstrip("/").rpartition("/")[2] or name
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in last)


def _encoder_entrants(
    encoder: Encoder, name: str, task: Task, settings: CompareSettings, work: Path
) -> tuple[list[Entrant], dict[str, str]]:
    kind = head_kind(task)
    known = encoder_strategies(kind)
    if not known:
        return [], dict.fromkeys(STRATEGIES, "an encoder writes no answers")
    bench = EncoderBench(
        labels=task.labels,
        train=task.split.train,
        validation=task.split.validation,
        metric=task.metric,
        seed=settings.seed,
        effort=Effort(epochs=1.0, arms=1, batch_rows=settings.batch_rows or 16),
        work=work,
        descriptions=task.descriptions,
        encoder=encoder,
        kind=kind,
    )
    chosen = choose_strategies(settings.strategies, known)
    entrants = [Entrant(one.name, one.title, one, bench, name) for one in chosen]
    return entrants, {other: "not asked for" for other in known if known[other] not in chosen}


def head_kind(task: Task) -> TaskKind:
    """As what an encoder answers these rows: written answers that stand in a passage it can mark there."""
    everyone = (*task.split.train, *task.split.validation, *task.split.test)
    is_marked = task.kind == "text-generation" and all(isinstance(example.row, Passage) for example in everyone)
    return "question-answering" if is_marked else task.kind


def _text_entrants(
    models: Models, name: str, task: Task, settings: CompareSettings, folder: Path, index: Index | None
) -> tuple[list[Entrant], dict[str, str]]:
    if task.kind in HEAD_KINDS.values():
        return [], dict.fromkeys(TEXT_STRATEGIES, "an encoder answers these rows, and this model writes texts")
    bench = TextBench(
        labels=task.labels,
        train=task.split.train,
        validation=task.split.validation,
        metric=task.metric,
        seed=settings.seed,
        effort=Effort(epochs=1.0, arms=1, batch_rows=settings.batch_rows or 16),
        work=folder / "work" / _short(name, models.order),
        kind=task.kind,
        descriptions=task.descriptions,
        templates=_templates(settings, task),
        base=_remembering(models.texts[name], folder),
        encoder=next(iter(models.encoders.values()), None) or _starter(),
        others=OTHER_METRICS,
        index=index,
        longest=settings.max_tokens,
    )
    entrants, missing = [], {}
    chosen = choose_strategies(settings.strategies, TEXT_STRATEGIES)
    for strategy in TEXT_STRATEGIES.values():
        reason = strategy.suits(bench)
        if strategy in chosen and reason is None:
            entrants.append(Entrant(strategy.name, strategy.title, strategy, bench, name))
        else:
            missing[strategy.name] = "not asked for" if strategy not in chosen else reason or ""
    return entrants, missing


def _remembering(base: TextBase, folder: Path) -> TextBase:
    """A server's answers are kept in the run folder, so that a run that goes on pays for none of them twice; at what price, it says itself."""
    if base.server is None:
        return base
    server = base.server.model_copy(update={"cache": folder / ANSWERS, "price": None})
    return TextBase(base.name, base.precision, base.base_url, server)


def _starter() -> Encoder | None:
    """The starter encoder, where it is installed."""
    try:
        return load_encoder(locate_model("starter/encoder"))
    except BadModel:
        return None


def _templates(settings: CompareSettings, task: Task) -> tuple[Template, ...]:
    """The user's own, or hone's for the task's shape.

    Raises:
        Usage: the file holds none that asks for an answer of this task.
    """
    found = read_templates(Path(settings.templates)) if settings.templates else bundled_templates(task.shape)
    fitting = tuple(
        one for one in found if not one.is_inverted and one.shape == task.shape and (task.labels or not one.shows_options)
    )
    if not fitting:
        raise Usage(f"{settings.templates} holds no template of the shape '{task.shape}' that asks for the answer.")
    return fitting


def benches(entrants: Sequence[Entrant]) -> dict[str, Bench]:
    """One bench per model."""
    return {one.model: one.bench for one in entrants}
