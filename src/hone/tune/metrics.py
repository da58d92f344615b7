"""Names of the metrics by which a checkpoint may be chosen, by what is trained."""

from collections.abc import Sequence

from hone.core.errors import Usage, did_you_mean
from hone.measure import ENTITY_METRICS, LABEL_METRICS, LABEL_SET_METRICS, NUMBER_METRICS, TEXT_METRICS, marks_entities
from hone.tune.settings import ObjectiveName, TuneSettings

__all__ = ["head_metrics", "is_written", "require_metric"]

_SPANS = ("exact_match", "token_f1")


def head_metrics(objective: ObjectiveName, labels: Sequence[str]) -> tuple[str, ...]:
    """Of a head's answers; empty where answers are texts."""
    if objective == "tag":
        return ENTITY_METRICS if marks_entities(labels) else LABEL_METRICS
    known = {"classify": LABEL_METRICS, "multi_label": LABEL_SET_METRICS, "regression": NUMBER_METRICS, "answers": _SPANS}
    return known.get(objective, ())


def is_written(settings: TuneSettings, objective: ObjectiveName) -> bool:
    """Whether the checkpoint is chosen by answers that the model writes."""
    return objective == "completion" and settings.metric in TEXT_METRICS


def require_metric(settings: TuneSettings, objective: ObjectiveName, labels: Sequence[str], *, is_mixture: bool) -> None:
    """Nothing, where the metric can choose the checkpoint.

    Raises:
        Usage: what is trained has no such metric, or no row would be answered for it.
    """
    has_terms = objective not in ("regression", "multi_label")  # whose answers are no single choice each
    writes = objective == "completion" and not is_mixture
    fitting = ["loss", *(["accuracy"] if has_terms else []), *head_metrics(objective, labels), *(TEXT_METRICS if writes else ())]
    if settings.metric not in fitting:
        of = "a mixture of tasks" if is_mixture else f"the objective '{objective}'"
        raise Usage(f"--metric {settings.metric} is none of {of}. {did_you_mean(settings.metric, dict.fromkeys(fitting))}")
    if is_written(settings, objective) and not settings.answers:
        raise Usage(f"--metric {settings.metric} is of written answers, and --answers 0 asks for none. Leave one out.")
