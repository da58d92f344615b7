"""GPUs by name with what they hold, manage and cost: a dated list in `gpus.toml`, to be edited."""

import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from hone.core.errors import BadData, Usage, did_you_mean
from hone.core.record import Record
from hone.model import Arithmetic

__all__ = ["Gpu", "PriceList", "find_gpu", "read_prices"]

_OWN = Path(__file__).with_name("gpus.toml")


class Gpu(Record):
    """One card."""

    name: str
    memory_gb: float = Field(gt=0)
    """As sold: 10^9 bytes."""
    bf16_tflops: float | None = Field(default=None, gt=0)
    """Dense, by the maker's datasheet; None for a card without bf16, on which hone computes in fp32."""
    fp32_tflops: float | None = Field(default=None, gt=0)
    """By the datasheet; asked for where there is no bf16."""
    watts: float = Field(gt=0)
    """Most that the card draws, by the datasheet."""
    usd_per_hour: float = Field(ge=0)
    """Assumed."""
    source: str

    @model_validator(mode="after")
    def _has_a_rate(self) -> Self:
        if self.bf16_tflops is None and self.fp32_tflops is None:
            raise ValueError(f"{self.name} has neither bf16_tflops nor fp32_tflops")
        return self

    @property
    def memory_bytes(self) -> int:
        """What it holds."""
        return int(self.memory_gb * 1e9)

    @property
    def arithmetic(self) -> Arithmetic:
        """In which arithmetic hone trains on it, unless told otherwise."""
        return "fp32" if self.bf16_tflops is None else "bf16"

    def tflops(self, arithmetic: Arithmetic) -> float | None:
        """The datasheet's rate in an arithmetic; None where the list does not say."""
        return self.bf16_tflops if arithmetic == "bf16" else self.fp32_tflops


class PriceList(Record):
    """Cards, and what is assumed of all of them."""

    prices_date: str
    prices_source: str
    utilisation: float = Field(gt=0, le=1)
    """Share of the datasheet's rate that training reaches."""
    context_gb: float = Field(ge=0)
    """Taken on the card before the first tensor."""
    watts_host: float = Field(ge=0)
    """Of the machine around a card."""
    gpu: tuple[Gpu, ...] = Field(min_length=1)

    def seconds(self, gpu: Gpu, flops: float, arithmetic: Arithmetic) -> float | None:
        """Time for so many operations; None where the card's rate is not in the list."""
        rate = gpu.tflops(arithmetic)
        return None if rate is None else flops / (rate * 1e12 * self.utilisation)


def read_prices(file: Path | None = None) -> PriceList:
    """The list that comes with hone, or one of your own in the same form.

    Raises:
        BadData: it cannot be read, or a number is missing.
    """
    path = file or _OWN
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        found["prices_date"] = str(found.get("prices_date", ""))
        return PriceList.model_validate(found)
    except OSError as error:
        raise BadData(
            f"The price list {path} cannot be read: {error.strerror}. Name a TOML file in the form of {_OWN.name}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"The price list {path} is no TOML: {error} Write it in the form of {_OWN.name}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadData(f"The price list {path}: {place}: {first['msg']}. Write it in the form of {_OWN.name}.") from None


def find_gpu(name: str, prices: PriceList) -> Gpu:
    """A card by its name, in any case.

    Raises:
        Usage: the list holds no such card.
    """
    known = {one.name.lower(): one for one in prices.gpu}
    found = known.get(name.strip().lower())
    if found is None:
        raise Usage(
            f"GPU '{name}' is not in the price list. {did_you_mean(name, [one.name for one in prices.gpu])} Add it with --prices."
        )
    return found
