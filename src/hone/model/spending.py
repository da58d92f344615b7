"""What asking a model has cost: tokens, requests, and money where prices are known."""

import threading
from typing import Self

from pydantic import Field

from hone.core.errors import Usage
from hone.core.record import Record
from hone.measure import Tokens

__all__ = ["Ledger", "Price", "Spent", "told_spent"]


class Price(Record):
    """US dollars per million tokens."""

    read: float = Field(ge=0, allow_inf_nan=False)
    written: float = Field(ge=0, allow_inf_nan=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """`IN,OUT` as it stands on a command line.

        Raises:
            Usage: it is not two numbers of at least 0.
        """
        try:
            read, written = map(float, text.split(","))
            return cls(read=read, written=written)
        except ValueError:
            raise Usage(
                f"The price {text!r} is not understood. Give US dollars per million tokens read and written: --price 0.15,0.60"
            ) from None

    def usd(self, tokens: Tokens) -> float:
        """US dollars for so many tokens."""
        return (tokens.read * self.read + tokens.written * self.written) / 1e6


class Spent(Record):
    """What the answers that a backend gave have cost, each request counted once, however often its answer was used."""

    tokens_read: int = 0
    tokens_written: int = 0
    requests: int = 0
    remembered: int = 0
    """Of the requests, those an earlier run had paid for."""
    usd: float | None = None
    """None where no prices were given."""
    is_estimate: bool = False
    """Whether tokens of some request were estimated, because the server did not count them."""
    spared_seconds: float = 0.0
    """That asking would have taken where an answer was known already: what is timed took so much longer."""

    def at(self, price: Price | None) -> Self:
        """The same at a price; None where it is not known."""
        tokens = Tokens(read=self.tokens_read, written=self.tokens_written)
        return self.model_copy(update={"usd": None if price is None else price.usd(tokens)})


class Ledger:
    """Adds up what was spent; several threads may write in it."""

    def __init__(self, price: Price | None = None) -> None:
        self._price = price
        self._spent = Spent()
        self._lock = threading.Lock()

    def add(self, read: int, written: int, *, requests: int = 1, remembered: int = 0, is_estimate: bool = False) -> None:
        """Enter requests with the tokens they read and wrote."""
        with self._lock:
            before = self._spent
            self._spent = Spent(
                tokens_read=before.tokens_read + read,
                tokens_written=before.tokens_written + written,
                requests=before.requests + requests,
                remembered=before.remembered + remembered,
                is_estimate=before.is_estimate or is_estimate,
                spared_seconds=before.spared_seconds,
            )

    def spare(self, seconds: float) -> None:
        """Enter time that was not spent, as answers were known."""
        with self._lock:
            self._spent = self._spent.model_copy(update={"spared_seconds": self._spent.spared_seconds + seconds})

    def spent(self) -> Spent:
        """The sum so far."""
        return self._spent.at(self._price)


def told_spent(spent: Spent) -> str:
    """One line."""
    about = "about " if spent.is_estimate else ""
    money = "" if spent.usd is None else f", {about}{spent.usd:,.4f} US dollars"
    kept = f", {spent.remembered:,} of them kept from before" if spent.remembered else ""
    requests = "1 request" if spent.requests == 1 else f"{spent.requests:,} requests"
    return f"{requests}{kept}: {about}{spent.tokens_read:,} tokens read and {spent.tokens_written:,} written{money}."
