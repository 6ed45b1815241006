"""Graders that read the text alone: numbers, choices, texts."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from ...errors import ConfigurationError
from ...verify.numeric import Numeric
from ...verify.steps import statements
from ..records import Grade, Problem
from .amounts import amount, said_amount, written
from .base import Grading, drafted
from .choices import chosen, gold_letter, said_choice
from .finals import NEGATED, places, sentence, tidied, unmarked

__all__ = ["announced", "choice", "contains", "exact", "numeric"]

_NOISE: Final = re.compile(r"[\s\"'“”‘’`*_]+")


def numeric(*, tolerance: float = 0.0, relative: float = 0.0) -> Grading:
    """The number that the text answers with is the gold: announced, boxed, or of the last line.

    ``tolerance`` and ``relative``: as in ``verify.Numeric``, which compares. A range, two answers,
    and a computation that is not worked out are wrong.
    """

    def grade(problem: Problem, text: str) -> Grade:
        return _equal(problem, amount(text), tolerance, relative)

    return Grading(
        name="numeric",
        grade=grade,
        read=lambda _, text: amount(text),
        stated=lambda _, text: _last_result(text),
        inline=True,
    )


def _last_result(text: str) -> str:
    """The last number that is announced, or that a computation comes to."""
    said, at = said_amount(text)
    found = [s for s in statements(tidied(text)) if not s.about]
    return written(found[-1].right) if found and found[-1].start > at else said


def _equal(problem: Problem, read: str, tolerance: float = 0.0, relative: float = 0.0) -> Grade:
    gold = problem.gold
    if not isinstance(gold, str | int | float | Fraction):
        raise ConfigurationError(f"The gold of {problem.id} is no number, but {gold!r:.60}.")
    check = Numeric(gold, tolerance=tolerance, relative=relative)
    if not read:
        return Grade(outcome="wrong", note="The text gives no single number as its answer.")
    verdict = check(drafted(problem, read))
    return Grade(outcome="right" if verdict.ok else "wrong", value=read, note=verdict.feedback)


def choice() -> Grading:
    """The letter that the text picks is the gold's, or it picks the gold's choice by its words."""

    def grade(problem: Problem, text: str) -> Grade:
        letter, gold = chosen(problem, text), gold_letter(problem)
        note = "" if letter == gold else "It picks another." if letter else "It picks no choice."
        return Grade(outcome="right" if letter == gold else "wrong", value=letter, note=note)

    return Grading(name="choice", grade=grade, read=chosen, stated=said_choice, inline=True)


def _golds(problem: Problem) -> list[str]:
    """The accepted texts: the gold, or each of a list."""
    gold = problem.gold
    found = [str(g) for g in (gold if isinstance(gold, list | tuple) else [gold]) if g is not None]
    if not found or not all(map(str.strip, found)):
        raise ConfigurationError(f"The gold of {problem.id} is blank.")
    return found


def _norm(text: str) -> str:
    return _NOISE.sub(" ", text).strip(" .,;:!?()[]").casefold()


def announced(problem: Problem, text: str) -> str:
    """The answer that a text announces last; "" if it announces none."""
    return next(iter(_announced(text)), "")


def _announced(text: str) -> list[str]:
    """What is announced last: its sentence and its line."""
    found = places(tidied(text))
    if not found:
        return []
    line = unmarked(found[-1].text)
    return [sentence(line).strip(), line.strip()]


def exact() -> Grading:
    """The text, or the answer that it announces, is the gold or one of a list of them.

    Case, blanks, quotes, emphasis and punctuation around it do not count.
    """

    def grade(problem: Problem, text: str) -> Grade:
        golds = {_norm(gold) for gold in _golds(problem)}
        readings = [*_announced(text), text]
        right = any(_norm(reading) in golds for reading in readings)
        return Grade(
            outcome="right" if right else "wrong",
            value=read(problem, text),
            note="" if right else "It is another text.",
        )

    def read(problem: Problem, text: str) -> str:
        return stated(problem, text) or text.strip()

    def stated(problem: Problem, text: str) -> str:
        readings = _announced(text)
        golds = {_norm(gold) for gold in _golds(problem)}
        return next((r for r in readings if _norm(r) in golds), readings[0] if readings else "")

    return Grading(name="exact", grade=grade, read=read, stated=stated, inline=True)


def contains() -> Grading:
    """The gold, or one of a list of them, stands in the text as whole words, and not as denied."""

    def found(problem: Problem, text: str) -> str:
        text = " ".join(unmarked(text).split())
        for gold in _golds(problem):
            words = re.escape(" ".join(gold.split()))
            for match in re.finditer(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE):
                if not NEGATED.search(text[max(0, match.start() - 24) : match.start()]):
                    return gold
        return ""

    def grade(problem: Problem, text: str) -> Grade:
        read = found(problem, text)
        note = "" if read else "None of the expected texts stands in it."
        return Grade(outcome="right" if read else "wrong", value=read, note=note)

    return Grading(name="contains", grade=grade, read=found, stated=announced, inline=True)
