"""What a grader is made of, and the wrapper that makes any of them fail closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, get_args

from ...messages import Message, Request
from ...reply import Draft, Section, Transcript, Verdict
from ...verify.running import run
from ..records import Grade, Grader, Outcome, Problem

__all__ = ["Grading", "Reader", "closed", "drafted", "nothing"]

#: Reads a text as a problem's grader does; "" where it states no answer.
Reader = Callable[[Problem, str], str]
_OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
#: Seconds for a callable of the user's.
PATIENCE: Final = 60.0


def nothing(problem: Problem, text: str) -> str:
    """No answer is read."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """A grader: called with a problem and a text, it gives a ``Grade``.

    ``read``: the answer that a finished text gives. ``stated``: the answer that stands at the end
    of a piece of thinking; only what is said plainly counts. ``timeout``: seconds that ``closed``
    allows it (None: it keeps time itself). ``inline``: it is quick and does not block.
    """

    name: str
    grade: Grader
    read: Reader = nothing
    stated: Reader = nothing
    timeout: float | None = 10.0
    inline: bool = False

    def __call__(self, problem: Problem, text: str, /) -> Grade | bool | Awaitable[Grade | bool]:
        return self.grade(problem, text)


def drafted(problem: Problem, text: str) -> Draft:
    """The text as verifiers take it: all of it is output, whatever tags are in it."""
    section = Section("output", text, 0, len(text))
    transcript = Transcript(sections=(section,), source=text)
    return Draft(
        request=Request(messages=(Message("user", problem.prompt),)), transcript=transcript
    )


def closed(grader: Grader | Grading, *, timeout: float | None = PATIENCE) -> Grading:
    """The same grader, awaited, which never raises and never guesses.

    One that crashes, takes longer than ``timeout`` seconds (a ``Grading`` knows its own) or returns
    something else than a ``Grade`` or a bool gives "ungraded", with a note that says why; a blank
    text is "incomplete" before anybody is asked. Sync graders run in a thread. Cancelling cancels.
    """
    known = grader if isinstance(grader, Grading) else None
    seconds = known.timeout if known else getattr(grader, "timeout", timeout)

    async def grade(problem: Problem, text: str) -> Grade:
        if not text.strip():
            return Grade(outcome="incomplete", note="There is no output.")
        (verdict,) = await run(
            [_asking(grader, problem, text)], drafted(problem, text), timeout=seconds
        )
        return _grade(verdict.value, verdict.feedback)

    return Grading(
        name=known.name if known else _name(grader),
        grade=grade,
        read=getattr(grader, "read", nothing),
        stated=getattr(grader, "stated", nothing),
        timeout=None,
    )


def _name(grader: object) -> str:
    return str(getattr(grader, "name", "") or getattr(grader, "__name__", type(grader).__name__))


def _asking(grader: Grader, problem: Problem, text: str) -> Callable[[Draft], Any]:
    """The grader as a verifier, so that it is run, timed and caught as verifiers are."""

    def asked(draft: Draft, /) -> Verdict | Awaitable[Verdict]:
        said: object = grader(problem, text)
        return _later(said) if isawaitable(said) else Verdict(ok=None, value=said)

    asked.__name__ = _name(grader)
    asked.inline = bool(getattr(grader, "inline", False))  # type: ignore[attr-defined]  # functions take attributes
    return asked


async def _later(said: Awaitable[object]) -> Verdict:
    try:
        return Verdict(ok=None, value=await said)
    except SystemExit as error:
        raise RuntimeError("It tried to end the program.") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("It cancelled itself.") from error


def _grade(said: object, feedback: str) -> Grade:
    if isinstance(said, bool):
        return Grade(outcome="right" if said else "wrong")
    if isinstance(said, Grade) and said.outcome in _OUTCOMES:
        return said
    kind = said.outcome if isinstance(said, Grade) else type(said).__name__
    why = feedback or f"The grader returned {kind!r}, which is no grade: return a Grade or a bool."
    return Grade(outcome="ungraded", note=why)
