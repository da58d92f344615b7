"""How far may what was learnt be turned up, if at most so much may be lost elsewhere, with a promised confidence?

The dial runs from 0, which is the base, upward. Each setting's paired losses on held-out items are tested in that order, and the
first that is not proven safe ends the walk (Learn then Test): one ordered path needs no correction for the number of settings,
and the losses need not grow with the dial. The promise holds for items like those given; report the loss on other items.
"""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from hone.core.errors import BadData, NotEnough, Usage, did_you_mean
from hone.core.record import Record

__all__ = ["Certificate", "DialTest", "LossTest", "certify", "items_needed", "naive_choice"]

FloatArray = npt.NDArray[np.float64]

LossTest = Literal["binomial", "betting"]
_TESTS = ("binomial", "betting")

_SLACK = 1e-12
"""1 - 0.9 is a hair below 0.1: without this a p value of exactly 0.1 would fail at 90%."""


class DialTest(Record):
    """What one setting of the dial lost, and whether it passed."""

    dial: float
    lost: int
    """Items with a loss above 0: right before, wrong after."""
    gained: int
    """Items with a loss below 0; only the betting test knows them."""
    mean_loss: float
    upper_bound: float
    """The loss lies below this with the confidence asked for, were this setting the only one looked at."""
    smallest_budget: float
    """The smallest budget for which this setting would have been reached. To plan the next run with: a budget that is chosen
    after a look at these promises nothing."""
    p_value: float | None
    """Chance of losses this low if the budget were overspent; None for settings behind the end of the walk."""
    is_certified: bool


class Certificate(Record):
    """The highest setting that is proven to keep the budget. Whichever losses are true, it overspends with a probability of at most
    1 - confidence."""

    dial: float
    """0 where no setting passed: that is the base, which loses nothing."""
    budget: float
    """The mean loss per item that is allowed."""
    confidence: float
    test: LossTest
    items: int
    mean_loss: float
    """As measured at the chosen setting, on the items that chose it: for a fair number measure other items."""
    upper_bound: float
    """Of the loss at the chosen setting, at most the budget; see `DialTest.upper_bound`."""
    tests: tuple[DialTest, ...]
    """All settings above 0, ascending."""

    @property
    def stopped_at(self) -> float | None:
        """The first setting that did not pass; None where all did."""
        return next((each.dial for each in self.tests if not each.is_certified), None)


def _share(value: float, name: str, example: str) -> float:
    if not 0 < value < 1:
        raise Usage(f"{name} is {value:g}, but it is a share between 0 and 1, both excluded. Give for example {example}.")
    return float(value)


def _known_test(test: str) -> None:
    if test not in _TESTS:
        raise Usage(f"The test '{test}' is not known. {did_you_mean(test, _TESTS)}")


def items_needed(budget: float, confidence: float, *, test: LossTest = "binomial") -> int:
    """The fewest items that can prove the budget kept: as many as it takes when not one of them is lost.

    For the binomial test the smallest n with (1 - budget)^n <= 1 - confidence; betting needs about a tenth more, since it does not
    stake all it has on no loss at all. Where losses are seen, more are needed.

    Raises:
        Usage: budget or confidence outside (0, 1), or an unknown test.
    """
    allowed, level = _share(budget, "budget", "0.01 (one item in a hundred)"), 1 - _share(confidence, "confidence", "0.9")
    _known_test(test)
    fewest = max(1, math.ceil(math.log(level + _SLACK) / math.log(1 - allowed) - 1e-9))
    if test == "binomial":
        return fewest
    enough = fewest
    while not _passes(np.zeros(enough), allowed, level):
        enough *= 2
    while enough > fewest:
        middle = (fewest + enough) // 2
        if _passes(np.zeros(middle), allowed, level):
            enough = middle
        else:
            fewest = middle + 1
    return enough


def _passes(losses: FloatArray, budget: float, level: float) -> bool:
    return _betting_p(losses, budget, level) <= level + _SLACK


