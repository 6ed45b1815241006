"""Which grader grades a problem, and what becomes of one that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Any, Final

from ...errors import ConfigurationError
from ..records import Grade, Problem
from .kinds import GRADERS, Kind, check

__all__ = ["Marking", "closed", "marking"]

#: Seconds for one answer.
_PATIENCE: Final = 60.0


class Marking:
    """Grades every problem with the grader that it names, or all with one.

    Every grader fails closed: one that crashes or takes longer than ``patience`` seconds gives
    "ungraded", which is not right. An empty text is "incomplete".
    """

    def __init__(
        self, one: Kind | None = None, *, patience: float = _PATIENCE, name: str = ""
    ) -> None:
        self._one = one
        self._patience = patience
        self.name = name

    def __repr__(self) -> str:
        return f"Marking({self.name or 'by problem'})"

    def check(self, problems: Sequence[Problem]) -> None:
        """Raises ``ConfigurationError`` for a problem that cannot be graded."""
        for problem in problems:
            self._kind(problem)
            if self._one is None:
                check(problem)

    async def grade(self, problem: Problem, text: str, /) -> Grade:
        """The grade of an output."""
        return await closed(self._kind(problem).grade, problem, text, self._patience)

    def stated(self, problem: Problem, text: str, /) -> str:
        """The answer that stands at the end of a piece of thinking."""
        return self._kind(problem).stated(problem, text)

    def step(self, problem: Problem, text: str, /) -> bool | None:
        """Whether the last step of a piece of thinking is right."""
        return self._kind(problem).step(problem, text)

    def _kind(self, problem: Problem) -> Kind:
        if self._one is not None:
            return self._one
        found = GRADERS.get(problem.grader)
        if found is None:
            raise ConfigurationError(
                f"Problem {problem.id!r} names the grader {problem.grader!r}.",
                hint=f"One of {', '.join(GRADERS)}; or pass grade=.",
            )
        return found


async def closed(
    grader: Callable[[Problem, str], Any], problem: Problem, text: str, patience: float = _PATIENCE
) -> Grade:
    """A grader's word; "ungraded" with the reason where it has none. What it says may be a
    ``Grade``, a bool, or None for not knowing."""
    if not text.strip():
        return Grade(outcome="incomplete", note="there is no output")
    try:
        async with asyncio.timeout(patience):
            said = grader(problem, text)
            said = await said if isawaitable(said) else said
    except TimeoutError:
        return Grade(outcome="ungraded", note=f"the grader took longer than {patience:g} s")
    except Exception as error:
        if isinstance(error, ConfigurationError):
            raise
        return Grade(outcome="ungraded", note=f"the grader failed: {type(error).__name__}: {error}")
    if isinstance(said, Grade):
        return said
    if said is None:
        return Grade(outcome="ungraded", note="the grader does not know")
    if isinstance(said, bool):
        return Grade(outcome="right" if said else "wrong", value=text.strip()[:200])
    return Grade(outcome="ungraded", note=f"the grader returned {type(said).__name__}")


def marking(grade: Any = None) -> Any:
    """What ``compare(grade=...)`` means: None (each problem's own grader), a grader's name, a
    callable from problem and text to a ``Grade`` or a bool, or an object with ``grade``, ``stated``
    and ``step``. Raises ``ConfigurationError`` for anything else."""
    if grade is None:
        return Marking()
    if isinstance(grade, str):
        if grade not in GRADERS:
            raise ConfigurationError(
                f"There is no grader {grade!r}.", hint=f"One of {', '.join(GRADERS)}."
            )
        return Marking(GRADERS[grade], name=grade)
    if all(callable(getattr(grade, name, None)) for name in ("grade", "stated", "step")):
        return grade
    if callable(grade):
        return Marking(Kind(grade=grade), name=getattr(grade, "__name__", type(grade).__name__))
    raise ConfigurationError(
        f"A {type(grade).__name__} grades nothing.",
        hint="Pass a grader's name, or a function of problem and text that returns a bool.",
    )
