"""The race: every strategy finds its settings on validation rows; those that train are first run short, and what cannot win stops there.

Each finished strategy is written down at once, so that a killed comparison goes on where it was. Nothing here sees the test rows.
"""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hone.compare.effort import SHORT
from hone.compare.records import Spread
from hone.compare.report.words import percent
from hone.core.console import Bar, note, progress
from hone.core.device import peak_memory, release_memory
from hone.core.record import Record
from hone.core.store import read_errors, replace_folder, write_atomic
from hone.measure import Answers, Tokens, human_seconds
from hone.model import Precision
from hone.strategy import Bench, Entrant, Fitted, Predictor, Settings, Strategy, TextBench, load_predictor

__all__ = ["Finished", "any_trained", "race"]

LATE_GAIN = 0.10  # a short run may hide this much (measured: up to 8 points): strategies within it get their full run
_LEAST_PROMPTS = 3
_ANEW = "Remove this folder, and the same command runs the strategy again."
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
    paid: Tokens | None = None
    """By which a server was paid for all its trials; None where none was asked."""
    spread: Spread | None
    """Of the chosen prompt over wordings and orders; None where neither was varied."""
    stopped_early: str | None


@dataclass(frozen=True)
class Finished:
    """A strategy that has run: what is known of it, and its saved predictor."""

    entrant: Entrant
    outcome: Outcome
    validation: Answers
    folder: Path
    """Holds `predictor/`."""

    @property
    def strategy(self) -> Strategy[Any]:
        """The entrant's."""
        return self.entrant.strategy

    def predictor(self, precision: Precision) -> Predictor:
        """The saved predictor, read back: what is tested is what will be used."""
        return load_predictor(self.folder / "predictor", precision=precision)


@dataclass
class _Best:
    """The best fit of a strategy so far, with all its trials. Its predictor lies on disk: a second network need not stand in memory."""

    folder: Path
    trials: list[Trial]
    trial: Trial | None = None
    validation: Answers | None = None
    per_row: list[NDArray[np.float64]] = field(default_factory=list)
    """How right each validation row was in each trial."""

    def add(self, fitted: Fitted, trial: Trial, per_row: NDArray[np.float64], *, margin: float = 0.0) -> None:
        """Keep the fit when it is better by more than the margin than what is kept."""
        self.trials.append(trial)
        self.per_row.append(per_row)
        if self.trial is None or trial.score > self.trial.score + margin:
            with replace_folder(self.folder) as new:
                fitted.predictor.save(new)
            self.trial, self.validation = trial, fitted.validation


def race(entrants: Sequence[Entrant], folder: Path, *, embed_seconds: float) -> list[Finished]:
    """Run the strategies, cheapest first; finished ones are read from `folder` instead.

    Args:
        folder: `strategies/` of the run. embed_seconds: what the sentence vectors took, charged to the strategies that need them.
    """
    done = {one.key: found for one in entrants if (found := _read(one, folder / one.key)) is not None}
    if done:
        note(f"Already finished, read back: {', '.join(one.entrant.title for one in done.values())}.")
    for entrant in entrants:
        if entrant.key not in done and not entrant.strategy.moves_weights:
            extra = embed_seconds if entrant.strategy.reads_train_vectors else 0.0
            entrant.bench.charge(entrant.key)
            best = _choose(entrant, share=1.0)
            done[entrant.key] = _write(entrant, best, folder, extra=extra, paid=entrant.bench.paid(entrant.key))
            _tell(done[entrant.key])
    tuned = [entrant for entrant in entrants if entrant.strategy.moves_weights]
    shorts = _run_short(tuned, folder.parent / "work" / "short", done)
    hopeless = _hopeless(list(shorts.values()))
    for entrant in tuned:
        if entrant.key not in done:
            done[entrant.key] = _finish(entrant, shorts.get(entrant.key), hopeless.get(entrant.key), folder)
            _tell(done[entrant.key])
    return [done[entrant.key] for entrant in entrants]


def any_trained(folder: Path) -> bool:
    """Whether a strategy that trains has finished in `strategies/` of a run."""
    return any("epochs" in _read_outcome(path).chosen.settings for path in folder.glob("*/outcome.json"))


