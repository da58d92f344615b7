"""What `hone.compare` returns: the record, with what a person does next."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hone.compare.bundle import Bundle
from hone.compare.records import Comparison
from hone.compare.report import render_report
from hone.compare.table import comparison_table
from hone.core.store import write_atomic

__all__ = ["Compared"]


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
