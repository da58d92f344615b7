"""The ways to keep a model from forgetting that are compared: each is full fine-tuning, or LoRA, with one thing changed.

Strengths are those that docs and papers start from, not tuned to the rows; `hone tune` takes others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hone.core.errors import Usage, did_you_mean
from hone.remember.settings import RememberSettings
from hone.train import usual_rate
from hone.tune import TuneSettings

__all__ = ["WAYS", "Way", "choose_ways", "way_rate", "way_settings"]

_SLOWER = 3.0
_PASSED = (
    *("data", "model", "kind", "prompt", "completion", "text", "label", "validation", "template", "retain", "retain_items"),
    *("own_samples", "epochs", "steps", "batch_rows", "evaluations", "answers", "precision", "seed"),
)
"""Settings that every way has from the comparison."""


@dataclass(frozen=True)
class Way:
    """One way: what it changes."""

    name: str
    said: str
    """What it does, in words."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the settings of full fine-tuning."""
    slower: float = 1.0
    """What the rate is divided by."""


WAYS = {
    way.name: way
    for way in (
        Way("plain", "full fine-tuning, nothing held"),
        Way("low-rate", "full fine-tuning at a third of the rate", slower=_SLOWER),
        Way("self-replay", "held to what it said of itself, a tenth of each step", {"remember": "self"}),
        Way("l2sp", "L2-SP: weights held to the base's, strength 0.1", {"hold": "l2sp", "hold_strength": 0.1}),
        Way("ewc", "EWC: weights held by their Fisher information, strength 1,000", {"hold": "ewc", "hold_strength": 1000.0}),
        Way("kl", "answers to the task's rows held to the base's by KL, strength 0.1", {"hold": "kl", "hold_strength": 0.1}),
        Way("top", "only the top 2 layers move", {"method": "top", "layers": 2}),
        Way("lora", "LoRA of rank 8, nothing held", {"method": "lora"}),
        Way("lora+self-replay", "LoRA, held to what it said of itself", {"method": "lora", "remember": "self"}),
        Way("replay", "a tenth of the draws are older rows"),
    )
}
"""By name, in the order in which they are run and told."""


def choose_ways(settings: RememberSettings, *, is_encoder: bool = False) -> list[Way]:
    """Those that were named, in their usual order; else all that mean something, and `replay` only where there are older rows.

    Args:
        is_encoder: its head is new, so there are no answers of the base's for `kl`.

    Raises:
        Usage: a name is not known or stands twice, or `replay` without rows to replay.
    """
    unknown = next((name for name in settings.ways if name not in WAYS), None)
    if unknown is not None:
        raise Usage(f"There is no way '{unknown}' to remember. {did_you_mean(unknown, WAYS)}")
    twice = next((name for name in settings.ways if settings.ways.count(name) > 1), None)
    if twice is not None:
        raise Usage(f"The way '{twice}' is named twice. Name each once.")
    if "replay" in settings.ways and settings.replay is None:
        raise Usage("The way 'replay' mixes older rows in, and none are given. Name their file: --replay FILE.")
    if settings.replay is not None and settings.ways and "replay" not in settings.ways:
        raise Usage(
            "The older rows of --replay are for the way 'replay', which --ways leaves out. Name it too, or leave out --replay."
        )
    left_out = {*(() if settings.replay is not None else ("replay",)), *(("kl",) if is_encoder else ())}
    named = settings.ways or tuple(name for name in WAYS if name not in left_out)
    return [way for name, way in WAYS.items() if name in named]


def way_rate(way: Way, settings: RememberSettings, *, parameters: int, is_headed: bool = False) -> float:
    """The peak learning rate of a way.

    Args:
        parameters: of the model. is_headed: whether it gets a new head.
    """
    if way.changes.get("method") == "lora":
        return usual_rate("lora", parameters=parameters, is_headed=is_headed)
    return (settings.learning_rate or usual_rate("full", parameters=parameters, is_headed=is_headed)) / way.slower


def way_settings(way: Way, settings: RememberSettings, *, rate: float, out: str) -> TuneSettings:
    """What `hone tune` does for this way."""
    passed: dict[str, Any] = {name: getattr(settings, name) for name in _PASSED}
    changes = {"method": "full", **way.changes, "learning_rate": rate, "out": out}
    if way.name == "replay":
        changes["replay"] = settings.replay
    return TuneSettings(**passed, **changes)
