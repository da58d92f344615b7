"""How much training the budget allows, and what each strategy will take: measured by rehearsal, not guessed.

Every training strategy gets the same number of learning rates and passes, so that none is favoured.
"""

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hone.compare.records import Estimate
from hone.compare.settings import CompareSettings
from hone.compare.table import plan_table
from hone.core.console import progress
from hone.core.device import peak_memory, release_memory
from hone.core.record import Record
from hone.evaluate import timing_seconds
from hone.measure import human_seconds
from hone.strategy import TEXT_STRATEGIES, Bench, Effort, EncoderBench, Entrant, TextBench
from hone.strategy.contracts import Pace, Settings

__all__ = ["CURVE_SHARES", "RETAINED_SHARE", "SHORT", "Forecast", "embeds", "plan_effort", "plan_text", "usable_rows"]

SHORT = 0.25  # share of the full length at which learning rates and strategies are raced
RETAINED_SHARE = 0.08  # of the budget that passes of text models over the retained tasks may take
CURVE_SHARES = (0.125, 0.25, 0.5)  # of the training rows, on which the learning curve stands
_RESERVE = 0.1  # of the budget, for what is not foreseen
_SAMPLE, _WARM = 256, 64  # rows whose reading is timed, of which the first are read once before: fewer pack worse than many do
_VECTOR_SHARE = 0.3  # of the budget that sentence vectors may take
_ANSWER_SHARE = 0.25  # of the budget that prompting may take on validation rows, and all strategies on test rows
_TEST_ANSWERS = 3.0
"""Zero-shot answers that a test row costs (measured): most prompts hold examples, and the right answer's likelihood is read."""
_LEAST_ANSWERED = 24  # validation rows that are answered even where the budget would carry fewer
_LEAST_TRAINED = 2_000  # rows, or one pass over fewer: with less, what trains looks far worse than it is
_FIRST = ("lora", "contrastive", "full", "adapter", "head", "bias")  # of what trains, where the budget does not carry all
_MOST_VALIDATION, _MOST_TEST = 5_000, 20_000  # a 95% interval of an accuracy is then within 1.4 and 0.7 points


class Forecast(Record):
    """What was decided before the run: the effort, and an estimate per strategy."""

    epochs: float
    arms: int
    batch_rows: int
    estimates: dict[str, Estimate]
    embed_seconds: float
    """Sentence vectors of the training and validation rows, once for all strategies; each that reads them has them in its estimate."""
    vector_readers: int = 0
    """How many estimates hold `embed_seconds`."""
    after_seconds: float = 0.0
    """Test rows, retained tasks and the learning curve."""
    spent_seconds: float = 0.0
    """Gone when this was planned: reading the rows, and the rehearsal."""
    left_out: tuple[str, ...] = ()
    """Strategies that the budget does not carry beside the others; they have no estimate, and do not run."""

    @property
    def effort(self) -> Effort:
        """The part that strategies read."""
        return Effort(epochs=self.epochs, arms=self.arms, batch_rows=self.batch_rows)

    @property
    def seconds(self) -> float:
        """The whole comparison."""
        strategies = sum(estimate.seconds for estimate in self.estimates.values())
        return self.spent_seconds + strategies + (1 - self.vector_readers) * self.embed_seconds + self.after_seconds


def _seconds_per_row(bench: Bench) -> float:
    """To read one row, from a sample, where the first pass warms up: its sentence vector, or a zero-shot answer."""
    if isinstance(bench, TextBench):
        return bench.seconds_per_row()
    assert isinstance(bench, EncoderBench)
    texts = [example.text for example in bench.train[:_SAMPLE]]
    with bench.encoder.computed_afresh():
        bench.encoder.embed(texts[:_WARM])
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


