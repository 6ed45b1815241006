"""The known graders, as a table: how each grades an output and reads a draft."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ...errors import ConfigurationError
from ...values import values_equal
from ...verify import IFEval, Numeric
from ..records import Grade, Problem
from .base import Grading, nothing
from .checked import code, ifeval, math
from .choices import gold_letter
from .rules import announced, choice, contains, exact, numeric

__all__ = ["GRADERS", "Kind", "check"]

_SUM: Final = re.compile(r"(-?\d+) ([-+*]) (-?\d+) = (-?\d+)")
_COUNT: Final = re.compile(r"(\w) = (\d+)")
_PLACE: Final = re.compile(r"so .+ is ((?:in|on|under|behind|at) .+)")


def _nobody(problem: Problem, text: str) -> bool | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A grader, and what is needed to follow a model on its way.

    ``grading``: grades an output, and reads the answer at the end of a piece of thinking. ``step``:
    whether its last step is right; see ``answers.Grading``.
    """

    grading: Grading
    step: Callable[[Problem, str], bool | None] = _nobody


def _value(problem: Problem, text: str) -> Grade:
    right = values_equal(text, str(problem.gold))
    note = "" if right else "It comes to something else."
    return Grade(outcome="right" if right else "wrong", value=text.strip()[:200], note=note)


def instructions(problem: Problem) -> list[IFEval]:
    """The checks of an IFEval problem. Raises ``ConfigurationError`` for unknown ones."""
    return [IFEval(name, **dict(told)) for name, told in problem.gold]


def _ifeval(*, loose: bool) -> Grading:
    """The instructions that gold lists."""
    made = ifeval(loose=loose)

    def grade(problem: Problem, text: str) -> Any:
        names = [name for name, _ in problem.gold]
        data = {"instruction_id_list": names, "kwargs": [dict(told) for _, told in problem.gold]}
        return made.grade(replace(problem, data={**problem.data, **data}), text)

    return replace(made, grade=grade)


# --- the embedded tasks


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


def _plain(name: str, stated: Callable[[Problem, str], str] = nothing) -> Grading:
    return Grading(name=name, grade=_value, stated=stated, inline=True)


GRADERS: Final[Mapping[str, Callable[[], Kind]]] = {
    "numeric": lambda: Kind(grading=numeric()),
    "choice": lambda: Kind(grading=choice()),
    "exact": lambda: Kind(grading=exact()),
    "contains": lambda: Kind(grading=contains()),
    "value": lambda: Kind(grading=_plain("value", announced)),
    "ifeval": lambda: Kind(grading=_ifeval(loose=False)),
    "ifeval-loose": lambda: Kind(grading=_ifeval(loose=True)),
    "math": lambda: Kind(grading=math()),
    "code": lambda: Kind(grading=code()),
    "embedded": lambda: Kind(grading=_plain("embedded", _stated_embedded), step=_step_embedded),
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
        "ifeval": lambda: instructions(problem),
        "ifeval-loose": lambda: instructions(problem),
    }
    checks.get(problem.grader, lambda: None)()
