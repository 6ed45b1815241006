"""Paired statistics: what two arms differ by on the same problems, and how sure that is.

Needs ``reflectkit[compare]`` (numpy and SciPy, which are loaded when a figure is first computed).
"""

from __future__ import annotations

from .bootstrap import Draws
from .clustered import Mean, clustered_mean
from .holm import holm
from .intervals import Figure, paired_difference, wilson
from .mcnemar import mcnemar
from .paired import Difference, paired
from .power import items_needed, smallest_difference
from .unpaired import two_shares

__all__ = [
    "Difference",
    "Draws",
    "Figure",
    "Mean",
    "clustered_mean",
    "holm",
    "items_needed",
    "mcnemar",
    "paired",
    "paired_difference",
    "smallest_difference",
    "two_shares",
    "wilson",
]
