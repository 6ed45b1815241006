"""Reports of comparisons: as values, and as JSON, Markdown and one page of HTML."""

from __future__ import annotations

from .data import Report
from .summary import Facts, facts_of, summarised

__all__ = ["Facts", "Report", "facts_of", "summarised"]
