"""Graders that check: instructions by rules, formulas by math-verify, code by running it."""

from __future__ import annotations

import asyncio
import os
import re
from importlib.util import find_spec
from typing import Final
from weakref import WeakKeyDictionary

from ...errors import ConfigurationError, MissingCapability
from ...verify._answer_code import defined, found_in
from ...verify.code import RunsTests
from ...verify.ifeval import checks_for
from ...verify.math import MathEqual
from ..records import Grade, Outcome, Problem
from .base import Grading, drafted
from .finals import LONGEST, places, unmarked

__all__ = ["code", "ifeval", "math"]

#: What a verdict makes of an answer.
_OUTCOMES: Final[dict[bool | None, Outcome]] = {True: "right", False: "wrong", None: "ungraded"}


def ifeval(*, loose: bool = False) -> Grading:
    """Every instruction of the prompt is followed, by the rules of ``verify.IFEval``.

    ``loose``: as the paper's loose accuracy, which forgives a first or last line and asterisks.
    The note names the instructions that failed. Where one cannot be told, and none fails, the
    answer is ungraded.
    """

    def grade(problem: Problem, text: str) -> Grade:
        checks = checks_for(problem.data, loose=loose)
        results = [check.check(text).ok for check in checks]
        value = f"{sum(ok is True for ok in results)} of {len(results)}"
        failed = [c.name for c, ok in zip(checks, results, strict=True) if ok is False]
        unknown = [c.name for c, ok in zip(checks, results, strict=True) if ok is None]
        if failed:
            return Grade(outcome="wrong", value=value, note=f"Not followed: {', '.join(failed)}.")
        if unknown or not results:
            return Grade(outcome="ungraded", value=value, note=f"Unknown: {', '.join(unknown)}.")
        return Grade(outcome="right", value=value)

    return Grading(name="ifeval-loose" if loose else "ifeval", grade=grade, timeout=30.0)


_DOLLARS: Final = re.compile(r"\$|\\\(|\\\[|\\boxed")
_BLANK: Final = re.compile(r"\s+|\\(?:left|right|!|,|;|:| )(?![A-Za-z])")
_FRAMED: Final = re.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf)\{([^{}]*)\}")


def math(*, timeout: float = 10.0, digits: int = 6) -> Grading:
    """The result equals the gold as mathematics, by ``verify.MathEqual`` in a process of its own.

    The last box or announced result is compared; without either, what math-verify finds. Letter
    for letter the same needs no comparison. A comparison that takes longer than ``timeout`` seconds
    is ungraded. Raises ``MissingCapability`` at once without ``reflectkit[math]``.
    """
    if find_spec("math_verify") is None:
        raise MissingCapability(
            "The grader of mathematics needs math-verify, which is not installed.",
            capability="math",
            hint='Install it: pip install "reflectkit[math]".',
        )

    async def grade(problem: Problem, text: str) -> Grade:
        read = _result(text)
        if read and _bare(read) == _bare(str(problem.gold)):
            return Grade(outcome="right", value=read)
        asked = f"$\\boxed{{{read}}}$" if read else text
        check = MathEqual(_formula(str(problem.gold)), timeout=timeout, digits=digits)
        verdict = await check(drafted(problem, asked))
        outcome = _OUTCOMES[verdict.ok]
        return Grade(outcome=outcome, value=read or str(verdict.value or ""), note=verdict.feedback)

    def stated(problem: Problem, text: str) -> str:
        return _result(text)

    return Grading(name="math", grade=grade, read=stated, stated=stated, timeout=None)


def _formula(gold: str) -> str:
    """A gold that is no plain number, marked as mathematics: ``p - q`` is no prose."""
    plain = "$" in gold.replace("\\$", "") or re.fullmatch(r"[-+\d.,/%\s]+", gold)
    return gold if plain else f"${gold}$"


def _result(text: str) -> str:
    """The last box or announced result of a text, without dollar signs; "" without one."""
    marks = places(text[-LONGEST:])
    if not marks:
        return ""
    boxes = [place for place in marks if place.boxed]
    last = marks[-1]
    if boxes and not re.search(r"[\d$\\]", last.text):
        last = boxes[-1]  # "... so the answer is correct"
    said = last.text.strip()
    if last.boxed:
        return said
    inside = re.findall(r"(?<!\\)\$((?:[^$\n\\]|\\.)+)\$|\\\((.+?)\\\)", said)
    if inside:
        return "".join(inside[-1]).strip()
    return unmarked(said).rstrip(" .")


def _bare(text: str) -> str:
    """A formula without blanks and what only frames it."""
    framed = _FRAMED.sub(r"\1", text).replace("dfrac", "frac").replace("tfrac", "frac")
    return _BLANK.sub("", framed).strip("$.")


#: Runs at once in one event loop: more than there are processors would make each of them late.
_MOST: Final = max(1, os.cpu_count() or 1)
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def code(*, timeout: float = 10.0, memory_mb: int = 512) -> Grading:
    """The text's code passes the problem's tests, in the sandbox of ``verify.RunsTests``.

    A HumanEval problem has ``prompt``, ``test`` and ``entry_point`` in its data; for others the
    gold is the text of the tests. Code that does not end within ``timeout`` seconds is wrong.
    """

    async def grade(problem: Problem, text: str) -> Grade:
        tests = _tests(problem, timeout, memory_mb)
        turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_MOST))
        async with turn:
            verdict = await tests(drafted(problem, text))
        if verdict.ok is None:
            return Grade(outcome="ungraded", note=verdict.feedback)
        outcome = _OUTCOMES[verdict.ok]
        return Grade(outcome=outcome, value=read(problem, text), note=verdict.feedback)

    def read(problem: Problem, text: str) -> str:
        return found_in(text).code.strip("\n")

    def stated(problem: Problem, text: str) -> str:
        found = read(problem, text) if "```" in text else ""
        return found if str(problem.data.get("entry_point", "")) in defined(found) else ""

    return Grading(name="code", grade=grade, read=read, stated=stated, timeout=None)


def _tests(problem: Problem, timeout: float, memory_mb: int) -> RunsTests:
    if {"prompt", "test", "entry_point"} <= set(problem.data):
        return RunsTests.humaneval(problem.data, timeout=timeout, memory_mb=memory_mb)
    if not isinstance(problem.gold, str):
        raise ConfigurationError(f"{problem.id} has no tests.", hint="Give them as its gold.")
    return RunsTests(problem.gold, timeout=timeout, memory_mb=memory_mb)
