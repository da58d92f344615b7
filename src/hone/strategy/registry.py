"""All strategies by name, in the order in which they run: what costs least comes first."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hone.core.errors import Usage, did_you_mean
from hone.strategy.bench import EncoderBench
from hone.strategy.contracts import Strategy
from hone.strategy.contrastive import Contrastive
from hone.strategy.few_shot import FewShot
from hone.strategy.head import FrozenHead
from hone.strategy.nearest import Nearest
from hone.strategy.plain import AlwaysSame, CommonestTag
from hone.strategy.text import TEXT_STRATEGIES, Lead
from hone.strategy.tune import TUNED, TUNED_HEAD
from hone.strategy.vector_heads import FrozenMap, NearestMean
from hone.strategy.zero_shot import ZeroShot
from hone.task import TaskKind

__all__ = ["STRATEGIES", "check_names", "choose_strategies", "encoder_strategies"]

_ALL: tuple[Strategy[EncoderBench], ...] = (ZeroShot(), FewShot(), Nearest(), FrozenHead(), Contrastive(), *TUNED)
STRATEGIES: dict[str, Strategy[EncoderBench]] = {strategy.name: strategy for strategy in _ALL}
"""Of encoders that sort texts into classes."""

_HEADS: dict[TaskKind, tuple[Strategy[EncoderBench], ...]] = {
    "regression": (AlwaysSame(), NearestMean(), FrozenMap(), *TUNED),
    "multi-label-classification": (AlwaysSame(), NearestMean(), FrozenMap(), *TUNED),
    "token-classification": (CommonestTag(), TUNED_HEAD, *TUNED),
    "question-answering": (Lead(), TUNED_HEAD, *TUNED),
}


def encoder_strategies(kind: TaskKind) -> dict[str, Strategy[EncoderBench]]:
    """All ways to answer rows of a kind with an encoder; none where answers are written."""
    return STRATEGIES if kind == "text-classification" else {one.name: one for one in _HEADS.get(kind, ())}


S = TypeVar("S", bound=Strategy[Any])


def check_names(names: Sequence[str]) -> None:
    """
    Raises:
        Usage: a name is that of no strategy of any family; all unknown names are told at once.
    """
    known = {**STRATEGIES, **TEXT_STRATEGIES, **{one.name: one for ways in _HEADS.values() for one in ways}}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Usage("\n".join(f"strategy '{name}' is not known. {did_you_mean(name, known)}" for name in unknown))


def choose_strategies(names: Sequence[str], known: Mapping[str, S]) -> list[S]:
    """The named ones in running order, as far as they are known; all of them that run by default for no names."""
    return [strategy for name, strategy in known.items() if name in names or (not names and strategy.by_default)]
