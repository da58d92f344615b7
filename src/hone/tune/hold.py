"""What holds a run back from its base: a penalty on how far it moves, or self-replay on samples of the base."""

from pathlib import Path
from typing import NamedTuple

from hone.core.errors import Usage
from hone.core.seeds import derive_seed
from hone.evaluate import earlier_prompts
from hone.model import HeadedNetwork, LanguageModel, Seq2SeqModel
from hone.train import OwnVectors, Regulariser, SelfReplay, draw_own_samples, make_regulariser
from hone.tune.ready import Ready
from hone.tune.watch import can_be_watched

__all__ = ["FewHeld", "hold", "hold_few"]

_LEAST_SAMPLES, _MOST_SAMPLES = 64, 1000  # of self-replay: more than the steps will show are drawn in vain
_FEW = 16  # for a rehearsal
_NATS_PER_LOSS = 1.0  # of divergence for which a pilot lost everything, in proportion: .1 lost 11%, .03 lost 0.5%


class FewHeld(NamedTuple):
    """What a rehearsal is held by: as much work in each step as in the run, from fewer samples."""

    regulariser: Regulariser | None
    share: float
    """Of the samples of the run."""

    @property
    def bytes_to_come(self) -> int:
        """What the run's regulariser holds beyond this one's, which has started."""
        return round(self.regulariser.bytes * (1 / self.share - 1)) if self.regulariser else 0


def hold(ready: Ready) -> Regulariser | None:
    """The regulariser that the settings ask for.

    Raises:
        Usage: they ask for two, or for samples of a model that writes none.
    """
    return _make(ready, _samples(ready))


def hold_few(ready: Ready) -> FewHeld:
    """The same for a rehearsal of a few steps.

    Raises:
        Usage: as `hold` does.
    """
    whole = _samples(ready)
    few = min(whole, max(_FEW, ready.settings.remember_rows))
    return FewHeld(_make(ready, few), few / whole if ready.settings.remember == "self" else 1.0)


def _samples(ready: Ready) -> int:
    """Of the run's self-replay: texts that the base writes, or those of the rows where it writes none."""
    settings = ready.settings
    if isinstance(ready.net, HeadedNetwork):
        return len(ready.rows.train)
    return settings.own_samples or min(_MOST_SAMPLES, max(_LEAST_SAMPLES, ready.plan.steps * settings.remember_rows))


def _make(ready: Ready, samples: int) -> Regulariser | None:
    settings, net, reader = ready.settings, ready.net, ready.reader
    if settings.remember == "none":
        return make_regulariser(settings.hold, settings.hold_strength)
    if settings.hold != "none":
        raise Usage(f"--remember self and --hold {settings.hold} both hold training back. Choose one.")
    rows, strength = settings.remember_rows, settings.remember_strength
    if isinstance(net, HeadedNetwork):
        return OwnVectors([item.ids for item in ready.rows.train[:samples]], reader, rows=rows, strength=strength)
    if not can_be_watched(net):
        raise Usage(
            "--remember self has the model write samples of its own, and this one fills masks. Use --hold l2sp, or --remember replay:FILE."
        )
    assert isinstance(net, LanguageModel | Seq2SeqModel)
    seed, prompts = derive_seed(settings.seed, "self-replay"), earlier_prompts(Path(settings.model))
    own = draw_own_samples(net, reader, count=samples, seed=seed, prompts=prompts)
    if not own:
        raise Usage("The base writes nothing of itself, so it cannot hold itself to it. Use --remember replay:FILE.")
    target = None if settings.may_lose is None else settings.may_lose * _NATS_PER_LOSS
    return SelfReplay(ready.objective, own, reader, rows=rows, strength=strength, target=target)
