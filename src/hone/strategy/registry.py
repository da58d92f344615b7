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
from hone.strategy.text import TEXT_STRATEGIES
from hone.strategy.tune import TUNED
from hone.strategy.zero_shot import ZeroShot

__all__ = ["STRATEGIES", "check_names", "choose_strategies"]

_ALL: tuple[Strategy[EncoderBench], ...] = (ZeroShot(), FewShot(), Nearest(), FrozenHead(), Contrastive(), *TUNED)
STRATEGIES: dict[str, Strategy[EncoderBench]] = {strategy.name: strategy for strategy in _ALL}
"""Of encoders."""

S = TypeVar("S", bound=Strategy[Any])


def check_names(names: Sequence[str]) -> None:
    """
    Raises:
        Usage: a name is that of no strategy of any family; all unknown names are told at once.
    """
    known = {**STRATEGIES, **TEXT_STRATEGIES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Usage("\n".join(f"strategy '{name}' is not known. {did_you_mean(name, known)}" for name in unknown))


def choose_strategies(names: Sequence[str], known: Mapping[str, S]) -> list[S]:
    """The named ones in running order, as far as they are known; all of them that run by default for no names."""
    return [strategy for name, strategy in known.items() if name in names or (not names and strategy.by_default)]
