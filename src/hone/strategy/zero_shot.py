"""Zero-shot: the text is held against the labels' names (and descriptions); no labelled row trains anything.

With an encoder the likeness is the cosine of sentence vectors. Each label is put into a template, and the answer for a
content-free text is divided out (contextual calibration, Zhao 2021, https://arxiv.org/abs/2102.09690).
Validation rows choose among the templates and set the softmax scale, as they choose every strategy's settings.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from hone.core.console import Bar
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.label_words import described, label_words
from hone.strategy.predictors import fitted_scorer
from hone.strategy.scorers import Prototypes, softmax
from hone.strategy.untrained import Untrained

__all__ = ["ZeroShot", "fit_scale", "label_vectors"]

TEMPLATES = ("{label}", "This is about {label}.", "The topic of this text is {label}.", "A message about {label}.")
CONTENT_FREE = ("N/A", "", ".")  # Zhao 2021 use N/A, the empty text and the mask token

Floats = NDArray[np.float64]


def label_vectors(bench: EncoderBench, template: str) -> Floats:
    """One unit vector per label, [C, D]."""
    words = label_words(bench.labels)
    texts = [template.format(label=described(words[label], bench.descriptions.get(label))) for label in bench.labels]
    return bench.encoder.embed(texts).astype(np.float64)


def fit_scale(cosines: Floats, targets: Sequence[int] | NDArray[np.int64], content_free: Floats | None = None) -> float:
    """The softmax scale with the least cross-entropy on labelled rows.

    Args:
        cosines: [n, C]. content_free: cosines of content-free texts, [m, C], calibrated out at each scale tried.
    """
    rows, wanted = np.arange(len(cosines)), np.asarray(targets)

    def loss(log_scale: float) -> float:
        scale = float(np.exp(log_scale))
        offset = _content_free_logs(content_free, scale) if content_free is not None else 0.0
        return float(-np.log(softmax(scale * cosines - offset)[rows, wanted] + 1e-12).mean())

    found = minimize_scalar(loss, bounds=(np.log(1.0), np.log(200.0)), method="bounded")
    return float(np.exp(found.x))


def _content_free_logs(cosines: Floats, scale: float) -> Floats:
    return np.asarray(np.log(softmax(scale * cosines).mean(axis=0)), dtype=np.float64)


class ZeroShot(Untrained):
    """Label names against the text."""

    name = "zero_shot"
    title = "zero-shot"

    def candidates(self, bench: EncoderBench) -> list[Settings]:
        """Every template, with and without contextual calibration."""
        return [{"template": template, "calibrated": calibrated} for template in TEMPLATES for calibrated in ("yes", "no")]

    def fit(self, bench: EncoderBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Embed the labels and set the scale."""
        prototypes = label_vectors(bench, str(settings["template"]))
        blank = bench.encoder.embed(CONTENT_FREE).astype(np.float64) @ prototypes.T if settings["calibrated"] == "yes" else None
        return fitted_prototypes(bench, settings, prototypes, blank)


def fitted_prototypes(
    bench: EncoderBench, settings: Mapping[str, str | int | float], prototypes: Floats, blank: Floats | None = None
) -> Fitted:
    """A predictor from class prototypes [C, D]: scale set on validation rows, content-free texts [m, C] divided out."""
    cosines = bench.validation_vectors().astype(np.float64) @ prototypes.T
    targets = bench.validation_targets
    scale = fit_scale(cosines[targets >= 0], targets[targets >= 0], blank)
    offset = _content_free_logs(blank, scale) if blank is not None else np.zeros(len(bench.labels))
    return fitted_scorer(bench, Prototypes(prototypes, scale, offset), settings)
