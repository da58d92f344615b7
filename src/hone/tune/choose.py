"""From rows and model to network and objective: what fits what, and what does not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hone.catalogue import ModelFolder
from hone.core.errors import Usage
from hone.model import (
    PLAIN_TEMPLATE,
    Family,
    Network,
    Renderer,
    TextReader,
    family,
    load_classifier,
    load_language_model,
    read_config,
)
from hone.task import Kind, Material, choice_template, names_mixture
from hone.train import (
    Answers,
    Causal,
    Classify,
    Complete,
    Masked,
    MultiLabel,
    Objective,
    Regress,
    SpanCorruption,
    Tag,
    WriteTarget,
)
from hone.tune.idle import refuse_unread
from hone.tune.metrics import require_metric
from hone.tune.settings import ObjectiveName, TuneSettings

__all__ = ["Chosen", "choose", "fit_context", "load_network", "make_objective"]

_MOST = 2048  # tokens of a sequence where the user names no length: long contexts cost memory that few rows need

_FITS: dict[tuple[Kind, Family], tuple[ObjectiveName, ...]] = {
    ("completion", "decoder"): ("completion",),
    ("completion", "encoder-decoder"): ("completion",),
    ("choice", "decoder"): ("completion",),
    ("choice", "encoder-decoder"): ("completion",),
    ("chat", "decoder"): ("completion",),
    ("chat", "encoder-decoder"): ("completion",),
    ("plain", "decoder"): ("causal",),
    ("plain", "encoder"): ("masked",),
    ("plain", "encoder-decoder"): ("span",),
    ("classify", "encoder"): ("classify",),
    ("multi_label", "encoder"): ("multi_label",),
    ("score", "encoder"): ("regression",),
    ("tag", "encoder"): ("tag",),
    ("answers", "encoder"): ("answers",),
}
"""The first objective of each is the default."""


@dataclass(frozen=True)
class Chosen:
    """An objective with what it reads and answers."""

    name: ObjectiveName
    objective: Objective
    labels: tuple[str, ...]
    template: str | None
    choices_template: str | None = None
    """Id of the bundled template that put choices into prompts."""


def choose(settings: TuneSettings, material: Material, folder: ModelFolder, reader: TextReader) -> Chosen:
    """The objective for these rows and this model.

    Raises:
        Usage: they do not fit; the message says what would.
    """
    has = family(read_config(folder))
    fitting = _FITS.get((material.kind, has), ())
    name = settings.objective or (fitting[0] if fitting else None)
    if name is None or name not in fitting:
        raise Usage(_misfit(settings, material.kind, has, folder.name))
    fit_context(settings, reader)
    is_pair, has_chat = has == "encoder-decoder", bool(reader.tokenizer.chat_template)
    refuse_unread(settings, writes=name == "completion", is_pair=is_pair, has_chat=has_chat)
    labels = _labels(name, material.rows)
    require_metric(settings, name, labels, is_mixture=names_mixture(settings.data))
    template = None
    if name == "completion":
        template = settings.template or (PLAIN_TEMPLATE if has == "decoder" else "{prompt}")
        if "{prompt}" not in template:
            raise Usage(f"The template {template!r} has no {{prompt}} in it, so the model would read none of the rows.")
    choices = choice_template().id if material.kind == "choice" else None
    return Chosen(name, make_objective(name, has, settings, reader, labels, template), labels, template, choices)


def fit_context(settings: TuneSettings, reader: TextReader) -> None:
    """Let the reader cut rows where this run cuts them."""
    if settings.length is not None or reader.context_length > _MOST:
        reader.context_length = min(reader.context_length, settings.length or _MOST)


def make_objective(
    name: ObjectiveName, has: Family, settings: TuneSettings, reader: TextReader, labels: tuple[str, ...], template: str | None
) -> Objective:
    """The objective of this name. `labels`: what its head answers. `template`: of completions, the text before an answer."""
    if name == "completion":
        assert template is not None
        if has == "encoder-decoder":
            return WriteTarget(reader, template=template)
        renderer = Renderer(
            reader.tokenizer,
            length=reader.context_length,
            template=template,
            chat=settings.chat,
            trains_all=settings.train_on_prompt,
        )
        return Complete(renderer)
    made: dict[ObjectiveName, Any] = {
        "causal": lambda: Causal(reader),
        "masked": lambda: Masked(reader, rate=settings.mask_rate),
        "span": lambda: SpanCorruption(reader, rate=settings.mask_rate),
        "classify": lambda: Classify(labels, reader),
        "multi_label": lambda: MultiLabel(labels, reader),
        "regression": lambda: Regress(reader),
        "tag": lambda: Tag(labels, reader),
        "answers": lambda: Answers(reader),
    }
    objective: Objective = made[name]()
    return objective


def _labels(name: ObjectiveName, rows: Sequence[Any]) -> tuple[str, ...]:
    """What the head answers, sorted."""
    if name == "classify":
        return tuple(sorted({row.label for row in rows}))
    if name == "multi_label":
        return tuple(sorted({label for row in rows for label in row.labels}))
    if name == "tag":
        return tuple(sorted({tag for row in rows for tag in row.tags}))
    return {"regression": ("score",), "answers": ("first", "last")}.get(name, ())


def _misfit(settings: TuneSettings, kind: Kind, has: Family, model: str) -> str:
    families = sorted(one for known, one in _FITS if known == kind)
    kinds = sorted(known for known, one in _FITS if one == has)
    if settings.objective is not None and (kind, has) in _FITS:
        return f"Rows of the kind '{kind}' train an {has} with {' or '.join(_FITS[kind, has])}, not with '{settings.objective}'."
    return (
        f"'{model}' is a model of the kind {has}, and rows of the kind '{kind}' train {' or '.join(families)} models. "
        f"Name such a model, or rows that fit this one ({', '.join(kinds)}); --kind says what the rows are."
    )


def load_network(chosen: Chosen, folder: ModelFolder, reader: TextReader, settings: TuneSettings) -> Network:
    """The base with what the objective needs on top, on the reader's device; a new head is drawn from the seed."""
    torch.manual_seed(settings.seed)
    head = chosen.objective.head
    if head in ("pooled", "token"):
        if settings.load != "plain":
            raise Usage("--load 4bit and 8bit are for language models; an encoder this small gains nothing. Leave it out.")
        return load_classifier(folder, chosen.labels, per_token=head == "token").to(reader.device)
    assert head in ("causal", "masked", "seq2seq")
    net = load_language_model(folder, head, pad_id=reader.pad_id, held=settings.load)
    return net if settings.load != "plain" else net.to(reader.device)
