"""Compare ways of answering: paired, with intervals, and with meters for what reflection does.

Importing this package loads none of it: each name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._late import late

if TYPE_CHECKING:
    from . import grading, meters, problems, report, stats
    from .arms import Arm, EqualTokens, arms_of
    from .design import Design
    from .front import compare, plan, report_of
    from .planning import ArmPlan, Plan
    from .records import Grade, Grader, Part, Phase, Problem, Record, Tokens
    from .report import Report
    from .run import Progress
    from .store import Store, read_records

__all__ = [
    "Arm",
    "ArmPlan",
    "Design",
    "EqualTokens",
    "Grade",
    "Grader",
    "Part",
    "Phase",
    "Plan",
    "Problem",
    "Progress",
    "Record",
    "Report",
    "Store",
    "Tokens",
    "arms_of",
    "compare",
    "grading",
    "meters",
    "plan",
    "problems",
    "read_records",
    "report",
    "report_of",
    "stats",
]

_HOMES: Final[dict[str, tuple[str, ...]]] = {
    "arms": ("Arm", "EqualTokens", "arms_of"),
    "front": ("compare", "plan", "report_of"),
    "design": ("Design",),
    "grading": ("grading",),
    "meters": ("meters",),
    "planning": ("ArmPlan", "Plan"),
    "problems": ("problems",),
    "records": ("Grade", "Grader", "Part", "Phase", "Problem", "Record", "Tokens"),
    "report": ("Report", "report"),
    "run": ("Progress",),
    "stats": ("stats",),
    "store": ("Store", "read_records"),
}

if not TYPE_CHECKING:  # type checkers know these names, and find others wrong
    __getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
