"""Graders: whether a text is the right answer to a problem. They fail closed."""

from __future__ import annotations

from .judging import JudgeGrader
from .kinds import GRADERS, Kind
from .marking import Marking, closed, marking

__all__ = ["GRADERS", "JudgeGrader", "Kind", "Marking", "closed", "marking"]
