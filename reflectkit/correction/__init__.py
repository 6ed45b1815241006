"""The self-correction loop: policies that say what is asked next, and rules that say when to stop.

A policy is any object with ``flow(request)``, a generator; see ``Policy``. Importing this package
loads none of them: each name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._late import late

if TYPE_CHECKING:
    from . import stop, trace
    from .guard import Extend, GuardedReflection, ReflectIfUncertain, SelfRevise
    from .policies import (
        BestOf,
        Correct,
        Escalate,
        Redraw,
        Restart,
        RetryInvalid,
        Revise,
        Then,
        Vote,
        bound_of,
    )
    from .policy import Bound, Elsewhere, Policy, conclude, single

__all__ = [
    "BestOf",
    "Bound",
    "Correct",
    "Elsewhere",
    "Escalate",
    "Extend",
    "GuardedReflection",
    "Policy",
    "Redraw",
    "ReflectIfUncertain",
    "Restart",
    "RetryInvalid",
    "Revise",
    "SelfRevise",
    "Then",
    "Vote",
    "bound_of",
    "conclude",
    "single",
    "stop",
    "trace",
]

_HOMES: Final = {
    "guard": ("Extend", "GuardedReflection", "ReflectIfUncertain", "SelfRevise"),
    "policies": (
        "BestOf",
        "Correct",
        "Escalate",
        "Redraw",
        "Restart",
        "RetryInvalid",
        "Revise",
        "Then",
        "Vote",
        "bound_of",
    ),
    "policy": ("Bound", "Elsewhere", "Policy", "conclude", "single"),
    "stop": ("stop",),
    "trace": ("trace",),
}

if not TYPE_CHECKING:  # type checkers know these names, and find others wrong
    __getattr__ = late(__name__, _HOMES)
