"""`hone.compare` from Python: the function, and what it returns, the record with what a person does next."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hone.compare.bundle import Bundle
from hone.compare.records import Comparison
from hone.compare.report import render_report
from hone.compare.run import compare_rows
from hone.compare.settings import COMPARE
from hone.compare.table import comparison_table
from hone.core.configuration import settings_from
from hone.core.errors import Usage
from hone.core.store import write_atomic

__all__ = ["Compared", "compare"]


@dataclass(frozen=True)
class Compared:
    """A finished comparison; `record` is what stands in comparison.json."""

    record: Comparison

    def table(self) -> str:
        """The table and the recommendation as text, at most 100 columns wide."""
        return comparison_table(self.record)

    def report(self, path: str | Path) -> None:
        """Write the report as one HTML file that opens offline."""
        write_atomic(Path(path), render_report(self.record))

    @cached_property
    def best(self) -> Bundle:
        """The recommended strategy, ready to answer: `compared.best.predict([...])`."""
        return Bundle(Path(self.record.folder) / "best")


def compare(data: str | Path, **settings: Any) -> Compared:
    """Run every way of adapting a model on the rows of a file or Hub data set; see `hone.compare`."""
    if not isinstance(data, str | Path):
        raise Usage(
            f"compare takes the path of a file or a Hub id, and got a {type(data).__name__}. Write the rows to a file first; "
            'of a pandas DataFrame: frame.to_csv("rows.csv", index=False), then compare("rows.csv").'
        )
    return Compared(compare_rows(settings_from(COMPARE, {"data": str(data), **settings})))
