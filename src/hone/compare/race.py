"""The race: every strategy finds its settings on validation rows; those that train are first run short, and what cannot win stops there.

Each finished strategy is written down at once, so that a killed comparison goes on where it was. Nothing here sees the test rows.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hone.compare.effort import SHORT
from hone.core.console import Bar, note, progress
from hone.core.device import peak_memory, release_memory
from hone.core.record import Record
from hone.core.store import replace_folder, write_atomic
from hone.measure import human_seconds, paired_confusion_interval
from hone.model import Precision
from hone.strategy import Bench, Fitted, Predictor, Settings, Strategy, load_predictor

__all__ = ["Finished", "race"]

LATE_GAIN = 0.10  # a short run may hide this much (measured: up to 8 points): strategies within it get their full run
_LEVEL = 0.98  # coverage of the interval by which a strategy is stopped: about 1% wrongly stopped at one side


class Trial(Record):
    """One fit: which settings at which length, and how it did on the validation rows."""

    settings: dict[str, str | float | int]
    share: float
    score: float
    seconds: float
    peak_bytes: int | None
    trainable_parameters: int
    note: str


class Outcome(Record):
    """`outcome.json` of a strategy: its chosen trial, what it took in all, and whether it was stopped early."""

    chosen: Trial
    seconds: float
    """All its trials."""
    peak_bytes: int | None
    trials: tuple[Trial, ...]
    stopped_early: str | None


@dataclass(frozen=True)
class Finished:
    """A strategy that has run: what is known of it, and its saved predictor."""

    strategy: Strategy
    outcome: Outcome
    validation: NDArray[np.float64]
    folder: Path
    """Holds `predictor/`."""

    def predictor(self, precision: Precision) -> Predictor:
        """The saved predictor, read back: what is tested is what will be used."""
        return load_predictor(self.folder / "predictor", precision=precision)


@dataclass
class _Best:
    """The best fit of a strategy so far, with all its trials. Its predictor lies on disk: a second network need not stand in memory."""

    folder: Path
    trials: list[Trial]
    trial: Trial | None = None
    validation: NDArray[np.float64] | None = None

    def add(self, fitted: Fitted, trial: Trial, *, margin: float = 0.0) -> None:
        """Keep the fit when it is better by more than the margin than what is kept."""
        self.trials.append(trial)
        if self.trial is None or trial.score > self.trial.score + margin:
            with replace_folder(self.folder) as new:
                fitted.predictor.save(new)
            self.trial, self.validation = trial, fitted.validation


def race(bench: Bench, strategies: Sequence[Strategy], folder: Path, *, embed_seconds: float) -> list[Finished]:
    """Run the strategies, cheapest first; finished ones are read from `folder` instead.

    Args:
        folder: `strategies/` of the run. embed_seconds: what the sentence vectors took, charged to the strategies that need them.
    """
    done = {s.name: found for s in strategies if (found := _read(s, folder / s.name)) is not None}
    if done:
        note(f"Already finished, read back: {', '.join(one.strategy.title for one in done.values())}.")
    for strategy in strategies:
        if strategy.name not in done and not strategy.moves_weights:
            extra = embed_seconds if strategy.reads_train_vectors else 0.0
            done[strategy.name] = _write(strategy, _choose(bench, strategy, share=1.0), folder, extra=extra)
            _tell(done[strategy.name])
    tuned = [strategy for strategy in strategies if strategy.moves_weights]
    shorts = _run_short(bench, tuned, bench.work / "short", done)
    hopeless = _hopeless(bench, list(shorts.values()))
    for strategy in tuned:
        if strategy.name not in done:
            done[strategy.name] = _finish(bench, strategy, shorts.get(strategy.name), hopeless.get(strategy.name), folder)
            _tell(done[strategy.name])
    return [done[strategy.name] for strategy in strategies]


def _run_short(bench: Bench, tuned: Sequence[Strategy], folder: Path, done: Mapping[str, Finished]) -> dict[str, Finished]:
    """A short run of every candidate of every strategy that trains; none where there is only one rate to try.

    A finished strategy takes part with the short run that is on disk, and without one (an ended comparison removes them) not at all.
    """
    shorts: dict[str, Finished] = {}
    for strategy in tuned:
        if (known := _read(strategy, folder / strategy.name)) is not None:
            shorts[strategy.name] = known
        elif strategy.name not in done and len(strategy.candidates(bench)) > 1:
            shorts[strategy.name] = _write(strategy, _choose(bench, strategy, share=SHORT), folder)
    return shorts


def _finish(bench: Bench, strategy: Strategy, short: Finished | None, stopped: str | None, folder: Path) -> Finished:
    """The full run with the settings that the short runs chose; or, for what cannot win, the short run as its last."""
    if short is not None and stopped is not None:
        outcome = short.outcome.model_copy(update={"stopped_early": stopped})
        with replace_folder(folder / strategy.name) as new:
            shutil.copytree(short.folder, new, dirs_exist_ok=True)
            write_atomic(new / "outcome.json", outcome.to_json())
        return Finished(strategy, outcome, short.validation, folder / strategy.name)
    best = _Best(_best_folder(bench, strategy), trials=list(short.outcome.trials) if short else [])
    settings = short.outcome.chosen.settings if short else strategy.candidates(bench)[0]
    best.add(*_fit(bench, strategy, settings, share=1.0))
    return _write(strategy, best, folder)


def _choose(bench: Bench, strategy: Strategy, *, share: float) -> _Best:
    """Fit every candidate and keep the one with the best validation score; the first of equals."""
    best = _Best(_best_folder(bench, strategy), trials=[])
    candidates = strategy.candidates(bench)
    steps = sum(strategy.steps(bench, settings, share=share) for settings in candidates)
    title = f"{strategy.title}, short runs" if strategy.moves_weights else strategy.title
    with progress(title, max(steps, len(candidates))) as bar:
        for settings in candidates:
            fitted, trial = _fit(bench, strategy, settings, share=share, bar=bar if steps else None)
            best.add(fitted, trial, margin=_noise(bench, fitted, best) if share < 1 else 0.0)
            if not steps:
                bar.advance()
    return best


def _fit(bench: Bench, strategy: Strategy, settings: Settings, *, share: float, bar: Bar | None = None) -> tuple[Fitted, Trial]:
    # What only does arithmetic on vectors leaves nothing behind, and each sweep takes a fifth of a second.
    if strategy.moves_weights:
        release_memory()
    started = time.perf_counter()
    with peak_memory(bench.encoder.reader.device) as peak:
        if bar is None and strategy.moves_weights:
            with progress(strategy.title, strategy.steps(bench, settings, share=share)) as own:
                fitted = strategy.fit(bench, settings, share=share, bar=own)
        else:
            fitted = strategy.fit(bench, settings, share=share, bar=bar)
    trial = Trial(
        settings=dict(settings),
        share=share,
        score=fitted.score,
        seconds=time.perf_counter() - started,
        peak_bytes=peak.bytes,
        trainable_parameters=fitted.trainable_parameters,
        note=fitted.note,
    )
    return fitted, trial


def _noise(bench: Bench, fitted: Fitted, best: _Best) -> float:
    """Standard error of the difference in accuracy to the best so far; candidates stand in order of belief.

    A short run favours high learning rates, which a full run does not need: to overtake, one must lead by more than chance.
    """
    if best.validation is None:
        return 0.0
    right, other = (bench.is_right(answers).astype(np.float64) for answers in (fitted.validation, best.validation))
    return float((right - other).std() / np.sqrt(len(right)))


def _best_folder(bench: Bench, strategy: Strategy) -> Path:
    return bench.work / f"{strategy.name}-best"


def _hopeless(bench: Bench, shorts: Sequence[Finished]) -> dict[str, str]:
    """Strategies that even a generous late gain would leave behind the leader, with the reason; all were run equally short."""
    if len(shorts) < 2:
        return {}
    leader = max(shorts, key=lambda short: short.outcome.chosen.score)
    reasons = {}
    for short in shorts:
        gap = paired_confusion_interval(
            bench.validation_targets,
            short.validation.argmax(axis=1),
            leader.validation.argmax(axis=1),
            classes=len(bench.labels),
            metric=bench.metric,
            level=_LEVEL,
            seed=bench.seed_for("hopeless", short.strategy.name),
        )
        if short is not leader and gap.high < -LATE_GAIN:
            reasons[short.strategy.name] = (
                f"After {SHORT:.0%} of the training it had {short.outcome.chosen.score:.1%} on the validation rows against "
                f"{leader.outcome.chosen.score:.1%} ({leader.strategy.title}); with {_LEVEL:.0%} confidence it was at least "
                f"{-100 * gap.high:.0f} points behind, more than the {100 * LATE_GAIN:.0f} that longer training may bring."
            )
    return reasons


def _write(strategy: Strategy, best: _Best, folder: Path, *, extra: float = 0.0) -> Finished:
    assert best.validation is not None and best.trial is not None
    peaks = [trial.peak_bytes for trial in best.trials if trial.peak_bytes is not None]
    outcome = Outcome(
        chosen=best.trial,
        seconds=extra + sum(trial.seconds for trial in best.trials),
        peak_bytes=max(peaks, default=None),
        trials=tuple(best.trials),
        stopped_early=None,
    )
    from safetensors.numpy import save_file

    with replace_folder(folder / strategy.name) as new:
        best.folder.rename(new / "predictor")
        save_file({"probabilities": best.validation}, new / "validation.safetensors")
        write_atomic(new / "outcome.json", outcome.to_json())
    return Finished(strategy, outcome, best.validation, folder / strategy.name)


def _tell(finished: Finished) -> None:
    outcome = finished.outcome
    if outcome.stopped_early:
        note(f"  {finished.strategy.title}: stopped early. {outcome.stopped_early}")
        return
    settings = ", ".join(f"{name} {value}" for name, value in outcome.chosen.settings.items())
    took = human_seconds(outcome.seconds)
    note(
        f"  {finished.strategy.title}: {outcome.chosen.score:.1%} on validation rows, {took} ({settings}). {outcome.chosen.note}".rstrip()
    )


def _read(strategy: Strategy, folder: Path) -> Finished | None:
    path = folder / "outcome.json"
    if not path.is_file():
        return None
    from safetensors.numpy import load_file

    outcome = Outcome.model_validate_json(path.read_text(encoding="utf-8"))
    return Finished(strategy, outcome, load_file(folder / "validation.safetensors")["probabilities"], folder)
