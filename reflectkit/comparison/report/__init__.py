"""Reports of comparisons: as values, and as JSON, Markdown and one page of HTML."""

from __future__ import annotations

from .data import Report
from .files import pictures, write
from .page import as_html
from .plots import plots
from .summary import Facts, facts_of, summarised
from .tables import as_markdown

__all__ = [
    "Facts",
    "Report",
    "as_html",
    "as_markdown",
    "facts_of",
    "pictures",
    "plots",
    "summarised",
    "write",
]
