"""The promise of a budget: what was learnt is turned down to the highest position whose loss on items held back is proven to keep it.

An encoder's head was made for all that was learnt; below a dial that was turned down it is trained anew, which changes no sentence vector.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hone.core.console import note
from hone.core.errors import Usage
from hone.core.seeds import derive_seed
from hone.measure import Certificate, certify, items_needed
from hone.model import HeadedNetwork, Network
from hone.train import Dial, Measured, StartingPoint, fit, is_head, trained_parameters
from hone.tune.ready import Ready
from hone.tune.settings import TuneSettings

__all__ = ["fit_head_anew", "halves", "keep_promise", "require_items"]

_POSITIONS = tuple(step / 10 for step in range(11))
_HEAD_PASSES = 4  # over the rows; in each of them what the frozen blocks make of the rows is read, not computed


def halves(items: int, *, task: str, seed: int) -> tuple[list[int], list[int]]:
    """The items of a task to report on, and those to choose the dial on."""
    order = np.random.default_rng(derive_seed(seed, "promise", task)).permutation(items)
    return sorted(order[: items // 2].tolist()), sorted(order[items // 2 :].tolist())


def require_items(have: int, settings: TuneSettings) -> None:
    """Nothing, where so many items held back can certify the budget.

    Raises:
        Usage: they cannot; the message says how many it takes.
    """
    assert settings.may_lose is not None
    need = items_needed(settings.may_lose, settings.confidence)
    if have < need:
        raise Usage(
            f"To promise that at most {settings.may_lose:.2%} is lost, with {settings.confidence:.0%} confidence, takes {need} items held back, and "
            f"half of the retained items are {have}. Name more with --retain, or allow a larger --may-lose."
        )


def keep_promise(
    net: Network, start: StartingPoint, settings: TuneSettings, lost: Callable[[str], npt.NDArray[np.bool_]]
) -> Certificate:
    """Turn the dial to the highest position whose loss on the items held back is proven to keep the budget, and leave it there.

    Args:
        start: what moves, before the first step. lost: whether each item held back was right before and is wrong now, [n]; its argument is a title.
    Raises:
        Usage: what was learnt has no dial.
    """
    assert settings.may_lose is not None
    dial = Dial(net, start)
    losses: dict[float, np.ndarray] = {}
    for position in _POSITIONS:
        dial.turn(position)
        losses[position] = lost(f"Dial at {position:.1f}").astype(float)
        if position and certify(losses, budget=settings.may_lose, confidence=settings.confidence).stopped_at is not None:
            break
    found = certify(losses, budget=settings.may_lose, confidence=settings.confidence)
    dial.turn(found.dial)
    note(
        f"Promise: at most {found.budget:.2%} lost, with {found.confidence:.0%} confidence, on {found.items} items held back: "
        f"the dial stands at {found.dial:.1f}."
    )
    return found


def fit_head_anew(ready: Ready) -> Measured | None:
    """Train the head alone, from where it stands, on what the network makes of the rows now; kept where the validation loss is lower for it.

    Returns:
        What is measured on the validation rows with the head that stays, where any score was asked for.
    """
    net, plan = ready.net, ready.plan
    assert isinstance(net, HeadedNetwork)
    head = {name: value.clone() for name, value in net.classifier.state_dict().items()}
    others = [one for name, one in trained_parameters(net).items() if not is_head(name)]
    before = ready.measure()
    steps = min(plan.steps, math.ceil(_HEAD_PASSES * len(ready.rows.train) / plan.batch_rows))
    for one in others:
        one.requires_grad_(False)
    try:
        fit(
            net,
            ready.rows.train,
            plan=plan.model_copy(update={"steps": steps, "evaluations": 0}),
            objective=ready.objective,
            mixture=ready.mixture,
        )
    finally:
        for one in others:
            one.requires_grad_(True)
    after = ready.measure()
    if before is None or after is None:
        return after
    is_kept = after.loss < before.loss
    end = "kept" if is_kept else "left as it was"
    note(f"The head trained anew for that: validation loss {before.loss:.4f} before, {after.loss:.4f} after; {end}.")
    if is_kept:
        return after
    net.classifier.load_state_dict(head)
    return before
