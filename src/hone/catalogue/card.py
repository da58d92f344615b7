"""All that is known of models that were named: one model's card, or several side by side."""

import textwrap
from collections.abc import Mapping, Sequence

from hone.catalogue.answer import Named
from hone.catalogue.hub import HubModel
from hone.catalogue.memory_needs import USES, bytes_needed, default_tokens
from hone.catalogue.records import CatalogueEntry, Licence
from hone.catalogue.wanted import Wanted
from hone.catalogue.wording import UNKNOWN, commercial_use, in_full, languages_in_short, token_count
from hone.core.console import render_table
from hone.measure.cost import human_bytes, human_count

__all__ = ["card", "hub_card", "named_text", "side_by_side"]


def named_text(named: Named, wanted: Wanted, *, width: int, free: int) -> str:
    """The answer to names: one card, or models side by side; then what only the Hub has."""
    live, parts = named.hub.models, []
    if len(named.entries) == 1:
        entry = named.entries[0]
        parts.append(card(entry, wanted, width=width, free=free, live=live.get(entry.name)))
    elif named.entries:
        parts.append(side_by_side(named.entries, wanted, width=width, live=live))
    parts += [hub_card(model, width=width) for model in named.only_on_hub]
    return "\n\n".join(parts)


def side_by_side(
    entries: Sequence[CatalogueEntry], wanted: Wanted, *, width: int, live: Mapping[str, HubModel] | None = None
) -> str:
    """Some models next to each other, as many as fit, then the others: one field per row, one column per model."""
    live = live or {}
    at_once = max((width - 16) // 28, 2)
    blocks = []
    for start in range(0, len(entries), at_once):
        block = entries[start : start + at_once]
        columns = [_short_facts(entry, wanted, live.get(entry.name)) for entry in block]
        fields = list(dict.fromkeys(field for column in columns for field in column))
        rows = [[field, *(column.get(field, UNKNOWN) for column in columns)] for field in fields]
        blocks.append(render_table(["", *(entry.name for entry in block)], rows, width=width))
    return "\n\n".join(blocks)


def card(entry: CatalogueEntry, wanted: Wanted, *, width: int, free: int | None = None, live: HubModel | None = None) -> str:
    """All that is known of one model.

    Args:
        free: bytes on the disk where it would lie, to say where they do not suffice.
    """
    facts = _facts(entry, wanted)
    size = entry.bytes_on_disk
    if free is not None and size is not None and size > free:
        facts["on disk"] += f": more than the {human_bytes(free)} that are free here"
    return "\n".join(_wrapped(field, text, width) for field, text in (facts | _live_facts(entry, live)).items())


def hub_card(model: HubModel, *, width: int) -> str:
    """A model that the catalogue does not hold, as the Hub describes it; the rest is unknown."""
    facts = {
        "model": f"{model.name} (not in the catalogue: from its card on the Hub)",
        "parameters": in_full(model.parameters),
        "licence": model.licence or UNKNOWN,
        "languages": " ".join(model.languages) or UNKNOWN,
        "task": model.task or UNKNOWN,
        "base model": " ".join(model.base_models) or UNKNOWN,
        "trained on": " ".join(model.datasets) or UNKNOWN,
        "released": model.created or UNKNOWN,
        "changed": model.modified or UNKNOWN,
        "downloads": f"{in_full(model.downloads)} in 30 days, {in_full(model.likes)} likes",
        "leaderboards": "; ".join(f"{one.benchmark} {one.value}" for one in model.scores) or UNKNOWN,
        "sources": model.url,
    }
    return "\n".join(_wrapped(field, text, width) for field, text in facts.items())


def _short_facts(entry: CatalogueEntry, wanted: Wanted, live: HubModel | None) -> dict[str, str]:
    """What can be compared in a narrow column."""
    shape = entry.shape
    tokens = default_tokens(entry, wanted.context)
    facts = {
        "line": entry.line,
        "family": entry.family,
        "tuned for": ", ".join(entry.tuned_for) or "nothing (a base)",
        "parameters": f"{entry.parameters:,}",
        "layers": _layers(entry),
        "hidden size": f"{shape.hidden:,}",
        "vocabulary": f"{shape.vocabulary:,}",
        "context": in_full(entry.context),
        "languages": languages_in_short(entry),
        "released": entry.released or UNKNOWN,
        "licence": entry.licence.id if entry.licence else UNKNOWN,
        "commercial use": commercial_use(entry),
        "data": entry.training.disclosure if entry.training else UNKNOWN,
        "tokens read": token_count(entry.training.tokens if entry.training else None),
        "on disk": human_bytes(entry.bytes_on_disk) if entry.bytes_on_disk else UNKNOWN,
    }
    facts |= {f"{use}, {tokens:,} t.": human_bytes(bytes_needed(entry, use, tokens=tokens)) for use in USES}
    facts |= {one.benchmark: f"{one.value:g} ({one.setting})" for one in entry.scores}
    if live:
        facts["downloads"] = in_full(live.downloads)
    return facts


def _facts(entry: CatalogueEntry, wanted: Wanted) -> dict[str, str]:
    shape, training = entry.shape, entry.training
    tokens = default_tokens(entry, wanted.context)
    return {
        "model": entry.name + (f" ({', '.join(entry.aliases)})" if entry.aliases else ""),
        "line": entry.line,
        "family": entry.family + (f", tuned for {', '.join(entry.tuned_for)}" if entry.tuned_for else ""),
        "parameters": f"{entry.parameters:,}" + (f" (stated: {human_count(entry.stated)})" if entry.stated else ""),
        "layers": _layers(entry),
        "hidden size": f"{shape.hidden:,}, feed-forward {shape.feed_forward:,}",
        "heads": f"{shape.heads}" + (f", {shape.key_value_heads} for keys and values" if shape.key_value_heads else ""),
        "vocabulary": f"{shape.vocabulary:,}",
        "context": in_full(entry.context) + (f" ({entry.context_note})" if entry.context_note else "") + _window(entry),
        "languages": _all_languages_in_short(entry),
        "released": entry.released or UNKNOWN,
        "licence": _licence(entry.licence),
        "gated": {True: "yes: accept the terms on the Hub first", False: "no", None: UNKNOWN}[entry.gated],
        "trained on": (training.data if training and training.data else UNKNOWN)
        + (f" [data {training.disclosure}]" if training else ""),
        "tokens read": token_count(training.tokens if training else None),
        "on disk": human_bytes(entry.bytes_on_disk) if entry.bytes_on_disk else UNKNOWN,
        "memory": ", ".join(f"{use} {human_bytes(bytes_needed(entry, use, tokens=tokens))}" for use in USES)
        + f" (one text of {tokens:,} tokens)",
        "scores": "; ".join(f"{one.benchmark} {one.value:g} ({one.setting}; {one.source})" for one in entry.scores) or UNKNOWN,
        "sources": " ".join(entry.sources),
    }


def _live_facts(entry: CatalogueEntry, live: HubModel | None) -> dict[str, str]:
    """What the Hub adds today, and where it says something else than the catalogue."""
    if live is None:
        return {}
    differs = entry.licence is not None and live.licence not in (None, "other", entry.licence.id)
    facts = {
        "downloads": f"{in_full(live.downloads)} in 30 days, {in_full(live.likes)} likes",
        "on the Hub": f"licence {live.licence or UNKNOWN}, changed {live.modified or UNKNOWN}"
        + (f" (the catalogue says {entry.licence.id}: read the card)" if differs and entry.licence else ""),
    }
    if live.scores:
        facts["leaderboards"] = "; ".join(f"{one.benchmark} {one.value}" for one in live.scores)
    return facts


def _licence(licence: Licence | None) -> str:
    """A licence in one line: what it permits and on which terms."""
    if licence is None:
        return f"{UNKNOWN}: the card names none, so nothing is permitted until you ask"
    commercial = {"yes": "commercial use: yes", "conditions": "commercial use: on conditions", "no": "no commercial use"}
    passing = {"yes": "passing on: yes", "conditions": "passing on: on conditions", "no": "no passing on"}
    parts = [commercial[licence.commercial], passing[licence.redistribution], *licence.conditions]
    if licence.use_restrictions:
        parts.append("some uses are forbidden")
    parts += [*licence.notes, licence.url]
    if licence.acceptable_use and licence.acceptable_use != licence.url:
        parts.append(f"acceptable use: {licence.acceptable_use}")
    return f"{licence.id}: " + "; ".join(parts)


def _wrapped(field: str, text: str, width: int) -> str:
    """A field of a card, its lines under each other."""
    indent = " " * 18
    body = textwrap.wrap(text, max(width - 18, 40), break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join([f"{field:<17} {body[0]}", *(indent + line for line in body[1:])])


def _all_languages_in_short(entry: CatalogueEntry) -> str:
    named = " ".join(entry.languages) or UNKNOWN
    return f"{named} ({entry.language_note})" if entry.language_note else named


def _layers(entry: CatalogueEntry) -> str:
    shape = entry.shape
    if entry.family == "encoder-decoder":
        return f"{shape.layers} + {shape.decoder_layers or shape.layers}"
    experts = f", {shape.experts} experts of which {shape.experts_used} work" if shape.experts > 1 else ""
    return f"{shape.layers}{experts}"


def _window(entry: CatalogueEntry) -> str:
    if entry.window is None or entry.shape.full_layers is None:
        return ""
    return f"; {entry.shape.layers - entry.shape.full_layers} of {entry.shape.layers} layers see {entry.window:,}"
