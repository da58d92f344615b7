"""All strategies by name, in the order in which they run: what costs least comes first."""

from collections.abc import Sequence

from hone.core.errors import Usage, did_you_mean
from hone.strategy.contracts import Strategy
from hone.strategy.contrastive import Contrastive
from hone.strategy.few_shot import FewShot
from hone.strategy.head import FrozenHead
from hone.strategy.nearest import Nearest
from hone.strategy.tune import TUNED
from hone.strategy.zero_shot import ZeroShot

__all__ = ["STRATEGIES", "choose_strategies"]

_ALL: tuple[Strategy, ...] = (ZeroShot(), FewShot(), Nearest(), FrozenHead(), Contrastive(), *TUNED)
STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in _ALL}


def choose_strategies(names: Sequence[str]) -> list[Strategy]:
    """The named strategies in running order; all of them for no names.

    Raises:
        Usage: a name is not known; all unknown names are told at once.
    """
    unknown = [name for name in names if name not in STRATEGIES]
    if unknown:
        raise Usage("\n".join(f"strategy '{name}' is not known. {did_you_mean(name, STRATEGIES)}" for name in unknown))
    return [strategy for name, strategy in STRATEGIES.items() if not names or name in names]
