"""The known graders, as a table: how each grades an output and reads a draft."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...errors import ConfigurationError
from ...messages import Message, Request
from ...reply import Draft, Section, Transcript, Verdict
from ...values import values_equal
from ...verify import IFEval, MathEqual, Numeric, RunsTests, read_number
from ..records import Grade, Problem
from .reading import announced, announced_number, read_choice, same_text

__all__ = ["GRADERS", "Kind", "draft_of"]

_LETTERS: Final = "ABCDEFGHIJ"
_SUM: Final = re.compile(r"(-?\d+) ([-+*]) (-?\d+) = (-?\d+)")
_COUNT: Final = re.compile(r"(\w) = (\d+)")
_PLACE: Final = re.compile(r"so .+ is ((?:in|on|under|behind|at) .+)")


def _nothing(problem: Problem, text: str) -> str:
    return ""


def _nobody(problem: Problem, text: str) -> bool | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A grader. ``grade``: of an output. ``stated``: the answer at the end of a piece of thinking.
    ``step``: whether its last step is right; see ``answers.Grading``."""

    grade: Callable[[Problem, str], Grade | Awaitable[Grade]]
    stated: Callable[[Problem, str], str] = _nothing
    step: Callable[[Problem, str], bool | None] = _nobody


def draft_of(problem: Problem, text: str) -> Draft:
    """A draft whose answer is ``text``, for verifiers."""
    section = Section("output", text, 0, len(text))
    return Draft(
        request=Request(messages=(Message("user", problem.prompt),)),
        transcript=Transcript(sections=(section,), source=text),
    )


def _grade(verdict: Verdict, value: str = "") -> Grade:
    """A verdict as a grade; of what cannot be judged nobody knows."""
    outcomes = {True: "right", False: "wrong", None: "ungraded"}
    note = "" if verdict.ok else verdict.feedback
    return Grade(outcome=outcomes[verdict.ok], value=value, note=note)  # type: ignore[arg-type]


def _plain(right: bool, value: str, note: str) -> Grade:
    return Grade(outcome="right" if right else "wrong", value=value, note="" if right else note)


def _numeric(problem: Problem, text: str) -> Grade:
    found = read_number(text)
    if found is None:
        return Grade(outcome="wrong", note="there is no number in it")
    verdict = Numeric(problem.gold, unit=str(problem.data.get("unit", "")))(draft_of(problem, text))
    value = found.value
    shown = str(value.numerator) if value.denominator == 1 else f"{float(value):g}"
    return _grade(verdict, shown)


def _choice(problem: Problem, text: str) -> Grade:
    letter = read_choice(text, problem.choices)
    return _plain(
        letter == gold_letter(problem), letter, "another choice" if letter else "no choice"
    )


def gold_letter(problem: Problem) -> str:
    """The right choice's letter. Raises ``ConfigurationError`` where gold names none."""
    gold = problem.gold
    if isinstance(gold, int) and not isinstance(gold, bool) and 0 <= gold < len(_LETTERS):
        return _LETTERS[gold]
    if isinstance(gold, str) and gold.strip().upper() in tuple(_LETTERS):
        return gold.strip().upper()
    if gold in problem.choices:
        return _LETTERS[problem.choices.index(gold)]
    raise ConfigurationError(
        f"Problem {problem.id!r} has no choice {gold!r}.",
        hint="gold is a letter, an index from 0, or the text of one of the choices.",
    )


def _exact(problem: Problem, text: str) -> Grade:
    return _plain(same_text(text, str(problem.gold)), text.strip()[:200], "another text")


def _contains(problem: Problem, text: str) -> Grade:
    words = r"\W+".join(map(re.escape, re.findall(r"\w+", str(problem.gold)))) or re.escape(
        str(problem.gold)
    )
    there = re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None
    return _plain(there, text.strip()[:200], "it is not in there")


def _value(problem: Problem, text: str) -> Grade:
    return _plain(values_equal(text, str(problem.gold)), text.strip()[:200], "another value")


def _ifeval(problem: Problem, text: str, *, loose: bool) -> Grade:
    found = [check.check(text) for check in instructions(problem, loose=loose)]
    if any(f.ok is False for f in found):
        missed = "; ".join(f.feedback for f in found if f.ok is False)
        return Grade(outcome="wrong", note=missed)
    return Grade(outcome="right" if all(f.ok for f in found) else "ungraded")


def instructions(problem: Problem, *, loose: bool) -> list[IFEval]:
    """The checks of an IFEval problem. Raises ``ConfigurationError`` for unknown ones."""
    return [IFEval(name, loose=loose, **dict(told)) for name, told in problem.gold]


async def _math(problem: Problem, text: str) -> Grade:
    verdict = await MathEqual(problem.gold)(draft_of(problem, text))
    return _grade(verdict, str(verdict.value or ""))


async def _code(problem: Problem, text: str) -> Grade:
    row = problem.data
    tests = RunsTests.humaneval(row) if row.get("entry_point") else RunsTests(str(problem.gold))
    return _grade(await tests(draft_of(problem, text)))


# --- drafts


def _stated_number(problem: Problem, text: str) -> str:
    return announced_number(text)


def _stated_choice(problem: Problem, text: str) -> str:
    return read_choice(text, problem.choices, announced=True)


def _stated_value(problem: Problem, text: str) -> str:
    return announced(text)


def _stated_embedded(problem: Problem, text: str) -> str:
    """What stands in the last line that comes to something."""
    for line in reversed(text.strip().splitlines()):
        for pattern, group in ((_SUM, 4), (_COUNT, 2), (_PLACE, 1)):
            if found := pattern.fullmatch(line.strip()):
                return found[group]
    return ""


def _step_embedded(problem: Problem, text: str) -> bool | None:
    """The embedded weights check every line that comes to something."""
    line = text.strip().splitlines()[-1].strip() if text.strip() else ""
    if found := _SUM.fullmatch(line):
        a, b = int(found[1]), int(found[3])
        return {"+": a + b, "-": a - b, "*": a * b}[found[2]] == int(found[4])
    for pattern, group in ((_COUNT, 2), (_PLACE, 1)):
        if found := pattern.fullmatch(line):
            return found[group] == str(problem.gold)
    return None


GRADERS: Final[Mapping[str, Kind]] = {
    "numeric": Kind(grade=_numeric, stated=_stated_number),
    "choice": Kind(grade=_choice, stated=_stated_choice),
    "exact": Kind(grade=_exact, stated=_stated_value),
    "contains": Kind(grade=_contains),
    "value": Kind(grade=_value, stated=_stated_value),
    "ifeval": Kind(grade=lambda p, t: _ifeval(p, t, loose=False)),
    "ifeval-loose": Kind(grade=lambda p, t: _ifeval(p, t, loose=True)),
    "math": Kind(grade=_math, stated=_stated_number),
    "code": Kind(grade=_code),
    "embedded": Kind(grade=_value, stated=_stated_embedded, step=_step_embedded),
}


def check(problem: Problem) -> None:
    """Raises ``ConfigurationError`` for a gold that its grader cannot use."""
    if problem.gold is None and problem.grader != "code":
        raise ConfigurationError(
            f"Problem {problem.id!r} has no gold answer.", hint="Set gold=, or pass grade=."
        )
    checks: dict[str, Callable[[], Any]] = {
        "numeric": lambda: Numeric(problem.gold),
        "choice": lambda: gold_letter(problem),
        "ifeval": lambda: instructions(problem, loose=False),
        "ifeval-loose": lambda: instructions(problem, loose=True),
    }
    checks.get(problem.grader, lambda: None)()