def _run_short(tuned: Sequence[Entrant], folder: Path, done: Mapping[str, Finished]) -> dict[str, Finished]:
    """A short run of every candidate of every strategy that trains; none where there is only one rate to try.

    A finished strategy takes part with the short run that is on disk, and without one (an ended comparison removes them) not at all.
    """
    shorts: dict[str, Finished] = {}
    for entrant in tuned:
        if (known := _read(entrant, folder / entrant.key)) is not None:
            shorts[entrant.key] = known
        elif entrant.key not in done and len(entrant.strategy.candidates(entrant.bench)) > 1:
            shorts[entrant.key] = _write(entrant, _choose(entrant, share=SHORT), folder)
    return shorts


def _finish(entrant: Entrant, short: Finished | None, stopped: str | None, folder: Path) -> Finished:
    """The full run with the settings that the short runs chose; or, for what cannot win, the short run as its last."""
    if short is not None and stopped is not None:
        outcome = short.outcome.model_copy(update={"stopped_early": stopped})
        with replace_folder(folder / entrant.key) as new:
            shutil.copytree(short.folder, new, dirs_exist_ok=True)
            write_atomic(new / "outcome.json", outcome.to_json())
        return Finished(entrant, outcome, short.validation, folder / entrant.key)
    best = _Best(_best_folder(entrant), trials=list(short.outcome.trials) if short else [])
    settings = short.outcome.chosen.settings if short else entrant.strategy.candidates(entrant.bench)[0]
    fitted, trial = _fit(entrant, settings, share=1.0)
    best.add(fitted, trial, entrant.bench.mark(fitted.validation).per_row)
    return _write(entrant, best, folder)


def _choose(entrant: Entrant, *, share: float) -> _Best:
    """Fit every candidate and keep the one with the best validation score; the first of equals."""
    strategy, bench = entrant.strategy, entrant.bench
    best = _Best(_best_folder(entrant), trials=[])
    candidates = strategy.candidates(bench)
    steps = sum(strategy.steps(bench, settings, share=share) for settings in candidates)
    title = f"{entrant.title}, short runs" if strategy.moves_weights else entrant.title
    with progress(title, max(steps, len(candidates))) as bar:
        for settings in candidates:
            fitted, trial = _fit(entrant, settings, share=share, bar=bar if steps else None)
            per_row = bench.mark(fitted.validation).per_row
            best.add(fitted, trial, per_row, margin=_noise(bench, per_row, best) if share < 1 else 0.0)
            if not steps:
                bar.advance()
    return best


def _fit(entrant: Entrant, settings: Settings, *, share: float, bar: Bar | None = None) -> tuple[Fitted, Trial]:
    strategy, bench = entrant.strategy, entrant.bench
    # What only does arithmetic on vectors leaves nothing behind, and each sweep takes a fifth of a second.
    if strategy.moves_weights:
        release_memory()
    started, spared = time.perf_counter(), bench.spared_seconds()
    with peak_memory(bench.device) as peak:
        if bar is None and strategy.moves_weights:
            with progress(entrant.title, strategy.steps(bench, settings, share=share)) as own:
                fitted = strategy.fit(bench, settings, share=share, bar=own)
        else:
            fitted = strategy.fit(bench, settings, share=share, bar=bar)
    trial = Trial(
        settings=dict(settings),
        share=share,
        score=fitted.score,
        seconds=time.perf_counter() - started + bench.spared_seconds() - spared,
        peak_bytes=peak.bytes,
        trainable_parameters=fitted.trainable_parameters,
        note=fitted.note,
    )
    return fitted, trial


def _noise(bench: Bench, per_row: NDArray[np.float64], best: _Best) -> float:
    """Standard error of the difference to the best so far, row by row; candidates stand in order of belief.

    A short run favours high learning rates, which a full run does not need: to overtake, one must lead by more than chance.
    """
    if best.validation is None:
        return 0.0
    return float((per_row - bench.mark(best.validation).per_row).std() / np.sqrt(len(per_row)))