def plan_effort(
    entrants: Sequence[Entrant], settings: CompareSettings, *, test_rows: int, retained_texts: int = 0, spent: float = 0.0
) -> Forecast:
    """Rehearse each strategy and choose epochs and learning rates so that the budget holds.

    A tight budget first gives up learning rates, then epochs.

    Args:
        retained_texts: that each tuned encoder reads. spent: seconds of the budget that are gone.
    """
    started = time.perf_counter()
    some = entrants[0].bench
    rows = len(some.train)
    batch_rows = settings.batch_rows or (16 if rows < 2000 else 32)
    wanted = settings.epochs or wanted_epochs(rows, len(some.labels))
    entrants = _with_effort(entrants, Effort(wanted, 3, batch_rows))
    left = settings.budget_seconds * (1 - _reserved(entrants, settings))
    seen = _Seen({}, {}, {})

    def forecast(entrants: Sequence[Entrant], epochs: float, arms: int) -> Forecast:
        trying = _with_effort(entrants, Effort(epochs, arms, batch_rows))
        rows_read = rows + len(some.validation)
        embed = sum(seconds * rows_read for model, seconds in seen.per_row.items() if embeds(entrants, model))
        return Forecast(
            epochs=epochs,
            arms=arms,
            batch_rows=batch_rows,
            estimates={one.key: _estimate(one, seen, embed) for one in trying},
            embed_seconds=embed,
            vector_readers=sum(map(_reads_vectors, trying)),
            after_seconds=_seconds_after(trying, seen, test_rows, retained_texts),
            spent_seconds=spent + time.perf_counter() - started,
        )

    least = min(wanted, max(0.01, round(_LEAST_TRAINED / rows, 2)), 1.0)
    may_leave_out = not settings.strategies and settings.epochs is None
    running = _rehearse(entrants, seen, lambda some: not may_leave_out or forecast(some, least, 1).seconds <= left)
    left_out = tuple(one.key for one in entrants if one not in running)
    arms = settings.arms or next((n for n in (3, 2) if forecast(running, wanted, n).seconds <= left), 1)
    epochs = round(wanted, 2)
    if settings.epochs is None and any(one.strategy.moves_weights for one in running):
        hundredths = range(1, round(100 * epochs) + 1)
        fitting = bisect_right(hundredths, left, key=lambda at: forecast(running, at / 100, arms).seconds)
        epochs = max(fitting / 100, round(batch_rows / rows, 2))
    return forecast(running, epochs or 0.01, arms).model_copy(update={"left_out": left_out})


def _reserved(entrants: Sequence[Entrant], settings: CompareSettings) -> float:
    """Share of the budget for what is not foreseen, and for what models that answer in words are asked."""
    reserve = _RESERVE
    if any(isinstance(one.bench, TextBench) for one in entrants):
        reserve += _ANSWER_SHARE
    if settings.retain and any(isinstance(one.bench, TextBench) and one.strategy.moves_weights for one in entrants):
        reserve += RETAINED_SHARE
    return reserve


def _with_effort(entrants: Sequence[Entrant], effort: Effort) -> list[Entrant]:
    return [replace(one, bench=replace(one.bench, effort=effort)) for one in entrants]


@dataclass(frozen=True)
class _Seen:
    """What a rehearsal showed."""

    per_row: dict[str, float]
    """Seconds to read a row, by model."""
    peaks: dict[str, int]
    """Peak memory of reading, by model."""
    paces: dict[str, Pace]
    """Of what trains, by key."""


def _rehearse(entrants: Sequence[Entrant], seen: _Seen, fits: Callable[[Sequence[Entrant]], bool]) -> list[Entrant]:
    """Note what reading takes, and the paces of a few training steps of each, the likeliest to lead first; those that run, in their order.

    Where those so far no longer fit, the last of them does not run unless nothing else would, and what would follow it neither.
    """
    tuned = sorted((one for one in entrants if one.strategy.moves_weights), key=lambda one: _place(one.strategy.name))
    running = [one for one in entrants if not one.strategy.moves_weights]
    with progress("Rehearsing a few training steps", max(len(tuned), 1)) as bar:
        for model, bench in {one.model: one.bench for one in entrants}.items():
            release_memory()
            with peak_memory(bench.device) as peak:
                seen.per_row[model] = _seconds_per_row(bench)
            seen.peaks[model] = peak.bytes or 0
        for one in tuned:
            pace = one.strategy.rehearse(one.bench)
            assert pace is not None, f"{one.key} moves weights and has no pace"
            seen.paces[one.key] = pace
            bar.advance()
            if running and not fits([*running, one]):
                break
            running.append(one)
    return [one for one in entrants if one in running]


