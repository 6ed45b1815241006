"""Graders: from a problem and a text to right, wrong, incomplete or ungraded.

They are built on the verifiers and fail closed: what cannot be read or checked is never right.
"""

from __future__ import annotations

from .base import Grading, closed
from .checked import code, ifeval, math
from .judging import JudgeGrader, judge
from .kinds import GRADERS, Kind
from .marking import Marking, marking
from .rules import choice, contains, exact, numeric

__all__ = [
    "GRADERS",
    "Grading",
    "JudgeGrader",
    "Kind",
    "Marking",
    "choice",
    "closed",
    "code",
    "contains",
    "exact",
    "ifeval",
    "judge",
    "marking",
    "math",
    "numeric",
]
