"""The metadata at the head of a model card, in the Hub's format, through huggingface_hub's own classes; and whether two licences agree.

An interval stands in the arguments of its metric, for the format has no field of its own for it.
"""

import re
from pathlib import Path

from hone.catalogue import STARTERS, Licence, read_licences, without_languages
from hone.core.errors import BadData, Usage
from hone.core.record import Record

__all__ = ["CardFacts", "CardScore", "agreed_licence", "card_metadata", "energy_line", "metadata_of"]

WATTS = 150
"""ASSUMPTION: what a machine with one processor draws while it trains."""

_OPEN_DATA = (
    "cc0-1.0",
    "pddl",
    "odc-by",
    "cc-by-4.0",
    "cc-by-3.0",
    "cc-by-2.0",
    "mit",
    "apache-2.0",
    "cdla-permissive-2.0",
    "bsd-3-clause",
)
_OTHER_DATA = (
    *("cc-by-sa-4.0", "cc-by-sa-3.0", "odbl", "cc-by-nc-4.0", "cc-by-nc-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-sa-3.0"),
    *("cc-by-nd-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-nd-3.0"),
)
_IDS = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 artistic-2.0
bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0
cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0
odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown other
"""
_HUB_LICENCES = frozenset(_IDS.split())
"""Ids that the Hub takes in `license` (https://huggingface.co/docs/hub/repositories-licenses); any other is `other` with a name of its own."""


class CardScore(Record):
    """One number with its interval."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int
    split: str = "test"


class CardFacts(Record):
    """What the head of a card says."""

    name: str
    library: str
    pipeline: str
    base_model: str | None = None
    """As it was asked for; what is no model of the Hub is left out."""
    licence: str | None = None
    """None: unknown, and left out."""
    dataset: str
    """Where the rows came from: a file's name, or a Hub id."""
    scores: tuple[CardScore, ...] = ()


def card_metadata(facts: CardFacts) -> str:
    """The YAML block between its two lines of dashes."""
    from huggingface_hub import EvalResult, ModelCardData

    parts = facts.dataset.split(":")[0].split("/")  # org/name, org/name/config or org/name:split
    is_on_hub = len(parts) in (2, 3) and all(parts) and not Path(facts.dataset).suffix and not Path(facts.dataset).exists()
    shown = "/".join(parts[:2]) if is_on_hub else Path(facts.dataset).name or facts.dataset
    results = [
        EvalResult(
            task_type=facts.pipeline,
            dataset_type=shown,
            dataset_name=shown,
            dataset_split=score.split,
            metric_type=score.metric,
            metric_value=round(score.value, 6),
            metric_name=score.metric.replace("_", " "),
            metric_args={"low": _rounded(score.low), "high": _rounded(score.high), "level": 0.95, "n": score.n},
        )
        for score in facts.scores
    ]
    data = ModelCardData(
        base_model=_hub_model(facts.base_model),
        datasets=[shown] if is_on_hub else None,
        eval_results=results or None,
        library_name=facts.library,
        **_licence_fields(facts.licence),
        metrics=list(dict.fromkeys(score.metric for score in facts.scores)) or None,
        model_name=facts.name,
        pipeline_tag=facts.pipeline,
        tags=["hone"],
    )
    return f"---\n{data.to_yaml().strip()}\n---\n"


def _hub_model(name: str | None) -> str | None:
    """The Hub id of a base; None where it is a folder, a server's model or a starter of hone's own, which the Hub refuses to be told."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if name is None or name in STARTERS:
        return STARTERS[name].published_name if name else None
    name = without_languages(name)
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return None if Path(name).exists() else name


def _licence_fields(licence: str | None) -> dict[str, str]:
    """A licence as the Hub wants it told: by one of its ids, else as another one with a name in its letters and where its text stands."""
    if licence is None or licence in _HUB_LICENCES:
        return {"license": licence} if licence else {}
    name = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-.")
    known = read_licences().get(licence)
    fields = {"license": "other"} | ({"license_name": name} if name else {})
    return fields | ({"license_link": known.url} if known else {})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def metadata_of(card: str) -> dict[str, object]:
    """The metadata of a card, read and checked by huggingface_hub's own rules.

    Raises:
        BadData: it is none that the Hub would take.
    """
    from huggingface_hub import ModelCard

    try:
        found: dict[str, object] = ModelCard(card, ignore_metadata_errors=False).data.to_dict()
    except (ValueError, TypeError, KeyError) as error:
        first = str(error).strip().splitlines()[0]
        raise BadData(
            f"The card's metadata are not what the Hub takes: {first} Write the card anew with hone card RUN."
        ) from None
    if not found:
        raise BadData("The card has no metadata between two lines of dashes. Write it anew with hone card RUN.")
    return found


def agreed_licence(base: str | None, data: str | None) -> str | None:
    """The licence that a model tuned from a base on such data goes under: the base's, where the data's does not forbid it.

    Args:
        base: id of the base's licence; None where it is unknown. data: id of the rows' licence; None where none was named.
    Raises:
        Usage: the rows' licence is not known, or the two contradict each other.
    """
    if data is None:
        return base
    asked = data.strip().lower()
    if asked not in (*_OPEN_DATA, *_OTHER_DATA) and asked not in read_licences():
        known = ", ".join(sorted((*_OPEN_DATA, *_OTHER_DATA)))
        raise Usage(
            f"The licence '{data}' of the data is not known. Known: {known}. Name one of these, or write the card's line yourself."
        )
    parts = asked.split("-")
    known_base: Licence | None = read_licences().get(base or "")
    why = None
    if "nd" in parts:
        why = "forbids changed works, and a tuned model may be one"
    elif "nc" in parts and (known_base is None or known_base.commercial != "no"):
        why = "forbids commercial use, and the base's does not say so"
    elif ("sa" in parts or asked == "odbl") and asked != base:
        why = "asks that what is made from it goes under the same licence"
    if why:
        raise Usage(
            f"The licences of base and data contradict each other: the data's, {asked}, {why}; the base's is {base or 'unknown'}. "
            "Ask who holds the rights, and name the result with --licence."
        )
    return base


def energy_line(seconds: float, *, is_cpu: bool = True) -> str:
    """An estimate of the energy of a training, with what it assumes."""
    watts = WATTS if is_cpu else 500
    return f"Energy: about {seconds * watts / 3.6e6:.3g} kWh, if the machine drew {watts} W (assumed, not measured)."
