"""What a server's answers cost: their tokens, which the record keeps, at the price that was given.

A price decides no answer. So another price changes the money, and which of equals is the cheapest, and asks nothing anew.
"""

from collections.abc import Sequence

from hone.compare.records import Row
from hone.measure import Tokens
from hone.model import Price

__all__ = ["priced", "sum_tokens"]


def sum_tokens(parts: Sequence[Tokens], *, times: float = 1.0) -> Tokens:
    """All of them together, so many times."""
    return Tokens(
        read=round(times * sum(one.read for one in parts)),
        written=round(times * sum(one.written for one in parts)),
        is_estimate=any(one.is_estimate for one in parts),
    )


def priced(rows: Sequence[Row], price: str | None) -> list[Row]:
    """Rows with the money for their tokens at a price; without any where none is given.

    Raises:
        Usage: the price is not two numbers.
    """
    known = Price.parse(price) if price else None

    def usd(tokens: Tokens | None) -> float | None:
        return None if known is None or tokens is None else known.usd(tokens)

    return [
        row.model_copy(
            update={"cost": row.cost.model_copy(update={"usd": usd(row.cost.paid), "usd_per_answers": usd(row.cost.further)})}
        )
        for row in rows
    ]
