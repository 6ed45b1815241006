"""Verifiers judge a draft: any callable from a draft to a verdict, a bool, None or a list of these.

Importing this package loads none of them: each name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._late import late

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

_HOMES: Final = {
    "agree": ("Agrees", "Group", "tally", "values_equal"),
    "callables": ("Judgement", "Verifier", "named", "runnable"),
    "code": ("Guards", "RunsTests"),
    "ifeval": ("IFEval", "INSTRUCTIONS", "checks_for"),
    "judge": ("Judge",),
    "math": ("MathEqual", "close_workers"),
    "numeric": ("Number", "Numeric", "read_number"),
    "partial": ("Partial", "PartialJSON"),
    "protocol": ("WellFormed",),
    "regex": ("Matches",),
    "running": ("run",),
    "schema": ("Schema",),
    "steps": ("Statement", "Steps", "statements"),
    "words": ("Length", "LetterCount"),
}

if not TYPE_CHECKING:  # type checkers know these names, and find others wrong
    __getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
