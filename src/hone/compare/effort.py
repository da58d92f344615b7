"""How much training the budget allows, and what each strategy will take: measured by rehearsal, not guessed.

Every training strategy gets the same number of learning rates and passes, so that none is favoured.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from hone.compare.records import Estimate
from hone.compare.settings import CompareSettings
from hone.compare.table import plan_table
from hone.core.console import progress
from hone.core.device import peak_memory, release_memory
from hone.core.record import Record
from hone.measure import human_seconds
from hone.strategy import Bench, Effort, Strategy
from hone.strategy.contracts import Pace

__all__ = ["SHORT", "Forecast", "plan_effort", "plan_text", "usable_rows"]

SHORT = 0.25  # share of the full length at which learning rates and strategies are raced
_RESERVE = 0.15  # of the budget, for reading, testing and the learning curve
_SAMPLE = 64
_VECTOR_SHARE = 0.3  # of the budget that sentence vectors may take
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
    """Forward pass of one training row, from a sample; the first pass warms up."""
    texts = [example.text for example in bench.train[:_SAMPLE]]
    with bench.encoder.computed_afresh():
        bench.encoder.embed(texts[:8])
        started = time.perf_counter()
        bench.encoder.embed(texts)
    return (time.perf_counter() - started) / len(texts)


def usable_rows(bench: Bench, *, test_rows: int, budget: float) -> tuple[int, int, int]:
    """How many training, validation and test rows the budget can carry: sentence vectors alone must fit into a share of it."""
    per_row = _seconds_per_row(bench)
    fits = math.floor(_VECTOR_SHARE * budget / per_row)
    validation, test = min(len(bench.validation), _MOST_VALIDATION), min(test_rows, _MOST_TEST)
    return min(len(bench.train), max(fits - validation, 20 * len(bench.labels), 200)), validation, test


def wanted_epochs(rows: int, classes: int) -> float:
    """Passes after which the validation score has levelled off, where the budget allows: few rows and many classes need more.

    banking77 (77 classes, 8,500 training rows) still gained 0.4 points on test rows from the eighth to the twelfth pass.
    """
    return min(12.0, max(4.0, 6000 / rows, 1300 * classes / rows))


def plan_effort(bench: Bench, strategies: Sequence[Strategy], settings: CompareSettings) -> Forecast:
    """Rehearse each strategy and choose epochs and learning rates so that the budget holds.

    A tight budget first gives up learning rates, then epochs.
    """
    rows = len(bench.train)
    batch_rows = settings.batch_rows or (16 if rows < 2000 else 32)
    wanted = settings.epochs or wanted_epochs(rows, len(bench.labels))
    bench = replace(bench, effort=Effort(epochs=wanted, arms=3, batch_rows=batch_rows))
    tuned = [strategy for strategy in strategies if strategy.moves_weights]
    with progress("Rehearsing a few training steps", max(len(tuned), 1)) as bar:
        per_row = _seconds_per_row(bench)
        paces: dict[str, Pace] = {}
        for strategy in tuned:
            pace = strategy.rehearse(bench)
            assert pace is not None, f"{strategy.name} moves weights and has no pace"
            paces[strategy.name] = pace
            bar.advance()
        release_memory()
        with peak_memory(bench.encoder.reader.device) as peak:
            bench.encoder.embed([example.text for example in bench.train[:_SAMPLE]])
    embed = per_row * (rows + len(bench.validation))
    cheap = {
        s.name: Estimate(seconds=_cheap_seconds(s, bench), peak_bytes=peak.bytes or 0) for s in strategies if not s.moves_weights
    }
    left = settings.budget_seconds * (1 - _RESERVE) - embed - sum(estimate.seconds for estimate in cheap.values())

    def seconds(strategy: Strategy, effort: Effort) -> float:
        return _tuned_seconds(strategy, replace(bench, effort=effort), paces[strategy.name], per_row)

    def total(effort: Effort) -> float:
        return sum(seconds(strategy, effort) for strategy in tuned)

    arms = settings.arms or next((n for n in (3, 2) if total(Effort(wanted, n, batch_rows)) <= left), 1)
    epochs = wanted
    if settings.epochs is None and tuned:
        needed = total(Effort(wanted, arms, batch_rows))
        epochs = wanted if needed <= left else max(wanted * max(left, 0.0) / needed, batch_rows / rows)
    effort = Effort(round(epochs, 2) or 0.01, arms, batch_rows)
    estimates = cheap | {s.name: Estimate(seconds=seconds(s, effort), peak_bytes=paces[s.name].peak_bytes) for s in tuned}
    ordered = {strategy.name: estimates[strategy.name] for strategy in strategies}
    return Forecast(epochs=effort.epochs, arms=arms, batch_rows=batch_rows, estimates=ordered, embed_seconds=embed)


def _tuned_seconds(strategy: Strategy, bench: Bench, pace: Pace, per_row: float) -> float:
    """A full run and, where there are several learning rates, a short run for each; validation scores included."""
    candidates = strategy.candidates(bench)
    steps = strategy.steps(bench, candidates[0])
    if len(candidates) > 1:
        steps += sum(strategy.steps(bench, settings, share=SHORT) for settings in candidates)
    scored = len(bench.validation) * (6 + 2 * len(candidates)) + (len(bench.train) * 2 if strategy.reads_train_vectors else 0)
    return steps * pace.seconds_per_step + scored * per_row


def _cheap_seconds(strategy: Strategy, bench: Bench) -> float:
    """Arithmetic on vectors: a rough figure from operations at 5 GFLOP/s; sentence vectors are counted once, elsewhere."""
    width, classes = bench.encoder.width, len(bench.labels)
    per_candidate = {
        "head": 4 * 100 * len(bench.train) * width * classes,
        "nearest": 2 * len(bench.train) * len(bench.validation) * width,
    }.get(strategy.name, 2 * 20 * len(bench.validation) * width * classes)
    return 0.2 + len(strategy.candidates(bench)) * per_candidate / 5e9


def plan_text(forecast: Forecast, strategies: Sequence[Strategy]) -> str:
    """The plan as it is shown before the run: an estimate of time and peak memory per strategy."""
    rates = "1 learning rate" if forecast.arms == 1 else f"{forecast.arms} learning rates"
    effort = f"up to {forecast.epochs:g} epochs, {rates}, {forecast.batch_rows} rows a step"
    return f"{plan_table(strategies, forecast.estimates)}\nAbout {human_seconds(forecast.seconds)} in all. Strategies that train: {effort}."