def _betting_p(losses: FloatArray, budget: float, level: float) -> float:
    """p value for "the mean loss is at least the budget", from the wealth of gamblers who bet against it.

    A gambler's wealth is the product of 1 + bet * (budget - loss) over the items: on average at most 1 if the budget is overspent, so
    that it reaches 1 / level with probability at most `level` (Markov). Each of several bets is the best for one spread of the losses,
    from the least that the budget allows, doubling to 1; half of the money goes to the first, a quarter to the next, and so on.

    The bets are set beforehand and the wealth is counted at the end. Bets that follow the items, and the highest wealth on the
    way, find more in independent draws; but with items in fixed numbers from several tasks they break the promise where the one
    bad task comes late. A fixed bet's wealth averages at most 1 there too, a product being largest where the tasks are alike;
    and the order of the items changes nothing.

    Args:
        losses: in -1..1, [n].
    Source: Waudby-Smith and Ramdas 2023, https://arxiv.org/abs/2010.09686: the capital process, the bet for a fixed n, and mixtures
    """
    cells, counts = np.unique(losses, return_counts=True)
    return float(_betting_p_values(cells, counts, np.asarray([budget]), level)[0])


def _betting_p_values(cells: FloatArray, counts: npt.NDArray[np.int64], budgets: FloatArray, level: float) -> FloatArray:
    """`_betting_p` at each of several budgets, [G], for distinct losses and how often each occurs, [K]."""
    last = np.ceil(np.log2(1 / budgets))[:, None]  # the doubling that reaches 1, [G, 1]
    doublings = np.arange(int(last.max()) + 1)
    money = np.where(doublings <= last, 0.5 ** (doublings + 1), 0.0)  # [G, bets]
    spreads = np.minimum(1.0, budgets[:, None] * 2.0**doublings)
    # A larger bet would leave a debt where an item is lost.
    bets = np.minimum(np.sqrt(2 * math.log(1 / level) / (counts.sum() * spreads)), 1 / (1 - budgets[:, None]))
    growth, block = np.empty_like(bets), max(1, 1_000_000 // (bets.shape[1] * len(cells)))
    with np.errstate(divide="ignore"):  # whoever staked all and lost has the logarithm -inf
        for start in range(0, len(budgets), block):
            part = slice(start, start + block)
            factors = 1 + bets[part, :, None] * (budgets[part, None, None] - cells)  # [block, bets, K]
            growth[part] = np.log(np.maximum(0.0, factors)) @ counts.astype(np.float64)
        # Cut at e^700, which is proof enough, so that the sum stays finite.
        wealth = (money * np.exp(np.minimum(700.0, growth))).sum(axis=1) / money.sum(axis=1)
        return np.asarray(np.minimum(1.0, 1 / wealth))


def _betting_bound(losses: FloatArray, level: float) -> float:
    """The smallest budget at which the betting test passes, as it does at all larger ones looked at; to a hundredth of itself."""
    cells, counts = np.unique(losses, return_counts=True)
    high = 1 - 1e-6
    # The second fills one step of the first, a factor of 0.7906.
    for steps in (np.geomspace(1, 1e-5, 50), np.geomspace(1, 0.79, 26)):
        budgets = high * steps
        failed = np.flatnonzero(_betting_p_values(cells, counts, budgets, level) > level + _SLACK)
        if failed.size and failed[0] == 0:
            return 1.0
        high = float(budgets[failed[0] - 1 if failed.size else -1])
    return high


def _binomial_p(lost: int, items: int, budget: float) -> float:
    from scipy.stats import binom

    return float(binom.cdf(lost, items, budget))


def _binomial_bound(lost: int, items: int, level: float) -> float:
    """Clopper and Pearson 1934, one-sided: the smallest budget at which the exact binomial test passes."""
    from scipy.stats import beta

    return 1.0 if lost == items else float(beta.ppf(1 - level, lost + 1, items - lost))


def _checked(losses: Mapping[float, npt.ArrayLike], *, lowest: float, test: str) -> dict[float, FloatArray]:
    """The settings above 0, ascending, each with its losses [n]."""
    found: dict[float, FloatArray] = {}
    for dial in sorted(losses):
        values = np.asarray(losses[dial], dtype=np.float64)
        assert values.ndim == 1, f"expected one loss per item, got shape {values.shape}"
        if not 0 <= dial < math.inf:
            raise BadData(f"The dial is set to {dial:g}, but 0 is the base and what was learnt is turned up from there.")
        odd = np.flatnonzero(~((values >= lowest) & (values <= 1)))
        if odd.size or (test == "binomial" and not bool(((values == 0) | (values == 1)).all())):
            range_known = "0 (kept) or 1 (right before, wrong after). Partial losses and gains need test='betting'"
            place = int(odd[0]) if odd.size else int(np.flatnonzero((values != 0) & (values != 1))[0])
            raise BadData(
                f"Dial {dial:g}, item {place + 1}: the loss is {values[place]:g}, but the {test} test takes "
                + (f"{range_known}." if test == "binomial" else "losses from -1 (gained) to 1 (lost). Clip or scale them.")
            )
        found[float(dial)] = values
    sizes = {values.size for values in found.values()}
    if len(sizes) > 1:
        raise BadData(
            f"The settings of the dial have {min(sizes)} to {max(sizes)} losses. Measure every setting on the same items."
        )
    if 0.0 in found and bool(found.pop(0.0).any()):
        raise BadData("At dial 0 some items are lost or gained, but dial 0 is the base itself. Evaluate both the same way.")
    if not found:
        raise NotEnough("There is no setting of the dial above 0 to certify. Give the losses of at least one.")
    return found


def _walk(found: Mapping[float, FloatArray], *, budget: float, level: float, test: LossTest) -> tuple[DialTest, ...]:
    """Test the settings in ascending order; none is certified after the first that fails."""
    is_walking, reached, tests = True, 0.0, []
    for dial, values in found.items():
        lost, gained = int((values > 0).sum()), int((values < 0).sum())
        if test == "binomial":
            p_value, bound = _binomial_p(lost, values.size, budget), _binomial_bound(lost, values.size, level)
        else:
            p_value, bound = _betting_p(values, budget, level), _betting_bound(values, level)
        is_passed = p_value <= level + _SLACK
        bound = min(bound, budget) if is_passed else bound  # the bound is rounded up, and what passes is below the budget
        reached, is_certified = max(reached, bound), is_walking and is_passed
        tests.append(
            DialTest(
                dial=dial,
                lost=lost,
                gained=gained,
                mean_loss=float(values.mean()),
                upper_bound=bound,
                smallest_budget=reached,
                p_value=p_value if is_walking else None,
                is_certified=is_certified,
            )
        )
        is_walking = is_certified
    return tuple(tests)


def certify(
    losses: Mapping[float, npt.ArrayLike], *, budget: float, confidence: float, test: LossTest = "binomial"
) -> Certificate:
    """The highest setting of the dial whose loss is at most the budget, with the confidence asked for.

    The exact binomial test counts what was lost, however much was gained: it promises that at most the budget's share of all items
    was right before and is wrong after. The betting test takes any loss in -1..1, such as the net drop (lost 1, gained -1), or a
    rise of the loss per text clipped to that range; then the promise is about the mean of those.

    Both hold for independent items, also where several tasks give fixed numbers of them (Hoeffding 1956 for the binomial test); the
    mean is then over items, not over tasks. Items that share a source (one text, five questions) are not independent: give their
    mean as one item, to the betting test.

    Args:
        losses: for each setting, one value per item, [n]; the same items throughout, that played no part in training or in
            choosing. The setting 0 may be left out.
        budget: mean loss per item that is allowed, in (0, 1), chosen before looking. confidence: in (0, 1).
    Raises:
        NotEnough: fewer than `items_needed`, or no setting. BadData: losses out of range, of different lengths, or not 0 at dial 0.
        Usage: budget or confidence outside (0, 1), or an unknown test.
    Source: Angelopoulos et al. 2021, https://arxiv.org/abs/2110.01052 (fixed-sequence testing); `_betting_p` for the bets
    """
    needed = items_needed(budget, confidence, test=test)
    found = _checked(losses, lowest=0.0 if test == "binomial" else -1.0, test=test)
    items = next(iter(found.values())).size
    if items < needed:
        raise NotEnough(
            f"{items} items cannot prove a loss of at most {budget:.3g} per item with {confidence:.3g} confidence, even if none is lost: "
            f"at least {needed} are needed. Add items, or allow a larger budget or less confidence."
        )
    tests = _walk(found, budget=budget, level=1 - confidence, test=test)
    best = next((each for each in reversed(tests) if each.is_certified), None)
    return Certificate(
        dial=best.dial if best else 0.0,
        budget=budget,
        confidence=confidence,
        test=test,
        items=items,
        mean_loss=best.mean_loss if best else 0.0,
        upper_bound=best.upper_bound if best else 0.0,
        tests=tests,
    )


def naive_choice(losses: Mapping[float, npt.ArrayLike], *, budget: float) -> float:
    """The highest setting whose measured mean loss is within the budget; 0 where none is. It promises nothing.

    Picking the highest of many noisy numbers picks the luckiest: for comparison with `certify` only.
    """
    allowed = _share(budget, "budget", "0.01 (one item in a hundred)")
    within = [float(dial) for dial, values in losses.items() if float(np.mean(np.asarray(values, dtype=np.float64))) <= allowed]
    return max(within, default=0.0)
