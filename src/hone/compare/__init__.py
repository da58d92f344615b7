"""Stage 5 of 6: COMPARE. Takes rows and settings. Gives one table, one recommendation, a report and the winner as a bundle.

`run.py` is the whole story in one function. Next: `hone.serve` puts the bundle to use.

Light on purpose: `hone report` reads a finished comparison and loads no torch, so what needs it is imported by its own module name.
"""

from hone.compare.records import Comparison
from hone.compare.report import render_report
from hone.compare.settings import CompareSettings
from hone.compare.table import comparison_table, findings_text

__all__ = ["CompareSettings", "Comparison", "comparison_table", "findings_text", "render_report"]