def _spread(best: _Best) -> Spread | None:
    """How the score moves with the wording and the order of the examples alone.

    A score of few rows would move by chance, too: of the variance of the scores only what rows and prompts do not explain together is
    the prompts' own (two-way random effects).
    """
    chosen = best.trial
    if chosen is None or not {"template", "order"} & set(chosen.settings):
        return None
    fixed = {name: value for name, value in chosen.settings.items() if name not in ("template", "order")}
    alike = [
        at
        for at, trial in enumerate(best.trials)
        if {name: value for name, value in trial.settings.items() if name not in ("template", "order")} == fixed
    ]
    if len(alike) < _LEAST_PROMPTS:
        return None
    table = np.stack([best.per_row[at] for at in alike])  # [prompts, rows]
    rows = table.shape[1]
    between, within = table.mean(axis=1).var(ddof=1), table.var(axis=0, ddof=1).mean()
    own = max(0.0, (rows * between - within) / max(rows - 1, 1))
    scores = [best.trials[at].score for at in alike]
    return Spread(n=len(alike), low=min(scores), high=max(scores), sd=float(np.sqrt(own)))


def _best_folder(entrant: Entrant) -> Path:
    return entrant.bench.work / f"{entrant.key}-best"


def _hopeless(shorts: Sequence[Finished]) -> dict[str, str]:
    """Strategies that even a generous late gain would leave behind the leader, with the reason; all were run equally short."""
    if len(shorts) < 2:
        return {}
    leader = max(shorts, key=lambda short: short.outcome.chosen.score)
    reasons = {}
    for short in shorts:
        bench = short.entrant.bench
        seed = bench.seed_for("hopeless", short.strategy.name)
        gap = bench.mark(short.validation).minus(bench.mark(leader.validation), level=_LEVEL, seed=seed)
        if short is not leader and gap.high < -LATE_GAIN:
            reasons[short.entrant.key] = (
                f"After {SHORT:.0%} of the training it had {percent(short.outcome.chosen.score)} on the validation rows against "
                f"{percent(leader.outcome.chosen.score)} ({leader.entrant.title}); with {_LEVEL:.0%} confidence it was at least "
                f"{-100 * gap.high:.0f} points behind, more than the {100 * LATE_GAIN:.0f} that longer training may bring."
            )
    return reasons


def _write(entrant: Entrant, best: _Best, folder: Path, *, extra: float = 0.0, paid: Tokens | None = None) -> Finished:
    assert best.validation is not None and best.trial is not None
    peaks = [trial.peak_bytes for trial in best.trials if trial.peak_bytes is not None]
    outcome = Outcome(
        chosen=best.trial,
        seconds=extra + sum(trial.seconds for trial in best.trials),
        peak_bytes=max(peaks, default=None),
        trials=tuple(best.trials),
        paid=paid,
        spread=_spread(best) if isinstance(entrant.bench, TextBench) else None,
        stopped_early=None,
    )
    with replace_folder(folder / entrant.key) as new:
        best.folder.rename(new / "predictor")
        _save_answers(best.validation, new)
        write_atomic(new / "outcome.json", outcome.to_json())
    return Finished(entrant, outcome, best.validation, folder / entrant.key)


def _tell(finished: Finished) -> None:
    outcome = finished.outcome
    if outcome.stopped_early:
        note(f"  {finished.entrant.title}: stopped early. {outcome.stopped_early}")
        return
    settings = ", ".join(f"{name} {value}" for name, value in outcome.chosen.settings.items())
    took = human_seconds(outcome.seconds)
    note(
        f"  {finished.entrant.title}: {percent(outcome.chosen.score)} on validation rows, {took} ({settings}). {outcome.chosen.note}".rstrip()
    )


def _read(entrant: Entrant, folder: Path) -> Finished | None:
    path = folder / "outcome.json"
    if not path.is_file():
        return None
    with read_errors(folder, cure=_ANEW):
        return Finished(entrant, _read_outcome(path), _load_answers(folder), folder)


def _read_outcome(path: Path) -> Outcome:
    with read_errors(path.parent, cure=_ANEW):  # the folder goes, not this file alone
        return Outcome.model_validate_json(path.read_text(encoding="utf-8"))


def _save_answers(answers: Answers, folder: Path) -> None:
    """Probabilities as safetensors, texts as JSON."""
    if isinstance(answers, tuple):
        write_atomic(folder / "validation.json", json.dumps(answers, ensure_ascii=False))
        return
    from safetensors.numpy import save_file

    save_file({"probabilities": answers}, folder / "validation.safetensors")


def _load_answers(folder: Path) -> Answers:
    if (folder / "validation.json").is_file():
        return tuple(json.loads((folder / "validation.json").read_text(encoding="utf-8")))
    from safetensors.numpy import load_file

    found: Answers = load_file(folder / "validation.safetensors")["probabilities"]
    return found
