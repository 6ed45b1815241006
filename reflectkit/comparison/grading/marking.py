"""Which grader grades a problem, and what becomes of one that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ...errors import ConfigurationError
from ..records import Grade, Problem
from .base import Grading, closed
from .kinds import GRADERS, Kind, check

__all__ = ["Marking", "marking"]


class Marking:
    """Grades every problem with the grader that it names, or all with one.

    Every grader fails closed (see ``closed``): one that crashes or is too slow gives "ungraded",
    which is not right. A blank text is "incomplete".
    """

    def __init__(self, one: Kind | None = None) -> None:
        self._one = _Closed(one, closed(one.grading)) if one else None

    def __repr__(self) -> str:
        return f"Marking({self._one.kind.grading.name if self._one else 'by problem'})"

    def check(self, problems: Sequence[Problem]) -> None:
        """Raises ``ConfigurationError`` for a problem that cannot be graded, and
        ``MissingCapability`` where a package is missing for that."""
        for problem in problems:
            self._of(problem)
            if self._one is None:
                check(problem)

    async def grade(self, problem: Problem, text: str, /) -> Grade:
        """The grade of an output."""
        said: Any = self._of(problem).graded(problem, text)
        grade: Grade = await said
        return grade

    def stated(self, problem: Problem, text: str, /) -> str:
        """The answer that stands at the end of a piece of thinking."""
        return self._of(problem).kind.grading.stated(problem, text)

    def step(self, problem: Problem, text: str, /) -> bool | None:
        """Whether the last step of a piece of thinking is right."""
        return self._of(problem).kind.step(problem, text)

    def _of(self, problem: Problem) -> _Closed:
        return self._one or _named(problem.grader)


@dataclass(frozen=True, slots=True)
class _Closed:
    kind: Kind
    graded: Grading


@cache
def _named(name: str) -> _Closed:
    if name not in GRADERS:
        raise ConfigurationError(
            f"There is no grader {name!r}.", hint=f"One of {', '.join(GRADERS)}; or pass grade=."
        )
    kind = GRADERS[name]()
    return _Closed(kind, closed(kind.grading))


def marking(grade: Any = None) -> Any:
    """What ``compare(grade=...)`` means: None (each problem's own grader), a grader's name, a
    callable from problem and text to a ``Grade`` or a bool, or an object with ``grade``, ``stated``
    and ``step``. Raises ``ConfigurationError`` for anything else."""
    if grade is None:
        return Marking()
    if isinstance(grade, str):
        return Marking(_named(grade).kind)
    if all(callable(getattr(grade, name, None)) for name in ("grade", "stated", "step")):
        return grade
    if isinstance(grade, Grading):
        return Marking(Kind(grading=grade))
    if callable(grade):
        return Marking(Kind(grading=closed(grade)))
    raise ConfigurationError(
        f"A {type(grade).__name__} grades nothing.",
        hint="Pass a grader's name, or a function of problem and text that returns a bool.",
    )
