"""Inference parameters: the best prompt so far, with other ways to choose its words. Greedy is the reference.

What draws by chance is asked with three seeds; its score is their mean, and the note tells how far they lie apart.
"""

import numpy as np

from hone.core.console import Bar
from hone.model import Sampling
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.text.bench import TextBench
from hone.strategy.text.predictor import Asker, Fixed, TextPredictor
from hone.strategy.text.prompting import UntrainedText, shots_for

__all__ = ["InferenceParameters"]

SEEDS = 3
_FROM = ("zero_shot", "one_shot", "few_shot")
_GRID: tuple[dict[str, float | int], ...] = (
    {"temperature": 0.0},
    {"beams": 4, "length_penalty": 1.0},
    {"repetition_penalty": 1.2},
    {"temperature": 0.7, "top_p": 0.9},
    {"beams": 4, "length_penalty": 0.5},
    {"temperature": 0.3},
    {"temperature": 1.0, "top_k": 20},
    {"repetition_penalty": 1.1},
)


class InferenceParameters(UntrainedText):
    """Temperature, nucleus, beams and penalties on top of a prompt."""

    name = "inference"
    title = "inference parameters"

    def suits(self, bench: TextBench) -> str | None:
        """Only texts are written."""
        return None if bench.kind == "text-generation" else "answers are scored, not written"

    def candidates(self, bench: TextBench) -> list[Settings]:
        """Greedy first; fewer where effort is small. Beams and penalties only where the model's server knows them."""
        grid = _GRID[: {1: 3, 2: 5}.get(bench.effort.arms, len(_GRID))]
        return [dict(one) for one in grid if bench.base.is_local or not {"beams", "repetition_penalty", "top_k"} & set(one)]

    def asked(self, bench: TextBench) -> float:
        """Beams cost a row each, and what is drawn is drawn three times."""
        return sum(float(one.get("beams", 1)) * _seeds(one) for one in self.candidates(bench))

    def fit(self, bench: TextBench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Write the validation rows' answers once, or once per seed."""
        prompt = bench.best_prompt(_FROM) or {"template": bench.templates[0].id, "k": 0}
        shots = Fixed(shots_for(bench, prompt) if prompt["k"] else ())
        found, scores = [], []
        for seed in range(_seeds(settings)):
            sampling = Sampling.model_validate({**bench.sampling.model_dump(), **settings, "seed": seed})
            asker = Asker(bench.backend, bench.template(prompt), bench.base.joins, bench.reading(sampling=sampling), shots)
            answers = asker.answer(bench.validation)
            found.append((asker, answers))
            scores.append(bench.score(answers))
        told = f"Over the prompt of {prompt['k']} examples."
        if len(scores) > 1:
            told += f" {len(scores)} seeds: {min(scores):.1%} to {max(scores):.1%}."
        asker, answers = found[0]
        return Fitted(TextPredictor(asker, bench.base), settings, answers, float(np.mean(scores)), 0, note=told)


def _seeds(settings: Settings) -> int:
    return SEEDS if float(settings.get("temperature", 0)) > 0 else 1
