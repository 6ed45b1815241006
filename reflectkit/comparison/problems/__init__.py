"""Problems: from the formats of known benchmarks, from your own tables, or made here."""

from __future__ import annotations

from ..records import Problem
from .embedded import TASKS, embedded
from .formats import FORMATS
from .loading import load
from .probes import probes

__all__ = ["FORMATS", "TASKS", "Problem", "embedded", "load", "probes"]