def _place(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def embeds(entrants: Sequence[Entrant], model: str) -> bool:
    """Whether this model makes sentence vectors once for all of its strategies: to classes also for the search for mislabels."""
    return any(
        isinstance(one.bench, EncoderBench) and (bool(one.bench.classes) or one.strategy.reads_train_vectors)
        for one in entrants
        if one.model == model
    )


def _reads_vectors(entrant: Entrant) -> bool:
    """Whether the sentence vectors are part of its cost: what trains makes its own."""
    return entrant.strategy.reads_train_vectors and not entrant.strategy.moves_weights


def _estimate(entrant: Entrant, seen: _Seen, embed: float) -> Estimate:
    per_row = seen.per_row[entrant.model]
    if not entrant.strategy.moves_weights:
        seconds = _cheap_seconds(entrant, per_row) + (embed if _reads_vectors(entrant) else 0.0)
        return Estimate(seconds=seconds, peak_bytes=seen.peaks[entrant.model])
    pace, candidates = seen.paces[entrant.key], entrant.strategy.candidates(entrant.bench)
    seconds = _run_seconds(entrant, candidates[0], pace, per_row)
    if len(candidates) > 1:
        seconds += sum(_run_seconds(entrant, settings, pace, per_row, share=SHORT) for settings in candidates)
    return Estimate(seconds=seconds, peak_bytes=pace.peak_bytes)


def _run_seconds(
    entrant: Entrant, settings: Settings, pace: Pace, per_row: float, *, share: float = 1.0, part: float = 1.0
) -> float:
    """One training with its validation scores.

    Args:
        share: of the full length. part: of the training rows.
    """
    strategy, bench = entrant.strategy, entrant.bench
    steps, scores = part * strategy.steps(bench, settings, share=share), bench.effort.evaluations(share)
    answered = len(bench.validation)
    if isinstance(bench, TextBench):  # scored by its loss, a third of a step's work; answered once at the end
        steps += round(scores * len(bench.validation) / bench.effort.batch_rows / 3)
    elif strategy.reads_train_vectors:  # scored once, by a head on the vectors of all rows
        answered += round(part * len(bench.train))
    else:
        answered += scores * len(bench.validation)
    return steps * pace.seconds_per_step + answered * per_row


def _seconds_after(entrants: Sequence[Entrant], seen: _Seen, test_rows: int, retained_texts: int) -> float:
    """Of what follows training: the test rows and retained texts of encoders, and the learning curve of what takes longest.

    What models that answer in words are asked is fitted to shares of the budget.
    """
    answering = 0.0
    for one in entrants:
        if isinstance(one.bench, EncoderBench) and one.strategy.reads_model:
            per_row, texts = seen.per_row[one.model], test_rows + (retained_texts if one.strategy.moves_weights else 0)
            answering += texts * per_row + timing_seconds(test_rows, per_row)
    curves = (
        sum(
            _run_seconds(one, one.strategy.candidates(one.bench)[0], seen.paces[one.key], seen.per_row[one.model], part=part)
            for part in CURVE_SHARES
        )
        for one in entrants
        if one.strategy.moves_weights
    )
    return answering + max(curves, default=0.0)


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


def plan_text(forecast: Forecast, entrants: Sequence[Entrant], *, budget: float) -> str:
    """The plan as it is shown before the run: an estimate of time and peak memory per strategy, of the whole, and what the budget lacks."""
    rates = "1 learning rate" if forecast.arms == 1 else f"{forecast.arms} learning rates"
    lines = [f"About {human_seconds(forecast.seconds)} in all."]
    if any(one.strategy.moves_weights for one in entrants):
        lines.append(f"Strategies that train: up to {forecast.epochs:g} epochs, {rates}, {forecast.batch_rows} rows a step.")
        if forecast.epochs < 1:
            lines.append("That is less than one pass, so what trains will look worse than it is: a larger --budget is fairer.")
    if forecast.left_out:
        lines.append(
            f"Left out, since the budget does not carry a pass, or {_LEAST_TRAINED:,} rows, of each: {', '.join(forecast.left_out)}. "
            "A larger one does, and --strategies runs what it names."
        )
    if forecast.seconds > budget:
        lines.append(
            f"The budget of {human_seconds(budget)} carries fewer strategies on this machine: name them with --strategies."
        )
    return f"{plan_table(entrants, forecast.estimates)}\n{' '.join(lines)}"
