"""How much training the budget allows, and what each strategy will take: measured by rehearsal, not guessed.

Every training strategy gets the same number of learning rates and passes, so that none is favoured.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hone.compare.records import Estimate
from hone.compare.settings import CompareSettings
from hone.compare.table import plan_table
from hone.core.console import progress
from hone.core.device import peak_memory, release_memory
from hone.core.record import Record
from hone.measure import human_seconds
from hone.strategy import TEXT_STRATEGIES, Bench, Effort, EncoderBench, Entrant, Strategy, TextBench
from hone.strategy.contracts import Pace
from hone.strategy.tune import EVALUATIONS

__all__ = ["RETAINED_SHARE", "SHORT", "Forecast", "plan_effort", "plan_text", "usable_rows"]

SHORT = 0.25  # share of the full length at which learning rates and strategies are raced
RETAINED_SHARE = 0.08  # of the budget that passes of text models over the retained tasks may take
_RESERVE = 0.15  # of the budget, for reading, testing and the learning curve
_SAMPLE = 64
_VECTOR_SHARE = 0.3  # of the budget that sentence vectors may take
_ANSWER_SHARE = 0.25  # of the budget that prompting may take on validation rows, and all strategies on test rows
_TEST_ANSWERS = 3.0
"""Zero-shot answers that a test row costs (measured): most prompts hold examples, and the right answer's likelihood is read."""
_LEAST_ANSWERED = 24  # validation rows that are answered even where the budget would carry fewer
_MOST_VALIDATION, _MOST_TEST = 5_000, 20_000  # a 95% interval of an accuracy is then within 1.4 and 0.7 points


class Forecast(Record):
    """What was decided before the run: the effort, and an estimate per strategy."""

    epochs: float
    arms: int
    batch_rows: int
    estimates: dict[str, Estimate]
    embed_seconds: float
    """Sentence vectors of the training and validation rows, once for all strategies."""

    @property
    def effort(self) -> Effort:
        """The part that strategies read."""
        return Effort(epochs=self.epochs, arms=self.arms, batch_rows=self.batch_rows)

    @property
    def seconds(self) -> float:
        """All strategies together."""
        return self.embed_seconds + sum(estimate.seconds for estimate in self.estimates.values())


def _seconds_per_row(bench: Bench) -> float:
    """To read one row, from a sample, where the first pass warms up: its sentence vector, or a zero-shot answer."""
    if isinstance(bench, TextBench):
        return bench.seconds_per_row()
    assert isinstance(bench, EncoderBench)
    texts = [example.text for example in bench.train[:_SAMPLE]]
    with bench.encoder.computed_afresh():
        bench.encoder.embed(texts[:8])
        started = time.perf_counter()
        bench.encoder.embed(texts)
    return (time.perf_counter() - started) / len(texts)


