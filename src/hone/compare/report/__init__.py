"""The comparison as one HTML file that opens anywhere, offline. Takes a Comparison, gives text. Imports no torch."""

from hone.compare.report.render import render_report

__all__ = ["render_report"]
