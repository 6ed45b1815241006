"""Verifiers judge a draft: any callable from a draft to a verdict, a bool, None or a list of these.

Importing this package loads none of them: each name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .agree import Agrees, Group, tally, values_equal
    from .callables import Judgement, Verifier, named, runnable
    from .code import Guards, RunsTests
    from .ifeval import INSTRUCTIONS, IFEval, checks_for
    from .judge import Judge
    from .math import MathEqual, close_workers
    from .numeric import Number, Numeric, read_number
    from .partial import Partial, PartialJSON
    from .protocol import WellFormed
    from .regex import Matches
    from .running import run
    from .schema import Schema
    from .steps import Statement, Steps, statements
    from .words import Length, LetterCount

__all__ = [
    "INSTRUCTIONS",
    "Agrees",
    "Group",
    "Guards",
    "IFEval",
    "Judge",
    "Judgement",
    "Length",
    "LetterCount",
    "Matches",
    "MathEqual",
    "Number",
    "Numeric",
    "Partial",
    "PartialJSON",
    "RunsTests",
    "Schema",
    "Statement",
    "Steps",
    "Verifier",
    "WellFormed",
    "checks_for",
    "close_workers",
    "named",
    "read_number",
    "run",
    "runnable",
    "statements",
    "tally",
    "values_equal",
]

_LATE: Final = {
    "Agrees": "agree",
    "Group": "agree",
    "Guards": "code",
    "IFEval": "ifeval",
    "INSTRUCTIONS": "ifeval",
    "Judge": "judge",
    "Judgement": "callables",
    "MathEqual": "math",
    "RunsTests": "code",
    "checks_for": "ifeval",
    "close_workers": "math",
    "Length": "words",
    "LetterCount": "words",
    "Matches": "regex",
    "Number": "numeric",
    "Numeric": "numeric",
    "Partial": "partial",
    "PartialJSON": "partial",
    "Schema": "schema",
    "Statement": "steps",
    "Steps": "steps",
    "Verifier": "callables",
    "WellFormed": "protocol",
    "named": "callables",
    "read_number": "numeric",
    "run": "running",
    "runnable": "callables",
    "statements": "steps",
    "tally": "agree",
    "values_equal": "agree",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LATE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