def usable_rows(entrants: Sequence[Entrant], *, test_rows: int, budget: float) -> tuple[int, int, int]:
    """How many training, validation and test rows the budget can carry.

    Of an encoder, sentence vectors alone must fit into a share of it; of a model that answers in words, the answers of the
    prompting strategies to validation rows, and of all strategies to test rows.

    Args:
        entrants: those of one model.
    """
    bench = entrants[0].bench
    per_row = _seconds_per_row(bench)
    validation, test = min(len(bench.validation), _MOST_VALIDATION), min(test_rows, _MOST_TEST)
    if isinstance(bench, TextBench):
        fits = math.floor(_ANSWER_SHARE * budget / per_row)
        asked = math.ceil(sum(TEXT_STRATEGIES[one.strategy.name].asked(bench) for one in entrants))
        validation = min(validation, max(_LEAST_ANSWERED, fits // max(asked, 1)))
        return len(bench.train), validation, min(test, max(2 * _LEAST_ANSWERED, int(fits / (_TEST_ANSWERS * len(entrants)))))
    fits = math.floor(_VECTOR_SHARE * budget / per_row)
    return min(len(bench.train), max(fits - validation, 20 * len(bench.labels), 200)), validation, test


def wanted_epochs(rows: int, classes: int) -> float:
    """Passes after which the validation score has levelled off, where the budget allows: few rows and many classes need more.

    banking77 (77 classes, 8,500 training rows) still gained 0.4 points on test rows from the eighth to the twelfth pass.
    """
    return min(12.0, max(4.0, 6000 / rows, 1300 * classes / rows))


def plan_effort(entrants: Sequence[Entrant], settings: CompareSettings) -> Forecast:
    """Rehearse each strategy and choose epochs and learning rates so that the budget holds.

    A tight budget first gives up learning rates, then epochs.
    """
    some = entrants[0].bench
    rows = len(some.train)
    batch_rows = settings.batch_rows or (16 if rows < 2000 else 32)
    wanted = settings.epochs or wanted_epochs(rows, len(some.labels))
    whole = Effort(epochs=wanted, arms=3, batch_rows=batch_rows)
    entrants = [replace(one, bench=replace(one.bench, effort=whole)) for one in entrants]
    tuned = [one for one in entrants if one.strategy.moves_weights]
    per_row, paces, peaks = _rehearse(entrants, tuned)
    embed = sum(seconds * (rows + len(some.validation)) for model, seconds in per_row.items() if _embeds(entrants, model))
    reserve = _RESERVE + (_ANSWER_SHARE if any(isinstance(one.bench, TextBench) for one in entrants) else 0.0)
    if settings.retain and any(isinstance(one.bench, TextBench) for one in tuned):
        reserve += RETAINED_SHARE
    whole_budget = settings.budget_seconds * (1 - reserve) - embed

    def seconds(entrant: Entrant, effort: Effort) -> float:
        entrant = replace(entrant, bench=replace(entrant.bench, effort=effort))
        if entrant.strategy.moves_weights:
            return _tuned_seconds(entrant.strategy, entrant.bench, paces[entrant.key], per_row[entrant.model])
        return _cheap_seconds(entrant, per_row[entrant.model])

    def total(effort: Effort, *, tunes: bool) -> float:
        return sum(seconds(one, effort) for one in entrants if one.strategy.moves_weights == tunes)

    def left(arms: int) -> float:
        return whole_budget - total(Effort(wanted, arms, batch_rows), tunes=False)

    arms = settings.arms or next((n for n in (3, 2) if total(Effort(wanted, n, batch_rows), tunes=True) <= left(n)), 1)
    epochs = wanted
    if settings.epochs is None and tuned:
        needed = total(Effort(wanted, arms, batch_rows), tunes=True)
        epochs = wanted if needed <= left(arms) else max(wanted * max(left(arms), 0.0) / needed, batch_rows / rows)
    effort = Effort(round(epochs, 2) or 0.01, arms, batch_rows)
    estimates = {
        one.key: Estimate(
            seconds=seconds(one, effort),
            peak_bytes=paces[one.key].peak_bytes if one.strategy.moves_weights else peaks[one.model],
        )
        for one in entrants
    }
    return Forecast(epochs=effort.epochs, arms=arms, batch_rows=batch_rows, estimates=estimates, embed_seconds=embed)


def _rehearse(entrants: Sequence[Entrant], tuned: Sequence[Entrant]) -> tuple[dict[str, float], dict[str, Pace], dict[str, int]]:
    """Seconds per row read by model, the pace of what trains by key, and the peak memory of reading by model."""
    benches = {one.model: one.bench for one in entrants}
    paces: dict[str, Pace] = {}
    peaks: dict[str, int] = {}
    with progress("Rehearsing a few training steps", max(len(tuned), 1)) as bar:
        per_row = {}
        for model, bench in benches.items():
            release_memory()
            with peak_memory(bench.device) as peak:
                per_row[model] = _seconds_per_row(bench)
            peaks[model] = peak.bytes or 0
        for one in tuned:
            pace = one.strategy.rehearse(one.bench)
            assert pace is not None, f"{one.key} moves weights and has no pace"
            paces[one.key] = pace
            bar.advance()
    return per_row, paces, peaks


def _embeds(entrants: Sequence[Entrant], model: str) -> bool:
    """Whether this model makes sentence vectors once for all of its strategies."""
    return any(isinstance(one.bench, EncoderBench) for one in entrants if one.model == model)


def _tuned_seconds(strategy: Strategy[Any], bench: Bench, pace: Pace, per_row: float) -> float:
    """A full run and, where there are several learning rates, a short run for each; validation scores included."""
    candidates = strategy.candidates(bench)
    steps = strategy.steps(bench, candidates[0])
    if len(candidates) > 1:
        steps += sum(strategy.steps(bench, settings, share=SHORT) for settings in candidates)
    if isinstance(bench, TextBench):  # scored by its loss, a third of a step's work; answered once at the end of each run
        steps += round((EVALUATIONS + len(candidates)) * len(bench.validation) / bench.effort.batch_rows / 3)
        answered = len(bench.validation) * (1 + (len(candidates) if len(candidates) > 1 else 0))
        return steps * pace.seconds_per_step + answered * per_row
    scored = len(bench.validation) * (EVALUATIONS + 2 * len(candidates)) + (
        2 * len(bench.train) if strategy.reads_train_vectors else 0
    )
    return steps * pace.seconds_per_step + scored * per_row


def _cheap_seconds(entrant: Entrant, per_row: float) -> float:
    """Of strategies that train nothing: answers to validation rows; or arithmetic on vectors, a rough figure from operations at
    5 GFLOP/s, where sentence vectors are counted once, elsewhere."""
    strategy, bench = entrant.strategy, entrant.bench
    if isinstance(bench, TextBench):
        return 0.2 + TEXT_STRATEGIES[strategy.name].asked(bench) * len(bench.validation) * per_row
    assert isinstance(bench, EncoderBench)
    width, classes = bench.encoder.width, len(bench.labels)
    per_candidate = {
        "head": 4 * 100 * len(bench.train) * width * classes,
        "nearest": 2 * len(bench.train) * len(bench.validation) * width,
    }.get(strategy.name, 2 * 20 * len(bench.validation) * width * classes)
    return 0.2 + len(strategy.candidates(bench)) * per_candidate / 5e9


def plan_text(forecast: Forecast, entrants: Sequence[Entrant]) -> str:
    """The plan as it is shown before the run: an estimate of time and peak memory per strategy."""
    rates = "1 learning rate" if forecast.arms == 1 else f"{forecast.arms} learning rates"
    effort = f"up to {forecast.epochs:g} epochs, {rates}, {forecast.batch_rows} rows a step"
    short = (
        " That is less than one pass, so what trains will look worse than it is: a larger --budget is fairer."
        if forecast.epochs < 1 and any(one.strategy.moves_weights for one in entrants)
        else ""
    )
    table = plan_table(entrants, forecast.estimates)
    return f"{table}\nAbout {human_seconds(forecast.seconds)} in all. Strategies that train: {effort}.{short}"
