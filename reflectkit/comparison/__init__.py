"""Compare ways of answering: paired, with intervals, and with meters for what reflection does.

Importing this package loads none of it: each name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

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
_HOME: Final = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOME[name]}")
    value = module if name == _HOME[name] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
