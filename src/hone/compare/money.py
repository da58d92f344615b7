"""What a server's answers cost: their tokens, which the record keeps, at the price that was given.

A price decides no answer. So another price changes the money, and which of equals is the cheapest, and asks nothing anew.
"""

from collections.abc import Sequence

from hone.compare.records import Row
from hone.measure import Tokens
from hone.model import Price

__all__ = ["priced", "sum_tokens", "usd_of"]


def sum_tokens(parts: Sequence[Tokens], *, times: float = 1.0) -> Tokens:
    """All of them together, so many times."""
    return Tokens(
        read=round(times * sum(one.read for one in parts)),
        written=round(times * sum(one.written for one in parts)),
        is_estimate=any(one.is_estimate for one in parts),
    )


def usd_of(tokens: Tokens | None, price: str | None) -> float | None:
    """US dollars for tokens at a price; None where either is not known.

    Raises:
        Usage: the price is not two numbers.
    """
    return None if tokens is None or not price else Price.parse(price).usd(tokens)


def priced(rows: Sequence[Row], price: str | None) -> list[Row]:
    """Rows with the money for their tokens at a price; without any where none is given. Raises: as `usd_of` does."""
    found = []
    for row in rows:
        usd = {"usd": usd_of(row.cost.paid, price), "usd_per_answers": usd_of(row.cost.further, price)}
        found.append(row.model_copy(update={"cost": row.cost.model_copy(update=usd)}))
    return found
