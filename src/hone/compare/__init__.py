"""Stage 5 of 6: COMPARE. Takes rows and settings. Gives one table, one recommendation, a report and the winner as a bundle.

`run.py` is the whole story in one function. Next: `hone.serve` puts the bundle to use.

Light on purpose: `hone report` reads a finished comparison and loads no torch, so what needs it is imported by its own module name.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hone.compare.records import Comparison
from hone.compare.report import render_report
from hone.compare.settings import CompareSettings
from hone.compare.table import comparison_table, findings_text

if TYPE_CHECKING:
    from hone.compare.compared import Compared

__all__ = ["CompareSettings", "Comparison", "comparison_table", "findings_text", "render_report"]


class _CallableFolder(ModuleType):
    """Python puts an imported folder in the place of a function with its name, so the folder answers as the function does."""

    def __call__(self, data: str, **settings: Any) -> "Compared":
        """`hone.compare(data, ...)`."""
        from hone.compare.compared import compare

        return compare(data, **settings)


sys.modules[__name__].__class__ = _CallableFolder
